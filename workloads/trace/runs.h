/*
 * The blocks of a recorded trace on their way into events: what each thread did, decoded one entry at a time, and
 * which thread is next by time. Two blocks at most are in memory. Not thread-safe.
 */
#ifndef HEAPMARK_TRACE_RUNS_H
#define HEAPMARK_TRACE_RUNS_H

#include "workloads/trace/format.h"
#include "workloads/trace/varint.h"

#include <stdbool.h>
#include <stdint.h>

/* What a thread did, once. */
struct entry {
    unsigned op, alignment_log2;
    uint32_t other;
    bool on_new_cpu;
    uint32_t cpu, node, stack_depth;
    uint64_t time, address, size;
};

/* A thread's part of a block. */
struct run {
    struct run *next; /* the same thread's part of the next block */
    uint32_t thread, left;
    bool gave_up; /* its head waits no more */
    uint64_t time, address;
    struct entry head;
    struct varint_span columns[TRACE_COLUMNS];
};

struct group {
    unsigned char *content;
    struct run *runs;
    uint32_t run_count, runs_left;
    uint64_t time_end;
};

/* One thread of the trace, from block to block. */
struct thread_runs {
    struct run *run;      /* that is being read; NULL: none is left */
    struct run *last_run; /* its last one so far */
    uint32_t parent;      /* that started it, plus 1 */
    uint64_t *stack;      /* of `run`'s head */
};

struct runs {
    struct thread_runs *threads;
    uint32_t thread_count;
    struct group older, newer;
    struct run **heap; /* of one run a thread, the earliest head on top */
    uint32_t heap_count;
    struct run **waiting; /* set aside: not in the heap, in no order */
    uint32_t waiting_count;
};

/* False: no memory. Start with a zeroed struct, and release it in either case. */
bool runs_open(struct runs *runs, uint32_t threads);
void runs_release(struct runs *runs);

/* True while the block before the last one is needed still. */
bool runs_are_full(const struct runs *runs);

/* Takes a block's content, which it frees with free(), also on failure. NULL, or what is wrong with it. */
const char *runs_add(struct runs *runs, const struct trace_block_header *block,
                     unsigned char *content);

/* No thread has an entry left. */
static inline bool runs_are_over(const struct runs *runs)
{
    return runs->heap_count + runs->waiting_count == 0;
}

/* The earliest one that is not set aside; there is one. */
static inline struct run *runs_first(const struct runs *runs)
{
    return runs->heap[0];
}

/* From the first one's head to its thread's next entry. False: that is no entry. */
bool runs_advance(struct runs *runs);

/* Whether the head of `a` comes before that of `b`. */
bool run_is_earlier(const struct run *a, const struct run *b);

/* Sets the first one aside; and takes one back, by its place among them. */
void runs_set_aside(struct runs *runs);
void runs_resume(struct runs *runs, uint32_t place);

#endif
