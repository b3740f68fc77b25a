/*
 * Reading and writing chunks. The layout is in types.h.
 *
 * The size word is read and written with relaxed atomics (plain moves on every machine that
 * matters): its chunk's user may read it in free() while the arena's lock holder changes P.
 */
#ifndef PTM_CHUNK_H
#define PTM_CHUNK_H

#include "types.h"

static inline size_t chunk_head(const struct chunk *c)
{
    return __atomic_load_n(&c->head, __ATOMIC_RELAXED);
}

static inline void chunk_set_head(struct chunk *c, size_t head)
{
    __atomic_store_n(&c->head, head, __ATOMIC_RELAXED);
}

static inline size_t chunk_size(const struct chunk *c)
{
    return chunk_head(c) & ~(size_t)CHUNK_FLAGS;
}

/* New size, same flags. */
static inline void chunk_set_size(struct chunk *c, size_t size)
{
    chunk_set_head(c, size | (chunk_head(c) & CHUNK_FLAGS));
}

static inline void *chunk_memory(struct chunk *c)
{
    return (char *)c + PTM_CHUNK_HEADER;
}

static inline struct chunk *chunk_of(const void *memory)
{
    return (struct chunk *)((uintptr_t)memory - PTM_CHUNK_HEADER);
}

static inline struct chunk *chunk_at(const void *base, size_t offset)
{
    return (struct chunk *)((uintptr_t)base + offset);
}

static inline struct chunk *chunk_next(const struct chunk *c)
{
    return chunk_at(c, chunk_size(c));
}

static inline bool chunk_prev_in_use(const struct chunk *c)
{
    return chunk_head(c) & CHUNK_P;
}

static inline bool chunk_mmapped(const struct chunk *c)
{
    return chunk_head(c) & CHUNK_M;
}

/* In use as its neighbours see it: handed out, or cached. Not for the top chunk. */
static inline bool chunk_in_use(const struct chunk *c)
{
    return chunk_prev_in_use(chunk_next(c));
}

static inline void chunk_mark_prev_in_use(struct chunk *c)
{
    chunk_set_head(c, chunk_head(c) | CHUNK_P);
}

static inline void chunk_mark_prev_free(struct chunk *c)
{
    chunk_set_head(c, chunk_head(c) & ~(size_t)CHUNK_P);
}

/* Leaves the size behind a free chunk, where the next chunk finds it as prev_size. */
static inline void chunk_set_foot(struct chunk *c, size_t size)
{
    chunk_at(c, size)->prev_size = size;
}

static inline bool is_aligned(const void *memory)
{
    return ((uintptr_t)memory & (PTM_ALIGN - 1)) == 0;
}

/* Bytes its user may touch: the next chunk's prev_size is lent to a chunk in use. */
static inline size_t chunk_usable(const struct chunk *c)
{
    return chunk_mmapped(c) ? chunk_size(c) - PTM_CHUNK_HEADER : chunk_size(c) - PTM_WORD;
}

/* The chunk size for a request of at most PTRDIFF_MAX bytes. */
static inline size_t chunk_size_for(size_t request)
{
    size_t size = (request + PTM_WORD + PTM_ALIGN - 1) & ~(size_t)(PTM_ALIGN - 1);

    return size < PTM_MIN_CHUNK ? PTM_MIN_CHUNK : size;
}

/*
 * A list pointer is stored mixed with the address it is stored at, so that an overflow into a
 * cached chunk yields a misaligned pointer with 15 chances in 16 rather than a chosen one ("safe
 * linking").
 */
static inline uintptr_t mangle(const void *at, const void *pointer)
{
    return ((uintptr_t)at >> 12) ^ (uintptr_t)pointer;
}

static inline void *unmangle(const void *at, uintptr_t stored)
{
    return (void *)(((uintptr_t)at >> 12) ^ stored);
}

#endif
