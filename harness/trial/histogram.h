/*
 * A log-linear histogram of durations: 32 linear steps in every power of two, so that a bucket is
 * at most 3.2 % wide, from 0 to 2^40 ticks (some minutes); what is longer goes to the last bucket.
 * The idea is HdrHistogram's (Tene). One writer each; add before reading from another thread.
 */
#ifndef HEAPMARK_TRIAL_HISTOGRAM_H
#define HEAPMARK_TRIAL_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_STEP_BITS = 5,
    HISTOGRAM_STEPS = 1 << HISTOGRAM_STEP_BITS,
    HISTOGRAM_VALUE_BITS = 40,
    HISTOGRAM_BUCKETS = (HISTOGRAM_VALUE_BITS - HISTOGRAM_STEP_BITS + 1) * HISTOGRAM_STEPS,
};

struct histogram {
    uint64_t count;
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

static inline uint32_t histogram_bucket(uint64_t value)
{
    if (value < HISTOGRAM_STEPS)
        return (uint32_t)value;
    if (value >> HISTOGRAM_VALUE_BITS)
        return HISTOGRAM_BUCKETS - 1;
    uint32_t shift = 63u - (uint32_t)__builtin_clzll(value) - HISTOGRAM_STEP_BITS;
    return (shift << HISTOGRAM_STEP_BITS) + (uint32_t)(value >> shift);
}

static inline void histogram_record(struct histogram *h, uint64_t value)
{
    h->buckets[histogram_bucket(value)]++;
    h->count++;
    if (value > h->max)
        h->max = value;
}

/* The smallest value of a bucket, and of the one after it. bucket < HISTOGRAM_BUCKETS. */
uint64_t histogram_bucket_low(uint32_t bucket);
uint64_t histogram_bucket_high(uint32_t bucket);

/* Adds every count of `from` to `into`. */
void histogram_add(struct histogram *into, const struct histogram *from);

/*
 * The value at quantile q (0 to 1): the middle of the bucket that holds the ceil(q * count)-th
 * smallest value, never above the largest value seen. 0 for an empty histogram.
 */
uint64_t histogram_quantile(const struct histogram *h, double q);

#endif
