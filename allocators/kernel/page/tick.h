/* What is due now and then: the slow paths see to it, as there is no thread for it. */
#ifndef KMEM_TICK_H
#define KMEM_TICK_H

#include "../types.h"

/* What brings the next look at the clock nearer, by as much as would not be noticed in what the path takes itself. */
enum { TICK_SHEAVES = 1, TICK_PAGES = 2, TICK_LOOK = 128 };

extern __thread unsigned tick_count;

void tick_look(void);

/* The end of a slow path, where this may enter the operating system; not with a lock of a zone or a node. */
static inline void tick(unsigned by)
{
    tick_count += by;
    if (unlikely(tick_count >= TICK_LOOK))
        tick_look();
}

#endif
