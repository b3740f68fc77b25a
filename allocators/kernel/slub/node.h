/* What alloc.c and frozen.c share with node.c. */
#ifndef KMEM_SLUB_NODE_H
#define KMEM_SLUB_NODE_H

#include "slub.h"

/* From one node, as long as that takes no effort: what another attempt follows. */
static inline gfp_t gfp_here(gfp_t gfp)
{
    return (gfp & ~(__GFP_NOFAIL | __GFP_RETRY_MAYFAIL)) | __GFP_THISNODE | __GFP_NO_RECLAIM |
           __GFP_NOWARN;
}

/* Has the node more partial slabs than it keeps for itself? */
bool node_may_be_robbed(struct kmem_cache *s, int node);
/*
 * The rule for a slab that has just got objects back, `was_full` before, under its node's list_lock. True:
 * it is off the lists, and the caller gives it up.
 */
bool settle(struct kmem_cache *s, struct kmem_cache_node *n, struct slab *slab, bool was_full);

#endif
