/* What each flag promises when memory is short, and in the pool's last pages. */
#include "page_support.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "page/pcp.h"
#include "page/waiters.h"

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

/* Nor what lies untouched in this CPU's list, which is filled several pages at a time. */
static void test_no_system_no_fresh_page_in_list(void **state)
{
    struct zone *z = normal();
    struct page *p, *q;

    (void)state;
    stay_on_this_cpu();
    kmem_pages_release(0);
    p = alloc_pages(GFP_KERNEL, 0);
    assert_non_null(p);
    assert_true(this_pcp(z)->count[pcp_list(UNMOVABLE, 0)] > 0);
    assert_null(alloc_pages(GFP_NOWAIT, 0));
    assert_null(alloc_pages(GFP_ATOMIC, 0));
    __free_pages(p, 0);
    q = alloc_pages(GFP_NOWAIT, 0);
    assert_ptr_equal(q, p);
    __free_pages(q, 0);
    kmem_pages_release(0);
    assert_whole();
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

/* What lies in the lists of other CPUs comes back for them, too. */
static void test_no_system_drains_lists(void **state)
{
    const gfp_t contexts[] = {GFP_NOWAIT, GFP_ATOMIC};
    struct zone *z = normal();
    struct pcp *others;

    (void)state;
    if (pool.cpus == 1)
        skip();
    stay_on_this_cpu();
    others = &z->pcp[(os_cpu() + 1) % pool.cpus];
    for (int i = 0; i < 2; i++) {
        struct page *p = alloc_pages(GFP_KERNEL, 0), *found;

        kmem_pages_release(0);
        assert_null(alloc_pages(contexts[i], 0));
        assert_true(pcp_push(others, page_to_frame(p), 0, UNMOVABLE));
        found = alloc_pages(contexts[i], 0);
        assert_ptr_equal(found, p);
        __free_pages(found, 0);
        kmem_pages_release(0);
        assert_whole();
    }
}

/* Runs as well; where the zone is busy, a run keeps what its block has beyond it. */
static void test_no_system_runs(void **state)
{
    struct zone *z = normal();
    struct page *run, *rest, *p;
    size_t calls = system_calls();

    (void)state;
    assert_null(alloc_page_run(GFP_ATOMIC, 21, 0));
    assert_null(alloc_page_run(GFP_NOWAIT, 21, 5));
    assert_int_equal(system_calls(), calls);
    p = alloc_pages(GFP_KERNEL, 5);
    __free_pages(p, 5);
    calls = system_calls();
    run = alloc_page_run(GFP_ATOMIC, 21, 0);
    assert_ptr_equal(run, p);
    assert_int_equal(page_frames(run), 21);
    rest = alloc_page_run(GFP_NOWAIT, 7, 0);
    assert_in_range(rest - run, 21, 32 - 7);
    assert_null(alloc_page_run(GFP_NOWAIT, 21, 0));
    free_page_run(rest);
    free_page_run(run);
    assert_whole();
    p = alloc_pages(GFP_KERNEL, 3);
    __free_pages(p, 3); /* to this CPU's list */
    calls = system_calls();
    lock_take(&z->lock);
    assert_null(alloc_page_run(GFP_ATOMIC, 21, 0));
    run = alloc_page_run(GFP_ATOMIC, 5, 0);
    lock_drop(&z->lock);
    assert_ptr_equal(run, p);
    assert_int_equal(page_frames(run), 8);
    assert_int_equal(system_calls(), calls);
    assert_false(in_atomic);
    free_page_run(run);
    kmem_pages_release(0);
    assert_whole();
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

/* Not even page by page, while somebody takes of the reserve and gives it back, do others get any of it. */
static void test_reserve_is_for_the_entitled(void **state)
{
    struct hoard kernel = {0}, atomic = {0};
    struct zone *z = normal(), *dma = node_zone(0, ZONE_DMA);
    size_t saved_lowmem = dma->lowmem_reserve, given_back;

    (void)state;
    dma->lowmem_reserve = SIZE_MAX / 2; /* does not help out */
    assert_true(kmem_pages_reserve(2 * MIB));
    hoard_all(&kernel, GFP_KERNEL | __GFP_NORETRY, 0);
    while (hoard_one(&atomic, GFP_ATOMIC, 0)) {
        assert_null(alloc_pages(GFP_NOWAIT, 0));
        assert_null(alloc_pages(GFP_KERNEL | __GFP_NORETRY, 0));
    }
    assert_in_range(atomic.n, z->reserve * 3 / 4 - 16, z->reserve * 3 / 4 + 16);
    /* Whatever list the pages came from. */
    given_back = z->reserve / 2;
    hoard_free(&atomic, 0, given_back / 2);
    hoard_free(&kernel, 0, given_back / 2);
    for (unsigned order = 0; order < PCP_ORDERS; order++)
        assert_null(alloc_pages(GFP_NOWAIT, order));
    hoard_free(&kernel, 0, z->reserve);
    assert_true(hoard_one(&kernel, GFP_NOWAIT, 0));
    hoard_free(&atomic, 0, SIZE_MAX);
    hoard_free(&kernel, 0, SIZE_MAX);
    assert_true(kmem_pages_reserve(0));
    dma->lowmem_reserve = saved_lowmem;
    assert_whole();
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

/* Who reclaims does so up to the high watermark, whatever the first round brought. */
static void test_high_watermark(void **state)
{
    const gfp_t efforts[] = {GFP_KERNEL | __GFP_NORETRY, GFP_KERNEL};
    struct hoard rest = {0};
    struct zone *z = normal();

    (void)state;
    for (int i = 0; i < 600; i++) /* first, from the zone that is looked at */
        assert_true(hoard_one(&cache, GFP_KERNEL, 0));
    filling = true;
    hoard_all(&rest, GFP_KERNEL | __GFP_NORETRY, 0);
    for (int i = 0; i < 2; i++) {
        filling = false;
        struct page *p = alloc_pages(efforts[i], 0);

        assert_non_null(p);
        pcp_drain_all(GFP_KERNEL);
        assert_true(zone_free_frames(z) >= z->watermark[WMARK_MIN]);
        assert_int_equal(zone_free_frames(z) >= z->watermark[WMARK_HIGH], efforts[i] == GFP_KERNEL);
        __free_pages(p, 0);
        filling = true;
        hoard_all(&cache, GFP_KERNEL | __GFP_NORETRY, 0);
    }
    filling = false;
    hoard_free(&cache, 0, SIZE_MAX);
    hoard_free(&rest, 0, SIZE_MAX);
    assert_whole();
}

/* ---- A shrinker of small objects, which seldom sets a page free ---- */

enum { SMALL_OBJECTS = 100000 };

static unsigned long small_left, small_pages;

static unsigned long small_count(struct shrinker *s, struct shrink_control *sc)
{
    (void)s;
    (void)sc;
    return small_left;
}

static unsigned long small_scan(struct shrinker *s, struct shrink_control *sc)
{
    (void)s;
    hoard_free(&cache, 0, small_pages);
    small_pages = 0;
    small_left -= sc->nr_to_scan;
    return sc->nr_to_scan;
}

/* Who is served already does not empty a cache for the high watermark if that sets no page free. */
static void test_high_watermark_spares_objects(void **state)
{
    struct shrinker s = {.count_objects = small_count, .scan_objects = small_scan};
    struct hoard rest = {0};
    struct zone *z = normal();
    struct page *p;

    (void)state;
    unregister_shrinker(&shrinker);
    assert_int_equal(register_shrinker(&s), 0);
    for (int i = 0; i < 32; i++) /* for the first scan to give, from the zone that is looked at */
        assert_true(hoard_one(&cache, GFP_KERNEL, 0));
    hoard_all(&rest, GFP_KERNEL | __GFP_NORETRY, 0);
    small_pages = 32;
    small_left = SMALL_OBJECTS;
    p = alloc_pages(GFP_KERNEL, 0);
    assert_non_null(p);
    assert_true(zone_free_frames(z) < z->watermark[WMARK_HIGH]);
    assert_in_range(small_left, SMALL_OBJECTS / 2, SMALL_OBJECTS - 1);
    __free_pages(p, 0);
    unregister_shrinker(&s);
    assert_int_equal(register_shrinker(&shrinker), 0);
    hoard_free(&rest, 0, SIZE_MAX);
    assert_whole();
}

/* Rounds in which the hook was asked, by a call that nobody could help. */
static unsigned long rounds_of(gfp_t gfp, unsigned order)
{
    scanned = 0;
    assert_null(alloc_pages(gfp, order));
    return scanned;
}

/* NORETRY asks once; others as often as the README says; a hook that stops is not pressed. */
static void test_effort(void **state)
{
    (void)state;
    filling = true;
    hoard_all(&cache, GFP_KERNEL | __GFP_NORETRY, 0);
    filling = false;
    stubborn = true;
    assert_int_equal(rounds_of(GFP_KERNEL | __GFP_NORETRY, 0), 1);
    assert_int_equal(rounds_of(GFP_KERNEL, 0), 8);
    assert_int_equal(rounds_of(GFP_KERNEL, 3), 8);
    assert_int_equal(rounds_of(GFP_KERNEL, 4), 3);
    assert_int_equal(rounds_of(GFP_KERNEL | __GFP_RETRY_MAYFAIL, 4), 32);
    stubborn = false;
    hoard_free(&cache, 0, SIZE_MAX);
    unregister_shrinker(&shrinker);
    counted = 0;
    hoard_all(&cache, GFP_KERNEL | __GFP_NORETRY, 0);
    assert_int_equal(counted, 0);
    hoard_free(&cache, 0, SIZE_MAX);
}

static unsigned long weighed_count(struct shrinker *s, struct shrink_control *sc)
{
    (void)s;
    (void)sc;
    return filling ? 0 : 1 << 20;
}

static struct shrinker weighed[3];
static unsigned long asked_for[3];

static unsigned long weighed_scan(struct shrinker *s, struct shrink_control *sc)
{
    asked_for[s - weighed] += sc->nr_to_scan;
    return 0;
}

/* What is dear to make again is scanned less: 4 / seeks of a round's share, which is an eighth at first. */
static void test_seeks(void **state)
{
    static const unsigned seeks[3] = {0, 1, 8};

    (void)state;
    for (int i = 0; i < 3; i++) {
        weighed[i] = (struct shrinker){.count_objects = weighed_count,
                                       .scan_objects = weighed_scan,
                                       .seeks = seeks[i]};
        assert_int_equal(register_shrinker(&weighed[i]), 0);
    }
    filling = true;
    hoard_all(&cache, GFP_KERNEL | __GFP_NORETRY, 0);
    filling = false;
    assert_null(alloc_pages(GFP_KERNEL | __GFP_NORETRY, 0));
    for (int i = 0; i < 3; i++)
        unregister_shrinker(&weighed[i]);
    assert_int_equal(asked_for[0], (1 << 17) * 4 / DEFAULT_SEEKS);
    assert_int_equal(asked_for[1], (1 << 17) * 4);
    assert_int_equal(asked_for[2], (1 << 17) * 4 / 8);
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

/* Memory that another thread frees some time is waited for by who cannot fail. */
static void test_waiting(void **state)
{
    pthread_t t;
    struct page *p;

    (void)state;
    hoard_all(&held, GFP_KERNEL | __GFP_NORETRY, 0);
    in_reclaim = true; /* NOFAIL takes what others must leave first: nothing is left. */
    hoard_all(&held, GFP_KERNEL | __GFP_NORETRY, 0);
    in_reclaim = false;
    assert_null(alloc_pages(GFP_KERNEL | __GFP_NORETRY, 0));
    assert_int_equal(pthread_create(&t, NULL, free_later, NULL), 0);
    p = alloc_pages(GFP_KERNEL | __GFP_NOFAIL, 0);
    assert_non_null(p);
    pthread_join(t, NULL);
    __free_pages(p, 0);
    hoard_free(&held, 0, SIZE_MAX);
    assert_whole();
}

/* Who cannot fail may have what others must leave, without anybody's help. */
static void test_nofail_is_desperate(void **state)
{
    struct zone *z = normal();
    struct page *p;

    (void)state;
    hoard_all(&held, GFP_KERNEL | __GFP_NORETRY, 0);
    assert_null(alloc_pages(GFP_KERNEL, 0));
    p = alloc_pages(GFP_KERNEL | __GFP_NOFAIL, 0); /* waits for ever otherwise */
    assert_non_null(p);
    assert_true(zone_free_frames(z) < z->watermark[WMARK_MIN]);
    __free_pages(p, 0);
    hoard_free(&held, 0, SIZE_MAX);
    assert_whole();
}

enum { LONG_MS = 900 };

static unsigned long_ticket;
static bool woken, waited;

static void *wait_long(void *unused)
{
    struct timespec from, to;
    long ms;

    clock_gettime(CLOCK_MONOTONIC, &from);
    page_waiters_wait(long_ticket, LONG_MS);
    clock_gettime(CLOCK_MONOTONIC, &to);
    ms = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
    woken = ms < LONG_MS;
    __atomic_store_n(&waited, true, __ATOMIC_RELEASE);
    return unused;
}

/* Whoever waits is woken by what comes free, and need not look again by itself. */
static void test_waiters_are_woken(void **state)
{
    pthread_t t;

    (void)state;
    long_ticket = page_waiters_ticket();
    assert_int_equal(pthread_create(&t, NULL, wait_long, NULL), 0);
    while (!__atomic_load_n(&waited, __ATOMIC_ACQUIRE)) {
        __free_pages(alloc_pages(GFP_KERNEL, 4), 4);
        usleep(100);
    }
    pthread_join(t, NULL);
    assert_int_not_equal(page_waiters_ticket(), long_ticket);
    assert_true(woken);
}

enum { LATE_ROUND = 12 }; /* more than those have who said nothing */

static unsigned long late_count(struct shrinker *s, struct shrink_control *sc)
{
    (void)s;
    (void)sc;
    return 1;
}

static unsigned long late_scan(struct shrinker *s, struct shrink_control *sc)
{
    (void)s;
    (void)sc;
    if (++scanned == LATE_ROUND)
        hoard_free(&held, 0, 1000);
    return 0;
}

/* In rounds, as others count them that free meanwhile: how long they take is the machine's affair. */
static void test_late_memory(void **state)
{
    struct shrinker late = {.count_objects = late_count, .scan_objects = late_scan};
    struct page *p;

    (void)state;
    hoard_all(&held, GFP_KERNEL | __GFP_NORETRY, 0);
    hoard_all(&held, GFP_ATOMIC, 0);
    assert_int_equal(register_shrinker(&late), 0);
    scanned = 0;
    assert_null(alloc_pages(GFP_KERNEL, 0));
    assert_true(scanned < LATE_ROUND);
    scanned = 0;
    p = alloc_pages(GFP_KERNEL | __GFP_RETRY_MAYFAIL, 0);
    assert_non_null(p);
    unregister_shrinker(&late);
    __free_pages(p, 0);
    hoard_free(&held, 0, SIZE_MAX);
    assert_whole();
}

static const struct CMUnitTest fresh_tests[] = {
    cmocka_unit_test(test_no_system_no_fresh_memory),
    cmocka_unit_test(test_no_system_no_fresh_page_in_list),
    cmocka_unit_test(test_no_system_finds_present_runs),
    cmocka_unit_test(test_no_system_drains_lists),
    cmocka_unit_test(test_no_system_runs),
};

static const struct CMUnitTest full_tests[] = {
    cmocka_unit_test(test_exhaustion),
    cmocka_unit_test(test_reserve_is_for_the_entitled),
    cmocka_unit_test(test_shrinkers),
    cmocka_unit_test(test_reserve_is_refilled),
    cmocka_unit_test(test_high_watermark),
    cmocka_unit_test(test_high_watermark_spares_objects),
    cmocka_unit_test(test_effort),
    cmocka_unit_test(test_seeks),
    cmocka_unit_test(test_waiting),
    cmocka_unit_test(test_nofail_is_desperate),
    cmocka_unit_test(test_waiters_are_woken),
    cmocka_unit_test(test_late_memory),
};

DEFINE_GROUP(fresh, fresh_tests)
DEFINE_GROUP(full, full_tests)

int main(void)
{
    refuse_start();
    return (in_child("fresh", &usual_pool, fresh) + in_child("full", &usual_pool, full) +
            in_child("fresh shared", &shared_pool, fresh)) != 0;
}
