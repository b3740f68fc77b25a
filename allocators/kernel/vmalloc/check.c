#include <stdio.h>

#include "../page/pool.h"
#include "space.h"

/* The first thing wrong with an area, or NULL. */
static const char *look_at(const struct vmap_area *a, bool busy)
{
    struct extents_walk walk;
    const struct extent *x;
    size_t pages = 0;

    if (busy != (a->state != AREA_FREE))
        return "an area's state does not fit its tree";
    if (!busy || a->state == AREA_BUILDING || a->state == AREA_LEAVING)
        return NULL;
    if (a->end - a->start != (a->pages + 1) << PAGE_SHIFT)
        return "an area's addresses do not fit its pages and a guard page";
    if (a->state == AREA_STUCK && a->extents.n == 0)
        return NULL; /* its frames were the caller's of vmap() */
    if (a->mappings != a->extents.n + 1)
        return "an area's mappings do not fit its runs";
    walk = extents_walk(&a->extents);
    while ((x = extents_step(&walk)) != NULL) {
        pages += x->count;
        for (size_t frame = x->frame; frame < x->frame + x->count; frame++)
            if (!frame_is_used(frame_state(frame)) || !frame_zone(frame)->shared)
                return "an area has a frame that is not allocated";
    }
    return pages == a->pages ? NULL : "an area's runs do not add up to its pages";
}

/* Busy and free areas take turns without gap or overlap, and free ones never adjoin. */
static const char *walk_range(uintptr_t *at)
{
    struct vmalloc_space *v = &vmalloc_space;
    bool free_before = false;

    for (*at = v->start; *at < v->end;) {
        struct vmap_area *busy = area_floor(&v->busy, *at), *free = area_floor(&v->free, *at);
        bool is_busy = busy && busy->start == *at, is_free = free && free->start == *at;
        const char *wrong;

        if (is_busy == is_free)
            return "an address belongs to no area, or to two";
        if (is_free && free_before)
            return "two free areas were not merged";
        wrong = look_at(is_busy ? busy : free, is_busy);
        if (wrong)
            return wrong;
        free_before = is_free;
        *at = is_busy ? busy->end : free->end;
    }
    return *at == v->end ? NULL : "an area reaches beyond the range";
}

static const char *count_mappings(void)
{
    size_t mappings = 0;

    for (struct vmap_area *a = area_above(&vmalloc_space.busy, 0); a;
         a = area_above(&vmalloc_space.busy, a->start))
        mappings += a->mappings;
    return mappings == vmalloc_space.mappings ? NULL : "mappings are miscounted";
}

static const char *count_lazy(void)
{
    size_t pages = 0;

    for (struct vmap_area *a = vmalloc_space.lazy; a; a = a->lazy_next) {
        if (a->state != AREA_LAZY && a->state != AREA_STUCK)
            return "an area in the lazy list is not lazy";
        pages += a->extents.n ? a->pages : 0;
    }
    return pages == vmalloc_space.lazy_pages ? NULL : "lazy pages are miscounted";
}

bool kmem_vmalloc_check(char *why, size_t bytes)
{
    struct vmalloc_space *v = &vmalloc_space;
    const char *wrong = NULL;
    uintptr_t at = 0;

    lock_take(&v->purge_lock);
    lock_take(&v->lock);
    if (!area_tree_check(&v->free) || !area_tree_check(&v->busy))
        wrong = "a tree of areas is out of order or balance";
    if (!wrong)
        wrong = walk_range(&at);
    if (!wrong)
        wrong = count_lazy();
    if (!wrong)
        wrong = count_mappings();
    lock_drop(&v->lock);
    lock_drop(&v->purge_lock);
    if (wrong)
        snprintf(why, bytes, "vmalloc: %s: at %p", wrong, (void *)at);
    return !wrong;
}
