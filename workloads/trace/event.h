/*
 * One event of a trace, and the rules that make a sequence of events a valid one.
 *
 * Objects live in numbered slots. An allocation takes the slot that was given up last, or the next
 * new number when none is vacant: writer and reader both know it without being told. A free gives
 * its slot up. A realloc ends the object in a slot and begins another one in the same slot. So
 * every object is made exactly once and ended at most once, and the memory that a reader needs
 * grows with the objects that live at one time, not with the length of the trace.
 *
 * Events stand in one global order of recorded time. Every event refers only to what came before
 * it, which is why replaying threads that wait for one another can never form a circle.
 */
#ifndef HEAPMARK_TRACE_EVENT_H
#define HEAPMARK_TRACE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are part of the file format. */
enum trace_op {
    TRACE_MALLOC = 1,
    TRACE_CALLOC,
    TRACE_ALIGNED,
    TRACE_REALLOC, /* never to size 0: recorded as a free, and a malloc if that gave an object */
    TRACE_FREE,
    TRACE_SPAWN, /* `thread` starts `other`, which has done nothing yet */
    TRACE_JOIN,  /* `thread` has waited for the end of `other`, which does nothing any more */
    TRACE_OP_COUNT
};

enum {
    TRACE_THREADS_MAX = 65535,
    TRACE_ALIGNMENT_LOG2_MAX = 47,
};

/* Of one object, and of all that live at one time: no address space is larger. */
#define TRACE_SIZE_MAX (UINT64_C(1) << 57)

struct trace_event {
    enum trace_op op;
    uint32_t thread;         /* 0 is the main thread if it made any call */
    uint32_t other;          /* SPAWN, JOIN */
    uint32_t slot;           /* found by the rules for allocations */
    uint32_t alignment_log2; /* ALIGNED */
    bool moved;              /* REALLOC: the recorded one gave another address */
    uint64_t size;           /* bytes requested */
    uint64_t time;           /* ticks since the first event */

    /* Where they were recorded. */
    bool on_new_cpu; /* this thread's events are on another CPU from here on: */
    uint32_t cpu;    /* where this event was; 0 if it was not recorded */
    uint32_t node;
    uint32_t stack_depth;  /* return addresses of an allocation; 0: none */
    const uint64_t *stack; /* the innermost first; the reader's, until its next event */

    /* Filled in by trace_rules_apply(). */
    uint64_t object;       /* number of the object made, in order of creation from 0 */
    uint64_t ended_object; /* REALLOC, FREE: the object that ends, */
    uint64_t ended_size;   /* its size, */
    uint32_t ended_owner;  /* and the thread that made it */
};

static inline bool trace_allocates(enum trace_op op)
{
    return op >= TRACE_MALLOC && op <= TRACE_REALLOC;
}

static inline bool trace_ends(enum trace_op op)
{
    return op == TRACE_REALLOC || op == TRACE_FREE;
}

struct trace_slot {
    uint64_t size;
    uint64_t object;
    uint32_t owner;
    uint32_t next_vacant; /* meaningful in vacant slots */
    bool live;
};

struct trace_rules {
    struct trace_slot *slots;
    uint8_t *threads; /* bits of enum trace_thread_state */
    uint32_t slot_count, slot_capacity, vacant, thread_count;
    uint64_t events, objects, live_objects, live_bytes, live_bytes_peak, time;
};

/* 0 or -ENOMEM. thread_count is 1 .. TRACE_THREADS_MAX. */
int trace_rules_init(struct trace_rules *rules, uint32_t thread_count);
void trace_rules_release(struct trace_rules *rules);

/*
 * Checks one event against all before it and fills in the rest of it. NULL when it is valid, else
 * the reason; then nothing has changed. Not thread-safe.
 */
const char *trace_rules_apply(struct trace_rules *rules, struct trace_event *event);

#endif
