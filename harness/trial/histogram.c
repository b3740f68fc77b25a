#include "trial/histogram.h"

uint64_t histogram_bucket_low(uint32_t bucket)
{
    uint32_t shift = bucket >> HISTOGRAM_STEP_BITS;
    if (shift <= 1)
        return bucket;
    uint64_t step = HISTOGRAM_STEPS | (bucket & (HISTOGRAM_STEPS - 1));
    return step << (shift - 1);
}

uint64_t histogram_bucket_high(uint32_t bucket)
{
    return histogram_bucket_low(bucket + 1);
}

void histogram_add(struct histogram *into, const struct histogram *from)
{
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
    into->count += from->count;
    if (from->max > into->max)
        into->max = from->max;
}

uint64_t histogram_quantile(const struct histogram *h, double q)
{
    if (h->count == 0)
        return 0;
    double exact = q * (double)h->count;
    uint64_t rank = (uint64_t)exact;
    if ((double)rank < exact || rank == 0)
        rank++;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank) {
            uint64_t low = histogram_bucket_low(i), high = histogram_bucket_high(i);
            uint64_t middle = low + (high - 1 - low) / 2;
            return middle < h->max ? middle : h->max;
        }
    }
    return h->max;
}
