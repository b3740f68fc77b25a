/* The classic CPU slab (sheaves=0). */
#ifndef KMEM_SLUB_CPU_H
#define KMEM_SLUB_CPU_H

#include "slub.h"

void *cpu_alloc(struct kmem_cache *s, gfp_t gfp);
void cpu_free(struct kmem_cache *s, struct slab *slab, void *object);
void cpu_flush_cell(struct kmem_cache *s, struct kmem_cache_cpu *c);

#endif
