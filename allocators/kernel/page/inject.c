#include "inject.h"

#include "zone.h"

struct fail_attr *fail_pages, *fail_objects;

void kmem_inject(struct fail_attr *pages, struct fail_attr *objects)
{
    fail_pages = pages;
    fail_objects = objects;
    lists_open_or_close();
}

bool should_fail(struct fail_attr *a, gfp_t gfp)
{
    bool in_turn;

    if ((gfp & a->mask) != a->match || gfp & __GFP_NOFAIL)
        return false;
    a->asked++;
    a->random ^= a->random << 13;
    a->random ^= a->random >> 7;
    a->random ^= a->random << 17;
    in_turn = a->nth && a->asked >= a->nth && a->asked <= a->nth + a->more;
    if (!in_turn && a->random % 1024 >= a->of_1024)
        return false;
    a->refused++;
    return true;
}
