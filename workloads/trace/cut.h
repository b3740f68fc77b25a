/*
 * A part of a trace as a trace of its own: a span of time, the objects of one thread, or the window
 * in which live bytes hardly change. What lived at its start is made again at its front, by the
 * threads that made it, in the same order: header.front_events counts these.
 */
#ifndef HEAPMARK_TRACE_CUT_H
#define HEAPMARK_TRACE_CUT_H

#include "workloads/trace/curve.h"

#include <stddef.h>
#include <stdint.h>

enum { CUT_ALL_THREADS = -1 };

struct cut_request {
    uint64_t from_ns, to_ns; /* from the trace's start; UINT64_MAX: to its end */
    int64_t thread;          /* only objects that it made or ended; CUT_ALL_THREADS */
    bool steady;             /* instead of times */
};

struct cut_result {
    struct curve_window window; /* of `steady`, also when there is none */
    uint64_t from_ns, to_ns;    /* of the first and the last event */
    uint64_t front_events, front_bytes;
    uint64_t events; /* with those at the front */
    uint64_t all_events;
    uint32_t threads; /* of the cut, numbered anew in the order in which they come */
};

/*
 * Live bytes are steady where 512 stretches of as many events each differ by a tenth at most, in
 * a row that is at least a tenth of all events.
 */
#define CUT_STEADY_SPREAD 0.1
#define CUT_STEADY_SHARE  0.1

/*
 * Cuts the trace at `path` into `fd`, an empty seekable file. 0, or -errno with a sentence for the
 * user in `error`; -ESRCH: there is no steady window. Memory grows with the objects that live at
 * one time and, for a thread, one bit for each object. Thread-safe.
 */
int trace_cut(const char *path, const struct cut_request *request, int fd,
              struct cut_result *result, char *error, size_t error_bytes);

#endif
