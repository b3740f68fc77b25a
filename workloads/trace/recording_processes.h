/*
 * The processes that a recording sees in the raw file's table: which of them one is, and whether it runs. Control
 * plane; not thread-safe.
 */
#ifndef HEAPMARK_TRACE_RECORDING_PROCESSES_H
#define HEAPMARK_TRACE_RECORDING_PROCESSES_H

#include "workloads/trace/recording.h"

/* An entry of the table, as long as it is recorded. */
struct recorded_process {
    int pidfd;   /* -1: none could be had */
    bool sought; /* by its pid */
    bool gone;   /* before it was found */
    bool over;   /* and its trace finished */
};

/* A descriptor that tells of the process's end, -1 if there is none. */
int processes_open_pidfd(uint32_t pid);

/* Takes up the table's new entries. 0 or -ENOMEM. */
int processes_see_new(struct recording *recording);

/* Whether it is the program that was started, or what it became by exec(). */
bool process_is_first(const struct recording *recording, uint32_t index);

/* Whether the same process has a later entry: it replaced itself with exec(). */
bool process_was_replaced(const struct recording *recording, uint32_t index);

/*
 * Whether it makes no call any more. One that another process's namespace hides from us counts as running while
 * the first one does.
 */
bool process_is_over(const struct recording *recording, uint32_t index);

/* Gives the running ones a flag of enum raw_flag. */
void processes_mark_running(struct recording *recording, uint32_t flag);

void processes_release(struct recording *recording);

#endif
