/*
 * One slab: making it, giving it up, and its objects, which belong to the list_lock of its node.
 */
#ifndef KMEM_SLUB_SLAB_H
#define KMEM_SLUB_SLAB_H

#include "slub.h"

/* On no list yet, nothing in use; NULL: out of memory. No lock is held. */
struct slab *new_slab(struct kmem_cache *s, gfp_t gfp, int node);
/* A slab on no list, or so many linked by next, with nothing in use. No lock is held. */
void give_up_slab(struct kmem_cache *s, struct slab *slab);
void give_up_slabs(struct kmem_cache *s, struct slab *slabs);

static inline bool slab_exhausted(const struct slab *slab)
{
    return !slab->freelist && slab->fresh == slab->objects;
}

/*
 * Of objects up to so many bytes malloc asks for lines ahead of their use (rseq_x86_64.h). A line of a page that
 * nobody has touched yet takes far longer to ask for in vain than any other, so that fresh ones are
 * taken a page at a time.
 */
#define SLAB_PAGEWISE_MAX (PERCPU_SMALL - 1)

/*
 * Up to `count` objects into the slots below `end`, downwards: those of the free list, then fresh ones, of small
 * ones those that begin in the first one's page. The number taken.
 */
unsigned slab_take(const struct kmem_cache *s, struct slab *slab, unsigned count, void **end);
/* All of the free list as a list; without one some fresh objects, linked: a page of them at most. */
void *slab_take_list(struct kmem_cache *s, struct slab *slab);
/*
 * Frees the first of `count` objects, which lies in `slab`, and those that follow as long as they do, too. The
 * number freed, at least 1. Ends the process at one that is none, or is seen to be free.
 */
unsigned slab_put(const struct kmem_cache *s, struct slab *slab, unsigned count, void **p);

#endif
