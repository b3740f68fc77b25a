#include "resize.h"

#include "arena.h"
#include "bins.h"
#include "fault.h"
#include "heap.h"
#include "take.h"

static void check_next(struct arena *a, struct chunk *c, struct chunk *next)
{
    if (PTM_UNLIKELY(!heap_holds(c, next) || chunk_size(next) < PTM_CHUNK_HEADER ||
                     chunk_size(next) >= a->system_bytes))
        fault("realloc(): invalid next size", chunk_memory(c));
    if (PTM_UNLIKELY(!chunk_prev_in_use(next)))
        fault("realloc(): the memory is free", chunk_memory(c));
}

static bool grow_into_top(struct arena *a, struct chunk *c, size_t size)
{
    size_t all = chunk_size(c) + top_size(a), heap_flag = chunk_head(c) & CHUNK_A;

    if (all < size + PTM_MIN_CHUNK)
        return false;
    chunk_set_size(c, size);
    a->top = chunk_at(c, size);
    chunk_set_head(a->top, (all - size) | CHUNK_P | heap_flag);
    heap_dirty(a, chunk_memory(a->top));
    return true;
}

static bool grow_into_free(struct arena *a, struct chunk *c, struct chunk *next, size_t size)
{
    size_t all = chunk_size(c) + chunk_size(next);

    if (all < size)
        return false;
    bin_unlink(next);
    chunk_set_size(c, all);
    chunk_mark_prev_in_use(chunk_at(c, all));
    chunk_cut(a, c, size);
    return true;
}

bool chunk_resize(struct chunk *c, size_t size)
{
    struct arena *a = arena_of(c);
    struct chunk *next = chunk_next(c);
    bool done = true;

    lock_take(&a->lock);
    check_next(a, c, next);
    if (chunk_size(c) >= size)
        chunk_cut(a, c, size);
    else if (next == a->top)
        done = grow_into_top(a, c, size);
    else if (!chunk_in_use(next))
        done = grow_into_free(a, c, next, size);
    else
        done = false;
    lock_drop(&a->lock);
    return done;
}

void chunk_join(struct chunk *c, size_t size)
{
    struct arena *a = arena_of(c);

    lock_take(&a->lock);
    chunk_set_size(c, chunk_size(c) + chunk_size(chunk_next(c)));
    chunk_cut(a, c, size);
    lock_drop(&a->lock);
}

struct chunk *chunk_align(struct chunk *c, size_t align, size_t size)
{
    struct arena *a = arena_of(c);
    uintptr_t memory = (uintptr_t)chunk_memory(c);
    uintptr_t aligned = (memory + align - 1) & ~(align - 1);
    size_t lead;

    /* What is cut off in front must be a chunk. */
    if (aligned != memory && aligned - memory < PTM_MIN_CHUNK)
        aligned += align;
    lead = aligned - memory;
    lock_take(&a->lock);
    if (lead) {
        struct chunk *kept = chunk_at(c, lead);

        chunk_set_head(kept, (chunk_size(c) - lead) | CHUNK_P | (chunk_head(c) & CHUNK_A));
        chunk_set_size(c, lead);
        arena_merge(a, c, lead);
        c = kept;
    }
    chunk_cut(a, c, size);
    lock_drop(&a->lock);
    return c;
}
