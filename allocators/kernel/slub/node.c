/*
 * Slabs and the lists of a node. Here objects pass between a slab and whoever asks for several at
 * once; the caller holds no lock.
 */
#include <string.h>

#include "fault.h"
#include "slub.h"

/* The head is looked at without the lock, too. */
static void set_first(struct slab_list *list, struct slab *slab)
{
    __atomic_store_n(&list->first, slab, __ATOMIC_RELAXED);
}

static void list_add(struct slab_list *list, struct slab *slab, bool first)
{
    slab->next = first ? list->first : NULL;
    slab->prev = first ? NULL : list->last;
    if (slab->prev)
        slab->prev->next = slab;
    else
        set_first(list, slab);
    if (slab->next)
        slab->next->prev = slab;
    else
        list->last = slab;
}

static void list_remove(struct slab_list *list, struct slab *slab)
{
    if (slab->prev)
        slab->prev->next = slab->next;
    else
        set_first(list, slab->next);
    if (slab->next)
        slab->next->prev = slab->prev;
    else
        list->last = slab->prev;
}

static void add_partial(struct kmem_cache_node *n, struct slab *slab, bool first)
{
    list_add(&n->partial, slab, first);
    __atomic_store_n(&n->nr_partial, n->nr_partial + 1, __ATOMIC_RELAXED);
}

static void remove_partial(struct kmem_cache_node *n, struct slab *slab)
{
    list_remove(&n->partial, slab);
    __atomic_store_n(&n->nr_partial, n->nr_partial - 1, __ATOMIC_RELAXED);
}

static bool slab_exhausted(const struct slab *slab)
{
    return !slab->freelist && slab->fresh == slab->objects;
}

/* ---- making and giving up slabs ---- */

static struct page *slab_pages(struct kmem_cache *s, gfp_t gfp, int node)
{
    gfp_t first = gfp;
    struct page *page;

    /* Do not go to great lengths for a large block while a small one will do. */
    if (s->order > s->order_min)
        first = (gfp | __GFP_NOWARN | __GFP_NORETRY) & ~(__GFP_NOFAIL | __GFP_RETRY_MAYFAIL);
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
    if (slab_place(slab) % s->size)
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

/* On no list yet, nothing in use. */
static struct slab *new_slab(struct kmem_cache *s, gfp_t gfp, int node)
{
    struct kmem_cache_node *n;
    struct page *page;
    struct slab *slab;

    page = slab_pages(s, (gfp & ~__GFP_ZERO) | s->allocflags, node);
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

static void give_up_slab(struct kmem_cache *s, struct slab *slab)
{
    struct kmem_cache_node *n = node_of(s, slab);
    unsigned order = page_order((struct page *)slab);

    __atomic_sub_fetch(&n->nr_slabs, 1, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&n->total_objects, slab->objects, __ATOMIC_RELAXED);
    set_cells(slab, 0);
    stat(s, FREE_SLAB);
    __free_pages((struct page *)slab, order);
}

static void give_up_slabs(struct kmem_cache *s, struct slab *slabs)
{
    while (slabs) {
        struct slab *next = slabs->next;

        give_up_slab(s, slabs);
        slabs = next;
    }
}

/* ---- objects of one slab, under its node's list_lock ---- */

void check_object(const struct kmem_cache *s, const struct slab *slab, const void *object,
                  const char *interior)
{
    size_t at = (size_t)((const char *)object - slab_base(slab));

    if (at % s->size || !slab_reaches(s, slab, at))
        fault(interior, object);
}

/* Whoever frees an object looks at it without the lock: it is past that object for good. */
static void set_fresh(struct slab *slab, unsigned fresh)
{
    __atomic_store_n(&slab->fresh, fresh, __ATOMIC_RELAXED);
}

static void *slab_pop(struct kmem_cache *s, struct slab *slab)
{
    void *object = slab->freelist, *next;

    if (!object) {
        set_fresh(slab, slab->fresh + 1);
        return slab_base(slab) + (size_t)s->size * (slab->fresh - 1);
    }
    next = get_link(s, object);
    if (unlikely(next && (slab_of(next) != slab)))
        fault("free list of a slab is damaged at object", object);
    slab->freelist = next;
    return object;
}

static void slab_push(struct kmem_cache *s, struct slab *slab, void *object)
{
    check_object(s, slab, object, "free: pointer into the middle of an object");
    if (unlikely(object == slab->freelist || slab->inuse == 0))
        fault("free: object was freed before", object);
    set_link(s, object, slab->freelist);
    slab->freelist = object;
    slab->inuse--;
}

/* ---- many objects ---- */

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

static unsigned node_take(struct kmem_cache *s, int node, enum whose whose, unsigned count,
                          void **p)
{
    struct kmem_cache_node *n = s->node[node];
    unsigned got = 0, owner = this_owner();
    struct slab *slab;

    if (!__atomic_load_n(&n->partial.first, __ATOMIC_RELAXED))
        return 0;
    if (!lock_take_soon_here(&n->list_lock))
        return 0;
    while (got < count && (slab = first_for(n, whose, owner)) != NULL) {
        unsigned before = got;

        while (got < count && !slab_exhausted(slab))
            p[got++] = slab_pop(s, slab);
        slab->inuse += got - before;
        slab->owner = owner;
        if (slab_exhausted(slab)) {
            remove_partial(n, slab);
            list_add(&n->full, slab, true);
        }
    }
    lock_drop(&n->list_lock);
    return got;
}

/* Has the node more partial slabs than it keeps for itself? */
static bool may_rob(struct kmem_cache *s, int node)
{
    return __atomic_load_n(&s->node[node]->nr_partial, __ATOMIC_RELAXED) > s->min_partial;
}

/* Popping goes from the end: the first in memory shall come out first. */
static void reverse(unsigned count, void **p)
{
    for (unsigned i = 0; i < count / 2; i++) {
        void *swap = p[i];

        p[i] = p[count - 1 - i];
        p[count - 1 - i] = swap;
    }
}

static unsigned take_from_new(struct kmem_cache *s, gfp_t gfp, int node, unsigned count, void **p)
{
    struct slab *slab = new_slab(s, gfp, node);
    struct kmem_cache_node *n;
    unsigned got = 0;

    if (!slab)
        return 0;
    while (got < count && !slab_exhausted(slab))
        p[got++] = slab_pop(s, slab);
    slab->inuse = got;
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
    unsigned got = node_take(s, node, OWN, count, p);

    if (got == 0 && !(gfp & __GFP_THISNODE))
        for (unsigned nth = 1; nth < node_count() && got == 0; nth++)
            if (may_rob(s, node_by_distance(node, nth)))
                got = node_take(s, node_by_distance(node, nth), ANY, count, p);
    if (got == 0)
        got = take_from_new(s, gfp, node, count, p);
    if (got == 0)
        got = node_take(s, node, ANY, count, p);
    atomic_end(was);
    reverse(got, p);
    return got;
}

/* The rule for a slab that has just got an object back. True: it is off the lists and to be given up. */
static bool settle(struct kmem_cache *s, struct kmem_cache_node *n, struct slab *slab,
                   bool was_full)
{
    if (slab->frozen)
        return false;
    if (was_full) {
        list_remove(&n->full, slab);
        add_partial(n, slab, false);
        stat(s, FREE_ADD_PARTIAL);
    }
    if (slab->inuse || n->nr_partial <= s->min_partial)
        return false;
    remove_partial(n, slab);
    stat(s, FREE_REMOVE_PARTIAL);
    return true;
}

void slabs_put(struct kmem_cache *s, unsigned count, void **p)
{
    struct kmem_cache_node *locked = NULL;
    struct slab *empty = NULL;

    for (unsigned i = 0; i < count; i++) {
        struct slab *slab = slab_of(p[i]);
        struct kmem_cache_node *n;
        bool was_full;

        if (unlikely(!slab || slab->slab_cache != s))
            fault("free: not an object of its cache", p[i]);
        n = node_of(s, slab);
        if (n != locked) {
            if (locked)
                lock_drop(&locked->list_lock);
            lock_take_here(&n->list_lock);
            locked = n;
        }
        was_full = slab_exhausted(slab);
        slab_push(s, slab, p[i]);
        if (settle(s, n, slab, was_full)) {
            slab->next = empty;
            empty = slab;
        }
    }
    if (locked)
        lock_drop(&locked->list_lock);
    give_up_slabs(s, empty);
}

/* ---- frozen slabs ---- */

/* What the slab's own list holds; else some fresh objects, a page of them at most. */
static void *take_all(struct kmem_cache *s, struct slab *slab)
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

/* The first slab of the partial list, which is not empty. */
static struct slab *freeze_first(struct kmem_cache_node *n)
{
    struct slab *slab = n->partial.first;

    remove_partial(n, slab);
    slab->frozen = 1;
    return slab;
}

/* So many that the CPU's partial list is half full: the node's lock once for all of them. */
static struct slab *freeze_more(struct kmem_cache *s, struct kmem_cache_node *n)
{
    struct slab *list = NULL;

    for (unsigned k = 0;
         s->cpu_partial_slabs && k <= s->cpu_partial_slabs / 2 && n->partial.first;) {
        struct slab *slab = freeze_first(n);

        slab->next = list;
        slab->slabs = ++k;
        list = slab;
        stat(s, CPU_PARTIAL_NODE);
    }
    return list;
}

static struct slab *freeze_partial(struct kmem_cache *s, int node, void **freelist,
                                   struct slab **more)
{
    struct kmem_cache_node *n = s->node[node];
    struct slab *slab = NULL;

    lock_take_here(&n->list_lock);
    if (n->partial.first) {
        slab = freeze_first(n);
        *freelist = take_all(s, slab);
        stat(s, ALLOC_FROM_PARTIAL);
        *more = freeze_more(s, n);
    }
    lock_drop(&n->list_lock);
    return slab;
}

struct slab *freeze_slab(struct kmem_cache *s, gfp_t gfp, int node, void **freelist,
                         struct slab **more)
{
    struct slab *slab = freeze_partial(s, node, freelist, more);

    if (!slab && !(gfp & __GFP_THISNODE))
        for (unsigned nth = 1; nth < node_count() && !slab; nth++)
            if (may_rob(s, node_by_distance(node, nth)))
                slab = freeze_partial(s, node_by_distance(node, nth), freelist, more);
    if (slab || (slab = new_slab(s, gfp, node)) == NULL)
        return slab;
    slab->frozen = 1;
    *freelist = take_all(s, slab);
    return slab;
}

void *refill_frozen(struct kmem_cache *s, struct slab *slab)
{
    struct kmem_cache_node *n = node_of(s, slab);
    void *list;

    lock_take_here(&n->list_lock);
    list = take_all(s, slab);
    if (list) {
        stat(s, ALLOC_REFILL);
    } else {
        slab->frozen = 0;
        list_add(&n->full, slab, true);
        stat(s, DEACTIVATE_FULL);
    }
    lock_drop(&n->list_lock);
    return list;
}

void thaw_slab(struct kmem_cache *s, struct slab *slab, void *freelist)
{
    struct kmem_cache_node *n = node_of(s, slab);
    bool empty;

    stat(s, CPUSLAB_FLUSH);
    lock_take_here(&n->list_lock);
    if (slab->freelist)
        stat(s, DEACTIVATE_REMOTE_FREES);
    while (freelist) {
        void *next = get_link(s, freelist);

        slab_push(s, slab, freelist);
        freelist = next;
    }
    slab->frozen = 0;
    empty = slab->inuse == 0 && n->nr_partial >= s->min_partial;
    if (slab_exhausted(slab))
        list_add(&n->full, slab, true);
    else if (!empty)
        add_partial(n, slab, false);
    lock_drop(&n->list_lock);
    if (empty) {
        stat(s, DEACTIVATE_EMPTY);
        give_up_slab(s, slab);
    }
}

bool free_to_slab(struct kmem_cache *s, struct slab *slab, void *object, bool may_freeze)
{
    struct kmem_cache_node *n = node_of(s, slab);
    bool was_full, frozen = false, empty = false;

    lock_take_here(&n->list_lock);
    was_full = slab_exhausted(slab);
    slab_push(s, slab, object);
    if (slab->frozen) {
        stat(s, FREE_FROZEN);
    } else if (was_full && may_freeze) {
        list_remove(&n->full, slab);
        slab->frozen = 1;
        frozen = true;
    } else {
        empty = settle(s, n, slab, was_full);
    }
    lock_drop(&n->list_lock);
    if (empty)
        give_up_slab(s, slab);
    return frozen;
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
