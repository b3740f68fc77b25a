/* Getting memory back from those who can give it. */
#ifndef KMEM_RECLAIM_H
#define KMEM_RECLAIM_H

#include "page.h"
#include "lock.h"

/* Held while shrinkers run. */
extern struct lock reclaim_lock;

/*
 * What vmalloc() keeps mapped (vmalloc/lazy.c). In the list from the start: the first vmalloc() may come from
 * inside a hook, where nobody can register anything.
 */
extern struct shrinker lazy_shrinker;

/*
 * Asks all shrinkers for a share of what they have, the larger the later the round. How many objects
 * were freed; 0 also if another thread is at it.
 */
unsigned long reclaim(gfp_t gfp, int node, unsigned round);

#endif
