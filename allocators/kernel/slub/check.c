/*
 * Everything that must hold. Blocks of CPUs stand still meanwhile and each node is looked at under
 * its locks, so other threads may go on; what they hold in their hands between two lists is not seen
 * and counts as in use.
 */
#include <string.h>
#include <time.h>

#include "debug.h"
#include "fault.h"
#include "out.h"
#include "slub.h"

struct checked {
    struct kmem_cache *s;
    const char *wrong; /* the first thing found */
    const void *where;
    unsigned long slabs[MAX_NUMNODES];
};

static bool fail(struct checked *c, const char *wrong, const void *where)
{
    if (!c->wrong) {
        c->wrong = wrong;
        c->where = where;
    }
    return false;
}

static bool object_starts(struct checked *c, struct slab *slab, const void *object)
{
    size_t at = (size_t)((const char *)object - slab_base(slab));

    return slab_of(object) == slab && at % c->s->size == 0 &&
           at / c->s->size < __atomic_load_n(&slab->fresh, __ATOMIC_RELAXED);
}

/* The length of a list of free objects of `slab`. */
static bool check_list(struct checked *c, struct slab *slab, void *list, unsigned *length)
{
    for (*length = 0; list; list = get_link(c->s, list)) {
        if (!object_starts(c, slab, list))
            return fail(c, "a free list leaves its slab", list);
        if (++*length > slab->objects)
            return fail(c, "a free list is circular", list);
    }
    return true;
}

/* With debug=1 every object has its red zone from the start, free or not. */
static bool check_red_zones(struct checked *c, struct slab *slab)
{
    const char *base = slab_base(slab);

    for (unsigned i = 0; c->s->debug && i < slab->fresh; i++)
        if (!debug_is_whole(c->s, base + (size_t)i * c->s->size))
            return fail(c, "written past the end of an object", base + (size_t)i * c->s->size);
    return true;
}

static bool check_slab(struct checked *c, struct slab *slab, int node)
{
    size_t frame = page_to_frame((struct page *)slab);
    unsigned state = frame_state(frame), length;

    if (slab->slab_cache != c->s)
        return fail(c, "slab of another cache on a list", slab);
    if (!frame_is_used(state) || !(state & PAGE_IS_SLAB) || frame_head(frame, state) != frame)
        return fail(c, "slab whose pages are not its own", slab);
    if (slab_nid(slab) != node)
        return fail(c, "slab on another node's list", slab);
    if (cell_of_frame(frame) != slab_cell(c->s, slab))
        return fail(c, "table of frames does not name the slab's cache", slab);
    if (slab->colour >= c->s->size ||
        slab->objects != objects_in(slab_bytes(slab) - slab->colour, c->s->size) ||
        slab->fresh > slab->objects)
        return fail(c, "slab with a wrong number of objects", slab);
    if (!check_list(c, slab, slab->freelist, &length))
        return false;
    if (slab->inuse + length != slab->fresh)
        return fail(c, "slab whose counts do not agree with its free list", slab);
    c->slabs[node]++;
    return check_red_zones(c, slab);
}

static bool is_full(const struct slab *slab)
{
    return !slab->freelist && slab->fresh == slab->objects;
}

static bool check_node(struct checked *c, int node)
{
    struct kmem_cache_node *n = c->s->node[node];
    unsigned long partial = 0;

    for (struct slab *slab = n->partial.first; slab; slab = slab->next, partial++) {
        if (!check_slab(c, slab, node))
            return false;
        if (is_full(slab) || slab->frozen)
            return fail(c, "full or frozen slab on the partial list", slab);
    }
    for (struct slab *slab = n->full.first; slab; slab = slab->next) {
        if (!check_slab(c, slab, node))
            return false;
        if (!is_full(slab) || slab->frozen)
            return fail(c, "slab with free objects on the full list", slab);
    }
    return partial == n->nr_partial || fail(c, "nr_partial does not count the partial list", n);
}

static bool on_list(struct kmem_cache *s, struct slab *slab, const void *object)
{
    for (void *at = slab->freelist; at; at = get_link(s, at))
        if (at == object)
            return true;
    return false;
}

/* Every object is one of this cache, in use for its slab, and here once. */
static bool check_sheaf(struct checked *c, struct sheaf *sheaf)
{
    void **slots = sheaf_slots(sheaf);

    if (slots[-1])
        return fail(c, "sheaf without a NULL in front", sheaf);
    for (void **at = sheaf_memory(sheaf); at < slots - 1; at++)
        if (*at != sheaf_memory(sheaf))
            return fail(c, "sheaf with something else in front of its objects", sheaf);
    if (sheaf->size > sheaf->capacity)
        return fail(c, "sheaf with more objects than room", sheaf);
    for (unsigned i = 0; i < sheaf->size; i++) {
        struct slab *slab = slab_of(slots[i]);
        bool twice;

        if (!slab || slab->slab_cache != c->s || !object_starts(c, slab, slots[i]))
            return fail(c, "sheaf with something that is no object", slots[i]);
        lock_take(&node_of(c->s, slab)->list_lock);
        twice = on_list(c->s, slab, slots[i]);
        lock_drop(&node_of(c->s, slab)->list_lock);
        for (unsigned k = 0; k < i && !twice; k++)
            twice = slots[k] == slots[i];
        if (twice)
            return fail(c, "object free twice", slots[i]);
    }
    return true;
}

static bool check_barn(struct checked *c, struct node_barn *barn)
{
    unsigned full = 0, empty = 0;
    bool good = true;

    lock_take(&barn->lock);
    for (struct sheaf *sheaf = barn->sheaves_full; sheaf && good; sheaf = sheaf->next, full++)
        good = check_sheaf(c, sheaf);
    for (struct sheaf *sheaf = barn->sheaves_empty; sheaf; sheaf = sheaf->next, empty++)
        if (sheaf->size)
            good = fail(c, "empty sheaf with objects", sheaf);
    if (good && (full != barn->nr_full || empty != barn->nr_empty))
        good = fail(c, "barn with wrong counts", barn);
    lock_drop(&barn->lock);
    return good;
}

/* `freelist`: what its CPU has of it. */
static bool check_frozen(struct checked *c, struct slab *slab, void *freelist)
{
    int node = slab_nid(slab);
    unsigned length;
    bool good;

    lock_take(&c->s->node[node]->list_lock);
    good = check_slab(c, slab, node) && check_list(c, slab, freelist, &length) &&
           (slab->frozen || fail(c, "CPU slab that is not frozen", slab));
    lock_drop(&c->s->node[node]->list_lock);
    return good;
}

static bool check_block(struct checked *c, struct cpu_block *b)
{
    struct cpu_sheaf *cell = block_sheaf(b, c->s->index);
    struct kmem_cache_cpu *cpu = block_slow(b, c->s->index);
    struct sheaf *main = sheaf_of_pair(cell->top, cell->end);

    if (main && !check_sheaf(c, main))
        return false;
    if (cpu->spare && !check_sheaf(c, cpu->spare))
        return false;
    if (cpu->freelist && !cpu->slab)
        return fail(c, "CPU free list without a slab", cpu);
    if (cpu->slab && !check_frozen(c, cpu->slab, cpu->freelist))
        return false;
    for (struct slab *slab = cpu->partial; slab; slab = slab->next) {
        if (!check_frozen(c, slab, NULL))
            return false;
        if (slab->slabs != (slab->next ? slab->next->slabs + 1 : 1))
            return fail(c, "CPU partial list that miscounts its slabs", slab);
    }
    return true;
}

static bool check_cache(struct checked *c)
{
    memset(c->slabs, 0, sizeof c->slabs);
    for (int node = 0; node < (int)node_count(); node++) {
        bool good;

        for (unsigned i = 0; i < nr_barns; i++)
            if (!check_barn(c, &c->s->node[node]->barn[i]))
                return false;
        lock_take(&c->s->node[node]->list_lock);
        good = check_node(c, node);
        lock_drop(&c->s->node[node]->list_lock);
        if (!good)
            return false;
    }
    for (struct cpu_block *b = percpu_blocks(); b; b = b->next)
        if (!check_block(c, b))
            return false;
    return true;
}

/*
 * A slab between two lists is in the hands of another thread, which puts it somewhere soon; or, in a
 * forked child, never will.
 */
static bool all_slabs_found(struct checked *c)
{
    for (unsigned node = 0; node < node_count(); node++) {
        unsigned long all = __atomic_load_n(&c->s->node[node]->nr_slabs, __ATOMIC_RELAXED);

        if (c->slabs[node] > all || (c->slabs[node] < all && !slub_forked))
            return false;
    }
    return true;
}

/* A thread that was preempted with a slab in its hands needs its turn: a millisecond, not a yield. */
enum { TRIES = 500 };

static bool check_one(struct checked *c)
{
    for (unsigned i = 0; i < TRIES; i++) {
        percpu_stop();
        bool good = check_cache(c);

        percpu_resume();
        if (!good)
            return false;
        if (all_slabs_found(c))
            return true;
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    return fail(c, "slabs that are on no list", c->s);
}

bool slub_check(char *why, size_t bytes)
{
    struct checked c = {0};

    lock_take(&slab_mutex);
    for (c.s = slab_caches; c.s && check_one(&c);)
        c.s = c.s->next;
    if (c.wrong) {
        struct out o = out_to_fd(2);

        out_put(&o, "%s: kmem_check: cache '%s': %s: '%p'\n", fault_subject, c.s->name, c.wrong,
                c.where);
        out_flush(&o);
        strncpy(why, c.wrong, bytes - 1);
        why[bytes - 1] = '\0';
    }
    lock_drop(&slab_mutex);
    return !c.wrong;
}

int kmem_check(void)
{
    char why[128];

    slub_start();
    if (!slub_check(why, sizeof why))
        return -1;
    if (!kmem_pages_check(why, sizeof why)) {
        struct out o = out_to_fd(2);

        out_put(&o, "%s: kmem_check: %s\n", fault_subject, why);
        out_flush(&o);
        return -1;
    }
    return 0;
}
