#include "resize.h"

#include "arena.h"
#include "bins.h"
#include "fault.h"
#include "heap.h"
#include "take.h"

/* Aborts unless `next` can be the chunk behind `c`; returns its size. */
static size_t check_next(struct arena *a, struct chunk *c, size_t flags, struct chunk *next)
{
    size_t head, size;

    if (PTM_UNLIKELY(!heap_holds(c, flags, next)))
        fault("realloc(): invalid next size", chunk_memory(c));
    head = chunk_head(next);
    size = head & ~(size_t)CHUNK_FLAGS;
    if (PTM_UNLIKELY(size < PTM_CHUNK_HEADER || size >= a->system_bytes))
        fault("realloc(): invalid next size", chunk_memory(c));
    if (PTM_UNLIKELY(!(head & CHUNK_P)))
        fault("realloc(): the memory is free", chunk_memory(c));
    return size;
}

/* `all` bytes are the chunk, whose flags these are, and the top behind it. */
static bool grow_into_top(struct arena *a, struct chunk *c, size_t flags, size_t all, size_t size)
{
    struct chunk *top = chunk_at(c, size);

    if (all < size + PTM_MIN_CHUNK)
        return false;
    chunk_set_head(c, size | flags);
    chunk_set_head(top, (all - size) | CHUNK_P | (flags & CHUNK_A));
    a->top = top;
    heap_dirty(a, chunk_memory(top));
    return true;
}

/* The same, with the free chunk behind it. */
static __attribute__((noinline)) bool grow_into_free(struct arena *a, struct chunk *c, size_t all,
                                                     size_t size)
{
    if (all < size)
        return false;
    bin_unlink(chunk_next(c));
    chunk_set_size(c, all);
    chunk_mark_prev_in_use(chunk_at(c, all));
    chunk_cut(a, c, size);
    return true;
}

bool chunk_resize(struct chunk *c, size_t size)
{
    struct arena *a = arena_of(c);
    size_t head, old, next_size;
    struct chunk *next;
    bool done = true;

    lock_take(&a->lock);
    head = chunk_head(c);
    old = head & ~(size_t)CHUNK_FLAGS;
    next = chunk_at(c, old);
    next_size = check_next(a, c, head, next);
    if (old >= size)
        chunk_cut(a, c, size);
    else if (next == a->top)
        done = grow_into_top(a, c, head & CHUNK_FLAGS, old + next_size, size);
    else if (!chunk_prev_in_use(chunk_at(next, next_size)))
        done = grow_into_free(a, c, old + next_size, size);
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
