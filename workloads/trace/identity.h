/*
 * What tells one process from another. A pid alone does not: each PID namespace counts its own, and one is used
 * again. A process keeps all of this through exec(). The recorder asks, inside the programs, and `heapmark record`.
 */
#ifndef HEAPMARK_TRACE_IDENTITY_H
#define HEAPMARK_TRACE_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

/* 0: not known, as where /proc is not mounted. */
struct identity {
    uint32_t pid;   /* in its own namespace */
    uint64_t birth; /* clock ticks from the machine's start to the process's, as told in */
    uint64_t clock; /* the time namespace with this inode */
    uint64_t space; /* inode of its PID namespace */
};

/* Of the calling process; async-signal-safe, and allocates nothing. `errno` is lost. */
struct identity identity_of_self(void);

/* Of a process by its pid here; what may not be looked at is not known. The same. */
struct identity identity_of(uint32_t pid);

/* ns by which CLOCK_MONOTONIC is ahead of the machine's own here, as in a time namespace; 0 until it is settled. */
extern __attribute__((visibility("hidden"))) int64_t identity_clock_ahead;

/* Asks for it; where that cannot be told it stays what it was. As identity_of_self(). */
void identity_settle_clock(void);

/* As far as both are known; births told in two time namespaces cannot be compared. */
bool identity_equals(const struct identity *a, const struct identity *b);

#endif
