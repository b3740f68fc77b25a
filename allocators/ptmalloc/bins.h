/*
 * Unsorted, small and large bins, the bit map over them, and merging. All of it needs the arena's
 * lock.
 */
#ifndef PTM_BINS_H
#define PTM_BINS_H

#include "chunk.h"

/*
 * A bin's list head, seen as a chunk of which only fd and bk exist, so that a list needs no special
 * case at its ends.
 */
static inline struct chunk *bin_head(struct arena *a, unsigned index)
{
    return (struct chunk *)((char *)&a->bins[index] - offsetof(struct chunk, fd));
}

static inline bool is_small(size_t size)
{
    return size < PTM_SMALL_LIMIT;
}

/* The bin for a free chunk of `size` bytes: 2..126. */
static inline unsigned bin_index(size_t size)
{
    /*
	 * Small bins are 16 bytes apart. Large ones 64, 512, 4 Ki, 32 Ki and 256 KiB apart: 32, 16, 8, 4
	 * and 2 bins of each kind, more or less, and one for the rest.
	 */
    if (is_small(size))
        return (unsigned)(size >> 4);
    if (size >> 6 <= 48)
        return 48 + (unsigned)(size >> 6);
    if (size >> 9 <= 20)
        return 91 + (unsigned)(size >> 9);
    if (size >> 12 <= 10)
        return 110 + (unsigned)(size >> 12);
    if (size >> 15 <= 4)
        return 119 + (unsigned)(size >> 15);
    if (size >> 18 <= 2)
        return 124 + (unsigned)(size >> 18);
    return 126;
}

/* Makes all bins of an arena empty. */
void bins_start(struct arena *a);

static inline void binmap_set(struct arena *a, unsigned index)
{
    a->binmap[index / 64] |= (uint64_t)1 << index % 64;
}

static inline void binmap_clear(struct arena *a, unsigned index)
{
    a->binmap[index / 64] &= ~((uint64_t)1 << index % 64);
}

/* The first bin from `index` on that may hold a chunk, or PTM_BINS. */
unsigned binmap_find(const struct arena *a, unsigned index);

/* Takes a free chunk out of whatever bin it lies in. */
void bin_unlink(struct chunk *c);

/* Puts a free chunk into its small or large bin. */
void bin_insert(struct arena *a, struct chunk *c, size_t size);

/* Puts a free chunk into the unsorted bin. */
void unsorted_insert(struct arena *a, struct chunk *c, size_t size);

/* The smallest chunk of a large bin that has `size` bytes, or NULL. */
struct chunk *large_best_fit(struct arena *a, unsigned index, size_t size);

/*
 * Makes a chunk free: merges it with its free neighbours and puts it into the unsorted bin, or
 * into the top chunk. Checks what can be checked. Returns the size of the merged chunk.
 */
size_t arena_merge(struct arena *a, struct chunk *c, size_t size);

#endif
