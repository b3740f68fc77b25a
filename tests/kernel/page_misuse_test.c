/* What the page layer says of memory that runs out, and of wrong calls. */
#include "page_support.h"

#include <signal.h>

static void fail_often(void)
{
    struct page *p;

    while ((p = alloc_pages(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN, 0)) != NULL)
        ;
    for (int i = 0; i < 40; i++)
        p = alloc_pages(GFP_KERNEL | __GFP_NORETRY, 0);
}

static void fail_silently(void)
{
    struct page *p;

    while ((p = alloc_pages(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN, 0)) != NULL)
        ;
    p = alloc_pages(GFP_NOWAIT, 0);
    (void)p;
}

static void test_warnings(void **state)
{
    struct ending e = ending_of(fail_often);
    size_t lines = 0;

    (void)state;
    for (const char *at = e.said; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_non_null(strstr(e.said, "page allocation failure: order 0, gfp 0x48"));
    assert_int_equal(lines, 10);
    e = ending_of(fail_silently);
    assert_string_equal(e.said, "");
}

static void free_twice(void)
{
    struct page *p = alloc_pages(GFP_KERNEL, 1);

    __free_pages(p, 1);
    __free_pages(p, 1);
}

static void free_twice_large(void)
{
    struct page *p = alloc_pages(GFP_KERNEL, 7);

    __free_pages(p, 7);
    __free_pages(p, 7);
}

static void free_wrong_order(void)
{
    __free_pages(alloc_pages(GFP_KERNEL, 2), 1);
}

static void free_inside(void)
{
    __free_pages(alloc_pages(GFP_KERNEL, 5) + 8, 5);
}

static void free_stranger(void)
{
    static struct page stranger;

    __free_pages(&stranger, 0);
}

static void free_run_twice(void)
{
    struct page *p = alloc_page_run(GFP_KERNEL, 21, 5);

    free_page_run(p);
    free_page_run(p);
}

static void free_run_inside(void)
{
    free_page_run(alloc_page_run(GFP_KERNEL, 21, 5) + 20);
}

static void free_run_as_block(void)
{
    __free_pages(alloc_page_run(GFP_KERNEL, 21, 5), 5);
}

static void free_slab(void)
{
    struct page *p = alloc_pages(GFP_KERNEL, 3);

    page_mark_slab(p);
    __free_pages(p, 3);
}

static void free_slab_large(void)
{
    struct page *p = alloc_pages(GFP_KERNEL, 5);

    page_mark_slab(p);
    __free_pages(p, 5);
}

static void free_slab_as_run(void)
{
    struct page *p = alloc_pages(GFP_KERNEL, 3);

    page_mark_slab(p);
    free_page_run(p);
}

/* It can be freed when it is one no more. */
static void free_former_slab(void)
{
    struct page *p = alloc_pages(GFP_KERNEL, 3);

    page_mark_slab(p);
    page_unmark_slab(p);
    __free_pages(p, 3);
    __free_pages(p, 3);
}

static void test_misuse(void **state)
{
    static const char block[] = "slub: __free_pages(): not an allocated block of this order: '0x";
    static const char slab[] = "slub: __free_pages(): page of a slab in use: '0x";
    static const char run[] = "slub: free_page_run(): not an allocated run or block: '0x";
    static const struct {
        void (*body)(void);
        const char *said;
    } misuse[] = {
        {free_twice, block},     {free_twice_large, block}, {free_wrong_order, block},
        {free_inside, block},    {free_stranger, block},    {free_run_as_block, block},
        {free_run_twice, run},   {free_run_inside, run},    {free_slab, slab},
        {free_slab_large, slab}, {free_slab_as_run, run},   {free_former_slab, block},
    };

    (void)state;
    for (size_t i = 0; i < sizeof misuse / sizeof *misuse; i++) {
        struct ending e = ending_of(misuse[i].body);

        assert_int_equal(strncmp(e.said, misuse[i].said, strlen(misuse[i].said)), 0);
        assert_int_equal(signal_of(&e), SIGABRT);
    }
}

/* Warnings first: no others must have been said in the last seconds. */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_warnings),
    cmocka_unit_test(test_misuse),
};

DEFINE_GROUP(misuse, tests)

int main(void)
{
    return in_child("misuse", &usual_pool, misuse) != 0;
}
