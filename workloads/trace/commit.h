/*
 * What of a recording stands in its traces, so that a drain may be killed at any moment.
 *
 * A block that has been written changes the totals of its process and, in each segment that it came from,
 * how far that one has been read. All of it has to change at once: another drain that finds some of it
 * would bring events twice, or never. So there are two of each. The drain fills in the ones that do not
 * hold, and then counts the process's commits: by this one store they do.
 *
 * Each commit marks every segment that still has something to read, if it is the first one of its thread;
 * so the mark that is filled in is never the one that holds. A segment that was read to its end is marked
 * for the last time.
 */
#ifndef HEAPMARK_TRACE_COMMIT_H
#define HEAPMARK_TRACE_COMMIT_H

#include "workloads/trace/raw.h"

/* What stands in the process's trace. */
static inline const struct raw_tally *commit_tally(const struct raw_process *process)
{
    return &process->tallies[process->commits % 2];
}

/* How much of the process's segment does. */
static inline struct raw_mark commit_mark(const struct raw_process *process,
                                          const struct raw_segment *segment)
{
    struct raw_mark last = {.consumed = 0};
    for (int i = 0; i < 2; i++)
        if (segment->marks[i].commit >= last.commit && segment->marks[i].commit <= process->commits)
            last = segment->marks[i];
    return last;
}

/* How much will, from the next commit on. `flags`: enum raw_mark_flag. */
static inline void commit_prepare(const struct raw_process *process, struct raw_segment *segment,
                                  uint32_t consumed, uint32_t flags)
{
    uint32_t commit = process->commits + 1;
    struct raw_mark *mark = &segment->marks[commit % 2];
    mark->commit = commit; /* holds not yet: the rest may follow in any order */
    atomic_signal_fence(memory_order_seq_cst);
    mark->consumed = consumed;
    mark->flags = flags;
}

/* What a drain had prepared that was killed before its commit must not come to hold with another one's. */
static inline void commit_forget(const struct raw_process *process, struct raw_segment *segment)
{
    for (int i = 0; i < 2; i++)
        if (segment->marks[i].commit > process->commits) {
            segment->marks[i].consumed = 0;
            segment->marks[i].flags = 0;
            atomic_signal_fence(memory_order_seq_cst); /* with commit 0 the rest would hold */
            segment->marks[i].commit = 0;
        }
}

/* All that was prepared holds from here on, and this. */
static inline void commit_make(struct raw_process *process, const struct raw_tally *tally)
{
    uint32_t commit = process->commits + 1;
    process->tallies[commit % 2] = *tally;
    atomic_store_explicit(&process->commits, commit, memory_order_release);
}

#endif
