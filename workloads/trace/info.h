/* What a trace holds, in figures. */
#ifndef HEAPMARK_TRACE_INFO_H
#define HEAPMARK_TRACE_INFO_H

#include "workloads/trace/event.h"
#include "workloads/trace/format.h"

enum {
    TRACE_BUCKETS_EXACT = 1024,    /* values below have a bucket each */
    TRACE_BUCKETS_PER_DOUBLE = 32, /* above, as many for each doubling: 3 % wide */
    TRACE_BUCKETS = TRACE_BUCKETS_EXACT + (64 - 10) * TRACE_BUCKETS_PER_DOUBLE,
};

/* Objects by a property of theirs, in log-linear buckets. */
struct trace_histogram {
    uint64_t objects[TRACE_BUCKETS];
    uint64_t bytes[TRACE_BUCKETS]; /* requested by those objects together */
};

struct trace_info {
    struct trace_file_header header;
    char command[TRACE_COMMAND_BYTES_MAX];
    uint64_t file_bytes;
    uint64_t ops[TRACE_OP_COUNT];
    uint64_t moved;        /* reallocs that gave another address */
    uint64_t foreign_ends; /* frees and reallocs in another thread than the allocation */
    uint64_t live_objects_end;
    uint64_t size_largest;
    struct trace_histogram sizes;     /* by bytes requested, every object */
    struct trace_histogram lifetimes; /* by ns from birth to end, objects that were ended */
};

/*
 * Reads and checks the whole trace. 0, or -errno with a sentence for the user in `error`, which
 * names the file, the place and the fault.
 */
int trace_info_read(struct trace_info *info, const char *path, char *error, size_t error_bytes);

/* The smallest and the largest value that a bucket (below TRACE_BUCKETS) stands for. */
uint64_t trace_bucket_low(unsigned bucket);
uint64_t trace_bucket_high(unsigned bucket);

/*
 * The size that a share (0 to 1) of all allocations do not exceed; exact up to 1024 bytes, else at
 * most 3 % above.
 */
uint64_t trace_info_size_quantile(const struct trace_info *info, double share);

#endif
