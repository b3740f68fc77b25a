/*
 * Caches of random shape, random operations on them, every object's bytes compared, everything
 * checked on the way.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmem.h"
#include "page/pool.h"
#include "slub/slub.h"

enum { CACHES = 6, SLOTS = 600, CTOR_BYTE = 0x5a };

struct object {
    unsigned char *at;
    unsigned char seed;
};

struct model {
    struct kmem_cache *cache;
    unsigned size;
    unsigned align;
    bool ctor;
    size_t live;
    struct object object[SLOTS];
};

static struct model models[CACHES];
static uint64_t state_of_dice = 4101842887655102017u;

static uint64_t dice(void)
{
    return next_random(&state_of_dice);
}

/* A constructor is not told which cache calls it: one for each. */
#define CONSTRUCTOR(i)                             \
    static void construct##i(void *object)         \
    {                                              \
        memset(object, CTOR_BYTE, models[i].size); \
    }
CONSTRUCTOR(0)
CONSTRUCTOR(1)
CONSTRUCTOR(2)
CONSTRUCTOR(3)
CONSTRUCTOR(4)
CONSTRUCTOR(5)

static void (*const constructors[CACHES])(void *) = {construct0, construct1, construct2,
                                                     construct3, construct4, construct5};

static void create(struct model *m)
{
    static const slab_flags_t flags[] = {0, SLAB_HWCACHE_ALIGN, SLAB_RECLAIM_ACCOUNT, SLAB_NO_MERGE,
                                         SLAB_NO_SHEAVES};

    memset(m, 0, sizeof *m);
    m->size = 1 + (unsigned)(dice() % (dice() % 4 ? 300 : 9000));
    m->align = dice() % 3 ? 0 : 8u << dice() % 6;
    m->ctor = dice() % 3 == 0;
    m->cache = kmem_cache_create("model", m->size, m->align, flags[dice() % 5],
                                 m->ctor ? constructors[m - models] : NULL);
    assert_non_null(m->cache);
    assert_true(kmem_cache_size(m->cache) >= m->size);
}

static void verify_byte(const struct model *m, const unsigned char *at, int expected)
{
    for (unsigned i = 0; i < m->size; i++)
        if (at[i] != (unsigned char)expected) {
            fprintf(stderr, "object %p of %u bytes: byte %u is %u, not %d\n", (void *)at, m->size,
                    i, at[i], expected);
            abort();
        }
}

/* A constructed object comes as it was constructed or given back. */
static void take_in(struct model *m, unsigned char *at, bool zeroed)
{
    struct object *o = m->object;

    while (o->at)
        o++;
    assert_int_equal((uintptr_t)at % (m->align ? m->align : 8), 0);
    if (zeroed)
        verify_byte(m, at, 0);
    else if (m->ctor)
        verify_byte(m, at, CTOR_BYTE);
    *o = (struct object){at, (unsigned char)dice()};
    memset(at, o->seed, m->size);
    m->live++;
}

static unsigned char *let_go(struct model *m)
{
    struct object *o;
    unsigned char *at;

    do
        o = &m->object[dice() % SLOTS];
    while (!o->at);
    at = o->at;
    verify_byte(m, at, o->seed);
    if (m->ctor)
        memset(at, CTOR_BYTE, m->size);
    o->at = NULL;
    m->live--;
    return at;
}

static void alloc_one(struct model *m)
{
    bool zero = !m->ctor && dice() % 3 == 0;
    int node = (int)(dice() % node_count());

    if (zero)
        take_in(m, kmem_cache_zalloc(m->cache, GFP_KERNEL), true);
    else if (dice() % 4 == 0)
        take_in(m, kmem_cache_alloc_node(m->cache, GFP_KERNEL, node), false);
    else
        take_in(m, kmem_cache_alloc(m->cache, GFP_KERNEL), false);
}

static void bulk(struct model *m)
{
    size_t n = 1 + dice() % 100;
    void *p[100];

    if (m->live + n <= SLOTS) {
        assert_int_equal(kmem_cache_alloc_bulk(m->cache, GFP_KERNEL, n, p), n);
        for (size_t i = 0; i < n; i++)
            take_in(m, p[i], false);
    } else {
        for (size_t i = 0; i < n; i++)
            p[i] = let_go(m);
        kmem_cache_free_bulk(dice() % 2 ? m->cache : NULL, n, p);
    }
}

static void recreate(struct model *m)
{
    while (m->live)
        kmem_cache_free(m->cache, let_go(m));
    kmem_cache_destroy(m->cache);
    create(m);
}

static void step(void)
{
    struct model *m = &models[dice() % CACHES];
    unsigned kind = dice() % 64;

    if (kind == 0)
        kmem_cache_shrink(m->cache);
    else if (kind == 1 && dice() % 8 == 0)
        recreate(m);
    else if (kind < 6)
        bulk(m);
    else if (m->live == SLOTS || (m->live && kind % 2))
        kmem_cache_free(m->cache, let_go(m));
    else
        alloc_one(m);
}

static void test_random_operations(void **state)
{
    (void)state;
    for (int i = 0; i < CACHES; i++)
        create(&models[i]);
    for (int i = 0; i < 40000; i++) {
        step();
        if (i % 500 == 0)
            assert_int_equal(kmem_check(), 0);
    }
    for (int i = 0; i < CACHES; i++) {
        while (models[i].live)
            kmem_cache_free(models[i].cache, let_go(&models[i]));
        kmem_cache_destroy(models[i].cache);
    }
    assert_int_equal(kmem_check(), 0);
}

/* A cache that is gone has given back every page. */
static void test_destroy_gives_everything_back(void **state)
{
    struct page_stats before, after;
    void *p[3000];
    struct kmem_cache *s;

    (void)state;
    for (int round = 0; round < 2; round++) { /* the first leaves the sheaves' slabs behind */
        slub_shrink_all();
        kmem_pages_stats(&before);
        s = kmem_cache_create("gone", 1000, 0, SLAB_NO_MERGE, NULL);
        for (int i = 0; i < 3000; i++)
            p[i] = kmem_cache_alloc(s, GFP_KERNEL);
        for (int i = 0; i < 3000; i++)
            kmem_cache_free(s, p[i * 7 % 3000]);
        kmem_cache_destroy(s);
        slub_shrink_all();
        kmem_pages_stats(&after);
    }
    assert_int_equal(after.used_bytes - after.cached_bytes,
                     before.used_bytes - before.cached_bytes);
}

static void test_merging(void **state)
{
    struct kmem_cache *a = kmem_cache_create("first", 120, 0, 0, NULL);
    struct kmem_cache *b = kmem_cache_create("second", 118, 0, 0, NULL);
    struct kmem_cache *c = kmem_cache_create("ctor", 120, 0, 0, construct0);
    struct kmem_cache *d = kmem_cache_create("own", 120, 0, SLAB_NO_MERGE, NULL);
    struct kmem_cache *e = kmem_cache_create_usercopy("user", 120, 0, 0, 8, 16, NULL);

    (void)state;
    if (kmem_config.debug)
        assert_ptr_not_equal(a, b); /* who is wrong shall be named */
    else
        assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    assert_ptr_not_equal(a, d);
    assert_ptr_not_equal(a, e);
    kmem_cache_destroy(b);
    kmem_cache_free(a, kmem_cache_alloc(a, GFP_KERNEL)); /* still there */
    kmem_cache_destroy(a);
    kmem_cache_destroy(c);
    kmem_cache_destroy(d);
    kmem_cache_destroy(e);
    assert_null(kmem_cache_create("bad", 0, 0, 0, NULL));
    assert_null(kmem_cache_create("bad", 64, 3, 0, NULL));
    assert_null(kmem_cache_create("bad", KMALLOC_MAX_SIZE + 1, 0, 0, NULL));
    assert_null(kmem_cache_create_usercopy("bad", 64, 0, 0, 60, 8, NULL));
}

/* Shared are slabs whose objects are large enough, aligned enough, not much too large, and alike in kind. */
static void test_what_merges(void **state)
{
    static const struct {
        unsigned size, align;
        slab_flags_t flags;
        bool merges;
    } others[] = {
        {240, 0, 0, true},
        {233, 0, 0, true},
        {232, 0, 0, false}, /* a word would be wasted in each */
        {241, 0, 0, false},
        {236, 8, 0, true},
        {236, 16, 0, true}, /* where objects of 240 bytes lie anyway */
        {236, 32, 0, false},
        {240, 0, SLAB_RECLAIM_ACCOUNT, false},
        {240, 0, SLAB_CACHE_DMA, false},
        {240, 0, SLAB_NO_SHEAVES, false},
        {240, 0, SLAB_NO_MERGE, false},
        {240, 0, SLAB_ACCOUNT, true},
    };
    struct kmem_cache *first = kmem_cache_create("first", 240, 0, 0, NULL);

    (void)state;
    if (kmem_config.debug)
        skip(); /* nothing merges */
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct kmem_cache *s =
            kmem_cache_create("other", others[i].size, others[i].align, others[i].flags, NULL);

        if ((s == first) != others[i].merges)
            fail_msg("case %zu", i);
        kmem_cache_destroy(s);
    }
    kmem_cache_destroy(first);
}

/* A cache that a larger one merged with clears all of the larger one's object. */
static void test_merged_zeroes_all(void **state)
{
    struct kmem_cache *small = kmem_cache_create("small", 1001, 0, 0, NULL);
    struct kmem_cache *large = kmem_cache_create("large", 1008, 0, 0, NULL);
    unsigned char *p;

    (void)state;
    for (int i = 0; i < 100; i++) {
        p = kmem_cache_zalloc(large, GFP_KERNEL);
        for (int b = 0; b < 1008; b++)
            assert_int_equal(p[b], 0);
        memset(p, 0xff, 1008);
        kmem_cache_free(large, p);
    }
    kmem_cache_destroy(large);
    kmem_cache_destroy(small);
}

/*
 * Order and objects of a slab are the kernel's. What it chose for each object size up to 8 KiB is taken
 * from /proc/slabinfo of Linux 6.18 on a machine of two CPUs.
 */
static void test_geometry(void **state)
{
    static const struct {
        unsigned size, objects, pages;
    } slabinfo[] = {
        {8, 512, 1},   {16, 256, 1},  {24, 170, 1},  {32, 128, 1},  {40, 102, 1},  {48, 85, 1},
        {56, 73, 1},   {64, 64, 1},   {72, 56, 1},   {80, 51, 1},   {88, 46, 1},   {96, 42, 1},
        {104, 39, 1},  {112, 36, 1},  {120, 34, 1},  {128, 32, 1},  {136, 30, 1},  {160, 25, 1},
        {168, 24, 1},  {176, 23, 1},  {184, 22, 1},  {192, 21, 1},  {200, 20, 1},  {208, 19, 1},
        {216, 18, 1},  {232, 17, 1},  {240, 17, 1},  {248, 16, 1},  {256, 16, 1},  {272, 15, 1},
        {280, 14, 1},  {288, 14, 1},  {312, 13, 1},  {320, 12, 1},  {344, 23, 2},  {376, 21, 2},
        {384, 21, 2},  {392, 20, 2},  {416, 19, 2},  {432, 18, 2},  {440, 18, 2},  {448, 18, 2},
        {456, 17, 2},  {480, 17, 2},  {488, 16, 2},  {512, 16, 2},  {560, 14, 2},  {576, 14, 2},
        {584, 14, 2},  {624, 13, 2},  {632, 25, 4},  {640, 12, 2},  {656, 12, 2},  {672, 12, 2},
        {688, 23, 4},  {696, 23, 4},  {704, 23, 4},  {752, 21, 4},  {768, 21, 4},  {832, 19, 4},
        {896, 18, 4},  {960, 17, 4},  {984, 16, 4},  {1016, 16, 4}, {1024, 16, 4}, {1128, 14, 4},
        {1144, 14, 4}, {1152, 14, 4}, {1232, 13, 4}, {1280, 12, 4}, {1344, 12, 4}, {1352, 12, 4},
        {1472, 22, 8}, {1536, 21, 8}, {1600, 20, 8}, {1984, 16, 8}, {2048, 16, 8}, {2112, 15, 8},
        {2168, 15, 8}, {2240, 14, 8}, {2368, 13, 8}, {2496, 13, 8}, {2672, 12, 8}, {4096, 8, 8},
        {4232, 7, 8},  {4288, 7, 8},  {5952, 5, 8},  {8192, 4, 8},
    };

    (void)state;
    for (size_t i = 0; i < sizeof slabinfo / sizeof slabinfo[0]; i++) {
        int order = slab_calculate_order(slabinfo[i].size, 2);

        if (order < 0 || 1u << order != slabinfo[i].pages)
            fail_msg("order %d for objects of %u bytes", order, slabinfo[i].size);
        assert_int_equal((PAGE_SIZE << order) / slabinfo[i].size, slabinfo[i].objects);
    }
    /* More CPUs, more objects to a slab: 24 on 16 CPUs. */
    assert_int_equal(slab_calculate_order(256, 2), 0);
    assert_int_equal(slab_calculate_order(256, 16), 1);
    assert_int_equal(slab_calculate_order(KMALLOC_MAX_SIZE + 1, 2), -1);
}

/* What a cache makes of size, alignment and flags before that. */
static void test_object_sizes(void **state)
{
    static const struct {
        unsigned size, align, whole;
        slab_flags_t flags;
    } expected[] = {
        {64, 0, 64, 0},
        {61, 0, 64, 0},
        {192, 0, 192, 0},
        {100, 32, 128, 0},
        {200, 0, 256, SLAB_HWCACHE_ALIGN},
        {20, 0, 32, SLAB_HWCACHE_ALIGN},
        {32, 0, 32, SLAB_HWCACHE_ALIGN},
        {33, 0, 64, SLAB_HWCACHE_ALIGN},
    };

    (void)state;
    if (kmem_config.debug)
        skip(); /* objects are larger */
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        struct kmem_cache *s = kmem_cache_create("geometry", expected[i].size, expected[i].align,
                                                 expected[i].flags | SLAB_NO_MERGE, NULL);

        assert_int_equal(s->size, expected[i].whole);
        assert_int_equal(s->objects, (PAGE_SIZE << s->order) / s->size);
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

    (void)state;
    if (node_count() < 2) {
        kmem_cache_destroy(s);
        skip();
    }
    for (int i = 0; i < 400; i++)
        p[i] = kmem_cache_alloc_node(s, GFP_KERNEL | __GFP_THISNODE, 1);
    kmem_cache_free(s, p[0]); /* one partial slab */
    mine = kmem_cache_alloc_node(s, GFP_KERNEL, 0);
    assert_int_equal(page_to_node(virt_to_page(mine)), 0);
    kmem_cache_free(s, mine);
    kmem_cache_shrink(s);
    for (int i = 1; i < 400; i += 2) /* all are partial now */
        kmem_cache_free(s, p[i]);
    assert_true(s->node[1]->nr_partial > s->min_partial);
    mine = kmem_cache_alloc_node(s, GFP_KERNEL, 0);
    assert_int_equal(page_to_node(virt_to_page(mine)), 1);
    kmem_cache_free(s, mine);
    for (int i = 2; i < 400; i += 2)
        kmem_cache_free(s, p[i]);
    kmem_cache_destroy(s);
}

static void test_slabinfo(void **state)
{
    struct kmem_cache *s = kmem_cache_create("info_cache", 256, 0, SLAB_NO_MERGE, NULL);
    FILE *file = tmpfile();
    char line[256], name[64];
    unsigned long active = 0, all = 0, size = 0, per_slab = 0, pages = 0, slabs = 0;
    void *p[40];
    bool found = false;

    (void)state;
    for (int i = 0; i < 40; i++)
        p[i] = kmem_cache_alloc(s, GFP_KERNEL);
    kmem_slabinfo(fileno(file));
    rewind(file);
    assert_non_null(fgets(line, sizeof line, file));
    assert_string_equal(line, "slabinfo - version: 2.1\n");
    while (!found && fgets(line, sizeof line, file))
        found = sscanf(line, "%63s %lu %lu %lu %lu %lu : tunables 0 0 0 : slabdata %lu", name,
                       &active, &all, &size, &per_slab, &pages, &slabs) == 7 &&
                strcmp(name, "info_cache") == 0;
    assert_true(found);
    assert_in_range(active, 40, all);
    assert_int_equal(size, s->size);
    assert_true(size == 256 || kmem_config.debug);
    /* A colour, which only slabs under sheaves have, may cost one. */
    assert_in_range(all, slabs * (s->path == PATH_SHEAF ? per_slab - 1 : per_slab),
                    slabs * per_slab);
    for (int i = 0; i < 40; i++)
        kmem_cache_free(s, p[i]);
    kmem_cache_destroy(s);
    fclose(file);
}

/* With the knob stats=1 every call is counted once; without it nothing is. */
static void test_stats(void **state)
{
    struct kmem_cache *s = kmem_cache_create("counted", 64, 0, SLAB_NO_MERGE, NULL);
    unsigned long allocs, frees;
    void *p[500];

    (void)state;
    for (int i = 0; i < 500; i++)
        p[i] = kmem_cache_alloc(s, GFP_KERNEL);
    for (int i = 0; i < 500; i++)
        kmem_cache_free(s, p[i]);
    allocs = cache_stat(s, ALLOC_FASTPATH) + cache_stat(s, ALLOC_SLOWPATH);
    frees = cache_stat(s, FREE_FASTPATH) + cache_stat(s, FREE_SLOWPATH);
    assert_int_equal(allocs, kmem_config.stats ? 500 : 0);
    assert_int_equal(frees, kmem_config.stats ? 500 : 0);
    if (kmem_config.stats)
        assert_true(cache_stat(s, ALLOC_SLAB) >= 500 / 64);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations),
        cmocka_unit_test(test_destroy_gives_everything_back),
        cmocka_unit_test(test_merging),
        cmocka_unit_test(test_what_merges),
        cmocka_unit_test(test_merged_zeroes_all),
        cmocka_unit_test(test_geometry),
        cmocka_unit_test(test_object_sizes),
        cmocka_unit_test(test_alloc_node),
        cmocka_unit_test(test_page_flags),
        cmocka_unit_test(test_min_partial),
        cmocka_unit_test(test_rob),
        cmocka_unit_test(test_slabinfo),
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_cpu_partial_from_node),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
