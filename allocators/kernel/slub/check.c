/*
 * Everything that must hold. Blocks of CPUs stand still meanwhile and a cache is looked at under all of its
 * locks, so other threads may go on; what they hold in their hands between two lists is not seen
 * and counts as in use. Whatever is seen is seen once: an object that lies free in two places, on lists or
 * in sheaves of any CPU and node, was freed twice.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../os.h"
#include "../vmalloc/vmalloc.h"
#include "debug.h"
#include "fault.h"
#include "out.h"
#include "sheaf.h"
#include "slab.h"
#include "uncancelled.h"

struct checked {
    struct kmem_cache *s;
    const char *wrong; /* the first thing found */
    const void *where;
    unsigned long slabs[MAX_NUMNODES];
};

/*
 * A bit for each word of the pool: a free object was seen that starts there. Kept from the first check on, so
 * that later ones can be made when memory is short. Under slab_mutex.
 */
static uint8_t *all_marks;

enum { MARKED_BYTES = 8 * sizeof(void *) }; /* of the pool, by a byte of marks */

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

/* What an earlier cache, or an earlier look, has left there. */
static void clear_marks(const struct slab *slab)
{
    size_t from = (uintptr_t)slab_address(slab) - page_globals.base;

    memset(all_marks + from / MARKED_BYTES, 0, slab_bytes(slab) / MARKED_BYTES);
}

static bool mark_free(struct checked *c, const void *object)
{
    size_t at = (uintptr_t)object - page_globals.base;
    uint8_t *marks = &all_marks[at / MARKED_BYTES];
    uint8_t bit = (uint8_t)(1u << at / sizeof(void *) % 8);

    if (*marks & bit)
        return fail(c, "object free twice", object);
    *marks |= bit;
    return true;
}

/* The length of a list of free objects of `slab`, whose marks were cleared. */
static bool check_list(struct checked *c, struct slab *slab, void *list, unsigned *length)
{
    for (*length = 0; list; list = get_link(c->s, list), ++*length) {
        if (!object_starts(c, slab, list))
            return fail(c, "a free list leaves its slab", list);
        if (!mark_free(c, list))
            return false;
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
    clear_marks(slab);
    if (!check_list(c, slab, slab->freelist, &length))
        return false;
    if (slab->inuse + length != slab->fresh)
        return fail(c, "slab whose counts do not agree with its free list", slab);
    c->slabs[node]++;
    return check_red_zones(c, slab);
}

static bool check_node(struct checked *c, int node)
{
    struct kmem_cache_node *n = c->s->node[node];
    unsigned long partial = 0;
    unsigned empty = 0;

    for (struct slab *slab = n->partial.first; slab; slab = slab->next, partial++) {
        empty += slab->inuse == 0;
        if (!check_slab(c, slab, node))
            return false;
        if (slab_exhausted(slab) || slab->frozen)
            return fail(c, "full or frozen slab on the partial list", slab);
    }
    for (struct slab *slab = n->full.first; slab; slab = slab->next) {
        if (!check_slab(c, slab, node))
            return false;
        if (!slab_exhausted(slab) || slab->frozen)
            return fail(c, "slab with free objects on the full list", slab);
    }
    if (empty != n->nr_empty)
        return fail(c, "nr_empty does not count the slabs without used objects", n);
    return partial == n->nr_partial || fail(c, "nr_partial does not count the partial list", n);
}

/* The words in front of its objects, which malloc reads whether it has any or not. */
static bool check_front(struct checked *c, struct sheaf *sheaf)
{
    void **slots = sheaf_slots(sheaf);

    if (slots[-1])
        return fail(c, "sheaf without a NULL in front", sheaf);
    for (void **at = sheaf_memory(sheaf); at < slots - 1; at++)
        if (*at != sheaf_memory(sheaf))
            return fail(c, "sheaf with something else in front of its objects", sheaf);
    return true;
}

/* Every object is one of this cache, in use for its slab, and nowhere else free. All slabs come before. */
static bool check_sheaf(struct checked *c, struct sheaf *sheaf)
{
    void **slots = sheaf_slots(sheaf);

    if (!check_front(c, sheaf))
        return false;
    if (sheaf->size > sheaf->capacity)
        return fail(c, "sheaf with more objects than room", sheaf);
    for (unsigned i = 0; i < sheaf->size; i++) {
        struct slab *slab = slab_of(slots[i]);

        if (!slab || slab->slab_cache != c->s || !object_starts(c, slab, slots[i]))
            return fail(c, "sheaf with something that is no object", slots[i]);
        if (!mark_free(c, slots[i]))
            return false;
    }
    return true;
}

static bool check_barn(struct checked *c, struct node_barn *barn)
{
    unsigned full = 0, empty = 0;

    for (struct sheaf *sheaf = barn->sheaves_full; sheaf; sheaf = sheaf->next, full++)
        if (!check_sheaf(c, sheaf))
            return false;
    for (struct sheaf *sheaf = barn->sheaves_empty; sheaf; sheaf = sheaf->next, empty++) {
        if (sheaf->size)
            return fail(c, "empty sheaf with objects", sheaf);
        if (!check_front(c, sheaf))
            return false;
    }
    return (full == barn->nr_full && empty == barn->nr_empty) ||
           fail(c, "barn with wrong counts", barn);
}

/* `freelist`: what its CPU has of it. */
static bool check_frozen(struct checked *c, struct slab *slab, void *freelist)
{
    unsigned length;

    return check_slab(c, slab, slab_nid(slab)) && check_list(c, slab, freelist, &length) &&
           (slab->frozen || fail(c, "CPU slab that is not frozen", slab));
}

static bool check_cpu_slabs(struct checked *c, struct kmem_cache_cpu *cpu)
{
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

static bool check_cpu_sheaves(struct checked *c, struct cpu_block *b)
{
    struct cpu_sheaf *cell = block_sheaf(b, c->s->index);
    struct sheaf *main = sheaf_of_pair(cell->top, cell->end);
    struct sheaf *spare = block_slow(b, c->s->index)->spare;

    return (!main || check_sheaf(c, main)) && (!spare || check_sheaf(c, spare));
}

static bool check_slabs(struct checked *c)
{
    memset(c->slabs, 0, sizeof c->slabs);
    for (int node = 0; node < (int)node_count(); node++)
        if (!check_node(c, node))
            return false;
    for (struct cpu_block *b = percpu_blocks(); b; b = b->next)
        if (!check_cpu_slabs(c, block_slow(b, c->s->index)))
            return false;
    return true;
}

static bool check_sheaves(struct checked *c)
{
    for (unsigned node = 0; node < node_count(); node++)
        for (unsigned i = 0; i < nr_barns; i++)
            if (!check_barn(c, &c->s->node[node]->barn[i]))
                return false;
    for (struct cpu_block *b = percpu_blocks(); b; b = b->next)
        if (!check_cpu_sheaves(c, b))
            return false;
    return true;
}

static void for_each_node(struct kmem_cache *s, void (*what)(struct kmem_cache_node *))
{
    for (unsigned node = 0; node < node_count(); node++)
        what(s->node[node]);
}

static bool check_cache(struct checked *c)
{
    bool good;

    percpu_stop();
    for_each_node(c->s, node_take_barns);
    for_each_node(c->s, node_take_list);
    good = check_slabs(c) && check_sheaves(c);
    for_each_node(c->s, node_drop_locks);
    percpu_resume();
    return good;
}

/*
 * A slab between two lists is in the hands of another thread, which puts it somewhere soon; or, in a
 * forked child, never will. Nor is a slab seen that lies with a CPU which cannot be reached.
 */
static bool all_slabs_found(struct checked *c)
{
    for (unsigned node = 0; node < node_count(); node++) {
        unsigned long all = __atomic_load_n(&c->s->node[node]->nr_slabs, __ATOMIC_RELAXED);

        if (c->slabs[node] > all || (c->slabs[node] < all && !slub_forked && percpu_reachable()))
            return false;
    }
    return true;
}

/* A thread that was preempted with a slab in its hands needs its turn: a millisecond, not a yield. */
enum { TRIES = 500 };

static bool check_one(struct checked *c)
{
    for (unsigned i = 0; i < TRIES; i++) {
        if (!check_cache(c))
            return false;
        if (all_slabs_found(c))
            return true;
        uncancelled_sleep(1000000);
    }
    return fail(c, "slabs that are on no list", c->s);
}

static bool check_caches(char *why, size_t bytes)
{
    struct checked c = {0};
    bool ready;

    lock_take(&slab_mutex);
    if (!all_marks)
        all_marks = kmem_os.map(page_globals.bytes / MARKED_BYTES);
    ready = all_marks != NULL;
    for (c.s = slab_caches; ready && c.s && check_one(&c);)
        c.s = c.s->next;
    if (!ready)
        snprintf(why, bytes, "the system refuses memory to remember what was seen");
    else if (c.wrong)
        snprintf(why, bytes, "cache '%s': %s: '%p'", c.s->name, c.wrong, c.where);
    lock_drop(&slab_mutex);
    return ready && !c.wrong;
}

int kmem_check(void)
{
    struct out o = out_to_fd(STDERR_FILENO);
    char why[160];

    slub_start();
    if (check_caches(why, sizeof why) && kmem_vmalloc_check(why, sizeof why) &&
        kmem_pages_check(why, sizeof why))
        return 0;
    out_put(&o, "%s: kmem_check: %s\n", fault_subject, why);
    out_flush(&o);
    return -1;
}
