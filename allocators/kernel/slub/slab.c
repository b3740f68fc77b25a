#include "slab.h"

#include <string.h>

#include "fault.h"

/* ---- making and giving up ---- */

static struct page *slab_pages(struct kmem_cache *s, gfp_t gfp, int node)
{
    gfp_t first = gfp;
    struct page *page;

    /* Nobody is to pay for a large block, nor to wait for one, while a small one will do. */
    if (s->order > s->order_min)
        first = (gfp | __GFP_NOWARN | __GFP_NO_RECLAIM) & ~__GFP_NOFAIL;
    page = alloc_pages_node(node, first, s->order);
    if (page || s->order == s->order_min)
        return page;
    page = alloc_pages_node(node, gfp, s->order_min);
    if (page)
        stat(s, ORDER_FALLBACK);
    return page;
}

/* Where the objects start, in bytes from the start of the pool. */
static size_t slab_place(const struct slab *slab)
{
    return (uintptr_t)slab_base(slab) - page_globals.base;
}

uint16_t slab_cell(const struct kmem_cache *s, const struct slab *slab)
{
    if (!s->index || slab_place(slab) % s->size)
        return 0;
    return (uint16_t)PERCPU_SHEAF_CELL(percpu_index(slab_nid(slab), s->index));
}

/* Colour and number of the objects of a new slab. */
static void lay_out(const struct kmem_cache *s, struct slab *slab)
{
    size_t bytes = slab_bytes(slab), beyond = slab_place(slab) % s->size;
    unsigned colour = beyond ? s->size - (unsigned)beyond : 0;

    if (s->path == PATH_SHEAF && bytes - colour >= s->size)
        slab->colour = colour;
    slab->objects = objects_in(bytes - slab->colour, s->size);
}

/* With a constructor all objects of a slab are made when the slab is. */
static void construct(struct kmem_cache *s, struct slab *slab)
{
    char *base = slab_base(slab);

    for (unsigned i = slab->objects; i-- > 0;) {
        s->ctor(base + (size_t)i * s->size);
        set_link(s, base + (size_t)i * s->size, slab->freelist);
        slab->freelist = base + (size_t)i * s->size;
    }
    slab->fresh = slab->objects;
}

static void set_cells(struct slab *slab, uint16_t cell)
{
    size_t frame = page_to_frame((struct page *)slab);
    size_t frames = (size_t)1 << page_order((struct page *)slab);

    for (size_t i = 0; i < frames; i++)
        __atomic_store_n(&percpu_area.frame_cells[frame + i], cell, __ATOMIC_RELAXED);
}

/*
 * Where a slab lies is the cache's to say: others will have the rest of its objects, of whom the caller's zone
 * means nothing. And objects are cleared one by one.
 */
enum { NOT_FOR_SLABS = __GFP_DMA | __GFP_HIGHMEM | __GFP_RECLAIMABLE | __GFP_ZERO };

struct slab *new_slab(struct kmem_cache *s, gfp_t gfp, int node)
{
    struct kmem_cache_node *n;
    struct page *page;
    struct slab *slab;

    page = slab_pages(s, (gfp & ~(gfp_t)NOT_FOR_SLABS) | s->allocflags, node);
    if (!page)
        return NULL;
    page_mark_slab(page);
    slab = (struct slab *)page;
    memset(slab, 0, sizeof *slab);
    slab->slab_cache = s;
    lay_out(s, slab);
    if (s->ctor)
        construct(s, slab);
    n = node_of(s, slab);
    __atomic_add_fetch(&n->nr_slabs, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&n->total_objects, slab->objects, __ATOMIC_RELAXED);
    set_cells(slab, slab_cell(s, slab));
    stat(s, ALLOC_SLAB);
    slub_grew(page, gfp);
    return slab;
}

void give_up_slab(struct kmem_cache *s, struct slab *slab)
{
    struct kmem_cache_node *n = node_of(s, slab);
    unsigned order = page_order((struct page *)slab);

    __atomic_sub_fetch(&n->nr_slabs, 1, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&n->total_objects, slab->objects, __ATOMIC_RELAXED);
    set_cells(slab, 0);
    stat(s, FREE_SLAB);
    page_unmark_slab((struct page *)slab);
    __free_pages((struct page *)slab, order);
}

void give_up_slabs(struct kmem_cache *s, struct slab *slabs)
{
    while (slabs) {
        struct slab *next = slabs->next;

        give_up_slab(s, slabs);
        slabs = next;
    }
}

/* ---- objects ---- */

/* Of an address that may be anywhere, counted from slab_base(); in front of it the count wraps around. */
static size_t offset_of(const char *base, const void *address)
{
    return (uintptr_t)address - (uintptr_t)base;
}

/* Whoever frees an object looks at it without the lock: it is past that object for good. */
static void set_fresh(struct slab *slab, unsigned fresh)
{
    __atomic_store_n(&slab->fresh, fresh, __ATOMIC_RELAXED);
}

static _Noreturn void not_in_use(const struct kmem_cache *s, const struct slab *slab,
                                 const void *object, const char *interior)
{
    size_t at = offset_of(slab_base(slab), object);
    bool starts = at < (size_t)slab->objects * s->size && object_starts_at(s, at);

    fault(starts ? "object that was never handed out" : interior, object);
}

void check_object(const struct kmem_cache *s, const struct slab *slab, const void *object,
                  const char *interior)
{
    size_t at = offset_of(slab_base(slab), object);

    if (unlikely(!slab_reaches(s, slab, at) || !object_starts_at(s, at)))
        not_in_use(s, slab, object, interior);
}

/*
 * The links are read one after the other, and nobody touched most of them lately; the objects are about to be
 * written, too. So where the free list has a good part of the slab, the lines of its first FETCH_BYTES are asked
 * for at once.
 */
enum { FETCH_BYTES = 4096 };

static void fetch_slab(const struct slab *slab, const char *base, size_t used)
{
    if ((slab->fresh - slab->inuse) * 4 > slab->fresh)
        for (size_t at = 0; at < used && at < FETCH_BYTES; at += 64)
            __builtin_prefetch(base + at, 1);
}

/* How many fresh objects there are for one take, of which `first` is the first. */
static unsigned fresh_at(const struct kmem_cache *s, const struct slab *slab, const char *first)
{
    unsigned left = slab->objects - slab->fresh, in_page;

    if (s->size > SLAB_PAGEWISE_MAX)
        return left;
    in_page = (unsigned)(PAGE_SIZE - (uintptr_t)first % PAGE_SIZE + s->size - 1) / s->size;
    return in_page < left ? in_page : left;
}

unsigned slab_take(const struct kmem_cache *s, struct slab *slab, unsigned count, void **end)
{
    char *base = slab_base(slab), *object = slab->freelist;
    size_t used = (size_t)slab->fresh * s->size;
    unsigned got = 0, fresh;

    if (object && count > 1)
        fetch_slab(slab, base, used);
    for (; object && got < count; got++) {
        char *next = get_link(s, object);
        size_t at = offset_of(base, next);

        if (unlikely(next && (at >= used || !object_starts_at(s, at))))
            fault("free list of a slab is damaged at object", object);
        *--end = object;
        object = next;
    }
    slab->freelist = object;
    if (got < count && slab->fresh < slab->objects) {
        object = base + used;
        fresh = fresh_at(s, slab, object);
        if (fresh > count - got)
            fresh = count - got;
        set_fresh(slab, slab->fresh + fresh);
        for (got += fresh; fresh > 0; fresh--, object += s->size)
            *--end = object;
    }
    slab->inuse += got;
    return got;
}

unsigned slab_put(const struct kmem_cache *s, struct slab *slab, unsigned count, void **p)
{
    char *base = slab_base(slab);
    size_t used = (size_t)slab->fresh * s->size, at = offset_of(base, *p);
    void *list = slab->freelist;
    unsigned n = 0, inuse = slab->inuse;

    if (unlikely(at >= used))
        not_in_use(s, slab, *p, "free or kfree: pointer into the middle of an object");
    do {
        if (unlikely(!object_starts_at(s, at)))
            fault("free or kfree: pointer into the middle of an object", p[n]);
        if (unlikely(p[n] == list || inuse == 0))
            fault(FREED_BEFORE, p[n]);
        set_link(s, p[n], list);
        list = p[n];
        inuse--;
    } while (++n < count && (at = offset_of(base, p[n])) < used);
    slab->freelist = list;
    slab->inuse = inuse;
    return n;
}

void *slab_take_list(struct kmem_cache *s, struct slab *slab)
{
    char *base = slab_base(slab);
    void *list = slab->freelist;
    unsigned end, most = (unsigned)PAGE_SIZE / s->size;

    if (list) {
        slab->freelist = NULL;
        for (void *at = list; at; at = get_link(s, at))
            slab->inuse++;
        return list;
    }
    end = slab->fresh + (most ? most : 1);
    if (end > slab->objects)
        end = slab->objects;
    for (unsigned i = end; i-- > slab->fresh;) {
        set_link(s, base + (size_t)i * s->size, list);
        list = base + (size_t)i * s->size;
        slab->inuse++;
    }
    set_fresh(slab, end);
    return list;
}
