/*
 * When `heapmark record` packs what the programs have written.
 *
 * To pack an event takes about as long as to record it. Where the recorded threads keep every CPU
 * busy that time would be taken from them, so the packing waits until one is free, and what they
 * write meanwhile stays in the raw file: up to a limit, from which on the packing takes its share as
 * any process does. One round a second is made in any case, so that little waits where calls are
 * few. A program that never had as many threads as there are CPUs is packed at once, whatever else
 * the machine does: it would gain nothing, and the packing would come after its end. Control plane;
 * not thread-safe.
 */
#ifndef HEAPMARK_TRACE_RECORDING_PACE_H
#define HEAPMARK_TRACE_RECORDING_PACE_H

#include "workloads/trace/raw.h"

struct pace {
    int loadavg_fd; /* -1: there is no /proc; then the packing never waits */
    int raw_fd;
    uint64_t backlog_bytes_max; /* of segments that wait, where memory and disk allow it */
    uint64_t last_ns;           /* when the drain was last allowed to go */
};

/* `raw_fd` is the raw file's: a small part of the room beside it may be used. */
void pace_begin(struct pace *pace, int raw_fd);

/* Whether the drain may go a round at `now_ns`, of CLOCK_MONOTONIC; it is taken that it does. */
bool pace_allows(struct pace *pace, struct raw_header *header, uint64_t now_ns);

void pace_end(struct pace *pace);

#endif
