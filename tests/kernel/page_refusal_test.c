/*
 * An operating system that refuses: to reserve, to make readable, to take back, to touch. Nothing is lost, and
 * better times are noticed.
 */
#include "page_support.h"

#include <sys/wait.h>
#include <unistd.h>

#include "page/pcp.h"

static struct zone *normal(void)
{
    return node_zone(0, ZONE_NORMAL);
}

/* A system that refuses to make memory readable: NULL, nothing lost, and better times are noticed. */
static void test_refused_growth(void **state)
{
    struct hoard h = {0};
    struct zone *z = normal();

    (void)state;
    pcp_drain_all(GFP_KERNEL);
    refusal.commit = true;
    refusal.of_16 = 16;
    hoard_all(&h, GFP_KERNEL | __GFP_NORETRY, 3);
    assert_true(z->committed < z->end);
    assert_null(alloc_pages(GFP_KERNEL, 3));
    assert_true(refusal.refused > 0);
    assert_whole();
    refusal.of_16 = 8;
    for (int i = 0; i < 400; i++)
        hoard_one(&h, GFP_KERNEL, 3);
    assert_whole();
    refusal.commit = false;
    assert_true(hoard_one(&h, GFP_KERNEL, MAX_PAGE_ORDER) || z->committed == z->end);
    if (h.n && page_order(h.first) == MAX_PAGE_ORDER)
        hoard_free(&h, MAX_PAGE_ORDER, 1);
    hoard_free(&h, 3, SIZE_MAX);
    assert_whole();
}

static void test_refused_purge(void **state)
{
    struct page *p = alloc_pages(GFP_KERNEL, 8);
    struct page_stats before, after;

    (void)state;
    __free_pages(p, 8);
    refusal.purge = true;
    refusal.of_16 = 16;
    kmem_pages_stats(&before);
    kmem_pages_release(0);
    kmem_pages_stats(&after);
    assert_int_equal(after.released_bytes, before.released_bytes);
    assert_true(after.present_bytes > 0);
    assert_whole();
    refusal.of_16 = 8;
    for (int i = 0; i < 50; i++)
        kmem_pages_release(0);
    refusal.purge = false;
    kmem_pages_release(0);
    kmem_pages_stats(&after);
    assert_int_equal(after.present_bytes, 0);
    assert_whole();
}

static void test_refused_populate(void **state)
{
    struct page_stats s;

    (void)state;
    kmem_pages_release(0);
    refusal.populate = true;
    refusal.of_16 = 16;
    assert_false(kmem_pages_reserve(MIB));
    kmem_pages_stats(&s);
    assert_int_equal(s.present_bytes, 0);
    assert_null(alloc_pages(GFP_ATOMIC, 0));
    assert_whole();
    refusal.populate = false;
    assert_true(kmem_pages_reserve(MIB));
    struct page *p = alloc_pages(GFP_ATOMIC, 0);
    assert_non_null(p);
    __free_pages(p, 0);
    assert_true(kmem_pages_reserve(0));
    assert_whole();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_refused_growth),
    cmocka_unit_test(test_refused_purge),
    cmocka_unit_test(test_refused_populate),
};

DEFINE_GROUP(refusals, tests)

/* A start that is refused is tried with half as much, and half of that; or fails whole. */
enum { REFUSED_WHOLE = 10 };

static int start_under_refusal(void)
{
    struct page_config c = {.pool_bytes = 256 * MIB, .nodes = 1};

    refusal.reserve = refusal.map = true;
    refusal.of_16 = 16;
    if (kmem_pages_start(&c) >= 0 || page_globals.bytes != 0)
        return 1;
    refusal.of_16 = 5;
    if (kmem_pages_start(&c) != 0)
        return page_globals.bytes == 0 ? REFUSED_WHOLE : 2;
    return alloc_pages(GFP_KERNEL, 0) ? 0 : 3;
}

/* Frames' cells that may not be read in front of the pool lie somewhere else. */
static int start_with_cells_apart(void)
{
    struct page_config c = {.pool_bytes = 256 * MIB, .nodes = 1};

    refusal.show = true;
    refusal.of_16 = 16;
    if (kmem_pages_start(&c) != 0 || kmem_pages_cells_in_front())
        return 1;
    kmem_pages_cells()[page_to_frame(alloc_pages(GFP_KERNEL, 0))] = 1;
    return 0;
}

static int refused_starts(void)
{
    int failed = 1, started = 0; /* without a child, too */

    fflush(NULL);
    if (fork() == 0)
        _exit(start_with_cells_apart());
    wait(&failed);
    failed = failed != 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        int status;
        pid_t child = fork();

        if (child == 0) {
            refusal.random *= seed * 2 + 1;
            _exit(start_under_refusal());
        }
        waitpid(child, &status, 0);
        started += status == 0;
        failed += status != 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != REFUSED_WHOLE);
    }
    if (failed || started < 2)
        fprintf(stderr, "refused starts: of 8 %d failed, %d started\n", failed, started);
    return failed || started < 2;
}

int main(void)
{
    refuse_start();
    return (in_child("refusals", &usual_pool, refusals) +
            in_child("refusals shared", &shared_pool, refusals) + refused_starts()) != 0;
}
