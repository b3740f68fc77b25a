/* How far in time a round of the drain goes. Not thread-safe. */
#ifndef HEAPMARK_TRACE_ROUND_LIMIT_H
#define HEAPMARK_TRACE_ROUND_LIMIT_H

#include "workloads/trace/stream.h"

enum {
    ROUND_RECORDS = TRACE_BLOCK_EVENTS_MAX / 4, /* a round is to take about as many, if there are */
};

/*
 * The time before which some ROUND_RECORDS records lie, of all streams together: at most twice as many where fewer
 * than ROUND_RECORDS / 16 streams have any, and with more of them 16 for each in addition. It is `end` where
 * fewer are there before that, and always after `begin`, the time of the first record: times may go back in a
 * thread, where a signal handler came between. 0 or -ENOMEM.
 */
int round_limit(const struct stream *streams, uint32_t count, uint64_t begin, uint64_t end,
                uint64_t *limit);

#endif
