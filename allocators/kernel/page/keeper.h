/* Asking the layer above (struct page_keeper, page.h) for what it keeps idle. */
#ifndef KMEM_KEEPER_H
#define KMEM_KEEPER_H

#include "page.h"

/*
 * Has the layer above give back what it keeps idle. False: there is nothing. Who gets nothing says so: then the
 * next flush comes a tick of the clock after the last one at the earliest, and as long after it as it took. Who
 * wants it sooner waits so long, and looks again if that is said (true), before it flushes: the program may have
 * freed meanwhile, and NULL would be wrong. A single thread has nobody to spare, and does not wait.
 */
bool keeper_wait(void);
bool keeper_flush(void);
void keeper_flushed_in_vain(bool flushed);

#endif
