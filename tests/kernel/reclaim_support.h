/* What tests of an exhausted pool share; each has a pool of its own, in a child. */
#ifndef KERNEL_RECLAIM_SUPPORT_H
#define KERNEL_RECLAIM_SUPPORT_H

#include "kmem.h"
#include "page/page.h"
#include "support.h"

#define NORETRY (GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)

void begin(void);

/* Pages in a list through their first word; how many. */
size_t take_pages(void **list, gfp_t gfp);

/* Every one of them, or every second: what is freed then are single pages. */
size_t free_list(void **list, bool second);

/* A shrinker that has much and frees nothing: how often it was asked, and what it does the first time. */
extern struct shrinker shrinker;
extern size_t asked;
extern void (*hook)(void);

/* Those of slub_keeper, the first of them counted. */
extern size_t flushes;
bool count_flush(void);
void in_vain(void);

#endif
