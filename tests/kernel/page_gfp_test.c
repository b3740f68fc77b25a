/*
 * What each flag promises when memory is short, when the operating system refuses, and in the pool's
 * last pages.
 */
#include "page_support.h"

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "page/pcp.h"

/* Blocks kept in a list through their first word. */
struct hoard {
    struct page *first;
    size_t n;
};

static bool hoard_one(struct hoard *h, gfp_t gfp, unsigned order)
{
    struct page *p = alloc_pages(gfp, order);

    if (p) {
        *(struct page **)page_address(p) = h->first;
        h->first = p;
        h->n++;
    }
    return p != NULL;
}

static void hoard_all(struct hoard *h, gfp_t gfp, unsigned order)
{
    while (hoard_one(h, gfp, order))
        ;
}

static void hoard_free(struct hoard *h, unsigned order, size_t n)
{
    for (; h->first && n > 0; n--) {
        struct page *p = h->first;

        h->first = *(struct page **)page_address(p);
        h->n--;
        __free_pages(p, order);
    }
}

static struct zone *normal(void)
{
    return node_zone(0, ZONE_NORMAL);
}

/* Who may not enter the system gets nothing that would have to be touched first. */
static void test_no_system_no_fresh_memory(void **state)
{
    size_t calls = system_calls();

    (void)state;
    for (unsigned order = 0; order < NR_PAGE_ORDERS; order++) {
        assert_null(alloc_pages(GFP_NOWAIT, order));
        assert_null(alloc_pages(GFP_ATOMIC, order));
    }
    assert_int_equal(system_calls(), calls);
    /* What was used once, they may have, as long as it is there. */
    struct page *p = alloc_pages(GFP_KERNEL, 4), *q;
    __free_pages(p, 4);
    q = alloc_pages(GFP_NOWAIT, 4);
    assert_ptr_equal(q, p);
    assert_null(alloc_pages(GFP_NOWAIT, 4));
    __free_pages(q, 4);
    /* But not after it was given back to the system. */
    kmem_pages_release(0);
    assert_null(alloc_pages(GFP_NOWAIT, 4));
    assert_null(alloc_pages(GFP_ATOMIC, 0));
}

/* Present frames between absent ones are found. */
static void test_no_system_finds_present_runs(void **state)
{
    struct page *p[32];

    (void)state;
    for (int i = 0; i < 32; i++)
        p[i] = alloc_pages(GFP_KERNEL, 4);
    for (int i = 0; i < 32; i++)
        __free_pages(p[i], 4);
    kmem_pages_release(0);
    for (int i = 0; i < 32; i++)
        p[i] = alloc_pages(GFP_KERNEL, 4);
    __free_pages(p[7], 4);
    /* Its neighbours are freed while absent: drained from nobody's hands, they merge with it. */
    struct page *found = alloc_pages(GFP_NOWAIT, 3), *more = alloc_pages(GFP_NOWAIT, 3);
    assert_non_null(found);
    assert_non_null(more);
    __free_pages(found, 3);
    __free_pages(more, 3);
    for (int i = 0; i < 32; i++)
        if (i != 7)
            __free_pages(p[i], 4);
    assert_whole();
    kmem_pages_release(0);
}

/* Every call fails as its flags say, the reserve serves those entitled to it, then all is whole. */
static void test_exhaustion(void **state)
{
    struct hoard kernel = {0}, nowait = {0}, atomic = {0};
    struct zone *z = normal();
    size_t calls;

    (void)state;
    assert_true(kmem_pages_reserve(2 * MIB));
    assert_int_equal(z->reserve, 2 * MIB / PAGE_SIZE);
    hoard_all(&kernel, GFP_KERNEL | __GFP_NORETRY, 0);
    /* All that is left is the reserve, which is more than the watermark says, and present. */
    assert_true(z->reserve > z->watermark[WMARK_MIN]);
    assert_in_range(z->present, z->reserve, z->reserve + 16);
    assert_int_equal(zone_free_frames(z), z->present);
    assert_null(alloc_pages(GFP_KERNEL, 0));
    assert_null(alloc_pages(GFP_KERNEL | __GFP_RETRY_MAYFAIL, 0));
    assert_null(alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER));
    calls = system_calls();
    hoard_all(&nowait, GFP_NOWAIT, 0);
    assert_int_equal(nowait.n, 0);
    hoard_all(&atomic, GFP_ATOMIC, 0);
    assert_int_equal(system_calls(), calls);
    assert_in_range(atomic.n, z->reserve * 3 / 4, z->reserve * 3 / 4 + 16);
    assert_in_range(zone_free_frames(z), z->reserve / 4, z->reserve / 4 + 16);
    /* Only who makes memory free may have the rest. */
    in_reclaim = true;
    struct page *last = alloc_pages(GFP_KERNEL, 0);
    in_reclaim = false;
    assert_non_null(last);
    __free_pages(last, 0);
    assert_whole();
    hoard_free(&atomic, 0, SIZE_MAX);
    hoard_free(&kernel, 0, SIZE_MAX);
    pcp_drain_all(GFP_KERNEL);
    assert_whole();
    assert_int_equal(zone_used_frames(z), 0);
    hoard_all(&kernel, GFP_KERNEL | __GFP_NORETRY, MAX_PAGE_ORDER);
    assert_in_range(kernel.n, 13, 16);
    hoard_free(&kernel, MAX_PAGE_ORDER, SIZE_MAX);
    assert_true(kmem_pages_reserve(0));
}

/* GFP_KERNEL restores what GFP_ATOMIC took. */
static void test_reserve_is_refilled(void **state)
{
    struct hoard atomic = {0}, kernel = {0};
    struct zone *z = normal();

    (void)state;
    pcp_drain_all(GFP_KERNEL);
    kmem_pages_release(0);
    assert_true(kmem_pages_reserve(MIB / 2));
    assert_int_equal(z->present, MIB / 2 / PAGE_SIZE);
    hoard_all(&atomic, GFP_ATOMIC, 0);
    assert_in_range(atomic.n, MIB / 2 / PAGE_SIZE / 2, MIB / 2 / PAGE_SIZE);
    assert_true(z->present < z->reserve);
    for (int i = 0; i < 20; i++)
        assert_true(hoard_one(&kernel, GFP_KERNEL, 4));
    assert_true(z->present >= z->reserve);
    assert_true(hoard_one(&atomic, GFP_ATOMIC, 0));
    hoard_free(&kernel, 4, SIZE_MAX);
    hoard_free(&atomic, 0, SIZE_MAX);
    /* A purge leaves it alone. */
    kmem_pages_release(0);
    assert_true(z->present >= z->reserve);
    assert_true(kmem_pages_reserve(0));
    assert_whole();
}

/* ---- Shrinkers -------------------------------------------------------------------------------- */

static struct hoard cache;
static unsigned long counted, scanned;
static bool allocates, stubborn;
static bool filling; /* the cache has nothing to give while it is being filled */

static unsigned long cache_count(struct shrinker *s, struct shrink_control *sc)
{
    (void)s;
    assert_true(sc->gfp_mask & __GFP_DIRECT_RECLAIM);
    counted++;
    return filling ? 0 : cache.n;
}

static unsigned long cache_scan(struct shrinker *s, struct shrink_control *sc)
{
    size_t before = cache.n;

    (void)s;
    scanned++;
    if (stubborn)
        return SHRINK_STOP;
    if (allocates) {
        struct page *p = alloc_pages(GFP_KERNEL, 0);

        assert_non_null(p);
        __free_pages(p, 0);
    }
    hoard_free(&cache, 0, sc->nr_to_scan);
    return before - cache.n;
}

static struct shrinker shrinker = {.count_objects = cache_count, .scan_objects = cache_scan};

static void test_shrinkers(void **state)
{
    struct hoard rest = {0};

    (void)state;
    assert_int_equal(register_shrinker(&shrinker), 0);
    assert_true(register_shrinker(&shrinker) < 0);
    /* Who cannot wait does not reclaim. */
    counted = 0;
    filling = true;
    hoard_all(&cache, GFP_KERNEL | __GFP_RECLAIMABLE | __GFP_NORETRY, 0);
    filling = false;
    size_t all = cache.n;
    counted = 0;
    assert_null(alloc_pages(GFP_NOWAIT, 0));
    hoard_all(&rest, GFP_ATOMIC, 0);
    hoard_free(&rest, 0, SIZE_MAX);
    assert_int_equal(counted, 0);
    /* Who can gets what the cache holds, also by a hook that allocates. */
    allocates = true;
    struct page *p = alloc_pages(GFP_KERNEL, 0);
    assert_non_null(p);
    assert_true(counted > 0 && cache.n < all && cache.n > 0);
    __free_pages(p, 0);
    /* With effort a whole block. */
    p = alloc_pages(GFP_KERNEL | __GFP_RETRY_MAYFAIL, MAX_PAGE_ORDER);
    assert_non_null(p);
    __free_pages(p, MAX_PAGE_ORDER);
    hoard_free(&cache, 0, SIZE_MAX);
    allocates = false;
    assert_whole();
}

/* NORETRY asks once; MAYFAIL more often than no flag; a hook that stops is not pressed. */
static void test_effort(void **state)
{
    unsigned long once, normally, hard;

    (void)state;
    filling = true;
    hoard_all(&cache, GFP_KERNEL | __GFP_NORETRY, 0);
    filling = false;
    stubborn = true;
    scanned = 0;
    assert_null(alloc_pages(GFP_KERNEL | __GFP_NORETRY, 0));
    once = scanned;
    assert_null(alloc_pages(GFP_KERNEL, 0));
    normally = scanned - once;
    assert_null(alloc_pages(GFP_KERNEL | __GFP_RETRY_MAYFAIL, 0));
    hard = scanned - once - normally;
    assert_int_equal(once, 1);
    assert_true(normally > once && hard > normally);
    stubborn = false;
    hoard_free(&cache, 0, SIZE_MAX);
    unregister_shrinker(&shrinker);
    counted = 0;
    hoard_all(&cache, GFP_KERNEL | __GFP_NORETRY, 0);
    assert_int_equal(counted, 0);
    hoard_free(&cache, 0, SIZE_MAX);
}

/* ---- Waiting ---------------------------------------------------------------------------------- */

static struct hoard held;

static void *free_later(void *unused)
{
    usleep(30000);
    hoard_free(&held, 0, 1000);
    return unused;
}

/* Memory that another thread frees soon is waited for by those who said so. */
static void test_waiting(void **state)
{
    gfp_t patient[] = {GFP_KERNEL | __GFP_RETRY_MAYFAIL, GFP_KERNEL | __GFP_NOFAIL};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        pthread_t t;
        struct page *p;

        hoard_all(&held, GFP_KERNEL | __GFP_NORETRY, 0);
        /* NOFAIL takes from the reserve first: leave none. */
        hoard_all(&held, GFP_ATOMIC, 0);
        assert_null(alloc_pages(GFP_KERNEL | __GFP_NORETRY, 0));
        assert_int_equal(pthread_create(&t, NULL, free_later, NULL), 0);
        p = alloc_pages(patient[i], 0);
        assert_non_null(p);
        pthread_join(t, NULL);
        __free_pages(p, 0);
        hoard_free(&held, 0, SIZE_MAX);
    }
    assert_whole();
}

/* ---- Refusals --------------------------------------------------------------------------------- */

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
    (void)state;
    kmem_pages_release(0);
    refusal.populate = true;
    refusal.of_16 = 16;
    assert_false(kmem_pages_reserve(MIB));
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

/* ---- Warnings, misuse ------------------------------------------------------------------------- */

/* What `body` writes to standard error, in a child of its own, which may abort. */
static size_t said_by(void (*body)(void), char *text, size_t bytes)
{
    FILE *f = tmpfile();
    size_t n;
    pid_t child;

    fflush(NULL);
    child = fork();
    if (child == 0) {
        kmem_pages_after_fork_child();
        dup2(fileno(f), STDERR_FILENO);
        body();
        _exit(0);
    }
    waitpid(child, NULL, 0);
    rewind(f);
    n = fread(text, 1, bytes - 1, f);
    text[n] = '\0';
    fclose(f);
    return n;
}

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
    char text[8192];
    size_t lines = 0;

    (void)state;
    said_by(fail_often, text, sizeof text);
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_non_null(strstr(text, "page allocation failure: order 0, gfp 0x48"));
    assert_int_equal(lines, 10);
    assert_int_equal(said_by(fail_silently, text, sizeof text), 0);
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

static void test_misuse(void **state)
{
    void (*misuse[])(void) = {free_twice, free_twice_large, free_wrong_order, free_inside,
                              free_stranger};
    char text[4096];

    (void)state;
    for (size_t i = 0; i < sizeof misuse / sizeof *misuse; i++) {
        said_by(misuse[i], text, sizeof text);
        assert_non_null(strstr(text, "__free_pages(): not an allocated block of this order: '0x"));
    }
    said_by(free_run_as_block, text, sizeof text);
    assert_non_null(strstr(text, "__free_pages(): not an allocated block of this order: '0x"));
    said_by(free_run_twice, text, sizeof text);
    assert_non_null(strstr(text, "free_page_run(): not an allocated run or block: '0x"));
    said_by(free_run_inside, text, sizeof text);
    assert_non_null(strstr(text, "free_page_run(): not an allocated run or block: '0x"));
}

/* ---- Giving back ------------------------------------------------------------------------------ */

/* Memory in use within the last seconds stays; what is beyond it goes, in whole blocks. */
static void test_steady_state_policy(void **state)
{
    struct zone *z = normal();
    struct hoard h = {0};
    size_t released;

    (void)state;
    hoard_all(&h, GFP_KERNEL | __GFP_NORETRY, 0);
    hoard_free(&h, 0, SIZE_MAX);
    pcp_drain_all(GFP_KERNEL);
    released = z->released;
    for (int i = 0; i < 3; i++) {
        hoard_all(&h, GFP_KERNEL | __GFP_NORETRY, 0);
        hoard_free(&h, 0, SIZE_MAX);
    }
    assert_int_equal(z->released, released);
    assert_true(z->present > 8 * MAX_ORDER_NR_PAGES);
    /* A page in a CPU's list keeps its 4 MiB block from being whole, and a thread that was moved leaves
     * such pages in two lists. */
    pcp_drain_all(GFP_KERNEL);
    /* As if ten seconds had passed. */
    z->peak.now = z->peak.before = 0;
    struct page *p = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER);
    __free_pages(p, MAX_PAGE_ORDER);
    assert_true(z->released > released);
    assert_in_range(z->present, 0, 2 * MAX_ORDER_NR_PAGES + 256);
    assert_whole();
}

static const struct CMUnitTest fresh_tests[] = {
    cmocka_unit_test(test_no_system_no_fresh_memory),
    cmocka_unit_test(test_no_system_finds_present_runs),
    cmocka_unit_test(test_refused_growth),
    cmocka_unit_test(test_refused_purge),
    cmocka_unit_test(test_refused_populate),
};

/* Warnings first: no others must have been said in the last seconds. */
static const struct CMUnitTest full_tests[] = {
    cmocka_unit_test(test_warnings),  cmocka_unit_test(test_exhaustion),
    cmocka_unit_test(test_shrinkers), cmocka_unit_test(test_reserve_is_refilled),
    cmocka_unit_test(test_effort),    cmocka_unit_test(test_waiting),
    cmocka_unit_test(test_misuse),    cmocka_unit_test(test_steady_state_policy),
};

DEFINE_GROUP(fresh, fresh_tests)
DEFINE_GROUP(full, full_tests)

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

static int refused_starts(void)
{
    int failed = 0, started = 0;

    fflush(NULL);
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
    const struct page_config c = {.pool_bytes = 64 * MIB,
                                  .highmem_bytes = 4 * MIB,
                                  .nodes = 1,
                                  .min_bytes = 2 * MIB,
                                  .warn = true};
    const struct page_config shared = {.pool_bytes = 64 * MIB,
                                       .nodes = 1,
                                       .min_bytes = 2 * MIB,
                                       .warn = true,
                                       .backing = BACKING_MEMFD};

    refuse_start();
    return (in_child("fresh", &c, fresh) + in_child("full", &c, full) +
            in_child("fresh shared", &shared, fresh) + refused_starts()) != 0;
}
