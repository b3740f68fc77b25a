/* What the fuzz targets of traces share: a check that ends the program, and traces made of bytes. */
#ifndef HEAPMARK_TESTS_FUZZ_FUZZ_H
#define HEAPMARK_TESTS_FUZZ_FUZZ_H

#include "workloads/trace/writer.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { EVENT_BYTES = 4 }; /* of the input, for each event */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static inline void require(bool condition)
{
    if (!condition)
        abort();
}

/* Writes those of the events that the writer takes; returns their number. `event_of` makes an event
 * of EVENT_BYTES of input and the time of the one before. */
static inline uint64_t write_events(int fd, uint32_t threads, const uint8_t *data, size_t bytes,
                                    struct trace_event (*event_of)(const uint8_t *, uint64_t))
{
    struct trace_writer *writer;
    uint64_t time = 0;
    require(trace_writer_open(&writer, fd, threads, "", 0) == 0);
    for (; bytes >= EVENT_BYTES; data += EVENT_BYTES, bytes -= EVENT_BYTES) {
        struct trace_event event = event_of(data, time);
        if (trace_writer_add(writer, &event) == 0)
            time = event.time;
    }
    struct trace_file_header facts = {.ticks_hz = 1000000000};
    require(trace_writer_finish(writer, &facts) == 0);
    trace_writer_release(writer);
    return facts.events;
}

#endif
