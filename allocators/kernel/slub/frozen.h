/* Frozen slabs: a node's slabs on their way to a CPU and back (sheaves=0). No lock is held. */
#ifndef KMEM_SLUB_FROZEN_H
#define KMEM_SLUB_FROZEN_H

#include "slub.h"

/*
 * A frozen slab with all of its free objects, for a CPU, and in `more` others for its partial list; NULL:
 * out of memory.
 */
struct slab *freeze_slab(struct kmem_cache *s, gfp_t gfp, int node, void **freelist,
                         struct slab **more);
/*
 * May the caller take slabs or objects into its hands that it cannot put back without their nodes' locks? Not if it
 * must not wait while somebody holds one, perhaps for ever, as what the handler of a signal interrupted.
 */
bool may_put_back(struct kmem_cache *s);
/* What was freed to a frozen slab from elsewhere, or a few fresh objects; NULL: nothing, thawed. */
void *refill_frozen(struct kmem_cache *s, struct slab *slab);
/* The slab goes to its node's lists, with the objects that are left. */
void thaw_slab(struct kmem_cache *s, struct slab *slab, void *freelist);
/* Frees one object to a slab that is not this CPU's; true: the slab is frozen now, for the caller. */
bool free_to_slab(struct kmem_cache *s, struct slab *slab, void *object, bool may_freeze);

#endif
