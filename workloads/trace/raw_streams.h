/*
 * The raw recording read back: one stream of events per thread, merged by time.
 *
 * Times need one repair. The time-stamp counter is read without a fence, because a fence costs as
 * much as the reading: a processor may read it some dozen nanoseconds before the call that it
 * belongs to is quite done. So a free may seem to come before the malloc of its object in another
 * thread, or a malloc seem to return an address that another thread has not freed yet. The caller
 * who meets one of these has the event come a little later, with raw_streams_delay().
 */
#ifndef HEAPMARK_TRACE_RAW_STREAMS_H
#define HEAPMARK_TRACE_RAW_STREAMS_H

#include "workloads/trace/raw.h"

#include <stddef.h>

#define RAW_NO_STREAM UINT32_MAX

struct raw_event {
    unsigned op; /* enum raw_op; RAW_ALIGNED plus log2 */
    uint32_t stream;
    bool retried; /* delayed once already */
    uint64_t time, address, size;
    uint64_t
        new_address; /* RAW_REALLOC_BEGIN: what its END says; 0 when it failed or never ended */
};

struct raw_stream;

struct raw_streams {
    const char *file;
    uint64_t bytes; /* of the file that were used */
    int fd;         /* where segments that have been read are given back; -1: nowhere */
    uint64_t slack_ticks;
    struct raw_stream *streams;
    uint32_t count;
    uint32_t *heap, heap_count; /* streams that have events left, the earliest on top */
    uint64_t null_frees, failed_calls;
};

/*
 * Takes the raw file, mapped at `file`, with `file_bytes` readable. It must stay mapped. With `fd`
 * not -1, the file's space is given back while it is read: the trace may need it on a full disk.
 * 0, -ENOMEM, or -EINVAL when it is no raw file of this version.
 */
int raw_streams_open(struct raw_streams *streams, const void *file, uint64_t file_bytes, int fd,
                     uint64_t slack_ticks);
void raw_streams_release(struct raw_streams *streams);

/* The earliest event of all threads, or NULL at the end. Times never decrease. */
const struct raw_event *raw_streams_peek(const struct raw_streams *streams);

/* Goes on to the next event. */
void raw_streams_pop(struct raw_streams *streams);

/* Moves the event that peek shows `slack_ticks` later, and marks it as retried. */
void raw_streams_delay(struct raw_streams *streams);

/*
 * The stream of the thread with that pthread_t whose first event is the earliest not before
 * `time` (a thread started then), or the latest before it (a thread joined then). pthread_t values
 * come again when threads end. RAW_NO_STREAM if there is none: the thread called nothing.
 */
uint32_t raw_streams_started(const struct raw_streams *streams, uint64_t self, uint64_t time);
uint32_t raw_streams_joined(const struct raw_streams *streams, uint64_t self, uint64_t time);

/* True when the stream has given all its events. */
bool raw_streams_ended(const struct raw_streams *streams, uint32_t stream);

#endif
