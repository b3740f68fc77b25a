/* What a cache makes of size, alignment and flags: its objects, its slabs, and which caches are one. */
#include "support.h"

#include <string.h>

#include "kmem.h"
#include "slub/slub.h"

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

static void clear_first(void *object)
{
    *(unsigned char *)object = 0;
}

static bool exists(const struct kmem_cache *s)
{
    const struct kmem_cache *at = slab_caches;

    while (at && at != s)
        at = at->next;
    return at != NULL;
}

static void test_merging(void **state)
{
    struct kmem_cache *a = kmem_cache_create("first", 120, 0, 0, NULL);
    struct kmem_cache *b = kmem_cache_create("second", 118, 0, 0, NULL);
    struct kmem_cache *c = kmem_cache_create("ctor", 120, 0, 0, clear_first);
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
    assert_false(exists(a)); /* as often destroyed as made */
    kmem_cache_destroy(c);
    kmem_cache_destroy(d);
    kmem_cache_destroy(e);
    assert_null(kmem_cache_create("bad", 0, 0, 0, NULL));
    assert_null(kmem_cache_create("bad", 64, 3, 0, NULL));
    assert_null(kmem_cache_create("bad", 64, 2 * PAGE_SIZE, 0, NULL));
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

/* Nor does one merge that would do for size with what its first user has a say in: constructed, open to users. */
static void test_what_is_merged_with(void **state)
{
    struct kmem_cache *constructed = kmem_cache_create("constructed", 120, 0, 0, clear_first);
    struct kmem_cache *open = kmem_cache_create_usercopy("open", 64, 0, 0, 0, 64, NULL);
    struct kmem_cache *a = kmem_cache_create("a", constructed->size, 0, 0, NULL);
    struct kmem_cache *b = kmem_cache_create("b", open->size, 0, 0, NULL);

    (void)state;
    assert_ptr_not_equal(a, constructed);
    assert_ptr_not_equal(b, open);
    kmem_cache_destroy(a);
    kmem_cache_destroy(b);
    kmem_cache_destroy(constructed);
    kmem_cache_destroy(open);
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

static bool all_are(const unsigned char *at, size_t bytes, unsigned char value)
{
    while (bytes > 0 && at[bytes - 1] == value)
        bytes--;
    return bytes == 0;
}

/* Objects that were used before, few (by the CPU's lists) and many (by the slabs). */
static void test_bulk_zeroes_all(void **state)
{
    enum { MANY = 200 };
    struct kmem_cache *s = kmem_cache_create("bulk", 200, 0, SLAB_NO_MERGE, NULL);
    void *p[MANY];

    (void)state;
    for (size_t count = 5; count <= MANY; count += MANY - 5) {
        assert_int_equal(kmem_cache_alloc_bulk(s, GFP_KERNEL, count, p), count);
        for (size_t i = 0; i < count; i++)
            memset(p[i], 0xff, 200);
        kmem_cache_free_bulk(s, count, p);
        assert_int_equal(kmem_cache_alloc_bulk(s, GFP_KERNEL | __GFP_ZERO, count, p), count);
        for (size_t i = 0; i < count; i++)
            assert_true(all_are(p[i], 200, 0));
        kmem_cache_free_bulk(s, count, p);
    }
    kmem_cache_destroy(s);
}

/* Without sheaves, too, objects that come from free lists can be freed again. */
static void test_bulk_from_slabs(void **state)
{
    enum { MANY = 64 };
    struct kmem_cache *s =
        kmem_cache_create("bulk direct", 200, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);
    void *p[MANY], *first = kmem_cache_alloc(s, GFP_KERNEL); /* its slab stays */

    (void)state;
    for (int round = 0; round < 3; round++) {
        assert_int_equal(kmem_cache_alloc_bulk(s, GFP_KERNEL, MANY, p), MANY);
        kmem_cache_free_bulk(s, MANY, p);
        assert_int_equal(kmem_cache_alloc_bulk(s, GFP_KERNEL, MANY, p), MANY);
        for (int i = 0; i < MANY; i++)
            kmem_cache_free(s, p[i]);
    }
    kmem_cache_free(s, first);
    kmem_cache_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bulk_from_slabs), cmocka_unit_test(test_geometry),
        cmocka_unit_test(test_object_sizes),    cmocka_unit_test(test_merging),
        cmocka_unit_test(test_what_merges),     cmocka_unit_test(test_merged_zeroes_all),
        cmocka_unit_test(test_bulk_zeroes_all), cmocka_unit_test(test_what_is_merged_with),
    };

    slub_start(); /* which reads the knobs */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
