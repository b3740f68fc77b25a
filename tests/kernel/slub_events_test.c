/* Every event counted: one thread, with a slot of its own, and objects of which a slab has four. */
#include "support.h"

#include <string.h>

#include "kmem.h"
#include "page/inject.h"
#include "slub/sheaf.h"
#include "slub/slab.h"

enum { EIGHT_KIB = 8192, PER_SLAB = 4, SHEAF = 10 };

/* How often each event had happened when it was last asserted. */
static unsigned long seen[NR_SLUB_STAT_ITEMS];

/* Since then each event happened so often, and one that is not named not at all. */
static void assert_since(struct kmem_cache *s, const unsigned long times[NR_SLUB_STAT_ITEMS])
{
    for (unsigned i = 0; i < NR_SLUB_STAT_ITEMS; i++) {
        unsigned long all = cache_stat(s, i);

        if (all - seen[i] != times[i])
            fail_msg("%s: %lu more, expected %lu", stat_name(i), all - seen[i], times[i]);
        seen[i] = all;
    }
}

#define ASSERT_SINCE(s, ...) assert_since(s, (unsigned long[NR_SLUB_STAT_ITEMS]){__VA_ARGS__})

static int begin(void **state)
{
    (void)state;
    memset(seen, 0, sizeof seen); /* of a new cache */
    return 0;
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

/* With percpu=thread:stats=1:barn=64:min_partial=2, where a barn keeps one sheaf. */
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
    ASSERT_SINCE(s, [ALLOC_SLOWPATH] = 10, [ALLOC_FASTPATH] = 30, [ALLOC_SLAB] = 10,
                 [SHEAF_REFILL] = 40, [SHEAF_ALLOC] = 2, [BARN_GET_FAIL] = 10);
    /*
     * Main; the spare in its place, where five of the ten go along; the other one again; barn; then the first
     * five and those from the sixteenth on go to their slabs: all of the first and the fifth, one of the
     * second and the fourth. Of more than two slabs on the list the last to become empty is given up.
     */
    free_run(s, p, 0, 4 * SHEAF);
    ASSERT_SINCE(s, [FREE_FASTPATH] = 36, [FREE_SLOWPATH] = 4, [SHEAF_ALLOC] = 2, [SHEAF_SWAP] = 2,
                 [SHEAF_FLUSH] = 10, [BARN_PUT] = 1, [BARN_PUT_FAIL] = 1, [FREE_ADD_PARTIAL] = 4,
                 [FREE_REMOVE_PARTIAL] = 1, [FREE_SLAB] = 1);
    /* Main, spare, barn, which has an empty sheaf already. */
    alloc_run(s, p, 0, 3 * SHEAF);
    ASSERT_SINCE(s, [ALLOC_SLOWPATH] = 2, [ALLOC_FASTPATH] = 28, [SHEAF_SWAP] = 1, [SHEAF_FREE] = 1,
                 [BARN_GET] = 1);
    free_run(s, p, 0, 3 * SHEAF);
    kmem_cache_destroy(s);
}

/*
 * With sheaves=0:percpu=thread:stats=1:cpu_partial=4:min_partial=1:nodes=2, which makes two slabs
 * on a CPU's list.
 */
static bool counts_cpu_slabs(struct kmem_cache *s)
{
    return s->stats && s->path == PATH_CPU && s->cpu_partial_slabs == 2 && s->min_partial == 1 &&
           node_count() == 2 && kmem_config.percpu == PERCPU_THREAD;
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
    ASSERT_SINCE(s, [ALLOC_SLOWPATH] = 24, [ALLOC_FASTPATH] = 2, [FREE_FASTPATH] = 2,
                 [ALLOC_SLAB] = 6, [ALLOC_REFILL] = 18, [DEACTIVATE_FULL] = 5);
    /* S0, S1 come to the CPU's list, from which S2 drains them; then S1 becomes empty. */
    free_run(s, p, 0, 2);
    free_run(s, p, 4, 5);
    free_run(s, p, 8, 9);
    free_run(s, p, 5, 8);
    ASSERT_SINCE(s, [FREE_SLOWPATH] = 7, [FREE_FROZEN] = 1, [CPU_PARTIAL_FREE] = 3,
                 [CPU_PARTIAL_DRAIN] = 1, [CPUSLAB_FLUSH] = 2, [DEACTIVATE_REMOTE_FREES] = 2,
                 [FREE_REMOVE_PARTIAL] = 1, [FREE_SLAB] = 1);
    /* From S2 on the CPU's list, then from S0 on the node's, which shrinking sends back. */
    alloc_run(s, p, 8, 9);
    alloc_run(s, p, 0, 1);
    kmem_cache_shrink(s);
    alloc_run(s, p, 1, 2);
    ASSERT_SINCE(s, [ALLOC_SLOWPATH] = 3, [ALLOC_REFILL] = 1, [DEACTIVATE_FULL] = 2,
                 [CPU_PARTIAL_ALLOC] = 1, [ALLOC_FROM_PARTIAL] = 2, [CPUSLAB_FLUSH] = 1);
    /*
     * S3, which becomes empty there, and S4 are drained by S2. Then S4 and S2 lie on the node's
     * list: one for the CPU to work on, the other for its list.
     */
    free_run(s, p, 12, 17);
    free_run(s, p, 8, 9);
    kmem_cache_shrink(s);
    alloc_run(s, p, 12, 13);
    other = kmem_cache_alloc_node(s, GFP_KERNEL, !percpu_node());
    ASSERT_SINCE(s, [ALLOC_SLOWPATH] = 2, [FREE_SLOWPATH] = 6, [FREE_FROZEN] = 3, [ALLOC_SLAB] = 1,
                 [ALLOC_NODE_MISMATCH] = 1, [DEACTIVATE_EMPTY] = 1, [CPU_PARTIAL_FREE] = 3,
                 [CPU_PARTIAL_DRAIN] = 1, [CPU_PARTIAL_NODE] = 1, [ALLOC_FROM_PARTIAL] = 1,
                 [CPUSLAB_FLUSH] = 4, [DEACTIVATE_REMOTE_FREES] = 3, [FREE_SLAB] = 1);
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
    struct fail_attr large = {.mask = __GFP_NO_RECLAIM,
                              .match = __GFP_NO_RECLAIM,
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
    ASSERT_SINCE(s, [ALLOC_SLOWPATH] = OBJECTS, [ALLOC_SLAB] = OBJECTS, [ORDER_FALLBACK] = OBJECTS);
    free_run(s, p, 0, OBJECTS);
    kmem_cache_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_each_event_with_sheaves, begin),
        cmocka_unit_test_setup(test_each_event_with_cpu_slabs, begin),
        cmocka_unit_test_setup(test_order_fallback, begin),
    };

    slub_start(); /* which reads the knobs */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
