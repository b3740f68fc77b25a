/* What a recording does not hold, told to the user by `record` and by `trace recover`. */
#ifndef HEAPMARK_CMD_RECORD_MISSING_H
#define HEAPMARK_CMD_RECORD_MISSING_H

#include "workloads/trace/raw.h"

/* Behind the process: why its recording ended, or never began. */
#define RECORD_FORBIDS "forbids system calls that recording needs, madvise say (a seccomp filter?)"
#define RECORD_SHUTS   "shut itself off from the clock (seccomp's strict mode, or PR_SET_TSC)"

/*
 * Names the processes that a user may miss among the traces, and why: `raw_away` if the raw file was not where
 * they look for it. Thread-safe, as say_note() is.
 */
void record_tell_missing(struct raw_header *raw, bool raw_away);

#endif
