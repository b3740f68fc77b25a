/*
 * The thread cache: the two fast paths, inline, and what they fall back on.
 */
#ifndef PTM_TCACHE_H
#define PTM_TCACHE_H

#include "fastbin.h"
#include "knobs.h"

/*
 * Initial-exec: one load for the offset, no call. It is why the library has to be preloaded or
 * linked.
 */
extern __thread struct tcache ptm_tcache
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* The bin for a chunk size between PTM_MIN_CHUNK and PTM_TCACHE_MAX_CHUNK. */
static inline struct tcache_bin *tcache_bin(size_t chunk_size)
{
    return (struct tcache_bin *)((char *)&ptm_tcache + chunk_size);
}

/* A cached chunk for a request, or NULL if the slow path has to find one. */
static inline void *tcache_get(size_t request)
{
    if (PTM_LIKELY(request <= PTM_TCACHE_MAX_REQUEST)) {
        struct tcache_bin *bin = tcache_bin(chunk_size_for(request));
        struct cell *cell = bin->head;

        if (PTM_LIKELY(cell != NULL)) {
            struct cell *next = cell_next(cell);

            if (PTM_LIKELY(is_aligned(next))) {
                bin->head = next;
                bin->room++;
                cell->key = 0;
                return cell;
            }
        }
    }
    return NULL;
}

/* Caches a chunk; false if the slow path has to look at it. `memory` is not NULL. */
static inline bool tcache_put(void *memory)
{
    /*
	 * With M or bit 3 set, or out of range, the rotated distance from the smallest chunk is not one of
	 * the 64 bin numbers: one comparison for four checks.
	 */
    size_t size = chunk_head(chunk_of(memory)) & ~(size_t)(CHUNK_A | CHUNK_P);
    size_t distance = size - PTM_MIN_CHUNK;
    struct tcache_bin *bin = tcache_bin(size);
    struct cell *cell = memory;

    if (PTM_UNLIKELY((distance >> 4 | distance << 60) >= PTM_TCACHE_BINS) ||
        PTM_UNLIKELY(!is_aligned(memory)) || PTM_UNLIKELY(cell->key == ptm_key) ||
        PTM_UNLIKELY(bin->room == 0))
        return false;
    cell_link(cell, bin->head);
    cell->key = ptm_key;
    bin->head = cell;
    bin->room--;
    return true;
}

/* malloc() and free() when the fast path gives up; `memory` is not NULL. */
void *malloc_slow(size_t request) __attribute__((noinline));
void free_slow(void *memory) __attribute__((noinline));

/* Computes from the knobs how long runs may be. Once, before any cache is used. */
void tcache_limits(void);

/* Brings the thread's cache in line with the knobs, or sets it up in the first place. */
void tcache_set_up(struct tcache *tc) __attribute__((cold));

/* Is the cache set up as the knobs say by now? */
static inline bool tcache_is_current(const struct tcache *tc)
{
    return tc->epoch == PTM_LOAD(ptm_knobs.epoch);
}

/* The thread's cache, set up as the knobs say; usable is false if it must be passed by. */
static inline struct tcache *tcache_mine(bool *usable)
{
    struct tcache *tc = &ptm_tcache;

    if (PTM_UNLIKELY(!tcache_is_current(tc)))
        tcache_set_up(tc);
    *usable = tc->state == TCACHE_ON;
    return tc;
}

/* A chunk of `size` bytes out of a bin that is empty, or NULL if memory is refused. */
void *tcache_refill(struct tcache *tc, size_t size);

/* Caches a chunk of `size` bytes in a bin that is full. */
void tcache_overflow(struct tcache *tc, size_t size, struct cell *cell);

/* True if the cache of this thread, or an idle part of the chunk's arena, holds `cell`. */
bool is_cached(struct tcache *tc, struct chunk *c, size_t size);

/* Gives everything in the cache back to the arenas. */
void tcache_flush(struct tcache *tc);

/* The destructor of a thread: flush, leave the arena, and serve later calls without a cache. */
void tcache_end(void *unused);

#endif
