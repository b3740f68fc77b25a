/*
 * Where the objects of a replay program lie: slots of a player's own table, and slots of the common
 * one. Control plane only; not thread-safe.
 */
#ifndef HEAPMARK_TRACE_PLACES_H
#define HEAPMARK_TRACE_PLACES_H

#include <stdint.h>

/* A player's own slots. The one given back last comes first: its line is in the cache. */
struct local_places {
    uint32_t count;
    uint32_t *vacant;
    uint32_t vacant_count, vacant_capacity;
};

struct shared_pool;

/*
 * Shared slots, in pools: one for each pair of a maker and a taker. There the one given back first
 * comes first, and only when many are vacant: a maker that is ahead of the recording shall not have
 * to wait for its taker soon.
 */
struct shared_places {
    uint32_t count;
    struct shared_pool **pools; /* open addressing by maker and taker */
    uint32_t pool_count, pool_capacity;
    struct shared_pool *recent;
};

/* A slot for an object. UINT32_MAX: there is no memory, or no number, for it. */
uint32_t local_take(struct local_places *places);
uint32_t shared_take(struct shared_places *places, uint32_t maker, uint32_t taker);

/* The object has ended. 0 or -ENOMEM. */
int local_give(struct local_places *places, uint32_t slot);
int shared_give(struct shared_places *places, uint32_t maker, uint32_t taker, uint32_t slot);

void shared_release(struct shared_places *places);

#endif
