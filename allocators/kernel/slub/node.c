/*
 * The slabs of a node. Here objects pass between them and whoever asks for several at once; the caller
 * holds no lock.
 */
#include "node.h"

#include <string.h>

#include "fault.h"
#include "lists.h"
#include "slab.h"

enum { OWNERS = 64 };
enum whose { OWN, ANY };

static unsigned this_owner(void)
{
    return percpu_number() & (OWNERS - 1);
}

/*
 * A slab whose objects were all taken fresh, by one CPU so far, is left to that CPU: what two CPUs
 * write side by side costs both of them more than a slab each does, and that not only within a line,
 * as each CPU fetches lines ahead. Once an object came back, everybody is welcome.
 */
static struct slab *first_for(struct kmem_cache_node *n, enum whose whose, unsigned owner)
{
    struct slab *slab = n->partial.first;

    while (slab && whose == OWN && !slab->freelist && slab->fresh && slab->owner != owner)
        slab = slab->next;
    return slab;
}

/* As slab_take(), from as many partial slabs as it takes, or up to the first fresh small objects. */
static unsigned node_take(struct kmem_cache *s, int node, enum whose whose, unsigned count,
                          void **end)
{
    struct kmem_cache_node *n = s->node[node];
    unsigned got = 0, owner = this_owner(), fresh;
    bool fresh_taken = false;
    struct slab *slab;

    if (!__atomic_load_n(&n->partial.first, __ATOMIC_RELAXED))
        return 0;
    if (!lock_take_soon_here(&n->list_lock))
        return 0;
    while (got < count && !fresh_taken && (slab = first_for(n, whose, owner)) != NULL) {
        fresh = slab->fresh;
        count_empty(n, slab, -1);
        got += slab_take(s, slab, count - got, end - got);
        fresh_taken = slab->fresh != fresh && s->size <= SLAB_PAGEWISE_MAX;
        slab->owner = owner;
        if (slab_exhausted(slab)) {
            remove_partial(n, slab);
            list_add(&n->full, slab, true);
        }
    }
    lock_drop(&n->list_lock);
    return got;
}

bool node_may_be_robbed(struct kmem_cache *s, int node)
{
    return __atomic_load_n(&s->node[node]->nr_partial, __ATOMIC_RELAXED) > s->min_partial;
}

static unsigned take_from_new(struct kmem_cache *s, gfp_t gfp, int node, unsigned count, void **end)
{
    struct slab *slab = new_slab(s, gfp, node);
    struct kmem_cache_node *n;
    unsigned got;

    if (!slab)
        return 0;
    got = slab_take(s, slab, count, end);
    slab->owner = this_owner();
    n = node_of(s, slab);
    if (!lock_take_soon_here(&n->list_lock)) {
        give_up_slab(s, slab);
        return 0;
    }
    if (slab_exhausted(slab))
        list_add(&n->full, slab, true);
    else
        add_partial(n, slab, true);
    lock_drop(&n->list_lock);
    return got;
}

unsigned slabs_take(struct kmem_cache *s, gfp_t gfp, int node, unsigned count, void **p)
{
    bool was = atomic_begin(gfp);
    void **end = p + count;
    unsigned got = node_take(s, node, OWN, count, end);

    if (got == 0 && !(gfp & __GFP_THISNODE))
        for (unsigned nth = 1; nth < node_count() && got == 0; nth++)
            if (node_may_be_robbed(s, node_by_distance(node, nth)))
                got = node_take(s, node_by_distance(node, nth), ANY, count, end);
    if (got == 0)
        got = take_from_new(s, gfp, node, count, end);
    if (got == 0)
        got = node_take(s, node, ANY, count, end);
    atomic_end(was);
    if (got < count)
        memmove(p, end - got, got * sizeof *p);
    return got;
}

/* A node that was asked for has a new slab made for it before others' partial slabs are looked at, if it has pages. */
void *slabs_take_on(struct kmem_cache *s, gfp_t gfp, int node)
{
    void *object;

    if (slabs_take(s, gfp_here(gfp), node, 1, &object))
        return object;
    return slabs_take(s, gfp, node, 1, &object) ? object : NULL;
}

bool settle(struct kmem_cache *s, struct kmem_cache_node *n, struct slab *slab, bool was_full)
{
    if (slab->frozen)
        return false;
    if (was_full) {
        list_remove(&n->full, slab);
        add_partial(n, slab, false);
        stat(s, FREE_ADD_PARTIAL);
    }
    if (slab->inuse)
        return false;
    if (!was_full) /* else it has been counted just now */
        count_empty(n, slab, 1);
    if (in_atomic ||
        (n->nr_partial <= s->min_partial && !__atomic_load_n(&slub_sparing, __ATOMIC_RELAXED))) {
        note_idle();
        return false;
    }
    remove_partial(n, slab);
    stat(s, FREE_REMOVE_PARTIAL);
    return true;
}

void slabs_put(struct kmem_cache *s, unsigned count, void **p)
{
    struct kmem_cache_node *locked = NULL;
    struct slab *empty = NULL;
    unsigned put;

    for (; count > 0; p += put, count -= put) {
        struct slab *slab = slab_of(*p);
        struct kmem_cache_node *n;
        bool was_full;

        if (unlikely(!slab || slab->slab_cache != s))
            fault("free or kfree: not an object of its cache", *p);
        n = node_of(s, slab);
        if (n != locked) {
            if (locked)
                lock_drop(&locked->list_lock);
            lock_take_here(&n->list_lock);
            locked = n;
        }
        was_full = slab_exhausted(slab);
        put = slab_put(s, slab, count, p);
        if (settle(s, n, slab, was_full)) {
            slab->next = empty;
            empty = slab;
        }
    }
    if (locked)
        lock_drop(&locked->list_lock);
    give_up_slabs(s, empty);
}

/* ---- shrinking ---- */

/* Slabs without used objects leave the list; the others are sorted, fullest first. */
bool node_shrink(struct kmem_cache *s, struct kmem_cache_node *n)
{
    enum { BUCKETS = 32 };
    struct slab_list bucket[BUCKETS] = {0};
    struct slab *all, *empty = NULL, *next;

    lock_take_here(&n->list_lock);
    all = n->partial.first;
    set_first(&n->partial, NULL);
    n->partial.last = NULL;
    n->nr_empty = n->idle_empty = 0;
    for (struct slab *slab = all; slab; slab = next) {
        unsigned free = slab->objects - slab->inuse;

        next = slab->next;
        if (slab->inuse == 0) {
            __atomic_store_n(&n->nr_partial, n->nr_partial - 1, __ATOMIC_RELAXED);
            slab->next = empty;
            empty = slab;
        } else {
            list_add(&bucket[free < BUCKETS ? free : BUCKETS - 1], slab, false);
        }
    }
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct slab *slab = bucket[i].first; slab; slab = next) {
            next = slab->next;
            list_add(&n->partial, slab, false);
        }
    lock_drop(&n->list_lock);
    give_up_slabs(s, empty);
    return __atomic_load_n(&n->nr_slabs, __ATOMIC_RELAXED) != 0;
}

enum { EMPTY_BATCH = 128 };

/*
 * All but `keep`. Those that stay go behind the rest; at most `left` are looked at, of which there are that many
 * fewer then.
 */
static struct slab *take_empty(struct kmem_cache_node *n, unsigned keep, unsigned long *left)
{
    struct slab *empty = NULL;

    for (unsigned looked = 0; looked < EMPTY_BATCH && n->nr_empty > keep && *left; looked++) {
        struct slab *slab = n->partial.first;

        --*left;
        remove_partial(n, slab);
        if (slab->inuse) {
            add_partial(n, slab, false);
        } else {
            slab->next = empty;
            empty = slab;
        }
    }
    return empty;
}

static void give_up_empty_but(struct kmem_cache *s, struct kmem_cache_node *n, unsigned keep)
{
    unsigned long left = ~0ul;
    struct slab *empty;

    do {
        lock_take_here(&n->list_lock);
        if (left > n->nr_partial)
            left = n->nr_partial;
        empty = take_empty(n, keep, &left);
        if (left == 0 && n->nr_empty > keep)
            note_idle(); /* others put slabs in front meanwhile */
        if (n->nr_empty <= keep)
            left = 0;
        lock_drop(&n->list_lock);
        give_up_slabs(s, empty);
    } while (left > 0);
}

bool node_give_up_empty(struct kmem_cache *s, struct kmem_cache_node *n)
{
    give_up_empty_but(s, n, 0);
    return __atomic_load_n(&n->nr_slabs, __ATOMIC_RELAXED) != 0;
}

void node_give_up_idle(struct kmem_cache *s, struct kmem_cache_node *n)
{
    unsigned idle, all;

    lock_take_here(&n->list_lock);
    idle = n->idle_empty;
    n->idle_empty = all = n->nr_empty;
    lock_drop(&n->list_lock);
    if (idle)
        give_up_empty_but(s, n, all - idle);
}
