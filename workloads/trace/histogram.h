/* Counts of objects by a property of theirs, in log-linear buckets of a fixed size. */
#ifndef HEAPMARK_TRACE_HISTOGRAM_H
#define HEAPMARK_TRACE_HISTOGRAM_H

#include <stdint.h>

enum {
    TRACE_BUCKETS_EXACT = 1024,    /* values below have a bucket each */
    TRACE_BUCKETS_PER_DOUBLE = 32, /* above, as many for each doubling: 3 % wide */
    TRACE_BUCKETS = TRACE_BUCKETS_EXACT + (64 - 10) * TRACE_BUCKETS_PER_DOUBLE,
};

struct trace_histogram {
    uint64_t objects[TRACE_BUCKETS];
    uint64_t bytes[TRACE_BUCKETS]; /* requested by those objects together */
};

void trace_histogram_add(struct trace_histogram *histogram, uint64_t value, uint64_t bytes);

/* The smallest and the largest value that a bucket (below TRACE_BUCKETS) stands for. */
uint64_t trace_bucket_low(unsigned bucket);
uint64_t trace_bucket_high(unsigned bucket);

/*
 * The value that a share (0 to 1) of all objects do not exceed; exact up to 1024, else at most 3 %
 * above. UINT64_MAX when there are none.
 */
uint64_t trace_histogram_quantile(const struct trace_histogram *histogram, double share);

/* Objects and bytes in the buckets that begin from `low` on and before `end`. */
void trace_histogram_range(const struct trace_histogram *histogram, uint64_t low, uint64_t end,
                           uint64_t *objects, uint64_t *bytes);

#endif
