/*
 * Areas on their way out. Unmapping costs a system call and the faults of mapping again, so freed
 * areas wait: for somebody who wants as many pages, or for enough of them to be unmapped in one go.
 */
#include "../os.h"
#include "../page/pool.h"
#include "../page/reclaim.h"
#include "space.h"

/* Most pages that may be lazy: 32 MiB, and an eighth of what vmalloc() could ever get. */
enum { LAZY_PAGES_MAX = (32 << 20) >> PAGE_SHIFT, LAZY_SHARE = 8, LOOKED_AT = 32 };

static size_t lazy_pages_max(void)
{
    size_t pages = 0;

    for (struct zone *z = zone_first(); z; z = zone_next(z))
        if (z->shared)
            pages += z->end - z->start;
    return pages / LAZY_SHARE < LAZY_PAGES_MAX ? pages / LAZY_SHARE : LAZY_PAGES_MAX;
}

bool lazy_add_locked(struct vmap_area *area)
{
    struct vmalloc_space *v = &vmalloc_space;

    area->state = AREA_LAZY;
    area->lazy_next = v->lazy;
    v->lazy = area;
    v->used_pages -= area->pages;
    v->lazy_pages += area->pages;
    return v->lazy_pages > lazy_pages_max();
}

/* Pages that come free with it: one of vmap() has none of its own. */
static size_t lazy_pages(const struct vmap_area *area)
{
    return area->extents.n ? area->pages : 0;
}

void lazy_add_stuck(struct vmap_area *area)
{
    struct vmalloc_space *v = &vmalloc_space;

    lock_take(&v->lock);
    area->state = AREA_STUCK;
    area->lazy_next = v->lazy;
    v->lazy = area;
    v->lazy_pages += lazy_pages(area);
    lock_drop(&v->lock);
}

static bool is_wanted(const struct vmap_area *area, size_t pages, int node)
{
    return area->state == AREA_LAZY && area->pages == pages && area->node == node;
}

struct vmap_area *lazy_take(size_t pages, int node)
{
    struct vmalloc_space *v = &vmalloc_space;
    struct vmap_area **at = &v->lazy, *area;

    lock_take(&v->lock);
    for (int looked = 0; (area = *at) != NULL && looked < LOOKED_AT;
         at = &area->lazy_next, looked++)
        if (is_wanted(area, pages, node))
            break;
    if (area && !is_wanted(area, pages, node))
        area = NULL;
    if (area) {
        *at = area->lazy_next;
        v->lazy_pages -= pages;
        v->stats.reused++;
        area->state = AREA_BUILDING;
    }
    lock_drop(&v->lock);
    return area;
}

/* Both sorted by address, lowest first. */
static struct vmap_area *merge(struct vmap_area *a, struct vmap_area *b)
{
    struct vmap_area *first = NULL, **at = &first;

    while (a && b) {
        struct vmap_area **lower = a->start < b->start ? &a : &b;

        *at = *lower;
        at = &(*lower)->lazy_next;
        *lower = *at;
    }
    *at = a ? a : b;
    return first;
}

static struct vmap_area *sort(struct vmap_area *list)
{
    struct vmap_area *half = list, *behind;

    if (!list || !list->lazy_next)
        return list;
    for (struct vmap_area *end = list->lazy_next; end && end->lazy_next;
         end = end->lazy_next->lazy_next)
        half = half->lazy_next;
    behind = half->lazy_next;
    half->lazy_next = NULL;
    return merge(sort(list), sort(behind));
}

/* So many lazy areas, last freed first, out of the tree of busy ones; their addresses are not free yet. */
static struct vmap_area *detach(size_t most)
{
    struct vmalloc_space *v = &vmalloc_space;
    struct vmap_area *list, *rest, **end = &list;

    lock_take(&v->lock);
    list = v->lazy;
    v->stats.purges += list && most > 1;
    for (; *end && most > 0; end = &(*end)->lazy_next, most--) {
        v->lazy_pages -= lazy_pages(*end);
        area_remove(&v->busy, *end);
    }
    rest = *end;
    *end = NULL;
    v->lazy = rest;
    lock_drop(&v->lock);
    return list;
}

/* Back where they came from: the system refused to unmap them. */
static void attach_again(struct vmap_area *list)
{
    struct vmalloc_space *v = &vmalloc_space;

    lock_take(&v->lock);
    for (struct vmap_area *a = list, *next; a; a = next) {
        next = a->lazy_next;
        area_insert(&v->busy, a);
        a->lazy_next = v->lazy;
        v->lazy = a;
        v->lazy_pages += lazy_pages(a);
    }
    lock_drop(&v->lock);
}

/* The last of the areas that follow each other without a gap. */
static struct vmap_area *last_neighbour(struct vmap_area *a)
{
    while (a->lazy_next && a->lazy_next->start == a->end)
        a = a->lazy_next;
    return a;
}

/* Frees neighbours whose mapping is gone; how many pages. */
static size_t finish(struct vmap_area *first, struct vmap_area *end)
{
    size_t pages = 0;

    lock_take(&vmalloc_space.lock);
    vmalloc_space.stats.unmappings++;
    lock_drop(&vmalloc_space.lock);
    for (struct vmap_area *a = first, *next; a != end; a = next) {
        next = a->lazy_next;
        pages += lazy_pages(a);
        area_free_frames(a);
        lock_take(&vmalloc_space.lock);
        space_give_locked(a);
        lock_drop(&vmalloc_space.lock);
    }
    return pages;
}

/* Unmaps so many areas and adds their pages. False: refused. */
static bool purge(size_t most, size_t *pages)
{
    struct vmap_area *a = sort(detach(most));

    while (a) {
        struct vmap_area *last = last_neighbour(a), *next = last->lazy_next;

        if (!space_hide(a, last)) {
            attach_again(a);
            return false;
        }
        *pages += finish(a, next);
        a = next;
    }
    return true;
}

/* While the system refuses every vfree() may come here: to take all areas out and back would cost too much. */
size_t purge_lazy(void)
{
    struct vmalloc_space *v = &vmalloc_space;
    size_t pages = 0;

    lock_take(&v->purge_lock);
    if (!v->refused || purge(1, &pages))
        v->refused = !purge(SIZE_MAX, &pages);
    lock_drop(&v->purge_lock);
    return pages;
}

static unsigned long count_lazy(struct shrinker *s, struct shrink_control *sc)
{
    size_t pages;

    (void)s;
    (void)sc;
    lock_take(&vmalloc_space.lock);
    pages = vmalloc_space.lazy_pages;
    lock_drop(&vmalloc_space.lock);
    return pages;
}

/* All or nothing: an unmapping that is worth its while takes all there is. */
static unsigned long scan_lazy(struct shrinker *s, struct shrink_control *sc)
{
    size_t pages = purge_lazy();

    (void)s;
    sc->nr_scanned = pages;
    return pages ? pages : SHRINK_STOP;
}

struct shrinker lazy_shrinker = {.count_objects = count_lazy, .scan_objects = scan_lazy};
