/* Blocks of pages under realloc: what is asked for in advance, what is kept, and who refuses. */
#include "support.h"

#include <string.h>

#include "malloc/large.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ahead),
        cmocka_unit_test(test_tolerance),
        cmocka_unit_test(test_refused_ahead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
