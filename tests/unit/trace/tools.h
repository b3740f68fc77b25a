/* What the tests of the trace tools share: all events of a trace, and imports of what a test says. */
#ifndef HEAPMARK_TESTS_TRACE_TOOLS_H
#define HEAPMARK_TESTS_TRACE_TOOLS_H

#include "fixture.h"

#include "workloads/trace/import.h"

struct events {
    struct trace_event *list;
    uint64_t *live_bytes; /* after each */
    size_t count;
    struct trace_file_header header;
};

/* All of a sound trace; a test fails on another one. */
struct events events_read(const char *path);
void events_release(struct events *events);

/* Text in, path of a trace out; a test fails where it is refused. */
char *import_good(const char *text, enum trace_source source, struct import_result *result);

/* The same, and the events that came of it. */
struct events import_events(const char *text, enum trace_source source,
                            struct import_result *result);

/* A test fails unless it is refused, with these words. */
void import_refused(const char *text, enum trace_source source, const char *expected);

#endif
