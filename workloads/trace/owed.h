/*
 * Frees that do not fit where they stand, for as long as a thread's clock may have been read early: one that came
 * before its object, or one that is still to come though its address has been handed out again. At most one for
 * an address. Not thread-safe.
 */
#ifndef HEAPMARK_TRACE_OWED_H
#define HEAPMARK_TRACE_OWED_H

#include "workloads/trace/addresses.h"

enum owed_kind {
    OWED_NOTHING,
    OWED_OBJECT, /* it was freed, and has not been seen */
    OWED_FREE,   /* the address was taken for another object */
};

struct owing {
    uint64_t address, until; /* when it is given up */
    uint32_t thread;         /* the last one's */
    uint32_t count;
    enum owed_kind kind;
    /* OWED_OBJECT: */
    bool was_there; /* an object that ended shortly before, */
    uint32_t ender; /* by this thread; else the same as `thread` */
    bool has_come;  /* an object that may be the one, and lives */
};

struct owed {
    struct owing *ring;
    uint32_t first, count; /* some may be settled: OWED_NOTHING */
    struct addresses places;
};

/* Start with a zeroed struct. False: no memory. */
bool owed_open(struct owed *owed);
void owed_release(struct owed *owed);

/* When it is full the oldest must go first. */
bool owed_is_full(const struct owed *owed);

/* What is owed at the address, or NULL. */
struct owing *owed_find(struct owed *owed, uint64_t address);

/* Of an address that nothing is owed at; `until` never decreases. 0 or -ENOMEM. */
int owed_add(struct owed *owed, struct owing owing);

/* One of them is settled; and all. */
void owed_settle_one(struct owed *owed, struct owing *owing);
void owed_settle(struct owed *owed, struct owing *owing);

/* The one to be given up first, or NULL. */
struct owing *owed_oldest(struct owed *owed);

#endif
