/*
 * Fault injection, after the kernel's fail_page_alloc and failslab: for tests, which ask that some
 * allocations of some contexts be refused as if memory were short. Costs the fast paths nothing: what
 * is to fail must come by slower ways, which arming sees to for pages, and the knob stats=1 for
 * objects.
 */
#ifndef KMEM_PAGE_INJECT_H
#define KMEM_PAGE_INJECT_H

#include "../types.h"

struct fail_attr {
    gfp_t mask, match; /* which allocations: (gfp & mask) == match. Never those with __GFP_NOFAIL */
    unsigned of_1024;  /* share that is refused, at random */
    size_t nth;        /* which of those asked for is refused, from 1; 0: none */
    size_t more;       /* and so many behind it */
    uint64_t random;   /* seed, not 0 */
    size_t asked, refused;
};

/*
 * From now on `pages` decides about alloc_pages() in all its forms, and `objects`, with stats=1, about
 * object caches. NULL: nothing is refused. No other thread may allocate meanwhile. What counts there is
 * for the caller to read.
 */
void kmem_inject(struct fail_attr *pages, struct fail_attr *objects);

extern struct fail_attr *fail_pages, *fail_objects;

bool should_fail(struct fail_attr *attr, gfp_t gfp);

static inline bool should_fail_pages(gfp_t gfp)
{
    return unlikely(fail_pages != NULL) && should_fail(fail_pages, gfp);
}

static inline bool should_fail_object(gfp_t gfp)
{
    return unlikely(fail_objects != NULL) && should_fail(fail_objects, gfp);
}

#endif
