#include "workloads/trace/histogram.h"

/* Log-linear: the upper part keeps the leading bit and the five after it. */
static unsigned bucket_of(uint64_t value)
{
    if (value < TRACE_BUCKETS_EXACT)
        return (unsigned)value;
    unsigned log2 = 63 - (unsigned)__builtin_clzll(value);
    unsigned within = (unsigned)(value >> (log2 - 5)) & (TRACE_BUCKETS_PER_DOUBLE - 1);
    return TRACE_BUCKETS_EXACT + (log2 - 10) * TRACE_BUCKETS_PER_DOUBLE + within;
}

uint64_t trace_bucket_low(unsigned bucket)
{
    if (bucket < TRACE_BUCKETS_EXACT)
        return bucket;
    unsigned log2 = 10 + (bucket - TRACE_BUCKETS_EXACT) / TRACE_BUCKETS_PER_DOUBLE;
    uint64_t within = (bucket - TRACE_BUCKETS_EXACT) % TRACE_BUCKETS_PER_DOUBLE;
    return (TRACE_BUCKETS_PER_DOUBLE + within) << (log2 - 5);
}

uint64_t trace_bucket_high(unsigned bucket)
{
    return bucket + 1 < TRACE_BUCKETS ? trace_bucket_low(bucket + 1) - 1 : UINT64_MAX;
}

void trace_histogram_add(struct trace_histogram *histogram, uint64_t value, uint64_t bytes)
{
    unsigned bucket = bucket_of(value);
    histogram->objects[bucket]++;
    histogram->bytes[bucket] += bytes;
}

uint64_t trace_histogram_quantile(const struct trace_histogram *histogram, double share)
{
    uint64_t total = 0, below = 0;
    for (unsigned i = 0; i < TRACE_BUCKETS; i++)
        total += histogram->objects[i];
    for (unsigned i = 0; i < TRACE_BUCKETS; i++) {
        below += histogram->objects[i];
        if (below > 0 && (double)below >= share * (double)total)
            return trace_bucket_high(i);
    }
    return UINT64_MAX;
}

void trace_histogram_range(const struct trace_histogram *histogram, uint64_t low, uint64_t end,
                           uint64_t *objects, uint64_t *bytes)
{
    *objects = *bytes = 0;
    for (unsigned i = 0; i < TRACE_BUCKETS; i++)
        if (trace_bucket_low(i) >= low && trace_bucket_low(i) < end) {
            *objects += histogram->objects[i];
            *bytes += histogram->bytes[i];
        }
}
