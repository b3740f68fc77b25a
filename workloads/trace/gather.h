/*
 * Recorded traces read back: the threads' entries of each block merged by time into events, and
 * their addresses turned into slots. Memory grows with the live objects and two blocks.
 *
 * Times need one repair. The time-stamp counter is read without a fence, because a fence costs more than the
 * reading, and much more where the program waits for memory: a processor may read it before the loads in front of it
 * are done, mostly some dozen nanoseconds too early, at times microseconds. So a free may seem to come before the
 * malloc of its object in another thread, or a malloc seem to return an address that another thread has not freed yet.
 * Such an entry, and with it all of its thread, waits for the other one, as long as nearly all clocks need
 * (patience). Beyond that its thread goes on, and what it waited for is owed (owed.h): up to the slack, a free takes the
 * next object at its address, where something was there before that shows the order to be wrong. Not thread-safe.
 */
#ifndef HEAPMARK_TRACE_GATHER_H
#define HEAPMARK_TRACE_GATHER_H

#include "workloads/trace/event.h"
#include "workloads/trace/format.h"

struct gather;

enum gather_next { GATHER_ERROR = -1, GATHER_BLOCK = 0, GATHER_EVENT = 1 };

struct gather_counts {
    uint64_t unknown_frees, lost_frees; /* see struct trace_file_header */
};

/*
 * `rules` are applied to each event, and stay the caller's. Clocks were read early by less than `slack_ticks`, and but
 * for rare cases by less than `patience_ticks`. 0 or -ENOMEM.
 */
int gather_open(struct gather **out, struct trace_rules *rules, uint32_t threads,
                uint64_t slack_ticks, uint64_t patience_ticks);

/* True while the block before the last one is needed still: then gather_next() comes first. */
bool gather_is_full(const struct gather *gather);

/*
 * Takes a block's content, which it frees with free(), also on failure. NULL when it is well
 * formed, else the reason.
 */
const char *gather_add(struct gather *gather, const struct trace_block_header *block,
                       unsigned char *content);

/*
 * The next event. GATHER_BLOCK: another block is wanted first, and when there is none, `last` must
 * be given. On GATHER_ERROR *reason tells what is wrong.
 */
enum gather_next gather_next(struct gather *gather, bool last, struct trace_event *event,
                             const char **reason);

struct gather_counts gather_counts(const struct gather *gather);

void gather_release(struct gather *gather);

#endif
