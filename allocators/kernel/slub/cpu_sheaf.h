/* A CPU's two sheaves. */
#ifndef KMEM_SLUB_CPU_SHEAF_H
#define KMEM_SLUB_CPU_SHEAF_H

#include "slub.h"

void *sheaf_alloc(struct kmem_cache *s, gfp_t gfp);
void sheaf_free(struct kmem_cache *s, struct slab *slab, void *object, gfp_t gfp);
void sheaf_flush_cell(struct kmem_cache *s, struct cpu_sheaf *cell, struct kmem_cache_cpu *c);
/*
 * The calling CPU's two, if its main sheaf is as it was at the last call: a few objects of a size that nobody wants
 * any more keep a slab each.
 */
void sheaf_flush_idle(struct kmem_cache *s);

#endif
