/* What is due now and then: the slow paths see to it, as there is no thread for it. */
#ifndef KMEM_TICK_H
#define KMEM_TICK_H

#include "../types.h"

/* What brings the next look at the clock nearer, by as much as would not be noticed in what the path takes itself. */
enum { TICK_SHEAVES = 1, TICK_PAGES = 2, TICK_LOOK = 128 };

/*
 * Memory that was in use in this window or the last stays present; sheaves and empty slabs that nobody used in one
 * go back. README.md names its length, too.
 */
enum { IDLE_WINDOW_MS = 5000 };

extern __thread unsigned tick_count;

void tick_look(void);

/* The end of a slow path that must not enter the operating system, as of frees: somebody else will look. */
static inline void tick_later(unsigned by)
{
    tick_count += by;
}

/* The same where it may; not with a lock of a zone or a node, nor with blocks_lock. */
static inline void tick(unsigned by)
{
    tick_count += by;
    if (unlikely(tick_count >= TICK_LOOK))
        tick_look();
}

#endif
