/*
 * Heaps: where an arena's memory comes from and goes back to. Everything but heap_of(), arena_of()
 * and heap_new_arena() needs the arena's lock.
 */
#ifndef PTM_HEAP_H
#define PTM_HEAP_H

#include "chunk.h"

extern struct arena ptm_main_arena;

/* Aborts: an A bit that leads to no heap. */
_Noreturn void heap_bad(const struct chunk *c) __attribute__((cold));

uintptr_t heap_seal(const struct heap *h);

/* The mapped heap that holds a chunk whose A bit is set. */
static inline struct heap *heap_of(const struct chunk *c)
{
    struct heap *h = (struct heap *)((uintptr_t)c & ~PTM_HEAP_MASK);

    if (PTM_UNLIKELY(h->seal != heap_seal(h)))
        heap_bad(c);
    return h;
}

static inline struct arena *arena_of(const struct chunk *c)
{
    return chunk_head(c) & CHUNK_A ? heap_of(c)->arena : &ptm_main_arena;
}

/* False if `next` cannot be the chunk behind `c`, because no heap holds both. */
static inline bool heap_holds(const struct arena *a, const struct chunk *c,
                              const struct chunk *next)
{
    const struct heap *h = a->heap;

    if (chunk_head(c) & CHUNK_A)
        h = heap_of(c);
    else if (!h || h->mapped || (const char *)c < (const char *)h)
        return next > c;
    return next > c && (const char *)next < h->end;
}

/* Makes the top chunk at least `bytes` big, in the newest heap or in a new one. */
bool heap_grow(struct arena *a, size_t bytes);

/*
 * Returns what lies beyond the first `pad` bytes of the top chunk, and every heap that has become
 * empty. True if anything was returned.
 */
bool heap_shrink(struct arena *a, size_t pad);

/* Tells the heap that everything up to `end` may have been written. */
static inline void heap_dirty(struct arena *a, const void *end)
{
    if ((char *)end > a->heap->clean)
        a->heap->clean = (char *)end;
}

/* Maps a heap with an arena in it, bins empty and lock free. NULL if memory is refused. */
struct arena *heap_new_arena(void);

static inline size_t top_size(const struct arena *a)
{
    return a->top ? chunk_size(a->top) : 0;
}

#endif
