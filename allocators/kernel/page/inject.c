#include "inject.h"

#include "pool.h"

struct fail_attr *fail_pages, *fail_objects;

void kmem_inject(struct fail_attr *pages, struct fail_attr *objects)
{
    fail_pages = pages;
    fail_objects = objects;
    page_globals.listed_orders = pages ? 0 : PCP_ORDERS;
}

bool should_fail(struct fail_attr *a, gfp_t gfp)
{
    if ((gfp & a->mask) != a->match || gfp & __GFP_NOFAIL)
        return false;
    a->asked++;
    a->random ^= a->random << 13;
    a->random ^= a->random >> 7;
    a->random ^= a->random << 17;
    if (a->asked != a->nth && a->random % 1024 >= a->of_1024)
        return false;
    a->refused++;
    return true;
}
