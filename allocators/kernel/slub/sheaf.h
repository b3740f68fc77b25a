/* One sheaf: its place, making it, emptying it, and when a cache gets larger ones. No lock is held. */
#ifndef KMEM_SLUB_SHEAF_H
#define KMEM_SLUB_SHEAF_H

#include "slub.h"

static inline void **sheaf_slots(struct sheaf *sheaf)
{
    return (void **)sheaf - sheaf->capacity;
}

static inline void **sheaf_memory(struct sheaf *sheaf)
{
    return sheaf_slots(sheaf) - PERCPU_AHEAD;
}

static inline unsigned sheaf_class_capacity(unsigned class)
{
    return (unsigned)(((SHEAF_BYTES_MIN << class) - sizeof(struct sheaf)) / sizeof(void *)) -
           PERCPU_AHEAD;
}

/* The sheaf of a cell, its size brought up to date; NULL if there is none. */
struct sheaf *sheaf_of_pair(void *top, void *end);

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

void sheaves_configure(struct kmem_cache *s, slab_flags_t flags);
void sheaves_start(void);

#endif
