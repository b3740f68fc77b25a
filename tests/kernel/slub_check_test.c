/* kmem_check() sees what it is for: each kind of damage is done once, in a child of its own, and named. */
#include "support.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kmem.h"
#include "malloc/slub_malloc.h"
#include "slub/node.h"
#include "slub/sheaf.h"
#include "slub/slab.h"
#include "vmalloc/space.h"

/* From the compiler, which knows what free() ends. */
static void *volatile p, *volatile q;

/* Of a cache that works on its slabs: q is free, and in front of it p. */
static struct slab *two_free(struct kmem_cache **s)
{
    *s = kmem_cache_create("damaged", 64, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);
    stay_on_this_cpu();
    p = kmem_cache_alloc(*s, GFP_KERNEL);
    q = kmem_cache_alloc(*s, GFP_KERNEL);
    kmem_cache_free(*s, q);
    kmem_cache_free(*s, p);
    return slab_of(p);
}

/* ---- slabs and node lists ---- */

static void link_overwritten(void)
{
    struct kmem_cache *s;

    two_free(&s);
    *link_of(s, p) = NULL;
}

static void link_into_another_slab(void)
{
    struct kmem_cache *s;

    two_free(&s);
    set_link(s, p, kmalloc(64, GFP_KERNEL));
}

static void list_circular(void)
{
    struct kmem_cache *s;

    two_free(&s);
    set_link(s, q, p);
}

static void inuse_miscounted(void)
{
    struct kmem_cache *s;

    two_free(&s)->inuse++;
}

static void list_cut(void)
{
    struct kmem_cache *s;

    two_free(&s);
    set_link(s, p, NULL);
}

static void objects_miscounted(void)
{
    struct kmem_cache *s;

    two_free(&s)->objects--;
}

static void other_cache(void)
{
    struct kmem_cache *s;

    two_free(&s)->slab_cache++;
}

static void frozen(void)
{
    struct kmem_cache *s;

    two_free(&s)->frozen = 1;
}

static void partial_miscounted(void)
{
    struct kmem_cache *s;

    node_of(s, two_free(&s))->nr_partial++;
}

static void full_on_partial_list(void)
{
    struct kmem_cache *s;
    struct slab *slab = two_free(&s);

    slab->inuse = slab->fresh = slab->objects;
    slab->freelist = NULL;
}

static void free_on_full_list(void)
{
    struct kmem_cache *s;
    struct slab *slab = two_free(&s);
    struct kmem_cache_node *n = node_of(s, slab);

    n->full = n->partial;
    n->partial = (struct slab_list){NULL, NULL};
    n->nr_partial = 0;
}

static void slab_lost(void)
{
    struct kmem_cache *s;

    node_of(s, two_free(&s))->nr_slabs++;
}

static void frame_of_another_cache(void)
{
    struct kmem_cache *s;

    two_free(&s);
    percpu_area.frame_cells[virt_to_frame(p)] ^= PERCPU_CELL;
}

/* ---- an object freed twice ---- */

static void kfree_with_another_between(void)
{
    stay_on_this_cpu();
    p = kmalloc(64, GFP_KERNEL);
    q = kmalloc(64, GFP_KERNEL);
    kfree(p);
    kfree(q);
    kfree(p);
}

static void free_with_another_between(void)
{
    stay_on_this_cpu();
    p = slub_malloc(64);
    q = slub_malloc(64);
    slub_free(p);
    slub_free(q);
    slub_free(p);
}

/* A cache with sheaves whose CPU has a main and a spare sheaf, and whose barn a full one. */
static struct kmem_cache *in_all_sheaves(void)
{
    enum { OBJECTS = 4000 };
    static void *all[OBJECTS];
    struct kmem_cache *s = kmem_cache_create("damaged", 64, 0, SLAB_NO_MERGE, NULL);

    stay_on_this_cpu();
    for (int i = 0; i < OBJECTS; i++)
        all[i] = kmem_cache_alloc(s, GFP_KERNEL);
    for (int i = 0; i < OBJECTS; i++)
        kmem_cache_free(s, all[i]);
    return s;
}

static struct node_barn *filled_barn(struct kmem_cache *s)
{
    for (unsigned node = 0; node < node_count(); node++)
        for (unsigned i = 0; i < nr_barns; i++)
            if (s->node[node]->barn[i].sheaves_full)
                return &s->node[node]->barn[i];
    _exit(3);
}

static struct kmem_cache_cpu *cells_with_spare(struct kmem_cache *s, struct cpu_sheaf **sheaf)
{
    for (struct cpu_block *b = percpu_blocks(); b; b = b->next)
        if (block_slow(b, s->index)->spare) {
            *sheaf = block_sheaf(b, s->index);
            return block_slow(b, s->index);
        }
    _exit(3);
}

static struct sheaf *main_sheaf(const struct cpu_sheaf *cell)
{
    struct sheaf *sheaf = sheaf_of_pair(cell->top, cell->end);

    if (!sheaf || sheaf->size == 0)
        _exit(3);
    return sheaf;
}

static void in_main_sheaf_and_barn(void)
{
    struct kmem_cache *s = in_all_sheaves();
    struct cpu_sheaf *cell;

    cells_with_spare(s, &cell);
    sheaf_slots(filled_barn(s)->sheaves_full)[3] = sheaf_slots(main_sheaf(cell))[0];
}

static void in_main_sheaf_and_spare(void)
{
    struct cpu_sheaf *cell;
    struct sheaf *spare = cells_with_spare(in_all_sheaves(), &cell)->spare;

    if (spare->size == 0)
        spare->size = 1;
    sheaf_slots(spare)[0] = sheaf_slots(main_sheaf(cell))[0];
}

static void in_sheaf_and_on_slab_list(void)
{
    struct kmem_cache *s = kmem_cache_create("damaged", 64, 0, SLAB_NO_MERGE, NULL);
    void *object;

    stay_on_this_cpu();
    p = kmem_cache_alloc(s, GFP_KERNEL);
    object = p;
    kmem_cache_free(s, object);
    slabs_put(s, 1, &object);
}

/* ---- sheaves and barns ---- */

static void no_object_in_sheaf(void)
{
    struct sheaf *full = filled_barn(in_all_sheaves())->sheaves_full;

    sheaf_slots(full)[1] = (char *)sheaf_slots(full)[1] + 8;
}

static void sheaf_without_end(void)
{
    struct sheaf *full = filled_barn(in_all_sheaves())->sheaves_full;

    sheaf_slots(full)[-1] = full;
}

static void sheaf_with_bad_words(void)
{
    sheaf_memory(filled_barn(in_all_sheaves())->sheaves_full)[0] = NULL;
}

static void sheaf_overfull(void)
{
    struct sheaf *full = filled_barn(in_all_sheaves())->sheaves_full;

    full->size = full->capacity + 1;
}

static void full_sheaves_miscounted(void)
{
    filled_barn(in_all_sheaves())->nr_full++;
}

/* A full sheaf, now among the empty ones of its barn. */
static struct sheaf *called_empty(struct kmem_cache *s)
{
    struct node_barn *barn = filled_barn(s);
    struct sheaf *sheaf = barn->sheaves_full;

    barn->sheaves_full = sheaf->next;
    barn->nr_full--;
    sheaf->next = barn->sheaves_empty;
    barn->sheaves_empty = sheaf;
    barn->nr_empty++;
    return sheaf;
}

static void empty_sheaf_with_objects(void)
{
    called_empty(in_all_sheaves());
}

/* As before, and its objects are back in their slabs: nothing is wrong with it. */
static struct sheaf *emptied(void)
{
    struct kmem_cache *s = in_all_sheaves();
    struct sheaf *sheaf = called_empty(s);

    slabs_put(s, sheaf->size, sheaf_slots(sheaf));
    sheaf->size = 0;
    if (kmem_check() != 0)
        _exit(3);
    return sheaf;
}

static void empty_sheaf_without_end(void)
{
    struct sheaf *sheaf = emptied();

    sheaf_slots(sheaf)[-1] = sheaf;
}

static void empty_sheaf_with_bad_words(void)
{
    sheaf_memory(emptied())[0] = NULL;
}

/* ---- CPU slabs ---- */

/* A cache whose CPU has a slab of its own, and others on its partial list. */
static struct kmem_cache_cpu *cpu_slabs(void)
{
    enum { OBJECTS = 200 };
    struct kmem_cache *s = kmem_cache_create("damaged", 1024, 0, SLAB_NO_MERGE, NULL);
    void *all[OBJECTS];

    stay_on_this_cpu();
    for (int i = 0; i < OBJECTS; i++)
        all[i] = kmem_cache_alloc(s, GFP_KERNEL);
    kmem_cache_free(s, all[0]);
    kmem_cache_free(s, all[OBJECTS - 1]);
    for (struct cpu_block *b = percpu_blocks(); b; b = b->next)
        if (block_slow(b, s->index)->slab && block_slow(b, s->index)->partial)
            return block_slow(b, s->index);
    _exit(3);
}

static void cpu_slab_thawed(void)
{
    cpu_slabs()->slab->frozen = 0;
}

static void partial_slab_thawed(void)
{
    cpu_slabs()->partial->frozen = 0;
}

static void cpu_list_without_slab(void)
{
    cpu_slabs()->slab = NULL;
}

static void cpu_partial_miscounted(void)
{
    cpu_slabs()->partial->slabs++;
}

static void on_cpu_list_and_slab_list(void)
{
    struct kmem_cache_cpu *c = cpu_slabs();

    c->slab->freelist = c->freelist;
    for (void *at = c->freelist; at; at = get_link(c->slab->slab_cache, at))
        c->slab->inuse--;
}

/* ---- vmalloc, which is part of everything ---- */

static void vmalloc_miscounted(void)
{
    vfree(vmalloc(PAGE_SIZE));
    vmalloc_space.lazy_pages++;
}

/* ---- the tests ---- */

struct damage {
    void (*doing)(void);
    const char *seen;
};

static void (*damage)(void);

static void do_and_check(void)
{
    slub_start();
    if (kmem_check() != 0)
        _exit(4); /* before any damage */
    damage();
    _exit(kmem_check() == -1 ? 0 : 5);
}

static void expect_seen(const struct damage *d, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct ending e;

        damage = d[i].doing;
        e = ending_of(do_and_check);
        if (e.status != 0 || !strstr(e.said, d[i].seen))
            fail_msg("expected '%s', got status %#x and '%s'", d[i].seen, e.status, e.said);
    }
}

#define EXPECT_SEEN(table) expect_seen(table, sizeof(table) / sizeof(table)[0])

static void test_slabs(void **state)
{
    static const struct damage all[] = {
        {link_overwritten, "kmem_check: cache 'damaged': a free list leaves its slab: '0x"},
        {link_into_another_slab, "a free list leaves its slab"},
        {list_circular, "object free twice"},
        {list_cut, "slab whose counts do not agree with its free list"},
        {inuse_miscounted, "slab whose counts do not agree with its free list"},
        {objects_miscounted, "slab with a wrong number of objects"},
        {other_cache, "slab of another cache on a list"},
        {frozen, "full or frozen slab on the partial list"},
        {full_on_partial_list, "full or frozen slab on the partial list"},
        {free_on_full_list, "slab with free objects on the full list"},
        {partial_miscounted, "nr_partial does not count the partial list"},
        {slab_lost, "slabs that are on no list"},
        {frame_of_another_cache, "table of frames does not name the slab's cache"},
    };

    (void)state;
    EXPECT_SEEN(all);
}

static void test_freed_twice(void **state)
{
    static const struct damage all[] = {
        {kfree_with_another_between, "kmem_check: cache 'kmalloc-64': object free twice: '0x"},
        {free_with_another_between, "kmem_check: cache 'malloc-64': object free twice: '0x"},
    };

    (void)state;
    if (!kmem_config.sheaves)
        skip(); /* free itself sees it: see the next */
    EXPECT_SEEN(all);
}

/* On a CPU's list, to which none of these may come: three objects would be handed out for ever. */
static void free_never_handed_out(void)
{
    stay_on_this_cpu();
    p = slub_malloc(64);
    slub_free((char *)p + 64);
}

static void test_freed_twice_without_sheaves(void **state)
{
    static void (*const faults[])(void) = {kfree_with_another_between, free_with_another_between,
                                           free_never_handed_out};

    (void)state;
    if (kmem_config.sheaves)
        skip();
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct ending e = ending_of(faults[i]);

        assert_int_equal(signal_of(&e), SIGABRT);
        assert_non_null(strstr(e.said, "object was freed before: '0x"));
    }
}

static void test_sheaves(void **state)
{
    static const struct damage all[] = {
        {in_main_sheaf_and_barn, "object free twice"},
        {in_main_sheaf_and_spare, "object free twice"},
        {in_sheaf_and_on_slab_list, "object free twice"},
        {no_object_in_sheaf, "sheaf with something that is no object"},
        {sheaf_without_end, "sheaf without a NULL in front"},
        {sheaf_with_bad_words, "sheaf with something else in front of its objects"},
        {sheaf_overfull, "sheaf with more objects than room"},
        {full_sheaves_miscounted, "barn with wrong counts"},
        {empty_sheaf_with_objects, "empty sheaf with objects"},
        {empty_sheaf_without_end, "sheaf without a NULL in front"},
        {empty_sheaf_with_bad_words, "sheaf with something else in front of its objects"},
    };

    (void)state;
    if (!kmem_config.sheaves)
        skip();
    EXPECT_SEEN(all);
}

static void test_cpu_slabs(void **state)
{
    static const struct damage all[] = {
        {cpu_slab_thawed, "CPU slab that is not frozen"},
        {partial_slab_thawed, "CPU slab that is not frozen"},
        {cpu_list_without_slab, "CPU free list without a slab"},
        {cpu_partial_miscounted, "CPU partial list that miscounts its slabs"},
        {on_cpu_list_and_slab_list, "object free twice"},
    };

    (void)state;
    if (kmem_config.sheaves)
        skip();
    EXPECT_SEEN(all);
}

static void test_vmalloc(void **state)
{
    static const struct damage all[] = {
        {vmalloc_miscounted, "kmem_check: vmalloc: lazy pages are miscounted"},
    };

    (void)state;
    EXPECT_SEEN(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slabs),
        cmocka_unit_test(test_freed_twice),
        cmocka_unit_test(test_freed_twice_without_sheaves),
        cmocka_unit_test(test_sheaves),
        cmocka_unit_test(test_cpu_slabs),
        cmocka_unit_test(test_vmalloc),
    };

    config_read(); /* each child starts anew */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
