#include "workloads/trace/places.h"

#include <errno.h>
#include <stdlib.h>

/*
 * A maker may run RUN_AHEAD objects ahead of the recording before it waits for one taker. That is
 * half a MiB of slots for each pair; once all have 64 MiB the rest must do with less.
 */
enum {
    RUN_AHEAD = 1 << 16,
    RUN_AHEAD_SCARCE = 64,
    SLOTS_PLENTY = 1 << 23,
    LINE_SLOTS = 8, /* in a cache line, which then belongs to one maker and one taker */
};

#define SLOTS_MAX (UINT32_MAX - LINE_SLOTS)

struct shared_pool {
    uint64_t pair;
    uint32_t *vacant; /* a ring */
    uint32_t first, count, capacity;
    uint32_t fresh, fresh_count; /* slots that nobody has used */
};

/* ---- a player's own -------------------------------------------------------------------------- */

uint32_t local_take(struct local_places *places)
{
    return places->vacant_count > 0 ? places->vacant[--places->vacant_count] : places->count++;
}

int local_give(struct local_places *places, uint32_t slot)
{
    if (places->vacant_count == places->vacant_capacity) {
        uint32_t capacity = places->vacant_capacity ? 2 * places->vacant_capacity : 256;
        uint32_t *vacant = realloc(places->vacant, capacity * sizeof *vacant);
        if (vacant == NULL)
            return -ENOMEM;
        places->vacant = vacant;
        places->vacant_capacity = capacity;
    }
    places->vacant[places->vacant_count++] = slot;
    return 0;
}

/* ---- pools ----------------------------------------------------------------------------------- */

static uint32_t home(const struct shared_places *places, uint64_t pair)
{
    return (uint32_t)(pair * 0x9e3779b97f4a7c15u >> 32) & (places->pool_capacity - 1);
}

/* The pool's place in the table, or the empty one where it belongs. */
static struct shared_pool **find(struct shared_places *places, uint64_t pair)
{
    uint32_t i = home(places, pair);
    while (places->pools[i] != NULL && places->pools[i]->pair != pair)
        i = (i + 1) & (places->pool_capacity - 1);
    return &places->pools[i];
}

/* At most half full. */
static int grow_table(struct shared_places *places)
{
    struct shared_places grown = *places;
    grown.pool_capacity = places->pool_capacity ? 2 * places->pool_capacity : 64;
    grown.pools = calloc(grown.pool_capacity, sizeof *grown.pools);
    if (grown.pools == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < places->pool_capacity; i++)
        if (places->pools[i] != NULL)
            *find(&grown, places->pools[i]->pair) = places->pools[i];
    free(places->pools);
    *places = grown;
    return 0;
}

static struct shared_pool *pool_of(struct shared_places *places, uint32_t maker, uint32_t taker)
{
    uint64_t pair = (uint64_t)maker << 32 | taker;
    if (places->recent != NULL && places->recent->pair == pair)
        return places->recent;
    if (2 * (places->pool_count + 1) > places->pool_capacity && grow_table(places) != 0)
        return NULL;
    struct shared_pool **pool = find(places, pair);
    if (*pool == NULL) {
        *pool = calloc(1, sizeof **pool);
        if (*pool == NULL)
            return NULL;
        (*pool)->pair = pair;
        places->pool_count++;
    }
    return places->recent = *pool;
}

static int grow_ring(struct shared_pool *pool)
{
    uint32_t capacity = pool->capacity ? 2 * pool->capacity : 64;
    uint32_t *vacant = malloc(capacity * sizeof *vacant);
    if (vacant == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < pool->count; i++)
        vacant[i] = pool->vacant[(pool->first + i) & (pool->capacity - 1)];
    free(pool->vacant);
    pool->vacant = vacant;
    pool->capacity = capacity;
    pool->first = 0;
    return 0;
}

/* ---- shared slots ---------------------------------------------------------------------------- */

static uint32_t take_vacant(struct shared_pool *pool)
{
    uint32_t slot = pool->vacant[pool->first];
    pool->first = (pool->first + 1) & (pool->capacity - 1);
    pool->count--;
    return slot;
}

uint32_t shared_take(struct shared_places *places, uint32_t maker, uint32_t taker)
{
    struct shared_pool *pool = pool_of(places, maker, taker);
    uint32_t enough = places->count < SLOTS_PLENTY ? RUN_AHEAD : RUN_AHEAD_SCARCE;
    if (pool == NULL)
        return UINT32_MAX;
    if (pool->count >= enough)
        return take_vacant(pool);
    if (pool->fresh_count == 0) {
        if (places->count >= SLOTS_MAX)
            return UINT32_MAX;
        pool->fresh = places->count;
        pool->fresh_count = LINE_SLOTS;
        places->count += LINE_SLOTS;
    }
    pool->fresh_count--;
    return pool->fresh++;
}

int shared_give(struct shared_places *places, uint32_t maker, uint32_t taker, uint32_t slot)
{
    struct shared_pool *pool = pool_of(places, maker, taker);
    if (pool == NULL || (pool->count == pool->capacity && grow_ring(pool) != 0))
        return -ENOMEM;
    pool->vacant[(pool->first + pool->count++) & (pool->capacity - 1)] = slot;
    return 0;
}

void shared_release(struct shared_places *places)
{
    for (uint32_t i = 0; i < places->pool_capacity; i++)
        if (places->pools[i] != NULL) {
            free(places->pools[i]->vacant);
            free(places->pools[i]);
        }
    free(places->pools);
}
