/*
 * Taking chunks out of an arena.
 */
#ifndef PTM_TAKE_H
#define PTM_TAKE_H

#include "chunk.h"

/* What is wanted: up to `count` adjoining chunks of `unit` bytes, and at least one. */
struct take {
    size_t unit;
    size_t count;
    char
        *clean; /* out: from here on the chunk was never written and reads as zero; NULL: nowhere */
};

/*
 * Takes one chunk in use, big enough for one unit and at most 16 bytes bigger than `count` of them,
 * from the bins or from the top. NULL if nothing fits. Needs the arena's lock.
 */
struct chunk *arena_take(struct arena *a, struct take *t);

/* The same, but merges what is parked in fast bins and grows the arena before giving up. */
struct chunk *arena_obtain(struct arena *a, struct take *t);

/* Cuts `c`, in use, down to `size` bytes, and frees the rest if it can be a chunk. */
void chunk_cut(struct arena *a, struct chunk *c, size_t size);

#endif
