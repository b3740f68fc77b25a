/* The slabs of a node. No lock is held, but where it says so. */
#ifndef KMEM_SLUB_NODE_H
#define KMEM_SLUB_NODE_H

#include "slub.h"

/*
 * Up to `count` free objects from the slabs of `node`, lowest last in `p`; the number gotten. From a new
 * slab if there is nothing; other nodes follow by distance as `gfp` says.
 */
unsigned slabs_take(struct kmem_cache *s, gfp_t gfp, int node, unsigned count, void **p);
/* One object, from other nodes only when `node`, which exists, has neither a partial slab nor pages to spare. */
void *slabs_take_on(struct kmem_cache *s, gfp_t gfp, int node);
/* Objects back to their slabs, any nodes. */
void slabs_put(struct kmem_cache *s, unsigned count, void **p);
/* Empty slabs back to the page layer, the fullest to the front; false: no slab is left. */
bool node_shrink(struct kmem_cache *s, struct kmem_cache_node *n);
/* The same for a long list that others are waiting for: they have the lock in between, and nothing is sorted. */
bool node_give_up_empty(struct kmem_cache *s, struct kmem_cache_node *n);
/* As many empty slabs as there were at any time since the last call. */
void node_give_up_idle(struct kmem_cache *s, struct kmem_cache_node *n);

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
