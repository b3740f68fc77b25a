/* Frozen slabs: a node's slabs on their way to a CPU and back (sheaves=0). */
#include "frozen.h"

#include "lists.h"
#include "node.h"
#include "slab.h"

/* The first slab of the partial list, which is not empty. */
static struct slab *freeze_first(struct kmem_cache_node *n)
{
    struct slab *slab = n->partial.first;

    remove_partial(n, slab);
    slab->frozen = 1;
    return slab;
}

/* So many that the CPU's partial list is half full: the node's lock once for all of them. */
static struct slab *freeze_more(struct kmem_cache *s, struct kmem_cache_node *n)
{
    struct slab *list = NULL;

    for (unsigned k = 0;
         s->cpu_partial_slabs && k <= s->cpu_partial_slabs / 2 && n->partial.first;) {
        struct slab *slab = freeze_first(n);

        slab->next = list;
        slab->slabs = ++k;
        list = slab;
        stat(s, CPU_PARTIAL_NODE);
    }
    return list;
}

static struct slab *freeze_partial(struct kmem_cache *s, int node, void **freelist,
                                   struct slab **more)
{
    struct kmem_cache_node *n = s->node[node];
    struct slab *slab = NULL;

    if (!lock_take_soon_here(&n->list_lock))
        return NULL;
    if (n->partial.first) {
        slab = freeze_first(n);
        *freelist = slab_take_list(s, slab);
        stat(s, ALLOC_FROM_PARTIAL);
        *more = freeze_more(s, n);
    }
    lock_drop(&n->list_lock);
    return slab;
}

bool may_put_back(struct kmem_cache *s)
{
    for (unsigned n = 0; n < node_count() && in_atomic; n++)
        if (!lock_is_free_soon(&s->node[n]->list_lock))
            return false;
    return true;
}

struct slab *freeze_slab(struct kmem_cache *s, gfp_t gfp, int node, void **freelist,
                         struct slab **more)
{
    struct slab *slab = freeze_partial(s, node, freelist, more);

    if (!slab && !(gfp & __GFP_THISNODE))
        for (unsigned nth = 1; nth < node_count() && !slab; nth++)
            if (node_may_be_robbed(s, node_by_distance(node, nth)))
                slab = freeze_partial(s, node_by_distance(node, nth), freelist, more);
    if (slab || (slab = new_slab(s, gfp, node)) == NULL)
        return slab;
    slab->frozen = 1;
    *freelist = slab_take_list(s, slab);
    return slab;
}

void *refill_frozen(struct kmem_cache *s, struct slab *slab)
{
    struct kmem_cache_node *n = node_of(s, slab);
    void *list;

    lock_take_here(&n->list_lock);
    list = slab_take_list(s, slab);
    if (list) {
        stat(s, ALLOC_REFILL);
    } else {
        slab->frozen = 0;
        list_add(&n->full, slab, true);
        stat(s, DEACTIVATE_FULL);
    }
    lock_drop(&n->list_lock);
    return list;
}

void thaw_slab(struct kmem_cache *s, struct slab *slab, void *freelist)
{
    struct kmem_cache_node *n = node_of(s, slab);
    bool empty;

    stat(s, CPUSLAB_FLUSH);
    lock_take_here(&n->list_lock);
    if (slab->freelist)
        stat(s, DEACTIVATE_REMOTE_FREES);
    while (freelist) {
        void *next = get_link(s, freelist);

        slab_put(s, slab, 1, &freelist);
        freelist = next;
    }
    slab->frozen = 0;
    /* Pages go back under the lock of their zone, which a call that must not wait cannot do without. */
    empty = slab->inuse == 0 && n->nr_partial >= s->min_partial && !in_atomic;
    if (slab_exhausted(slab))
        list_add(&n->full, slab, true);
    else if (!empty)
        add_partial(n, slab, false);
    lock_drop(&n->list_lock);
    if (empty) {
        stat(s, DEACTIVATE_EMPTY);
        give_up_slab(s, slab);
    }
}

bool free_to_slab(struct kmem_cache *s, struct slab *slab, void *object, bool may_freeze)
{
    struct kmem_cache_node *n = node_of(s, slab);
    bool was_full, frozen = false, empty = false;

    lock_take_here(&n->list_lock);
    was_full = slab_exhausted(slab);
    slab_put(s, slab, 1, &object);
    if (slab->frozen) {
        stat(s, FREE_FROZEN);
    } else if (was_full && may_freeze) {
        list_remove(&n->full, slab);
        slab->frozen = 1;
        frozen = true;
    } else {
        empty = settle(s, n, slab, was_full);
    }
    lock_drop(&n->list_lock);
    if (empty)
        give_up_slab(s, slab);
    return frozen;
}
