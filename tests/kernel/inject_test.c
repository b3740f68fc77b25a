/*
 * Memory that is refused to one context after another: to pages, and to objects where every call is
 * looked at (stats=1). Whatever was refused, the answer is NULL where the flags allow that, who was not
 * meant is served, contents stay, everything is whole, and in the end all of it is back.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "kmem.h"
#include "malloc/slub_malloc.h"
#include "model.h"
#include "page/inject.h"
#include "page/page.h"
#include "slub/slub.h"
#include "vmalloc/vmalloc.h"

#define WAITS (__GFP_DIRECT_RECLAIM | __GFP_HIGH)

/* Contexts: what they ask with, and how they are told apart. */
static const struct context {
    const char *name;
    gfp_t gfp, mask, match;
} contexts[] = {
    {"GFP_KERNEL", GFP_KERNEL | __GFP_NORETRY, __GFP_DIRECT_RECLAIM, __GFP_DIRECT_RECLAIM},
    {"GFP_ATOMIC", GFP_ATOMIC, WAITS, __GFP_HIGH},
    {"GFP_NOWAIT", GFP_NOWAIT, WAITS, 0},
    {"__GFP_RECLAIMABLE", GFP_KERNEL | __GFP_RECLAIMABLE, __GFP_RECLAIMABLE, __GFP_RECLAIMABLE},
    {"GFP_DMA", GFP_KERNEL | GFP_DMA, __GFP_DMA, __GFP_DMA},
    {"__GFP_ZERO", GFP_KERNEL | __GFP_ZERO, __GFP_ZERO, __GFP_ZERO},
    {"__GFP_NOFAIL", GFP_KERNEL | __GFP_NOFAIL, __GFP_NOFAIL, __GFP_NOFAIL},
};

enum { CONTEXTS = sizeof contexts / sizeof contexts[0], SLOTS = 400, CACHES = 4 };

static uint64_t dice = 4101842887655102017u;

static uint64_t roll(void)
{
    return next_random(&dice);
}

static struct fail_attr pages, objects;

/* Refuses `of_1024` of the context's pages, and of its objects where they can be. */
static void refuse(const struct context *c, unsigned of_1024)
{
    pages = objects = (struct fail_attr){.mask = c->mask,
                                         .match = c->match,
                                         .of_1024 = of_1024,
                                         .random = roll() | 1};
    objects.of_1024 = of_1024 / 8;
    kmem_inject(&pages, &objects);
}

static void refuse_nothing(void)
{
    kmem_inject(NULL, NULL);
}

struct slot {
    unsigned char *at;
    size_t size;
    unsigned char seed;
    struct kmem_cache *cache; /* NULL: kmalloc */
};

static struct slot slots[SLOTS];
static struct kmem_cache *caches[CACHES];

static void give(struct slot *s)
{
    for (size_t i = 0; i < s->size; i += 1 + s->size / 64)
        assert_int_equal(s->at[i], s->seed);
    if (s->cache)
        kmem_cache_free(s->cache, s->at);
    else
        kfree(s->at);
    s->at = NULL;
}

/*
 * A refusal must be one: the context is the one that is refused, or must not wait, and then may find
 * nothing that was touched before. __GFP_NOFAIL is never refused.
 */
static void judge(const struct context *asked, const struct kmem_cache *from,
                  const struct context *refused, const void *got)
{
    gfp_t gfp = asked->gfp | (from ? from->allocflags : 0);
    bool meant = (gfp & refused->mask) == refused->match;

    if (got || !(asked->gfp & __GFP_DIRECT_RECLAIM))
        return;
    if (!meant || asked->gfp & __GFP_NOFAIL)
        fail_msg("%s got nothing while %s was refused", asked->name, refused->name);
}

static void take(struct slot *s, const struct context *asked, const struct context *refused)
{
    unsigned kind = roll() % 8;

    s->cache = kind < 5 ? caches[roll() % CACHES] : NULL;
    s->size = s->cache ? kmem_cache_size(s->cache) : 1 + roll() % (roll() % 4 ? 3000 : 60000);
    if (!s->cache)
        s->at = kmalloc(s->size, asked->gfp);
    else if (kind == 0)
        s->at = kmem_cache_alloc_node(s->cache, asked->gfp, (int)(roll() % node_count()));
    else
        s->at = kmem_cache_alloc(s->cache, asked->gfp);
    judge(asked, s->cache, refused, s->at);
    if (!s->at)
        return;
    if (asked->gfp & __GFP_ZERO)
        for (size_t i = 0; i < s->size; i++)
            assert_int_equal(s->at[i], 0);
    s->seed = (unsigned char)roll();
    memset(s->at, s->seed, s->size);
}

/* All objects of a bulk call, or none. */
static void bulk(const struct context *asked, const struct context *refused)
{
    struct kmem_cache *s = caches[roll() % CACHES];
    int n = 1 + (int)(roll() % 90), got;
    void *p[90];

    got = kmem_cache_alloc_bulk(s, asked->gfp, (size_t)n, p);
    assert_true(got == 0 || got == n);
    judge(asked, s, refused, got ? p[0] : NULL);
    kmem_cache_free_bulk(s, (size_t)got, p);
}

static void keep_constructed(void *object)
{
    *(char *)object = 0;
}

static void make_caches(void)
{
    caches[0] = kmem_cache_create("plain", 40, 0, SLAB_NO_MERGE, NULL);
    caches[1] = kmem_cache_create("large", 3000, 0, SLAB_NO_MERGE, NULL);
    caches[2] = kmem_cache_create("no sheaves", 700, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);
    caches[3] = kmem_cache_create("reclaim", 200, 0, SLAB_NO_MERGE | SLAB_RECLAIM_ACCOUNT,
                                  keep_constructed);
    for (int i = 0; i < CACHES; i++)
        assert_non_null(caches[i]);
}

static size_t used(void)
{
    struct page_stats stats;

    vm_unmap_aliases();
    slub_shrink_all();
    kmem_pages_stats(&stats);
    return stats.used_bytes - stats.cached_bytes;
}

static void use_at_random(const struct context *refused)
{
    for (int i = 0; i < 4000; i++) {
        const struct context *asked = &contexts[roll() % CONTEXTS];
        struct slot *s = &slots[roll() % SLOTS];

        if (asked->gfp & __GFP_ZERO && s->cache == caches[3])
            s->cache = NULL;
        if (s->at)
            give(s);
        else
            take(s, asked, refused);
        if (i % 16 == 0)
            bulk(asked, refused);
        if (i % 64 == 0) /* or else next to no page would be asked for */
            kmem_cache_shrink(caches[roll() % CACHES]);
        if (i % 500 == 0)
            assert_int_equal(kmem_check(), 0);
    }
    for (int i = 0; i < SLOTS; i++)
        if (slots[i].at)
            give(&slots[i]);
}

/* kmalloc's caches stay once they are made: all of them, so that what is used can be compared. */
static void make_kmalloc_caches(void)
{
    static const gfp_t types[] = {GFP_KERNEL, GFP_KERNEL | __GFP_RECLAIMABLE, GFP_KERNEL | GFP_DMA};

    for (size_t size = 8; size <= KMALLOC_MAX_CACHE_SIZE; size = size * 5 / 4)
        for (int t = 0; t < 3; t++)
            kfree(kmalloc(size, types[t]));
}

static void test_slub_and_kmalloc(void **state)
{
    size_t before;

    (void)state;
    make_kmalloc_caches();
    make_caches();
    before = used();
    for (int c = 0; c < CONTEXTS; c++)
        for (unsigned of_1024 = 1024; of_1024 >= 256; of_1024 /= 4) {
            bool never = contexts[c].gfp & __GFP_NOFAIL;

            refuse(&contexts[c], of_1024);
            use_at_random(&contexts[c]);
            refuse_nothing();
            assert_true(never || pages.refused > 0);
            assert_true(never || !kmem_config.stats || objects.refused > 0);
            assert_int_equal(kmem_check(), 0);
            assert_int_equal(used(), before);
        }
    for (int i = 0; i < CACHES; i++)
        kmem_cache_destroy(caches[i]);
    assert_int_equal(kmem_check(), 0);
}

static void test_vmalloc(void **state)
{
    size_t before = used();
    char why[200];

    (void)state;
    refuse(&contexts[0], 20);
    for (int i = 0; i < 3000; i++) {
        struct slot *s = &slots[roll() % 40];

        if (s->at) {
            assert_int_equal(s->at[0], s->seed);
            assert_int_equal(s->at[s->size - 1], s->seed);
            vfree(s->at);
            s->at = NULL;
        } else {
            s->size = 1 + roll() % (roll() % 8 ? 200000 : 5000000);
            s->seed = (unsigned char)roll();
            s->at = roll() % 2 ? vmalloc(s->size) : vzalloc(s->size);
            if (s->at)
                s->at[0] = s->at[s->size - 1] = s->seed;
        }
        if (i % 40 == 0)
            vm_unmap_aliases();
        if (i % 100 == 0)
            assert_true(kmem_vmalloc_check(why, sizeof why) && kmem_pages_check(why, sizeof why));
    }
    assert_true(pages.refused > 50);
    refuse_nothing();
    for (int i = 0; i < 40; i++) {
        vfree(slots[i].at);
        slots[i].at = NULL;
    }
    assert_int_equal(used(), before);
    assert_int_equal(kmem_check(), 0);
}

/*
 * Each context refused to all pages: vmalloc() fails where its own is meant, but for __GFP_NOFAIL, and is served
 * otherwise. It must not be called where it cannot wait.
 */
static void test_vmalloc_contexts(void **state)
{
    const gfp_t own = GFP_KERNEL | __GFP_HIGHMEM;

    (void)state;
    for (int c = 0; c < CONTEXTS; c++) {
        bool meant = (own & contexts[c].mask) == contexts[c].match;
        size_t before = used(); /* unmaps what would serve without pages */
        void *area, *zeroed, *must;

        refuse(&contexts[c], 1024);
        area = __vmalloc(50 * PAGE_SIZE, GFP_KERNEL | __GFP_NORETRY);
        zeroed = vzalloc(60 * PAGE_SIZE);
        must = __vmalloc(70 * PAGE_SIZE, GFP_KERNEL | __GFP_NOFAIL);
        assert_null(__vmalloc(50 * PAGE_SIZE, GFP_ATOMIC));
        assert_null(__vmalloc(50 * PAGE_SIZE, GFP_NOWAIT));
        refuse_nothing();
        assert_int_equal(area == NULL, meant);
        assert_int_equal(zeroed == NULL, meant);
        assert_non_null(must);
        vfree(area);
        vfree(zeroed);
        vfree(must);
        assert_int_equal(used(), before);
    }
    assert_int_equal(kmem_check(), 0);
}

static void test_malloc_model(void **state)
{
    static struct block blocks[SLOTS];
    struct model m;

    (void)state;
    for (unsigned of_1024 = 1024; of_1024 >= 64; of_1024 /= 4) {
        model_start(&m, of_1024, blocks, SLOTS);
        m.may_refuse = true;
        refuse(&contexts[0], of_1024);
        /* Few refusals are made good (a small slab for a large one, no more than is needed), not all. */
        for (int i = 0; i < 3000 || (m.refused == 0 && i < 100000); i++) {
            model_step(&m);
            if (i % 500 == 0) {
                assert_int_equal(kmem_check(), 0);
                slub_malloc_trim(0);
            }
        }
        assert_true(pages.refused > 0 && m.refused > 0);
        refuse_nothing();
        model_end(&m);
        assert_int_equal(kmem_check(), 0);
    }
    slub_malloc_trim(0);
    assert_int_equal(slub_mallinfo2().hblks, 0);
}

/* A free without memory for an empty sheaf makes room in a full one: the next ones are fast again. */
static void test_frees_without_memory(void **state)
{
    enum { OBJECTS = 100000 };
    static void *p[OBJECTS];
    struct kmem_cache *s = kmem_cache_create("freed at random", 64, 0, SLAB_NO_MERGE, NULL);

    (void)state;
    for (int i = 0; i < OBJECTS; i++) {
        int at = (int)(roll() % (uint64_t)(i + 1)); /* in random order from the start */

        p[i] = p[at];
        p[at] = kmem_cache_alloc(s, GFP_KERNEL);
        assert_non_null(p[at]);
    }
    refuse(&contexts[2], 1024);
    for (int i = 0; i < OBJECTS; i++)
        kmem_cache_free(s, p[i]);
    if (kmem_config.stats) {
        assert_true(pages.refused > 0);
        assert_in_range(cache_stat(s, FREE_SLOWPATH), 1, OBJECTS / 10);
    }
    refuse_nothing();
    assert_int_equal(kmem_check(), 0);
    kmem_cache_destroy(s);
}

/* A bit of everything; what is refused is done without. True: nothing was. */
static bool bit_of_everything(void)
{
    struct kmem_cache *s = kmem_cache_create("bit", 500, 0, SLAB_NO_MERGE, NULL);
    void *p[60], *block = kmalloc(100000, GFP_KERNEL | __GFP_ZERO), *area = vmalloc(300000);
    char *grown = slub_realloc(slub_malloc(50000), 90000), *small = slub_calloc(10, 30);
    int n = s ? kmem_cache_alloc_bulk(s, GFP_KERNEL, 60, p) : 0;
    void *one = s ? kmem_cache_alloc(s, GFP_KERNEL) : NULL;
    bool all = s && block && area && grown && small && n == 60 && one;

    if (grown)
        grown[89999] = 1;
    kfree(block);
    vfree(area);
    slub_free(grown);
    slub_free(small);
    if (s) {
        kmem_cache_free_bulk(s, (size_t)n, p);
        kmem_cache_free(s, one);
    }
    kmem_cache_destroy(s);
    return all;
}

/* Every single allocation of the sequence in turn. */
static void test_each_in_turn(void **state)
{
    size_t before, refused = 0, served = 0, asked = 0;

    (void)state;
    bit_of_everything();
    before = used();
    for (size_t nth = 0; nth == 0 || nth <= asked; nth++) {
        pages = (struct fail_attr){.nth = nth, .random = 1};
        kmem_inject(&pages, NULL);
        served += bit_of_everything();
        refuse_nothing();
        if (nth == 0)
            asked = pages.asked;
        assert_int_equal(pages.refused, nth > 0 && nth <= pages.asked);
        refused += pages.refused;
        assert_int_equal(kmem_check(), 0);
        assert_int_equal(used(), before);
    }
    assert_true(asked > 10 && refused > 10);
    /* A refused large slab is a small one, a refused sheaf done without: not every refusal is seen. */
    assert_true(served > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slub_and_kmalloc),     cmocka_unit_test(test_vmalloc),
        cmocka_unit_test(test_vmalloc_contexts),     cmocka_unit_test(test_malloc_model),
        cmocka_unit_test(test_frees_without_memory), cmocka_unit_test(test_each_in_turn),
    };

    stay_on_this_cpu(); /* what a CPU takes when it is first used would be held against the calls */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
