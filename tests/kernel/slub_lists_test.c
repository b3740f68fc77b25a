/* Where a cache's slabs come from, on which lists they are, and which of them it keeps. */
#include "support.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kmem.h"
#include "page/pool.h"
#include "slub/slab.h"

/* What the test was started with says of a knob, whatever became of it; -1: nothing. */
static long knob(const char *name)
{
    const char *knobs = getenv("HEAPMARK_SLUB");
    const char *at = knobs ? strstr(knobs, name) : NULL;

    return at ? strtol(at + strlen(name), NULL, 10) : -1;
}

/* They decide about every cache: which way objects go, and how much is kept where. */
static void test_knobs(void **state)
{
    struct kmem_cache *s = kmem_cache_create("by knobs", 1024, 0, SLAB_NO_MERGE, NULL);
    long cpu_partial = knob("cpu_partial="), min_partial = knob("min_partial=");

    (void)state;
    assert_int_equal(s->path, knob("sheaves=") == 0 ? PATH_CPU : PATH_SHEAF);
    assert_int_equal(s->min_partial, min_partial < 0 ? 5 : min_partial);
    if (cpu_partial < 0)
        cpu_partial = 24; /* for objects of this size; and slabs are taken to be half full */
    assert_int_equal(s->cpu_partial_slabs, (cpu_partial * 2 + s->objects - 1) / s->objects);
    kmem_cache_destroy(s);
}

/* Half of the size's logarithm, 5 to 10; the caches of sheaves, whose objects come and go by the thousand, keep 1. */
static void test_min_partial_by_size(void **state)
{
    static const unsigned sizes[] = {8, 4096, 65536, 1 << 22}, expected[] = {5, 6, 8, 10};
    unsigned of_sheaves = 0;

    (void)state;
    if (knob("min_partial=") >= 0 || kmem_config.debug)
        skip();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct kmem_cache *s = kmem_cache_create("by size", sizes[i], 0, SLAB_NO_MERGE, NULL);

        assert_int_equal(s->min_partial, expected[i]);
        kmem_cache_destroy(s);
    }
    for (struct kmem_cache *s = slab_caches; s; s = s->next)
        if (strncmp(s->name, "sheaf-", 6) == 0) {
            assert_int_equal(s->min_partial, 1);
            of_sheaves++;
        }
    assert_int_equal(of_sheaves, SHEAF_CLASSES);
}

/* How many objects a CPU keeps in partial slabs, by their size. */
static void test_cpu_partial_by_size(void **state)
{
    static const struct {
        unsigned size, objects;
    } expected[] = {{8, 120},   {128, 120}, {248, 120}, {256, 52}, {640, 52},
                    {1016, 52}, {1024, 24}, {4088, 24}, {4096, 6}, {32768, 6}};

    (void)state;
    if (knob("cpu_partial=") >= 0 || kmem_config.debug)
        skip();
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        struct kmem_cache *s =
            kmem_cache_create("by size", expected[i].size, 0, SLAB_NO_MERGE, NULL);

        assert_int_equal(s->size, expected[i].size);
        assert_int_equal(s->cpu_partial_slabs,
                         (expected[i].objects * 2 + s->objects - 1) / s->objects);
        kmem_cache_destroy(s);
    }
}

/* From the node asked for, whatever the CPU's own lists hold. */
static void test_alloc_node(void **state)
{
    struct kmem_cache *s = kmem_cache_create("on node", 300, 0, SLAB_NO_MERGE, NULL);
    void *p[200];

    (void)state;
    for (int node = 0; node < (int)node_count(); node++) {
        for (int i = 0; i < 200; i++) {
            p[i] = kmem_cache_alloc_node(s, i % 2 ? GFP_KERNEL : GFP_KERNEL | __GFP_THISNODE, node);
            assert_non_null(p[i]);
            if (i % 2 == 0) /* others may be served by a node that has more than it keeps */
                assert_int_equal(page_to_node(virt_to_page(p[i])), node);
        }
        for (int i = 0; i < 200; i++)
            kmem_cache_free(s, p[i]);
    }
    assert_null(kmem_cache_alloc_node(s, GFP_KERNEL, (int)node_count()));
    assert_null(kmem_cache_alloc_node(s, GFP_KERNEL, -7));
    kmem_cache_destroy(s);
}

/* So many calls were counted, all but a few of them as served by what the CPU has. */
static void assert_served_fast(struct kmem_cache *s, unsigned long calls)
{
    unsigned long fast = cache_stat(s, ALLOC_FASTPATH), slow = cache_stat(s, ALLOC_SLOWPATH);

    if (!kmem_config.stats)
        return;
    assert_int_equal(fast + slow, calls);
    assert_true(fast >= calls * 9 / 10);
    assert_int_equal(cache_stat(s, ALLOC_NODE_MISMATCH), 0);
}

/* The CPU's own node asked for by name: what was freed last comes first, as without a name. */
static void test_own_node_by_name(void **state)
{
    enum { CALLS = 3000 };
    struct kmem_cache *s = kmem_cache_create("own node", 300, 0, SLAB_NO_MERGE, NULL);
    void *first, *p;
    int here;

    (void)state;
    stay_on_this_cpu();
    here = percpu_node();
    first = kmem_cache_alloc_node(s, GFP_KERNEL, here);
    kmem_cache_free(s, first);
    for (int i = 1; i < CALLS; i++) {
        p = kmem_cache_alloc_node(s, i % 2 ? GFP_KERNEL : GFP_KERNEL | __GFP_THISNODE, here);
        assert_ptr_equal(p, first);
        kmem_cache_free(s, p);
    }
    assert_served_fast(s, CALLS);
    assert_int_equal(s->node[here]->nr_slabs, 1);
    kmem_cache_destroy(s);
    p = kmalloc_node(300, GFP_KERNEL, here);
    kfree(p);
    assert_ptr_equal(kmalloc_node(300, GFP_KERNEL, here), p);
    kfree(p);
}

/* Otherwise this thread stays on its CPU, and so on its node. */
static void skip_on_one_node(struct kmem_cache *s)
{
    if (node_count() < 2) {
        kmem_cache_destroy(s);
        skip();
    }
    stay_on_this_cpu();
}

static int node_of_cpu_slab(const struct kmem_cache *s)
{
    struct slab *slab =
        percpu_peek(PERCPU_SLOW_CELL(s->index) + offsetof(struct kmem_cache_cpu, slab));

    return slab ? slab_nid(slab) : -1;
}

/*
 * A CPU may have objects of another node, from slabs of which that one has more than it keeps. Who asks for this node
 * gets none of them, and none is lost; once they are gone, it is served by the CPU again.
 */
static void test_own_node_among_others(void **state)
{
    enum { OBJECTS = 400, CALLS = 2000 };
    struct kmem_cache *s = kmem_cache_create("among others", 500, 0, SLAB_NO_MERGE, NULL);
    void *p[OBJECTS], *strange, *q[CALLS];
    int here, there;

    (void)state;
    skip_on_one_node(s);
    here = percpu_node();
    there = !here;
    for (int i = 0; i < OBJECTS; i++) {
        assert_non_null(p[i] = kmem_cache_alloc_node(s, GFP_KERNEL, there));
        assert_int_equal(page_to_node(virt_to_page(p[i])), there);
    }
    if (kmem_config.stats)
        assert_int_equal(cache_stat(s, ALLOC_NODE_MISMATCH), OBJECTS);
    for (int i = 0; i < OBJECTS; i += 2)
        kmem_cache_free(s, p[i]);
    kmem_cache_shrink(s); /* all of them to that node's list */
    strange = kmem_cache_alloc(s, GFP_KERNEL);
    assert_int_equal(page_to_node(virt_to_page(strange)), there);
    for (int i = 0; i < CALLS; i++) {
        q[i] = kmem_cache_alloc_node(s, i % 2 ? GFP_KERNEL : GFP_KERNEL | __GFP_THISNODE, here);
        assert_non_null(q[i]);
        assert_int_equal(page_to_node(virt_to_page(q[i])), here);
    }
    assert_int_equal(kmem_check(), 0);
    if (s->path == PATH_CPU)
        assert_int_equal(node_of_cpu_slab(s), here);
    if (kmem_config.stats) {
        unsigned long fast = cache_stat(s, ALLOC_FASTPATH), slow = cache_stat(s, ALLOC_SLOWPATH);

        assert_int_equal(fast + slow, OBJECTS + 1 + CALLS);
        assert_true(fast > CALLS / 2);
    }
    kmem_cache_free(s, strange);
    for (int i = 1; i < OBJECTS; i += 2)
        kmem_cache_free(s, p[i]);
    for (int i = 0; i < CALLS; i++)
        kmem_cache_free(s, q[i]);
    assert_int_equal(kmem_cache_shrink(s), 0);
    kmem_cache_destroy(s);
}

/* What a cache's flags say of its pages holds whatever its objects are asked for with. */
static void test_page_flags(void **state)
{
    struct kmem_cache *dma = kmem_cache_create("dma", 100, 0, SLAB_NO_MERGE | SLAB_CACHE_DMA, NULL);
    struct kmem_cache *reclaim =
        kmem_cache_create("reclaim", 100, 0, SLAB_NO_MERGE | SLAB_RECLAIM_ACCOUNT, NULL);
    void *p = kmem_cache_alloc(dma, GFP_KERNEL), *q = kmem_cache_alloc(reclaim, GFP_KERNEL);

    (void)state;
    assert_int_equal(frame_zone(virt_to_frame(p))->kind, ZONE_DMA);
    assert_int_equal(frame_zone(virt_to_frame(q))->kind, ZONE_NORMAL);
    assert_int_equal(pageblock_mobility(virt_to_frame(q)), RECLAIMABLE);
    kmem_cache_free(dma, p);
    kmem_cache_free(reclaim, q);
    kmem_cache_destroy(dma);
    kmem_cache_destroy(reclaim);
}

/* An object of a new slab of `s`, asked for with `gfp`: where does it lie? */
static struct zone *zone_of_new(struct kmem_cache *s, gfp_t gfp, enum mobility *mobility)
{
    void *p;
    size_t frame;

    kmem_cache_shrink(s);
    p = kmem_cache_alloc(s, gfp);
    assert_non_null(p);
    frame = virt_to_frame(p);
    *mobility = pageblock_mobility(frame);
    kmem_cache_free(s, p);
    return frame_zone(frame);
}

/* A slab is for everybody, so that the flags of who happens to need a new one say nothing of where it lies. */
static void test_page_flags_of_callers(void **state)
{
    static const gfp_t odd[] = {GFP_DMA, __GFP_HIGHMEM, __GFP_RECLAIMABLE,
                                GFP_DMA | __GFP_HIGHMEM | __GFP_RECLAIMABLE};
    static const slab_flags_t flags[] = {0, SLAB_CACHE_DMA, SLAB_RECLAIM_ACCOUNT, SLAB_NO_SHEAVES};
    enum mobility mobility;

    (void)state;
    for (int f = 0; f < 4; f++) {
        struct kmem_cache *s = kmem_cache_create("odd", 1000, 0, SLAB_NO_MERGE | flags[f], NULL);

        for (int i = 0; i < 4; i++) {
            struct zone *z = zone_of_new(s, GFP_KERNEL | odd[i], &mobility);

            assert_int_equal(z->kind, flags[f] == SLAB_CACHE_DMA ? ZONE_DMA : ZONE_NORMAL);
            if (flags[f] != SLAB_CACHE_DMA) /* where all is one block */
                assert_int_equal(mobility == RECLAIMABLE, flags[f] == SLAB_RECLAIM_ACCOUNT);
        }
        kmem_cache_destroy(s);
    }
}

/* A node keeps as many empty slabs as min_partial says, and gives up those that come free beyond. */
static void test_min_partial(void **state)
{
    struct kmem_cache *s = kmem_cache_create("kept", 500, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);
    struct kmem_cache_node *n = s->node[0];
    void *p[400];

    (void)state;
    for (int i = 0; i < 400; i++)
        p[i] = kmem_cache_alloc_node(s, GFP_KERNEL | __GFP_THISNODE, 0);
    assert_true(n->nr_slabs > s->min_partial + 2);
    for (int i = 0; i < 400; i++)
        kmem_cache_free(s, p[i]);
    assert_int_equal(n->nr_slabs, s->min_partial);
    assert_int_equal(n->nr_partial, s->min_partial);
    kmem_cache_destroy(s);
}

/* Another node's slabs are taken from only when it has more than it keeps for itself. */
static void test_rob(void **state)
{
    struct kmem_cache *s =
        kmem_cache_create("robbed", 500, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);
    void *p[400], *mine;
    int here, there;

    (void)state;
    skip_on_one_node(s);
    here = percpu_node();
    there = !here;
    for (int i = 0; i < 400; i++)
        p[i] = kmem_cache_alloc_node(s, GFP_KERNEL | __GFP_THISNODE, there);
    kmem_cache_free(s, p[0]); /* one partial slab */
    mine = kmem_cache_alloc(s, GFP_KERNEL);
    assert_int_equal(page_to_node(virt_to_page(mine)), here);
    kmem_cache_free(s, mine);
    kmem_cache_shrink(s);
    for (int i = 1; i < 400; i += 2) /* all are partial now */
        kmem_cache_free(s, p[i]);
    assert_true(s->node[there]->nr_partial > s->min_partial);
    mine = kmem_cache_alloc(s, GFP_KERNEL);
    assert_int_equal(page_to_node(virt_to_page(mine)), there);
    kmem_cache_free(s, mine);
    mine = kmem_cache_alloc(s, GFP_KERNEL | __GFP_THISNODE);
    assert_int_equal(page_to_node(virt_to_page(mine)), here);
    kmem_cache_free(s, mine);
    /* A node that was asked for is not passed over for that. */
    kmem_cache_shrink(s);
    mine = kmem_cache_alloc_node(s, GFP_KERNEL, here);
    assert_int_equal(page_to_node(virt_to_page(mine)), here);
    kmem_cache_free(s, mine);
    for (int i = 2; i < 400; i += 2)
        kmem_cache_free(s, p[i]);
    kmem_cache_destroy(s);
}

/* A node that was asked for and is used up: what others have in partial slabs comes before new ones of theirs. */
static void test_node_is_used_up(void **state)
{
    struct kmem_cache *s = kmem_cache_create("of a full node", 500, 0, SLAB_NO_MERGE, NULL);
    struct page *first = NULL, *page;
    unsigned long slabs, asked = 0;
    void *p[400], *q[40];

    (void)state;
    if (node_count() < 2) {
        kmem_cache_destroy(s);
        skip();
    }
    for (int i = 0; i < 400; i++)
        p[i] = kmem_cache_alloc_node(s, GFP_KERNEL | __GFP_THISNODE, 1);
    for (int i = 0; i < 400; i += 2)
        kmem_cache_free(s, p[i]);
    kmem_cache_shrink(s);
    slabs = s->node[1]->nr_slabs;
    for (unsigned order = MAX_PAGE_ORDER + 1; order-- > 0;)
        while ((page = alloc_pages_node(0, GFP_KERNEL | __GFP_THISNODE | __GFP_NORETRY, order))) {
            *(struct page **)page_address(page) = first;
            ((unsigned *)page_address(page))[2] = order;
            first = page;
        }
    for (int i = 0; i < 40; i++) {
        q[i] = kmem_cache_alloc_node(s, GFP_KERNEL, 0);
        asked += page_to_node(virt_to_page(q[i])) == 1;
    }
    assert_int_equal(asked, 40);
    assert_int_equal(s->node[1]->nr_slabs, slabs);
    for (; first; first = page) {
        page = *(struct page **)page_address(first);
        __free_pages(first, ((unsigned *)page_address(first))[2]);
    }
    for (int i = 0; i < 40; i++)
        kmem_cache_free(s, q[i]);
    for (int i = 1; i < 400; i += 2)
        kmem_cache_free(s, p[i]);
    kmem_cache_destroy(s);
    assert_int_equal(kmem_check(), 0);
}

/* Nor does a CPU's slab come from there if this node was asked for. */
static void test_cpu_slab_from_other_node(void **state)
{
    struct kmem_cache *s = kmem_cache_create("slab of node", 500, 0, SLAB_NO_MERGE, NULL);
    int here, there;
    void *p[400], *mine;

    (void)state;
    if (node_count() < 2 || s->path != PATH_CPU) {
        kmem_cache_destroy(s);
        skip();
    }
    stay_on_this_cpu();
    here = percpu_node();
    there = !here;
    for (int i = 0; i < 400; i++)
        p[i] = kmem_cache_alloc_node(s, GFP_KERNEL | __GFP_THISNODE, there);
    for (int i = 0; i < 400; i += 2)
        kmem_cache_free(s, p[i]);
    kmem_cache_shrink(s); /* all of them to that node's list */
    assert_true(s->node[there]->nr_partial > s->min_partial);
    mine = kmem_cache_alloc(s, GFP_KERNEL | __GFP_THISNODE);
    assert_int_equal(page_to_node(virt_to_page(mine)), here);
    kmem_cache_free(s, mine);
    kmem_cache_shrink(s);
    mine = kmem_cache_alloc(s, GFP_KERNEL);
    assert_int_equal(page_to_node(virt_to_page(mine)), there);
    kmem_cache_free(s, mine);
    for (int i = 1; i < 400; i += 2)
        kmem_cache_free(s, p[i]);
    kmem_cache_destroy(s);
}

/*
 * A CPU without slabs takes several from the node's partial list: the one it works on, and others until its
 * own partial list is half full.
 */
static void test_cpu_partial_from_node(void **state)
{
    enum { SLABS = 12 };
    struct kmem_cache *s = kmem_cache_create("from node", 1024, 0, SLAB_NO_MERGE, NULL);
    struct kmem_cache_node *n = s->node[percpu_node()];
    unsigned long partial, counted;
    void *p[SLABS * 32];
    unsigned all = SLABS * s->objects;

    (void)state;
    if (s->path != PATH_CPU) {
        kmem_cache_destroy(s);
        skip();
    }
    stay_on_this_cpu();
    assert_true(s->objects <= 32);
    for (unsigned i = 0; i < all; i++)
        p[i] = kmem_cache_alloc(s, GFP_KERNEL);
    for (unsigned i = 0; i < all; i += 2) /* every slab is half free */
        kmem_cache_free(s, p[i]);
    kmem_cache_shrink(s); /* all of them on the node's list */
    partial = n->nr_partial;
    counted = cache_stat(s, CPU_PARTIAL_NODE);
    assert_true(partial >= SLABS);
    p[0] = kmem_cache_alloc(s, GFP_KERNEL);
    assert_int_equal(partial - n->nr_partial, 1 + s->cpu_partial_slabs / 2 + 1);
    if (kmem_config.stats)
        assert_int_equal(cache_stat(s, CPU_PARTIAL_NODE) - counted, s->cpu_partial_slabs / 2 + 1);
    assert_int_equal(kmem_check(), 0);
    for (unsigned i = 2; i < all; i += 2)
        p[i] = kmem_cache_alloc(s, GFP_KERNEL);
    assert_int_equal(n->nr_slabs, SLABS); /* no new one was needed */
    assert_int_equal(kmem_check(), 0);
    for (unsigned i = 0; i < all; i++)
        kmem_cache_free(s, p[i]);
    kmem_cache_destroy(s);
}

static void *take_one(void *cache)
{
    return kmem_cache_alloc(cache, GFP_KERNEL);
}

/*
 * Small objects that were never handed out lie in a slab for each CPU, for which threads' slots stand here; once
 * one came back, the slab is for everybody.
 */
static void test_fresh_slabs_have_owners(void **state)
{
    struct kmem_cache *s = kmem_cache_create("owned", 64, 0, SLAB_NO_MERGE, NULL);
    void *mine = kmem_cache_alloc(s, GFP_KERNEL), *its;
    pthread_t thread;

    (void)state;
    if (percpu_mode != PERCPU_THREAD) {
        kmem_cache_free(s, mine);
        kmem_cache_destroy(s);
        skip();
    }
    assert_int_equal(pthread_create(&thread, NULL, take_one, s), 0);
    pthread_join(thread, &its);
    assert_non_null(its);
    assert_ptr_not_equal(slab_of(mine), slab_of(its));
    kmem_cache_free(s, mine);
    kmem_cache_free(s, its);
    kmem_cache_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_knobs),
        cmocka_unit_test(test_min_partial_by_size),
        cmocka_unit_test(test_cpu_partial_by_size),
        cmocka_unit_test(test_alloc_node),
        cmocka_unit_test(test_own_node_by_name),
        cmocka_unit_test(test_own_node_among_others),
        cmocka_unit_test(test_page_flags),
        cmocka_unit_test(test_page_flags_of_callers),
        cmocka_unit_test(test_min_partial),
        cmocka_unit_test(test_rob),
        cmocka_unit_test(test_node_is_used_up),
        cmocka_unit_test(test_cpu_slab_from_other_node),
        cmocka_unit_test(test_cpu_partial_from_node),
        cmocka_unit_test(test_fresh_slabs_have_owners),
    };

    slub_start(); /* which reads the knobs */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
