/* What a trace holds, in figures. */
#ifndef HEAPMARK_TRACE_INFO_H
#define HEAPMARK_TRACE_INFO_H

#include "workloads/trace/curve.h"
#include "workloads/trace/event.h"
#include "workloads/trace/format.h"
#include "workloads/trace/histogram.h"
#include "workloads/trace/sites.h"

struct trace_info {
    struct trace_file_header header;
    char command[TRACE_COMMAND_BYTES_MAX];
    uint64_t file_bytes;
    uint64_t ops[TRACE_OP_COUNT];
    uint64_t moved;        /* reallocs that gave another address */
    uint64_t foreign_ends; /* frees and reallocs in another thread than the allocation */
    uint64_t live_objects_end;
    uint64_t size_largest;
    uint64_t peak_time;               /* ticks, when the live bytes first reached their peak */
    uint64_t peak_objects;            /* that lived then */
    uint64_t allocated_bytes;         /* of all objects together */
    struct trace_histogram sizes;     /* by bytes requested, every object */
    struct trace_histogram lifetimes; /* by ns from birth to end, objects that were ended */
    struct trace_histogram kept;      /* by bytes requested, objects that were never ended */
    struct trace_curve live;          /* bytes over ticks */
};

struct trace_thread_info {
    uint64_t allocations, ends;        /* calls; a realloc is both */
    uint64_t bytes;                    /* allocated */
    uint64_t foreign_ends;             /* of objects of other threads */
    uint64_t kept_objects, kept_bytes; /* made by it, and never ended */
    uint64_t first_time, last_time;    /* of its events, in ticks */
    uint64_t events;
};

/* What grows with the trace's threads and call sites. Start zeroed. */
struct trace_details {
    struct trace_thread_info *threads; /* header.threads of them */
    struct trace_sites sites;          /* sorted, most bytes first; none if none were recorded */
};

void trace_details_release(struct trace_details *details);

/*
 * Reads and checks the whole trace, once; memory grows with the objects that live at one time.
 * `details` may be NULL. 0, or -errno with a sentence for the user in `error`, which names the
 * file, the place and the fault.
 */
int trace_info_read(struct trace_info *info, const char *path, char *error, size_t error_bytes);
int trace_info_read_details(struct trace_info *info, struct trace_details *details,
                            const char *path, char *error, size_t error_bytes);

/*
 * The size that a share (0 to 1) of all allocations do not exceed; exact up to 1024 bytes, else at
 * most 3 % above.
 */
uint64_t trace_info_size_quantile(const struct trace_info *info, double share);

#endif
