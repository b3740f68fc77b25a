/* The two lists of a node, under its list_lock. */
#ifndef KMEM_SLUB_LISTS_H
#define KMEM_SLUB_LISTS_H

#include "types.h"

/* The head is looked at without the lock, too. */
static inline void set_first(struct slab_list *list, struct slab *slab)
{
    __atomic_store_n(&list->first, slab, __ATOMIC_RELAXED);
}

static inline void list_add(struct slab_list *list, struct slab *slab, bool first)
{
    slab->next = first ? list->first : NULL;
    slab->prev = first ? NULL : list->last;
    if (slab->prev)
        slab->prev->next = slab;
    else
        set_first(list, slab);
    if (slab->next)
        slab->next->prev = slab;
    else
        list->last = slab;
}

static inline void list_remove(struct slab_list *list, struct slab *slab)
{
    if (slab->prev)
        slab->prev->next = slab->next;
    else
        set_first(list, slab->next);
    if (slab->next)
        slab->next->prev = slab->prev;
    else
        list->last = slab->prev;
}

/* Those without used objects on the partial list are counted, too. */
static inline void count_empty(struct kmem_cache_node *n, const struct slab *slab, int by)
{
    if (slab->inuse)
        return;
    n->nr_empty += (unsigned)by;
    if (n->nr_empty < n->idle_empty)
        n->idle_empty = n->nr_empty;
}

static inline void add_partial(struct kmem_cache_node *n, struct slab *slab, bool first)
{
    list_add(&n->partial, slab, first);
    count_empty(n, slab, 1);
    __atomic_store_n(&n->nr_partial, n->nr_partial + 1, __ATOMIC_RELAXED);
}

static inline void remove_partial(struct kmem_cache_node *n, struct slab *slab)
{
    list_remove(&n->partial, slab);
    count_empty(n, slab, -1);
    __atomic_store_n(&n->nr_partial, n->nr_partial - 1, __ATOMIC_RELAXED);
}

#endif
