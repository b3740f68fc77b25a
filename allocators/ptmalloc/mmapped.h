/*
 * Chunks that are mappings of their own. No lock: a mapping belongs to its user alone, and the
 * counts are atomic.
 */
#ifndef PTM_MMAPPED_H
#define PTM_MMAPPED_H

#include "chunk.h"

struct mmapped_count {
    size_t chunks;
    size_t chunks_max;
    size_t bytes;
    size_t bytes_max;
};

extern struct mmapped_count ptm_mmapped;

/* True if a chunk of `size` bytes should be mapped rather than taken from a grown arena. */
bool mmapped_wanted(size_t size);

/*
 * Maps a chunk with room for `size` - PTM_WORD bytes at an address that is a multiple of `align`
 * (a power of two, 16 or more). NULL if memory is refused.
 */
struct chunk *mmapped_alloc(size_t size, size_t align);

void mmapped_free(struct chunk *c);

/* Returns the pages that are kept to recognise a double free by. */
void mmapped_forget(void);

/* Resizes by moving pages instead of bytes; the new place, or NULL if nothing was done. */
struct chunk *mmapped_resize(struct chunk *c, size_t size);

#endif
