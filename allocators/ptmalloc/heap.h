/*
 * Heaps: where an arena's memory comes from and goes back to. Everything but heap_of(), arena_of()
 * and heap_new_arena() needs the arena's lock.
 */
#ifndef PTM_HEAP_H
#define PTM_HEAP_H

#include "chunk.h"

extern struct arena ptm_main_arena;

/*
 * One bit for each 64 MiB of address space: is there a mapped heap? Written with atomics, read at
 * any time, and nearly all of it never touched.
 */
#define PTM_HEAP_PLACES ((size_t)1 << (47 - 26))
extern uint64_t ptm_heap_places[PTM_HEAP_PLACES / 64];

/* Aborts: an A bit that leads to no heap. */
_Noreturn void heap_bad(const struct chunk *c) __attribute__((cold));

uintptr_t heap_seal(const struct heap *h);

/* May the header be read? */
static inline bool heap_exists(const struct heap *h)
{
    size_t place = (uintptr_t)h / PTM_HEAP_BYTES;

    return place < PTM_HEAP_PLACES && PTM_LOAD(ptm_heap_places[place / 64]) >> place % 64 & 1;
}

/* The mapped heap that holds a chunk whose A bit is set. */
static inline struct heap *heap_of(const struct chunk *c)
{
    struct heap *h = (struct heap *)((uintptr_t)c & ~PTM_HEAP_MASK);

    if (PTM_UNLIKELY(!heap_exists(h) || h->seal != heap_seal(h)))
        heap_bad(c);
    return h;
}

/*
 * Aborts unless a chunk of `size` bytes that a program hands to free() may be one: it lies in a
 * heap and the next chunk agrees. For chunks that are put away unmerged; merging looks itself. Needs no
 * lock: nothing of this changes while the chunk is in use.
 */
void heap_check_freed(const struct chunk *c, size_t size);

static inline struct arena *arena_of(const struct chunk *c)
{
    return chunk_head(c) & CHUNK_A ? heap_of(c)->arena : &ptm_main_arena;
}

/* The first chunk in brk memory there ever was, and the end of the newest brk heap. */
extern char *ptm_brk_first, *ptm_brk_end;

/* False if `next` cannot be the chunk behind `c`, with that head, because no heap holds both. */
static inline bool heap_holds(const struct chunk *c, size_t head, const struct chunk *next)
{
    bool mapped = head & CHUNK_A;
    const char *end = mapped ? heap_of(c)->end : ptm_brk_end;

    return next > c && (const char *)next < end && (mapped || (const char *)c >= ptm_brk_first);
}

/* Makes the top chunk at least `bytes` big, in the newest heap or in a new one. */
bool heap_grow(struct arena *a, size_t bytes);

/*
 * Returns what lies beyond the first `pad` bytes of the top chunk, and every heap that has become
 * empty. True if anything was returned.
 */
bool heap_shrink(struct arena *a, size_t pad);

/*
 * Returns heaps that have become empty, while the one before each ends in `room` free bytes:
 * without that the next request would map another. True if anything was returned.
 */
bool heap_drop_empty(struct arena *a, size_t room);

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
