/* Blocks of pages under realloc: what is asked for in advance, what is kept, and who refuses. */
#include "support.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "malloc/large.h"
#include "malloc/mapped.h"
#include "malloc/slub_malloc.h"
#include "os.h"
#include "page/inject.h"
#include "page/page.h"

static size_t pages_of(void *memory)
{
    return slub_malloc_usable_size(memory) / PAGE_SIZE;
}

/* A block that must be moved to grow gets an eighth more; others get what they ask for. */
static void test_ahead(void **state)
{
    char *p = slub_malloc(20000), *q;

    (void)state;
    strcpy(p, "contents");
    p = slub_realloc(p, 80 * PAGE_SIZE);
    assert_string_equal(p, "contents");
    assert_int_equal(pages_of(p), 90);
    assert_ptr_equal(slub_realloc(p, 90 * PAGE_SIZE), p);
    q = slub_malloc(80 * PAGE_SIZE);
    assert_int_equal(pages_of(q), 80);
    slub_free(p);
    slub_free(q);
    /* Not where slabs serve, nor where only a mapping would do for so much. */
    assert_int_equal(large_ahead(1000), 1000);
    assert_int_equal(large_ahead((size_t)2 << 20), (size_t)2 << 20);
    assert_int_equal(large_ahead((size_t)1 << 20), ((size_t)1 << 20) + ((size_t)1 << 17));
}

/* An eighth may lie idle behind a block; more goes back. */
static void test_tolerance(void **state)
{
    char *p = slub_malloc(90 * PAGE_SIZE);

    (void)state;
    assert_ptr_equal(slub_realloc(p, 80 * PAGE_SIZE), p);
    assert_int_equal(pages_of(p), 90);
    assert_ptr_equal(slub_realloc(p, 79 * PAGE_SIZE), p);
    assert_int_equal(pages_of(p), 79);
    slub_free(p);
    p = slub_malloc(91 * PAGE_SIZE);
    assert_ptr_equal(slub_realloc(p, 80 * PAGE_SIZE), p);
    assert_int_equal(pages_of(p), 80);
    slub_free(p);
}

static void *refuse_map(size_t bytes)
{
    (void)bytes;
    return NULL;
}

/* Who cannot have an eighth more can still have what is needed. */
static void test_refused_ahead(void **state)
{
    /* What is asked for in advance: as it is to be had, and with every effort. */
    struct fail_attr first = {.nth = 1, .more = 1, .random = 1},
                     all = {.of_1024 = 1024, .random = 1};
    char *p = slub_malloc(20000), *q;
    void *(*map)(size_t) = kmem_os.map;

    (void)state;
    strcpy(p, "contents");
    kmem_os.map = refuse_map;
    kmem_inject(&all, NULL);
    assert_null(slub_realloc(p, 80 * PAGE_SIZE));
    assert_string_equal(p, "contents");
    kmem_inject(&first, NULL);
    q = slub_realloc(p, 80 * PAGE_SIZE);
    assert_non_null(q);
    assert_string_equal(q, "contents");
    assert_int_equal(first.refused, 2);
    assert_int_equal(pages_of(q), 80);
    kmem_inject(NULL, NULL);
    kmem_os.map = map;
    slub_free(q);
}

static bool refuse_unmap(void *start, size_t bytes)
{
    (void)start;
    (void)bytes;
    return false;
}

/* An object that is to be shorter stays as it is where there is no shorter one: it holds what is asked for. */
static void test_refused_shorter(void **state)
{
    struct fail_attr all = {.of_1024 = 1024, .random = 1};
    char *p = slub_malloc(1000), *q, **first = NULL;
    char **object;

    (void)state;
    strcpy(p, "contents");
    kmem_inject(&all, &all);
    while ((object = slub_malloc(100)) != NULL) { /* what the CPU has */
        *object = (char *)first;
        first = object;
    }
    q = slub_realloc(p, 100);
    kmem_inject(NULL, NULL);
    assert_ptr_equal(q, p);
    assert_string_equal(p, "contents");
    assert_true(slub_malloc_usable_size(p) >= 1000);
    slub_free(p);
    for (; first; first = object) {
        object = (char **)*first;
        slub_free(first);
    }
}

static bool is_resident(void *page)
{
    unsigned char there = 0;

    return mincore(page, PAGE_SIZE, &there) == 0 && there & 1;
}

static bool is_mapped(void *page)
{
    unsigned char there;

    return mincore(page, PAGE_SIZE, &there) == 0;
}

/*
 * Where the system does not take a mapping back its memory goes, and its addresses serve the next ones, any part
 * of them, as long as there is enough; and all go when the system does take some back.
 */
static void test_refused_unmap(void **state)
{
    bool (*unmap)(void *, size_t) = kmem_os.unmap;
    char *p = slub_malloc(12 * MIB), *q, *r, *s;

    (void)state;
    memset(p, 1, 12 * MIB);
    kmem_os.unmap = refuse_unmap;
    slub_free(p);
    assert_false(is_resident(p + 6 * MIB));
    q = slub_calloc(1, 4 * MIB);
    assert_ptr_equal(q, p);
    r = slub_memalign(2 * MIB, 3 * MIB);
    assert_int_equal((uintptr_t)r % (2 * MIB), 0);
    assert_in_range((uintptr_t)r, (uintptr_t)p + 4 * MIB, (uintptr_t)p + 9 * MIB);
    for (size_t i = 0; i < 4 * MIB; i++)
        assert_int_equal(q[i], 0);
    for (size_t i = 0; i < 3 * MIB; i++)
        assert_int_equal(r[i], 0);
    memset(q, 2, 4 * MIB);
    memset(r, 3, 3 * MIB);
    s = slub_malloc(12 * MIB); /* which there is no more */
    assert_true(s + 12 * MIB <= p || s >= p + 12 * MIB);
    slub_free(q);
    slub_free(r);
    q = slub_calloc(12, MIB); /* in one piece again */
    assert_ptr_equal(q, p);
    for (size_t i = 0; i < 12 * MIB; i++)
        assert_int_equal(q[i], 0);
    slub_free(q);
    kmem_os.unmap = unmap;
    slub_free(s);
    assert_false(is_mapped(p));
    assert_false(is_mapped(p + 11 * MIB));
}

static bool refuse_purge(void *start, size_t bytes, bool shared)
{
    (void)start;
    (void)bytes;
    (void)shared;
    return false;
}

/* As of memory that is locked. */
static void test_refused_purge(void **state)
{
    struct kmem_os real = kmem_os;
    char *p = slub_malloc(5 * MIB), *q;

    (void)state;
    memset(p, 1, 5 * MIB);
    kmem_os.unmap = refuse_unmap;
    kmem_os.purge = refuse_purge;
    slub_free(p);
    q = slub_calloc(5, MIB);
    kmem_os = real;
    assert_ptr_equal(q, p);
    for (size_t i = 0; i < 5 * MIB; i++)
        assert_int_equal(q[i], 0);
    slub_free(q);
}

static size_t unmaps;

static bool take_back_one(void *start, size_t bytes)
{
    return unmaps++ == 0 && munmap(start, bytes) == 0;
}

/* However many regions are kept, a free tries a few of them for the system's refusals, not all. */
static void test_tries_are_bounded(void **state)
{
    enum { BLOCKS = 200 };
    bool (*unmap)(void *, size_t) = kmem_os.unmap;
    char *p[BLOCKS];

    (void)state;
    for (int i = 0; i < BLOCKS; i++)
        p[i] = slub_malloc(3 * MIB);
    kmem_os.unmap = refuse_unmap;
    for (int i = 1; i < BLOCKS; i += 2) /* none beside another */
        slub_free(p[i]);
    kmem_os.unmap = take_back_one;
    slub_free(p[0]);
    assert_in_range(unmaps, 2, 33);
    kmem_os.unmap = unmap;
    for (int i = 2; i < BLOCKS; i += 2)
        slub_free(p[i]);
    for (int i = 1; i < BLOCKS; i += 2)
        assert_false(is_mapped(p[i]));
}

/* Mappings that take the place of a pool that is full are no more than leave the program some of its own. */
static void test_stand_ins_are_bounded(void **state)
{
    enum { MOST = 8192, BYTES = 10000 };
    static void *p[MOST + 1];
    struct fail_attr all = {.of_1024 = 1024, .random = 1};
    size_t n = 0;

    (void)state;
    kmem_inject(&all, NULL);
    while (n <= MOST && (p[n] = slub_malloc(BYTES)) != NULL)
        n++;
    assert_in_range(n, MOST - 64, MOST);
    slub_free(p[--n]);
    p[n] = slub_malloc(BYTES);
    assert_non_null(p[n++]);
    kmem_inject(NULL, NULL);
    while (n > 0)
        slub_free(p[--n]);
    assert_int_equal(kmem_check(), 0);
}

/* A mapping with another behind it grows elsewhere, and takes its pages with it. */
static void test_mapping_moves(void **state)
{
    char *p = mapped_alloc(8 * MIB, 1), *q, *behind;

    (void)state;
    strcpy(p, "contents");
    behind = mmap(p + 8 * MIB, PAGE_SIZE, PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    q = mapped_resize(p, 20 * MIB);
    assert_non_null(q);
    assert_ptr_not_equal(q, p);
    assert_string_equal(q, "contents");
    assert_int_equal(mapped_size(q), 20 * MIB);
    assert_int_equal(mapped_size(p), 0);
    assert_true(mapped_free(q));
    if (behind != MAP_FAILED)
        munmap(behind, PAGE_SIZE);
}

/* The system keeps mappings that lie side by side as one, and to free one of them makes two. */
static void free_at_the_limit(void)
{
    char *p[5], *q;

    for (int i = 0; i < 5; i++)
        p[i] = slub_malloc(5 * MIB);
    if (kmem_check() != 0) /* which has its memory from now on */
        _exit(3);
    if (!use_up_mappings())
        _exit(77);
    slub_free(p[2]);
    slub_free(p[1]);
    q = slub_malloc(9 * MIB); /* which only those can serve */
    if (!q)
        _exit(2);
    memset(q, 1, 9 * MIB);
    slub_free(q);
    slub_free(p[0]);
    slub_free(p[3]);
    slub_free(p[4]);
    _exit(kmem_check() != 0);
}

static void test_limit_of_mappings(void **state)
{
    struct ending e = ending_of(free_at_the_limit);

    (void)state;
    if (e.status == 77 << 8)
        skip();
    assert_string_equal(e.said, "");
    assert_int_equal(e.status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ahead),
        cmocka_unit_test(test_tolerance),
        cmocka_unit_test(test_refused_ahead),
        cmocka_unit_test(test_refused_shorter),
        cmocka_unit_test(test_refused_unmap),
        cmocka_unit_test(test_refused_purge),
        cmocka_unit_test(test_tries_are_bounded),
        cmocka_unit_test(test_stand_ins_are_bounded),
        cmocka_unit_test(test_mapping_moves),
        cmocka_unit_test(test_limit_of_mappings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
