/* What a cache says of itself: slabinfo, and the counters of the knob stats=1. */
#include "support.h"

#include <stdio.h>
#include <string.h>

#include "kmem.h"
#include "page/inject.h"
#include "slub/slub.h"

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

/* What slabinfo says of a cache; false: nothing. */
static bool info_of(const char *cache, unsigned long *active, unsigned long *all)
{
    FILE *file = tmpfile();
    char line[256], name[64];
    bool found = false;

    kmem_slabinfo(fileno(file));
    rewind(file);
    while (!found && fgets(line, sizeof line, file))
        found = sscanf(line, "%63s %lu %lu", name, active, all) == 3 && strcmp(name, cache) == 0;
    fclose(file);
    return found;
}

/* Without sheaves and CPU slabs, which hold objects that are in use for their slab, it is exact. */
static void test_slabinfo_is_exact(void **state)
{
    struct kmem_cache *s =
        kmem_cache_create("exact", 200, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);
    unsigned long active, all;
    void *p[100];

    (void)state;
    stay_on_this_cpu();
    for (int i = 0; i < 100; i++)
        p[i] = kmem_cache_alloc(s, GFP_KERNEL);
    assert_true(info_of("exact", &active, &all));
    assert_int_equal(active, 100);
    assert_int_equal(all, (99 / s->objects + 1) * s->objects);
    for (int i = 0; i < 37; i++)
        kmem_cache_free(s, p[2 * i]);
    assert_true(info_of("exact", &active, &all));
    assert_int_equal(active, 63);
    for (int i = 0; i < 100; i++)
        if (i >= 74 || i % 2)
            kmem_cache_free(s, p[i]);
    assert_true(info_of("exact", &active, &all));
    assert_int_equal(active, 0);
    kmem_cache_destroy(s);
}

/* ---- every event counted: one thread, with a slot of its own, and objects of which a slab has four ---- */

enum { EIGHT_KIB = 8192, PER_SLAB = 4, SHEAF = 10 };

static void assert_counts(struct kmem_cache *s, const unsigned long expected[NR_SLUB_STAT_ITEMS])
{
    for (unsigned i = 0; i < NR_SLUB_STAT_ITEMS; i++)
        if (cache_stat(s, i) != expected[i])
            fail_msg("%s: %lu, expected %lu", stat_name(i), cache_stat(s, i), expected[i]);
}

static void alloc_run(struct kmem_cache *s, void **p, unsigned from, unsigned to)
{
    for (; from < to; from++)
        assert_non_null(p[from] = kmem_cache_alloc(s, GFP_KERNEL));
}

static void free_run(struct kmem_cache *s, void **p, unsigned from, unsigned to)
{
    for (; from < to; from++)
        kmem_cache_free(s, p[from]);
}

/* With stats=1:percpu=thread:barn=64:min_partial=2, where a barn keeps one sheaf. Else the test is not for us. */
static bool counts_sheaves(struct kmem_cache *s)
{
    return s->stats && s->path == PATH_SHEAF && s->barn_max == 1 && !s->debug &&
           s->min_partial == 2 && kmem_config.percpu == PERCPU_THREAD;
}

static void test_each_event_with_sheaves(void **state)
{
    struct kmem_cache *s = kmem_cache_create("each", EIGHT_KIB, 0, SLAB_NO_MERGE, NULL);
    void *p[4 * SHEAF];

    (void)state;
    if (!counts_sheaves(s)) {
        kmem_cache_destroy(s);
        skip();
    }
    stay_on_this_cpu();
    /* Memory that was touched before: only other makes caches give idle sheaves back. */
    free_pages(__get_free_pages(GFP_KERNEL, MAX_PAGE_ORDER), MAX_PAGE_ORDER);
    assert_int_equal(s->objects, PER_SLAB);
    assert_int_equal(sheaf_class_capacity(s->sheaf_class_max), SHEAF);

    /* Each slab fills a sheaf with its four; two sheaves take turns. */
    alloc_run(s, p, 0, 4 * SHEAF);
    assert_counts(s, (unsigned long[NR_SLUB_STAT_ITEMS]){
                         [ALLOC_SLOWPATH] = 10,
                         [ALLOC_FASTPATH] = 30,
                         [ALLOC_SLAB] = 10,
                         [SHEAF_REFILL] = 40,
                         [SHEAF_ALLOC] = 2,
                         [BARN_GET_FAIL] = 10,
                     });
    /*
     * Main, spare, barn; then the second ten go to their slabs: two of the third, all of the fourth and the
     * fifth. Of three slabs on the list the last to become empty is given up.
     */
    free_run(s, p, 0, 4 * SHEAF);
    assert_counts(s, (unsigned long[NR_SLUB_STAT_ITEMS]){
                         [ALLOC_SLOWPATH] = 10,
                         [ALLOC_FASTPATH] = 30,
                         [ALLOC_SLAB] = 10,
                         [SHEAF_REFILL] = 40,
                         [SHEAF_ALLOC] = 4,
                         [BARN_GET_FAIL] = 10,
                         [FREE_FASTPATH] = 37,
                         [FREE_SLOWPATH] = 3,
                         [SHEAF_SWAP] = 1,
                         [BARN_PUT] = 1,
                         [BARN_PUT_FAIL] = 1,
                         [SHEAF_FLUSH] = 10,
                         [FREE_ADD_PARTIAL] = 3,
                         [FREE_REMOVE_PARTIAL] = 1,
                         [FREE_SLAB] = 1,
                     });
    /* Main, spare, barn, which has an empty sheaf already. */
    alloc_run(s, p, 0, 3 * SHEAF);
    assert_counts(s, (unsigned long[NR_SLUB_STAT_ITEMS]){
                         [ALLOC_SLOWPATH] = 12,
                         [ALLOC_FASTPATH] = 58,
                         [ALLOC_SLAB] = 10,
                         [SHEAF_REFILL] = 40,
                         [SHEAF_ALLOC] = 4,
                         [BARN_GET_FAIL] = 10,
                         [FREE_FASTPATH] = 37,
                         [FREE_SLOWPATH] = 3,
                         [SHEAF_SWAP] = 2,
                         [BARN_PUT] = 1,
                         [BARN_PUT_FAIL] = 1,
                         [SHEAF_FLUSH] = 10,
                         [FREE_ADD_PARTIAL] = 3,
                         [FREE_REMOVE_PARTIAL] = 1,
                         [FREE_SLAB] = 1,
                         [BARN_GET] = 1,
                         [SHEAF_FREE] = 1,
                     });
    free_run(s, p, 0, 3 * SHEAF);
    kmem_cache_destroy(s);
}

/* With stats=1:percpu=thread:sheaves=0:cpu_partial=4:min_partial=1, which makes two slabs on a CPU's list. */
static bool counts_cpu_slabs(struct kmem_cache *s)
{
    return s->stats && s->path == PATH_CPU && s->cpu_partial_slabs == 2 && s->min_partial == 1 &&
           kmem_config.percpu == PERCPU_THREAD;
}

/* In the names of the slabs the order in which they are made: S0 has objects 0 to 3, and so on. */
static void test_each_event_with_cpu_slabs(void **state)
{
    struct kmem_cache *s = kmem_cache_create("each", EIGHT_KIB, 0, SLAB_NO_MERGE, NULL);
    void *p[6 * PER_SLAB], *other;

    (void)state;
    if (!counts_cpu_slabs(s)) {
        kmem_cache_destroy(s);
        skip();
    }
    stay_on_this_cpu();
    assert_int_equal(s->objects, PER_SLAB);

    /* One fresh object at a time, as two would not fit a page. S5 stays the CPU's. */
    alloc_run(s, p, 0, 6 * PER_SLAB);
    free_run(s, p, 20, 22);
    alloc_run(s, p, 20, 22);
    assert_counts(s, (unsigned long[NR_SLUB_STAT_ITEMS]){
                         [ALLOC_SLOWPATH] = 24,
                         [ALLOC_FASTPATH] = 2,
                         [FREE_FASTPATH] = 2,
                         [ALLOC_SLAB] = 6,
                         [ALLOC_REFILL] = 18,
                         [DEACTIVATE_FULL] = 5,
                     });
    /* S0, S1 come to the CPU's list, from which S2 drains them; then S1, on the node's list, becomes empty. */
    free_run(s, p, 0, 2);
    free_run(s, p, 4, 5);
    free_run(s, p, 8, 9);
    free_run(s, p, 5, 8);
    assert_counts(s, (unsigned long[NR_SLUB_STAT_ITEMS]){
                         [ALLOC_SLOWPATH] = 24,
                         [ALLOC_FASTPATH] = 2,
                         [FREE_FASTPATH] = 2,
                         [FREE_SLOWPATH] = 7,
                         [FREE_FROZEN] = 1,
                         [ALLOC_SLAB] = 6,
                         [ALLOC_REFILL] = 18,
                         [DEACTIVATE_FULL] = 5,
                         [CPU_PARTIAL_FREE] = 3,
                         [CPU_PARTIAL_DRAIN] = 1,
                         [CPUSLAB_FLUSH] = 2,
                         [DEACTIVATE_REMOTE_FREES] = 2,
                         [FREE_REMOVE_PARTIAL] = 1,
                         [FREE_SLAB] = 1,
                     });
    /* From S2 on the CPU's list, then from S0 on the node's. Shrinking sends S0 back, and it is taken again. */
    alloc_run(s, p, 8, 9);
    alloc_run(s, p, 0, 1);
    kmem_cache_shrink(s);
    alloc_run(s, p, 1, 2);
    assert_counts(s, (unsigned long[NR_SLUB_STAT_ITEMS]){
                         [ALLOC_SLOWPATH] = 27,
                         [ALLOC_FASTPATH] = 2,
                         [FREE_FASTPATH] = 2,
                         [FREE_SLOWPATH] = 7,
                         [FREE_FROZEN] = 1,
                         [ALLOC_SLAB] = 6,
                         [ALLOC_REFILL] = 19,
                         [DEACTIVATE_FULL] = 7,
                         [CPU_PARTIAL_FREE] = 3,
                         [CPU_PARTIAL_DRAIN] = 1,
                         [CPU_PARTIAL_ALLOC] = 1,
                         [ALLOC_FROM_PARTIAL] = 2,
                         [CPUSLAB_FLUSH] = 3,
                         [DEACTIVATE_REMOTE_FREES] = 2,
                         [FREE_REMOVE_PARTIAL] = 1,
                         [FREE_SLAB] = 1,
                     });
    /*
     * S3, which becomes empty there, and S4 are drained by S2. Then S4 and S2 lie on the node's list: one
     * for the CPU to work on, the other for its list.
     */
    free_run(s, p, 12, 17);
    free_run(s, p, 8, 9);
    kmem_cache_shrink(s);
    alloc_run(s, p, 12, 13);
    other = kmem_cache_alloc_node(s, GFP_KERNEL, !percpu_node());
    assert_counts(s, (unsigned long[NR_SLUB_STAT_ITEMS]){
                         [ALLOC_SLOWPATH] = 28 + (node_count() > 1),
                         [ALLOC_FASTPATH] = 2,
                         [FREE_FASTPATH] = 2,
                         [FREE_SLOWPATH] = 13,
                         [FREE_FROZEN] = 4,
                         [ALLOC_SLAB] = 6 + (node_count() > 1),
                         [ALLOC_REFILL] = 19,
                         [ALLOC_NODE_MISMATCH] = node_count() > 1,
                         [DEACTIVATE_FULL] = 7,
                         [DEACTIVATE_EMPTY] = 1,
                         [CPU_PARTIAL_FREE] = 6,
                         [CPU_PARTIAL_DRAIN] = 2,
                         [CPU_PARTIAL_ALLOC] = 1,
                         [CPU_PARTIAL_NODE] = 1,
                         [ALLOC_FROM_PARTIAL] = 3,
                         [CPUSLAB_FLUSH] = 7,
                         [DEACTIVATE_REMOTE_FREES] = 5,
                         [FREE_REMOVE_PARTIAL] = 1,
                         [FREE_SLAB] = 2,
                     });
    kmem_cache_free(s, other);
    free_run(s, p, 0, 4);
    free_run(s, p, 9, 13);
    free_run(s, p, 17, 24);
    kmem_cache_destroy(s);
}

/* Where there is no block of the preferred order, slabs of the least order do, and are counted. */
static void test_order_fallback(void **state)
{
    enum { OBJECTS = 3 };
    /* Blocks of more than the least order are asked for with this flag. */
    struct fail_attr large = {.mask = __GFP_NORETRY,
                              .match = __GFP_NORETRY,
                              .of_1024 = 1024,
                              .random = 1};
    struct kmem_cache *s =
        kmem_cache_create("fallback", EIGHT_KIB, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);
    void *p[OBJECTS];

    (void)state;
    if (!s->stats || s->debug) {
        kmem_cache_destroy(s);
        skip();
    }
    kmem_inject(&large, NULL);
    alloc_run(s, p, 0, OBJECTS);
    kmem_inject(NULL, NULL);
    for (int i = 0; i < OBJECTS; i++)
        assert_int_equal(slab_of(p[i])->objects, 1);
    assert_counts(s, (unsigned long[NR_SLUB_STAT_ITEMS]){
                         [ALLOC_SLOWPATH] = OBJECTS,
                         [ALLOC_SLAB] = OBJECTS,
                         [ORDER_FALLBACK] = OBJECTS,
                     });
    free_run(s, p, 0, OBJECTS);
    kmem_cache_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slabinfo),
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_slabinfo_is_exact),
        cmocka_unit_test(test_each_event_with_sheaves),
        cmocka_unit_test(test_each_event_with_cpu_slabs),
        cmocka_unit_test(test_order_fallback),
    };

    slub_start(); /* which reads the knobs */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
