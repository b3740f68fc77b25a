/*
 * Allocating and freeing objects: the ways in. The fast path is the main sheaf's; where it does not
 * serve, the cache's path decides.
 */
#include <string.h>

#include "../page/inject.h"
#include "cpu.h"
#include "cpu_sheaf.h"
#include "debug.h"
#include "fault.h"
#include "frozen.h"
#include "node.h"
#include "slab.h"

/* From this many objects on, a bulk call goes to the slabs rather than through the CPU's sheaf. */
enum { BULK_DIRECT = 32 };

void *slab_alloc_direct(struct kmem_cache *s, gfp_t gfp, int node)
{
    void *object;

    stat(s, ALLOC_SLOWPATH);
    return slabs_take(s, gfp, node, 1, &object) ? object : NULL;
}

static void *alloc_by_path(struct kmem_cache *s, gfp_t gfp)
{
    void *object;

    switch (s->path) {
    case PATH_SHEAF:
        object = percpu_take(s->index);
        if (!object)
            return sheaf_alloc(s, gfp);
        stat(s, ALLOC_FASTPATH);
        return object;
    case PATH_CPU: return cpu_alloc(s, gfp);
    default: return slab_alloc_direct(s, gfp, percpu_node());
    }
}

/*
 * Every object that leaves a cache without sheaves comes through here, so that free can tell whether it was freed
 * before; and with debug, where no fast path is open, every object that is to be looked at.
 */
static void *handed_out(struct kmem_cache *s, void *object)
{
    if (object && s->path != PATH_SHEAF)
        clear_link(s, object);
    return unlikely(s->debug) ? debug_alloc(s, object) : object;
}

void *slab_alloc_slow(struct kmem_cache *s, gfp_t gfp)
{
    bool was = atomic_begin(gfp);
    void *object = should_fail_object(gfp) ? NULL : alloc_by_path(s, gfp);

    atomic_end(was);
    return handed_out(s, object);
}

void slab_free_slow(struct kmem_cache *s, struct slab *slab, void *object, gfp_t gfp)
{
    size_t at = (uintptr_t)object - (uintptr_t)slab_base(slab);

    if (unlikely(!slab_reaches(s, slab, at) || !object_starts_at(s, at)))
        check_object(s, slab, object,
                     gfp == GFP_FREE
                         ? "kfree or kmem_cache_free: pointer into the middle of an object"
                         : "free: pointer into the middle of an object");
    if (unlikely(s->debug))
        debug_free(s, object); /* before anybody else may have it */
    if (s->path != PATH_SHEAF && unlikely(looks_free(s, slab, object)))
        fault(freed_before(gfp), object);
    switch (s->path) {
    case PATH_SHEAF:
        if (percpu_put(s->index, slab_nid(slab), object))
            stat(s, FREE_FASTPATH);
        else
            sheaf_free(s, slab, object, gfp);
        return;
    case PATH_CPU: cpu_free(s, slab, object); return;
    default: stat(s, FREE_SLOWPATH); slabs_put(s, 1, &object);
    }
}

static __attribute__((noinline)) void *zeroed(const struct kmem_cache *s, void *object)
{
    return memset(object, 0, s->object_size);
}

static __attribute__((noinline)) void *alloc_slowly(struct kmem_cache *s, gfp_t gfp)
{
    void *object = slab_alloc_slow(s, gfp);

    return object && gfp & __GFP_ZERO ? zeroed(s, object) : object;
}

/*
 * What is rare ends in a call, so that the way of most needs no frame. The line of an object that will be taken soon
 * is asked for as malloc does (rseq_x86_64.h); of a large one it may lie where nobody has touched the page.
 */
static inline __attribute__((always_inline)) void *alloc(struct kmem_cache *s, gfp_t gfp)
{
    void *object, *ahead;

    if (unlikely(s->stats ||
                 !percpu_take_fast(PERCPU_NONE, PERCPU_SHEAF_CELL(s->index), &object, &ahead)))
        return alloc_slowly(s, gfp);
    rseq_ask_for(s->size <= SLAB_PAGEWISE_MAX ? ahead : object);
    return unlikely(gfp & __GFP_ZERO) ? zeroed(s, object) : object;
}

void *kmem_cache_alloc(struct kmem_cache *s, gfp_t gfp)
{
    return alloc(s, gfp);
}

void *kmem_cache_zalloc(struct kmem_cache *s, gfp_t gfp)
{
    return alloc(s, gfp | __GFP_ZERO);
}

/*
 * From what this CPU has at hand, whose node was asked for, or gets from there without effort. An object of another
 * node, of which it may have some, goes to its slab. The call is counted, whatever comes of it.
 */
static void *alloc_here(struct kmem_cache *s, gfp_t gfp, int node)
{
    void *object = alloc_by_path(s, gfp_here(gfp));

    if (object && unlikely(slab_nid(slab_of(object)) != node)) {
        free_to_slab(s, slab_of(object), object, false);
        object = NULL;
    }
    return object;
}

static void *alloc_on(struct kmem_cache *s, gfp_t gfp, int node)
{
    bool was = atomic_begin(gfp);
    void *object = NULL;

    if (node != percpu_node()) {
        stat(s, ALLOC_SLOWPATH);
        stat(s, ALLOC_NODE_MISMATCH);
    } else if (may_put_back(s)) {
        object = alloc_here(s, gfp, node);
    } else {
        stat(s, ALLOC_SLOWPATH);
    }
    if (!object)
        object = slabs_take_on(s, gfp, node);
    atomic_end(was);
    return object;
}

void *kmem_cache_alloc_node(struct kmem_cache *s, gfp_t gfp, int node)
{
    void *object;

    if (node != NUMA_NO_NODE && (unsigned)node >= node_count())
        return NULL;
    if (node == NUMA_NO_NODE || node_count() == 1)
        return alloc(s, gfp);
    object = handed_out(s, should_fail_object(gfp) ? NULL : alloc_on(s, gfp, node));
    if (object && (gfp & __GFP_ZERO))
        memset(object, 0, s->object_size);
    return object;
}

/* The slab around `object`, which must be one of `s`. */
static struct slab *slab_of_object(const struct kmem_cache *s, const void *object)
{
    struct slab *slab = slab_of(object);

    if (unlikely(!slab))
        fault("kmem_cache_free: not an object of a cache, or its slab was given up", object);
    if (unlikely(slab->slab_cache != s))
        fault("kmem_cache_free: object of another cache", object);
    return slab;
}

void kmem_cache_free(struct kmem_cache *s, void *object)
{
    size_t cell;
    struct slab *slab;

    if (unlikely(!object))
        return;
    if (likely(fast_cell(object, &cell) && cell == PERCPU_SHEAF_CELL(s->index)) &&
        percpu_put_fast(cell, object))
        return;
    slab = slab_of_object(s, object);
    slab_free_slow(s, slab, object, GFP_FREE);
}

/* As many as the main sheaf holds. */
static size_t take_from_sheaf(struct kmem_cache *s, size_t count, void **p)
{
    size_t got = 0;

    while (got < count && (p[got] = percpu_take(s->index)) != NULL)
        got++;
    stat_add(s, ALLOC_FASTPATH, got);
    return got;
}

static size_t take_from_slabs(struct kmem_cache *s, gfp_t gfp, size_t count, void **p)
{
    size_t n =
        slabs_take(s, gfp, percpu_node(), count < INT16_MAX ? (unsigned)count : INT16_MAX, p);

    stat_add(s, ALLOC_SLOWPATH, n);
    for (size_t i = 0; i < n; i++)
        (void)handed_out(s, p[i]);
    return n;
}

static int alloc_bulk(struct kmem_cache *s, gfp_t gfp, size_t count, void **p)
{
    bool one_by_one = s->debug || fail_objects; /* each is looked at, or may be refused */
    size_t got = s->path == PATH_SHEAF && !one_by_one ? take_from_sheaf(s, count, p) : 0;

    while (got < count) {
        size_t left = count - got, n;

        if (left >= BULK_DIRECT && s->path != PATH_CPU && !one_by_one) {
            n = take_from_slabs(s, gfp, left, p + got);
        } else {
            p[got] = slab_alloc_slow(s, gfp);
            n = p[got] != NULL;
        }
        if (n == 0) {
            kmem_cache_free_bulk(s, got, p);
            return 0;
        }
        got += n;
    }
    if (gfp & __GFP_ZERO)
        for (size_t i = 0; i < count; i++)
            memset(p[i], 0, s->object_size);
    return (int)count;
}

/* What a refusal gives back belongs to the call, too. */
int kmem_cache_alloc_bulk(struct kmem_cache *s, gfp_t gfp, size_t count, void **p)
{
    bool was = atomic_begin(gfp);
    int got = alloc_bulk(s, gfp, count, p);

    atomic_end(was);
    return got;
}

void kmem_cache_free_bulk(struct kmem_cache *s, size_t count, void **p)
{
    for (size_t i = 0; i < count; i++)
        if (s)
            slab_free_slow(s, slab_of_object(s, p[i]), p[i], GFP_FREE);
        else
            kfree(p[i]);
}
