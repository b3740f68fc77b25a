/* kmalloc's sizes, types and limits; and what each context gets when memory runs out. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "kmem.h"
#include "page/pool.h"
#include "slub/slab.h"

enum { MANY = 1 << 20 };

static void *kept[MANY];

static void test_sizes(void **state)
{
    static const size_t sizes[] = {8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192};
    size_t at = 0;

    (void)state;
    for (size_t n = 1; n <= KMALLOC_MAX_CACHE_SIZE; n++) {
        void *p = kmalloc(n, GFP_KERNEL), *q = kmalloc(n, GFP_KERNEL); /* not only a slab's first */

        if (n > sizes[at])
            at++;
        assert_int_equal(ksize(p), sizes[at]);
        if ((n & (n - 1)) == 0)
            assert_int_equal(((uintptr_t)p | (uintptr_t)q) % n, 0);
        memset(p, 0xff, n);
        kfree(p);
        kfree(q);
    }
    for (size_t n = KMALLOC_MAX_CACHE_SIZE + 1; n <= KMALLOC_MAX_SIZE; n = n * 3 / 2) {
        void *p = kmalloc(n, GFP_KERNEL);

        assert_in_range(ksize(p), n, 2 * n);
        assert_int_equal((uintptr_t)p % PAGE_SIZE, 0);
        kfree(p);
    }
    assert_null(kmalloc(KMALLOC_MAX_SIZE + 1, GFP_KERNEL));
    assert_null(kmalloc(SIZE_MAX, GFP_KERNEL));
    assert_int_equal(kmem_check(), 0);
}

static void test_zero(void **state)
{
    unsigned char *p = kmalloc(0, GFP_KERNEL);

    (void)state;
    assert_ptr_equal(p, ZERO_SIZE_PTR);
    kfree(p);
    kfree(NULL);
    assert_int_equal(ksize(p), 0);
    for (size_t n = 1; n < 100000; n = n * 2 + 1) {
        p = kmalloc(n, GFP_KERNEL);
        memset(p, 0xee, n);
        kfree(p);
        p = kzalloc(n, GFP_KERNEL);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        kfree(p);
    }
}

static void test_krealloc(void **state)
{
    unsigned char *p = krealloc(NULL, 10, GFP_KERNEL), *q;

    (void)state;
    strcpy((char *)p, "still it");
    assert_ptr_equal(krealloc(p, 16, GFP_KERNEL), p);
    q = krealloc(p, 5000, GFP_KERNEL);
    assert_string_equal((char *)q, "still it");
    assert_null(krealloc(q, KMALLOC_MAX_SIZE + 1, GFP_KERNEL));
    assert_string_equal((char *)q, "still it");
    q = krealloc(q, 100000, GFP_KERNEL);
    assert_string_equal((char *)q, "still it");
    assert_ptr_equal(krealloc(q, 0, GFP_KERNEL), ZERO_SIZE_PTR);
}

static void assert_zero(const unsigned char *p, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (p[i])
            fail_msg("byte %zu of %zu is %u", i, to, p[i]);
}

/* What __GFP_ZERO adds to an object of `from` bytes reads as zero, whatever lay there before. */
static void grows_zeroed(size_t from, size_t to)
{
    unsigned char *dirty = kmalloc(to, GFP_KERNEL), *p;

    memset(dirty, 0xff, ksize(dirty));
    p = kzalloc(from, GFP_KERNEL);
    memset(p, 0xee, from);
    kfree(dirty);
    p = krealloc(p, to, GFP_KERNEL | __GFP_ZERO);
    assert_int_equal(p[from - 1], 0xee);
    assert_zero(p, from, to);
    kfree(p);
}

/* Made smaller first, by which what it no longer needs must be forgotten. */
static void shrinks_zeroed(size_t from, size_t to)
{
    unsigned char *p = kzalloc(from, GFP_KERNEL);

    memset(p, 0xee, from);
    p = krealloc(p, to, GFP_KERNEL | __GFP_ZERO);
    assert_int_equal(p[to - 1], 0xee);
    p = krealloc(p, from, GFP_KERNEL | __GFP_ZERO);
    assert_int_equal(p[to - 1], 0xee);
    assert_zero(p, to, from);
    kfree(p);
}

static void test_krealloc_zero(void **state)
{
    unsigned char *p = krealloc(NULL, 1000, GFP_KERNEL | __GFP_ZERO);

    (void)state;
    assert_zero(p, 0, 1000);
    kfree(p);
    for (size_t from = 1; from < 40000; from = from * 3 / 2 + 1) {
        grows_zeroed(from, from + 1);
        grows_zeroed(from, from * 3);
        shrinks_zeroed(from + 1, from);
        shrinks_zeroed(from * 3, from);
    }
    /* Without the flag nothing is cleared. */
    p = kmalloc(64, GFP_KERNEL);
    memset(p, 0xee, 64);
    p = krealloc(p, 40, GFP_KERNEL);
    assert_int_equal(p[63], 0xee);
    kfree(p);
}

/* Objects of different types never share a slab; DMA comes from the first frames. */
static void test_types(void **state)
{
    void *normal = kmalloc(100, GFP_KERNEL), *dma = kmalloc(100, GFP_KERNEL | GFP_DMA);
    void *reclaim = kmalloc(100, GFP_KERNEL | __GFP_RECLAIMABLE);
    void *both = kmalloc(100, GFP_KERNEL | GFP_DMA | __GFP_RECLAIMABLE);

    (void)state;
    /* Which addresses it may have goes before whether it can be reclaimed. */
    assert_int_equal(frame_zone(virt_to_frame(both))->kind, ZONE_DMA);
    assert_ptr_equal(slab_of(both)->slab_cache, slab_of(dma)->slab_cache);
    kfree(both);
    assert_int_not_equal(virt_to_frame(normal), virt_to_frame(dma));
    assert_int_not_equal(virt_to_frame(normal), virt_to_frame(reclaim));
    assert_int_equal(frame_zone(virt_to_frame(dma))->kind, ZONE_DMA);
    assert_int_equal(frame_zone(virt_to_frame(normal))->kind, ZONE_NORMAL);
    assert_int_equal(frame_zone(virt_to_frame(reclaim))->kind, ZONE_NORMAL);
    /* What can be reclaimed lies in 4 MiB blocks of its own. */
    assert_int_equal(pageblock_mobility(virt_to_frame(normal)), UNMOVABLE);
    assert_int_equal(pageblock_mobility(virt_to_frame(reclaim)), RECLAIMABLE);
    kfree(normal);
    kfree(dma);
    kfree(reclaim);
}

/* That holds for a type's slabs whatever call has them made. */
static void test_slabs_of_types(void **state)
{
    enum { OBJECTS = 40 }; /* of 8 KiB: several slabs */
    void *first = kmalloc(8192, GFP_KERNEL | __GFP_RECLAIMABLE), *p[OBJECTS];
    struct kmem_cache *s = slab_of(first)->slab_cache;

    (void)state;
    for (int i = 0; i < OBJECTS; i++)
        p[i] = kmem_cache_alloc(s, GFP_KERNEL);
    for (int i = 0; i < OBJECTS; i++) {
        assert_int_equal(pageblock_mobility(virt_to_frame(p[i])), RECLAIMABLE);
        kmem_cache_free(s, p[i]);
    }
    kfree(first);
}

/* Of memory that is mapped twice kmalloc has none: what is asked for as such is as good as any other. */
static void test_never_highmem(void **state)
{
    enum { OBJECTS = 40 };
    void *p[OBJECTS];

    (void)state;
    for (size_t size = 8192; size <= 65536; size *= 8) { /* several slabs; pages */
        for (int i = 0; i < OBJECTS; i++) {
            p[i] = kmalloc(size, GFP_HIGHUSER);
            assert_int_equal(frame_zone(virt_to_frame(p[i]))->kind, ZONE_NORMAL);
        }
        for (int i = 0; i < OBJECTS; i++)
            kfree(p[i]);
    }
}

static void construct(void *object)
{
    memset(object, 1, 100);
}

/* The link of a constructed object lies behind what its owner may use. */
static void test_ksize_of_constructed(void **state)
{
    struct kmem_cache *s = kmem_cache_create("constructed", 100, 64, SLAB_NO_MERGE, construct);
    void *p = kmem_cache_alloc(s, GFP_KERNEL);

    (void)state;
    assert_in_range(ksize(p), 100, s->offset);
    kmem_cache_free(s, p);
    kmem_cache_destroy(s);
}

/* From the node asked for, or not at all; pages by their address. */
static void test_nodes_and_pages(void **state)
{
    unsigned char *p;

    (void)state;
    for (unsigned node = 0; node < node_count(); node++)
        for (size_t size = 100; size < 100000; size *= 20) {
            p = kmalloc_node(size, GFP_KERNEL | __GFP_THISNODE, (int)node);
            assert_int_equal(page_to_node(virt_to_page(p)), node);
            kfree(p);
        }
    assert_null(kmalloc_node(100, GFP_KERNEL, (int)node_count()));
    assert_null(kmalloc_node(100000, GFP_KERNEL, (int)node_count()));
    assert_null(kmalloc_node(100, GFP_KERNEL, -5));
    assert_null(kmalloc_node(100000, GFP_KERNEL, -5));
    p = (unsigned char *)__get_free_pages(GFP_KERNEL, 2);
    assert_int_equal((uintptr_t)p % (4 * PAGE_SIZE), 0);
    assert_ptr_equal(kmem_page_address(kmem_virt_to_page(p)), p);
    memset(p, 0xff, 4 * PAGE_SIZE);
    free_pages((unsigned long)p, 2);
    p = (unsigned char *)get_zeroed_page(GFP_KERNEL);
    for (size_t i = 0; i < PAGE_SIZE; i++)
        assert_int_equal(p[i], 0);
    free_pages((unsigned long)p, 0);
    free_pages(0, 0);
}

/* Random sizes against a plain model. */
static void test_random(void **state)
{
    static struct {
        unsigned char *at, seed;
        size_t size;
    } o[500];
    uint64_t dice = 77;

    (void)state;
    for (int i = 0; i < 60000; i++) {
        size_t k;

        dice = dice * 6364136223846793005u + 1442695040888963407u;
        k = (dice >> 33) % 500;
        if (o[k].at) {
            for (size_t b = 0; b < o[k].size; b += 1 + o[k].size / 64)
                assert_int_equal(o[k].at[b], o[k].seed);
            kfree(o[k].at);
            o[k].at = NULL;
        } else {
            o[k].size = 1 + (dice >> 20) % ((dice >> 50) % 8 ? 600 : 40000);
            o[k].at = kmalloc(o[k].size, dice >> 60 ? GFP_KERNEL : GFP_KERNEL | __GFP_RECLAIMABLE);
            o[k].seed = (unsigned char)dice;
            memset(o[k].at, o[k].seed, o[k].size);
        }
        if (i % 2000 == 0)
            assert_int_equal(kmem_check(), 0);
    }
    for (size_t k = 0; k < 500; k++)
        kfree(o[k].at);
    assert_int_equal(kmem_check(), 0);
}

static size_t take_all(size_t n, size_t size, gfp_t gfp)
{
    while (n < MANY && (kept[n] = kmalloc(size, gfp | __GFP_NOWARN)) != NULL)
        n++;
    assert_in_range(n, 0, MANY - 1);
    return n;
}

/*
 * The pool runs out: GFP_KERNEL gets NULL first, then GFP_NOWAIT has nothing either, and only
 * GFP_ATOMIC goes on, for as long as the reserve lasts. Everything comes back whole.
 */
static void test_exhaustion(void **state)
{
    static const size_t sizes[] = {64, 1024, 8192, 65536};
    struct page_stats before, after;

    (void)state;
    if (!kmem_config.pool || !kmem_pages_reserve((size_t)1 << 20))
        skip(); /* only the variant with a small pool can be exhausted */
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t n, plain;

        kmem_pages_stats(&before);
        plain = n = take_all(0, sizes[i], GFP_KERNEL | __GFP_NORETRY);
        assert_true(n > 0);
        n = take_all(n, sizes[i], GFP_NOWAIT);
        assert_null(kmalloc(sizes[i], GFP_NOWAIT));
        n = take_all(n, sizes[i], GFP_ATOMIC);
        assert_true(n > plain);
        assert_null(kmalloc(sizes[i], GFP_ATOMIC | __GFP_NOWARN));
        assert_int_equal(kmem_check(), 0);
        while (n > 0)
            kfree(kept[--n]);
        assert_int_equal(kmem_check(), 0);
        kept[0] = kmalloc(sizes[i], GFP_KERNEL);
        assert_non_null(kept[0]);
        kfree(kept[0]);
    }
    kmem_pages_stats(&after);
    assert_true(after.failures > before.failures);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),           cmocka_unit_test(test_zero),
        cmocka_unit_test(test_krealloc),        cmocka_unit_test(test_krealloc_zero),
        cmocka_unit_test(test_types),           cmocka_unit_test(test_slabs_of_types),
        cmocka_unit_test(test_never_highmem),   cmocka_unit_test(test_ksize_of_constructed),
        cmocka_unit_test(test_nodes_and_pages), cmocka_unit_test(test_random),
        cmocka_unit_test(test_exhaustion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
