/* How hard to try. */
#ifndef KMEM_PATIENCE_H
#define KMEM_PATIENCE_H

#include "page.h"

/* What no list serves: one block, or NO_FRAME after all that the flags allow. No lock is held. */
size_t take_slowly(int node, gfp_t gfp, unsigned order);

#endif
