/* One sheaf: making it, emptying it, and when a cache gets larger ones. No lock is held. */
#ifndef KMEM_SLUB_SHEAF_H
#define KMEM_SLUB_SHEAF_H

#include "slub.h"

/* Of the cache's present size, without objects; NULL: out of memory. */
struct sheaf *sheaf_new(struct kmem_cache *s, gfp_t gfp);
/* The sheaf is empty, and belongs to nobody. */
void sheaf_destroy(struct kmem_cache *s, struct sheaf *sheaf);
/* All of its objects go to their slabs. */
void sheaf_empty(struct kmem_cache *s, struct sheaf *sheaf);

/* Counts an exchange: larger sheaves from now on, if there were many in a short time. */
void sheaves_grow(struct kmem_cache *s, gfp_t gfp);
/* Is the sheaf smaller than those the cache should have by now? */
bool sheaf_outgrown(const struct kmem_cache *s, const struct sheaf *sheaf);

#endif
