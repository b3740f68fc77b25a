/*
 * Changing a chunk in place. Every function takes the lock of the chunk's arena; the chunk is in
 * use and not mapped.
 */
#ifndef PTM_RESIZE_H
#define PTM_RESIZE_H

#include "chunk.h"

/* Shrinks, or grows into the chunk behind if that is free; false if the chunk has to move. */
bool chunk_resize(struct chunk *c, size_t size);

/*
 * Makes one chunk of `size` bytes out of `c` and the chunk in use right behind it, which the
 * caller owns too, and frees what is too much.
 */
void chunk_join(struct chunk *c, size_t size);

/*
 * Cuts a chunk of `size` bytes whose memory is a multiple of `align` out of one of at least size +
 * align + PTM_MIN_CHUNK bytes, and frees the rest on both sides.
 */
struct chunk *chunk_align(struct chunk *c, size_t align, size_t size);

#endif
