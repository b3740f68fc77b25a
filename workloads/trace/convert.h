/* From a raw recording to a trace: merges the threads by time and turns addresses into objects. */
#ifndef HEAPMARK_TRACE_CONVERT_H
#define HEAPMARK_TRACE_CONVERT_H

#include "workloads/trace/raw_streams.h"
#include "workloads/trace/writer.h"

struct trace_conversion {
    unsigned time_shift; /* a tick of the trace is 2^time_shift ticks of the recording */
    void (*progress)(uint64_t events); /* called every million events; may be NULL */

    /* Results. */
    uint64_t unknown_frees; /* see struct trace_file_header */
    uint64_t lost_frees;
};

/*
 * Adds all events of the recording to the writer. 0, -ENOMEM, or what trace_writer_add() says.
 * Memory grows with the live objects.
 */
int trace_convert(struct trace_conversion *conversion, struct raw_streams *streams,
                  struct trace_writer *writer);

#endif
