/* Where the objects of a slab lie, and which of the pointers into it free takes for an object. */
#include "support.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "kmem.h"
#include "page/inject.h"
#include "slub/slab.h"
#include "slub/node.h"
#include "slub/slab.h"

/* Against the plain division, for every size that can have sheaves, anywhere in the largest pool. */
static void test_which_pointers_start_an_object(void **state)
{
    uint64_t dice = 88172645463325252u;
    uintptr_t pool = percpu_area.pool;

    (void)state;
    for (unsigned size = 8; size <= 32768; size += 8) {
        uint64_t magic = cell_magic(size);

        for (int i = 0; i < 40; i++) {
            size_t at = next_random(&dice) >> (18 + next_random(&dice) % 40);

            if (i % 2)
                at -= at % size;
            if (pool + at < (uintptr_t)1 << 47)
                assert_int_equal(cell_starts(magic, (void *)(pool + at)), at % size == 0);
        }
    }
}

/*
 * And inside a slab, wherever it starts: each multiple of the size up to the largest slab's end, neither of its
 * neighbours; then all of that slab's last bytes.
 */
static void offsets_start_an_object(unsigned size)
{
    struct kmem_cache s = {.size = size, .magic = cell_magic(size)};
    size_t wrong = 0;

    for (size_t at = 0; at < MAX_ORDER_BYTES; at += size) {
        wrong += !object_starts_at(&s, at) || object_starts_at(&s, at + 1);
        wrong += at && object_starts_at(&s, at - 1);
    }
    for (size_t at = MAX_ORDER_BYTES - 64; at < MAX_ORDER_BYTES; at++)
        wrong += object_starts_at(&s, at) != (at % size == 0);
    if (wrong)
        fail_msg("objects of %u bytes: %zu offsets are taken for something else", size, wrong);
}

static void test_which_offsets_start_an_object(void **state)
{
    (void)state;
    for (unsigned size = 8; size <= 32768; size += 8) /* among them all of malloc's and kmalloc's */
        offsets_start_an_object(size);
    for (unsigned size = 32768; size <= MAX_ORDER_BYTES; size += 4104)
        offsets_start_an_object(size);
}

/* Every byte of an object but its first is refused by the sheaf of its cell, and the first is not. */
static void test_interior_pointers_are_refused(void **state)
{
    static const unsigned sizes[] = {8, 24, 48, 64, 96, 112, 320, 1000, 1792, 3584, 14336};

    (void)state;
    stay_on_this_cpu();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct kmem_cache *s = kmem_cache_create("whole", sizes[i], 0, SLAB_NO_MERGE, NULL);
        char *p = kmem_cache_alloc(s, GFP_KERNEL), *q = kmem_cache_alloc(s, GFP_KERNEL);

        kmem_cache_free(s, p); /* there is a sheaf with room now, if there are sheaves */
        for (unsigned at = 1; at < s->size; at++)
            assert_false(percpu_put(s->index, slab_nid(slab_of(q)), q + at));
        if (s->path == PATH_SHEAF && slab_cell(s, slab_of(q)))
            assert_true(percpu_put(s->index, slab_nid(slab_of(q)), q));
        else
            kmem_cache_free(s, q);
        assert_int_equal(kmem_check(), 0);
        kmem_cache_destroy(s);
    }
}

static void free_all(struct kmem_cache *s, char **p, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        kmem_cache_free(s, p[i]);
}

static int by_address(const void *a, const void *b)
{
    char *const *p = a, *const *q = b;

    return (*p > *q) - (*p < *q);
}

/* What a new cache hands out at once: the first objects of its slab, the lowest last, and no more than it has. */
static void test_lowest_last(void **state)
{
    enum { MOST = 5000 };
    static const unsigned counts[] = {1, 12, MOST};
    static void *p[MOST];

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct kmem_cache *s = kmem_cache_create("lowest", 48, 0, SLAB_NO_MERGE, NULL);
        unsigned got = slabs_take(s, GFP_KERNEL, 0, counts[i], p);
        struct slab *slab = slab_of(p[0]);

        assert_int_equal(got, counts[i] < slab->objects ? counts[i] : slab->objects);
        assert_ptr_equal(p[got - 1], slab_base(slab));
        for (unsigned k = 0; k + 1 < got; k++)
            assert_ptr_equal(p[k], (char *)p[k + 1] + s->size);
        slabs_put(s, got, p);
        kmem_cache_destroy(s);
    }
}

/*
 * Small objects that nobody has had yet come a page at a time, and the page is there: malloc looks at those
 * below the one that it gives out, which takes long where there is none.
 */
static void test_fresh_ones_by_pages(void **state)
{
    enum { OBJECTS = 64 };
    struct kmem_cache *s = kmem_cache_create("pages", SLAB_PAGEWISE_MAX, 0, SLAB_NO_MERGE, NULL);
    void *p[OBJECTS];
    unsigned got;

    (void)state;
    if (s->debug) { /* larger with what debugging adds, and never fresh */
        kmem_cache_destroy(s);
        skip();
    }
    got = slabs_take(s, GFP_KERNEL, 0, OBJECTS, p);
    assert_in_range(got, 1, PAGE_SIZE / SLAB_PAGEWISE_MAX);
    for (unsigned i = 0; i < got; i++)
        assert_int_equal(virt_to_frame(p[i]), virt_to_frame(p[0]));
    slabs_put(s, got, p);
    kmem_cache_shrink(s);
    kmem_pages_release(0);
    for (unsigned i = 0; i < OBJECTS; i++) {
        unsigned char resident = 0;

        assert_non_null(p[i] = kmem_cache_alloc(s, GFP_KERNEL));
        if (s->path == PATH_SHEAF) {
            char *page = (char *)p[i] - (uintptr_t)p[i] % PAGE_SIZE;

            assert_int_equal(mincore(page, PAGE_SIZE, &resident), 0);
            assert_true(resident & 1);
        }
    }
    free_all(s, (char **)p, OBJECTS);
    kmem_cache_destroy(s);
}

/* A call that may not enter the system touches no page for what it fills a sheaf with. */
static void test_no_page_is_touched_without_leave(void **state)
{
    enum { OBJECTS = 16 };
    struct kmem_cache *s = kmem_cache_create("atomic", SLAB_PAGEWISE_MAX, 0, SLAB_NO_MERGE, NULL);
    void *p[OBJECTS];
    unsigned absent = 0;

    (void)state;
    if (s->path != PATH_SHEAF || s->debug) {
        kmem_cache_destroy(s);
        skip();
    }
    stay_on_this_cpu();
    kmem_pages_release(0);
    for (unsigned i = 0; i < OBJECTS; i++) {
        unsigned char resident = 1;

        assert_non_null(p[i] = kmem_cache_alloc(s, i ? GFP_ATOMIC : GFP_KERNEL));
        assert_int_equal(mincore((char *)p[i] - (uintptr_t)p[i] % PAGE_SIZE, PAGE_SIZE, &resident),
                         0);
        absent += !(resident & 1);
    }
    assert_true(absent > 0);
    free_all(s, (char **)p, OBJECTS);
    kmem_cache_destroy(s);
}

/* No object is there twice, and none that the cache does not have. */
static void assert_distinct(struct kmem_cache *s, char **p, unsigned count)
{
    qsort(p, count, sizeof *p, by_address);
    for (unsigned i = 0; i < count; i++) {
        assert_ptr_equal(slab_of(p[i])->slab_cache, s);
        check_object(s, slab_of(p[i]), p[i], "not an object");
        assert_true(i == 0 || p[i] >= p[i - 1] + s->size);
    }
}

/*
 * Any number at once, out of fresh slabs and out of slabs with any objects free, and back in any order:
 * side by side in one slab, or each from another.
 */
static void test_many_at_once(void **state)
{
    enum { OBJECTS = 3000, ROUNDS = 60 };
    struct kmem_cache *s = kmem_cache_create("many", 40, 0, SLAB_NO_MERGE, NULL);
    static char *p[OBJECTS];
    uint64_t dice = 88172645463325252u;
    unsigned have = 0;

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        unsigned first = (unsigned)(next_random(&dice) % OBJECTS), count;

        while (have < OBJECTS) {
            unsigned most = 1 + (unsigned)(next_random(&dice) % 400);

            count = slabs_take(s, GFP_KERNEL, 0, most < OBJECTS - have ? most : OBJECTS - have,
                               (void **)p + have);
            assert_in_range(count, 1, most);
            have += count;
        }
        assert_distinct(s, p, have);
        for (unsigned i = 0; round % 2 && i < have; i++) {
            unsigned k = (unsigned)(next_random(&dice) % have);
            char *swap = p[i];

            p[i] = p[k];
            p[k] = swap;
        }
        slabs_put(s, have - first, (void **)p + first);
        have = first;
        assert_int_equal(kmem_check(), 0);
    }
    slabs_put(s, have, (void **)p);
    assert_int_equal(kmem_cache_shrink(s), 0);
    kmem_cache_destroy(s);
}

/*
 * When memory is short a slab has few objects: the one whose only object would not lie where free's fast
 * path wants it is as good as any other.
 */
static void test_slabs_of_one_object(void **state)
{
    enum { OBJECTS = 200 };
    /* Blocks of more than a page are first asked for with this flag. */
    struct fail_attr large = {.mask = __GFP_NO_RECLAIM,
                              .match = __GFP_NO_RECLAIM,
                              .of_1024 = 1024,
                              .random = 1};
    struct kmem_cache *s = kmem_cache_create("one", 3000, 0, SLAB_NO_MERGE, NULL);
    unsigned closed = 0, coloured = 0;
    char *p[OBJECTS];

    (void)state;
    if (s->path != PATH_SHEAF || kmem_config.debug) {
        kmem_cache_destroy(s);
        skip();
    }
    kmem_inject(&large, NULL);
    for (unsigned i = 0; i < OBJECTS; i++)
        assert_non_null(p[i] = kmem_cache_alloc(s, GFP_KERNEL));
    kmem_inject(NULL, NULL);
    for (unsigned i = 0; i < OBJECTS; i++) {
        struct slab *slab = slab_of(p[i]);

        closed += cell_of_frame(virt_to_frame(p[i])) == 0;
        coloured += slab->colour != 0;
    }
    assert_true(closed > 0);
    assert_true(coloured > 0);
    assert_int_equal(kmem_check(), 0);
    free_all(s, p, OBJECTS);
    assert_int_equal(kmem_check(), 0);
    kmem_cache_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_pointers_start_an_object),
        cmocka_unit_test(test_which_offsets_start_an_object),
        cmocka_unit_test(test_interior_pointers_are_refused),
        cmocka_unit_test(test_lowest_last),
        cmocka_unit_test(test_fresh_ones_by_pages),
        cmocka_unit_test(test_no_page_is_touched_without_leave),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_slabs_of_one_object),
    };

    slub_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
