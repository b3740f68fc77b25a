/*
 * Counting what an arena holds.
 */
#ifndef PTM_STATS_H
#define PTM_STATS_H

#include "types.h"

struct tally {
    size_t chunks;
    size_t bytes;
};

struct arena_stats {
    size_t system_bytes, system_bytes_max;
    size_t committed_bytes; /* readable, whether in a heap's bounds or not */
    size_t heaps;
    size_t top_bytes;
    struct tally fast, unsorted, sorted; /* sorted: small and large bins */
    struct tally fast_bin[PTM_FAST_BINS];
    struct tally bin[PTM_BINS];
    size_t smallest[PTM_BINS], largest[PTM_BINS]; /* of the chunks in each bin */
};

/* Takes the arena's lock. */
void stats_of_arena(struct arena *a, struct arena_stats *s);

/* Bytes that no user holds, thread caches not counted. */
static inline size_t stats_free_bytes(const struct arena_stats *s)
{
    return s->fast.bytes + s->unsorted.bytes + s->sorted.bytes + s->top_bytes;
}

#endif
