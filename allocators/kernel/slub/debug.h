/*
 * The knob debug=1, after the kernel's slub_debug=FZP: objects that tell who misused them. Behind each
 * object lie a red zone and a word that says whether it is free, both out of the way of the free list's
 * link; what is free is filled with poison.
 *
 *      | object ............ | red zone, 8 to 15 bytes of 0xbb | link | state |
 *      0                     object_size                       inuse          inuse + 16
 *
 * A free looks at the state and the red zone, an allocation at the red zone and the poison. What is
 * wrong ends the process with a line that names the cache. Every call comes this way, because debug=1
 * implies stats=1, which closes the fast paths.
 */
#ifndef KMEM_SLUB_DEBUG_H
#define KMEM_SLUB_DEBUG_H

#include "types.h"

/* Takes the constructor's place; where the link goes. */
unsigned debug_describe(struct kmem_cache *s);

/* Bytes behind the link's place that an object needs. */
enum { DEBUG_TAIL = 2 * sizeof(void *) };

/* For an object about to be handed out. NULL is passed through. */
void *debug_alloc(const struct kmem_cache *s, void *object);
/* For one about to be taken back. */
void debug_free(const struct kmem_cache *s, void *object);

/* False: the red zone of `object`, in use or not, was written to. */
bool debug_is_whole(const struct kmem_cache *s, const void *object);

#endif
