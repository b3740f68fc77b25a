/*
 * Getting memory back from those who can give it: shrinkers, and threads that free.
 */
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

/*
 * Has the layer above give back what it keeps idle. False: there is nothing. Who gets nothing says so: then the
 * next flush comes a tick of the clock after the last one at the earliest, and as long after it as it took. Who
 * wants it sooner waits so long, and looks again if that is said (true), before it flushes: the program may have
 * freed meanwhile, and NULL would be wrong. A single thread has nobody to spare, and does not wait.
 */
bool reclaim_idle_wait(void);
bool reclaim_idle(void);
void reclaim_idle_in_vain(bool flushed);

/* A number that changes when memory comes free. */
unsigned page_waiters_ticket(void);

/* Waits until the ticket is out of date, `ms` at most. */
void page_waiters_wait(unsigned ticket, unsigned ms);

/* In the child of a fork nobody waits. */
void page_waiters_reset(void);

#endif
