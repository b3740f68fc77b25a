/*
 * What each process was started as. Of the first one, and of what it becomes by exec(), that is the
 * recording's own command line; each of the others has left its own in a segment of no thread, before its first record.
 */
#ifndef HEAPMARK_TRACE_DRAIN_COMMAND_H
#define HEAPMARK_TRACE_DRAIN_COMMAND_H

#include "workloads/trace/drain_blocks.h"

/* Words, each ended by a 0 byte, as a trace has them; none: it is not known. */
struct command {
    const char *words;
    uint32_t bytes;
};

/* Takes the command line out of a segment of no thread. 0 or -ENOMEM. */
int drain_command_take(struct source *source, struct raw_segment *segment);

/* The same from the trace's first block to its end, also for a drain that goes on after another one. */
struct command drain_command(const struct drain *drain, const struct source *source);

/* Before a thread gets the segment: its words could be taken for records. */
void drain_command_wipe(struct raw_segment *segment);

#endif
