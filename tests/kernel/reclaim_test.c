/*
 * When pages run out: what is merely kept free goes first, of all caches, then shrinkers are asked, and nobody for
 * what something else would do in place of. Each test exhausts a pool of its own, in a child.
 */
#include "reclaim_support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kmem.h"
#include "malloc/slub_malloc.h"
#include "os.h"
#include "page/context.h"
#include "page/pool.h"
#include "slub/slub.h"
#include "vmalloc/space.h"

enum { MANY = 1 << 20, FAILURES = 200 };

static void *objects[MANY];

static size_t fill_with(size_t size)
{
    size_t n = 0;

    while (n < MANY && (objects[n] = kmalloc(size, NORETRY)) != NULL)
        n++;
    return n;
}

static void free_objects(size_t n)
{
    while (n > 0)
        kfree(objects[--n]);
}

/* ---- a shrinker, and who keeps what, as they are called ---- */

static bool has_idle(void)
{
    expect(!in_reclaim && !in_atomic);
    return slub_keeper.has_idle();
}

static const struct page_keeper counting = {
    .has_idle = has_idle,
    .flush_idle = count_flush,
    .in_vain = in_vain,
    .window_over = slub_window_over,
};

/* ---- what is idle ---- */

/* One size after the other takes all there is, and leaves it whole to the next and to pages. */
static void sizes_in_turn(void)
{
    void *pages = NULL;
    size_t first = 0, most[2][16];

    begin();
    page_keeper = &counting;
    expect(register_shrinker(&shrinker) == 0);
    for (int round = 0; round < 2; round++) {
        size_t n = take_pages(&pages, NORETRY);

        free_list(&pages, false);
        if (round == 0)
            first = n;
        /* The caches themselves, their nodes and the like have come in between. */
        expect(n + 64 >= first);
        for (size_t i = 0, size = 64; size <= KMALLOC_MAX_CACHE_SIZE; size *= 2, i++) {
            most[round][i] = fill_with(size);
            free_objects(most[round][i]);
            expect(round == 0 || most[1][i] + most[1][i] / 16 + 64 >= most[0][i]);
        }
    }
    expect(flushes > 0);
    expect(kmem_check() == 0);
    _exit(0);
}

/* Before shrinkers; and for nobody who may not reclaim. */
static void goes_first(void)
{
    void *pages = NULL;
    size_t n;

    begin();
    page_keeper = &counting;
    n = fill_with(1024);
    expect(register_shrinker(&shrinker) == 0);
    free_objects(n);
    flushes = asked = 0;
    take_pages(&pages, GFP_NOWAIT);
    take_pages(&pages, GFP_ATOMIC);
    take_pages(&pages, GFP_KERNEL | __GFP_NO_RECLAIM);
    expect(flushes == 0 && asked == 0);
    /* But for sheaves=0, which keeps so little. */
    if (kmem_config.sheaves) {
        void **page = (void **)__get_free_pages(NORETRY, 0);

        expect(page && flushes == 1 && asked == 0);
        *page = pages;
        pages = page;
    }
    take_pages(&pages, NORETRY);
    expect(asked > 0);
    free_list(&pages, false);
    expect(kmem_check() == 0);
    _exit(0);
}

/* Who frees a little and asks again, and again, has each page when it is free, and has flushed next to nothing. */
static void little_by_little(void)
{
    size_t n, got = 0, tried = 0;

    begin();
    page_keeper = &counting;
    n = fill_with(512);
    flushes = 0;
    for (; got < 100 && tried < n; tried++)
        if (__get_free_pages(NORETRY, 0))
            got++;
        else
            kfree(objects[tried]);
    expect(got == 100);
    expect(tried <= 2 * got * (PAGE_SIZE / 512) + 256);
    expect(flushes <= 4);
    while (tried < n)
        kfree(objects[tried++]);
    expect(__get_free_pages(NORETRY, MAX_PAGE_ORDER - 1));
    expect(kmem_check() == 0);
    _exit(0);
}

static atomic_bool stop;

static void *idle_thread(void *unused)
{
    while (!stop)
        usleep(1000);
    return unused;
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A full pool is not flushed again and again. */
static void full_pool(void)
{
    void *pages = NULL;
    pthread_t other;
    uint64_t began;

    begin();
    page_keeper = &counting;
    free_objects(fill_with(512));
    take_pages(&pages, NORETRY);
    expect(!__get_free_pages(NORETRY, 0));
    /* With nothing freed since, not once. */
    flushes = 0;
    for (int i = 0; i < FAILURES; i++)
        expect(!__get_free_pages(NORETRY, 0));
    for (int i = 0; i < 3; i++) {
        expect(!__get_free_pages(GFP_KERNEL, 0));
        expect(!kmalloc(512, GFP_KERNEL));
    }
    expect(flushes <= 2);
    /* And however much others free and take, at most once a millisecond. */
    expect(pthread_create(&other, NULL, idle_thread, NULL) == 0);
    flushes = 0;
    began = now_ms();
    for (int i = 0; i < FAILURES; i++) {
        note_idle();
        expect(!__get_free_pages(NORETRY, 0));
    }
    expect(flushes <= now_ms() - began + 2);
    began = now_ms();
    for (flushes = 0; flushes < 3;) { /* who may wait does, and then looks */
        note_idle();
        expect(!__get_free_pages(GFP_KERNEL, 0));
    }
    expect(now_ms() - began >= 2);
    _exit(0);
}

/* Nor for a sheaf that each call gets, and no objects for it. */
static void failing_refills(void)
{
    struct kmem_cache *s;
    void *pages = NULL;

    begin();
    page_keeper = &counting;
    s = kmem_cache_create("of two pages", 8192, 0, SLAB_NO_MERGE, NULL);
    take_pages(&pages, NORETRY);
    free_list(&pages, true); /* single ones */
    while (kmem_cache_alloc(s, NORETRY))
        ;
    flushes = 0;
    for (int i = 0; i < FAILURES; i++)
        expect(!kmem_cache_alloc(s, NORETRY));
    expect(flushes <= 2);
    _exit(0);
}

static bool nothing_idle(void)
{
    for (int i = 0; i < 3 && slub_keeper.has_idle(); i++)
        slub_keeper.flush_idle(); /* one may leave empty slabs of sheaves behind */
    return !slub_keeper.has_idle();
}

/* Whatever leaves something free behind, it is known that there is something. */
static void ways_to_idle(void)
{
    struct kmem_cache *s, *direct;
    void *p, *q;

    begin();
    s = kmem_cache_create("of 100", 100, 0, SLAB_NO_MERGE, NULL);
    direct = kmem_cache_create("direct", 100, 0, SLAB_NO_MERGE | SLAB_NO_SHEAVES, NULL);
    expect(nothing_idle());
    p = kmem_cache_alloc(s, GFP_KERNEL); /* with others */
    expect(slub_keeper.has_idle() && nothing_idle());
    q = kmem_cache_alloc(s, GFP_KERNEL);
    expect(nothing_idle());
    if (kmem_config
            .sheaves) { /* the slab keeps one object, so that it is the CPU's sheaf that counts */
        kmem_cache_free(s, p);
        expect(slub_keeper.has_idle() && nothing_idle());
        p = NULL;
    }
    kmem_cache_free(s, p);
    kmem_cache_free(s, q);
    expect(slub_keeper.has_idle() && nothing_idle());
    p = kmem_cache_alloc(direct, GFP_KERNEL);
    expect(nothing_idle());
    kmem_cache_free(direct, p); /* an empty slab */
    expect(slub_keeper.has_idle() == (direct->min_partial > 0) && nothing_idle());
    expect(kmem_check() == 0);
    _exit(0);
}

/* ---- where it must not hang ---- */

static void with_the_mutex(void)
{
    void *pages = NULL;

    begin();
    take_pages(&pages, NORETRY);
    note_idle();
    lock_take(&slab_mutex);
    expect(!__get_free_pages(NORETRY, 0));
    expect(!__get_free_pages(GFP_KERNEL, 0));
    lock_drop(&slab_mutex);
    free_list(&pages, false);
    expect(kmem_check() == 0);
    _exit(0);
}

static bool refuse_barrier(int command)
{
    (void)command;
    return false;
}

static atomic_bool inside;

/* Stays there until somebody else wants a flush, but not for ever. */
static bool held_barrier(int command)
{
    (void)command;
    inside = true;
    for (int i = 0; i < 2000 && __atomic_load_n(&flushes, __ATOMIC_RELAXED) < 2; i++)
        usleep(1000);
    return true;
}

static void *ask_for_page(void *unused)
{
    (void)unused;
    return (void *)__get_free_pages(GFP_KERNEL, 0);
}

/* What another is just getting back is not lost to who asks meanwhile. */
static void beside_a_flush(void)
{
    struct kmem_os real = kmem_os;
    pthread_t thread;
    void *pages = NULL, *page;

    begin();
    if (!kmem_config.sheaves)
        _exit(0); /* which keeps too little */
    page_keeper = &counting;
    free_objects(fill_with(1024));
    take_pages(&pages, GFP_KERNEL | __GFP_NO_RECLAIM);
    kmem_os.membarrier = held_barrier;
    flushes = 0;
    expect(pthread_create(&thread, NULL, ask_for_page, NULL) == 0);
    while (!inside)
        usleep(100);
    expect(__get_free_pages(GFP_KERNEL, 0));
    pthread_join(thread, &page);
    expect(page);
    kmem_os.membarrier = real.membarrier;
    _exit(0);
}

/* Without barriers all goes on as it is; what barns and slabs have is flushed all the same. */
static void without_barriers(void)
{
    struct kmem_os real = kmem_os;
    pthread_t thread;
    size_t n, some;

    begin();
    expect(pthread_create(&thread, NULL, idle_thread, NULL) == 0);
    expect(percpu_ready(GFP_KERNEL));
    kmem_os.membarrier = refuse_barrier;
    n = fill_with(1024);
    free_objects(n);
    some = fill_with(2048);
    expect(some > n / 4);
    expect(percpu_reachable() && percpu_ready(GFP_KERNEL));
    free_objects(some);
    kmem_os.membarrier = real.membarrier;
    some = fill_with(2048);
    expect(some > n / 2 * 9 / 10);
    free_objects(some);
    stop = true;
    pthread_join(thread, NULL);
    expect(kmem_check() == 0);
    _exit(0);
}

static void *fail_until_stopped(void *unused)
{
    while (!stop) {
        void *p = kmalloc(1024, NORETRY), *q;

        note_idle();
        q = (void *)__get_free_pages(NORETRY, 0);
        kfree(p);
        if (q)
            free_pages((unsigned long)q, 0);
    }
    return unused;
}

/* Beside flushes, and beside each other's. */
static void beside_forks(void)
{
    pthread_t threads[3];
    void *pages = NULL;

    begin();
    free_objects(fill_with(1024));
    take_pages(&pages, NORETRY);
    for (int i = 0; i < 3; i++)
        expect(pthread_create(&threads[i], NULL, fail_until_stopped, NULL) == 0);
    for (int i = 0; i < 30; i++) {
        int status;
        pid_t child = fork();

        if (child == 0) {
            alarm(20);
            free_list(&pages, true);
            note_idle();
            expect(kmalloc(1024, GFP_KERNEL));
            take_pages(&pages, NORETRY);
            _exit(kmem_check() != 0);
        }
        expect(waitpid(child, &status, 0) == child && status == 0);
        usleep(1000);
    }
    stop = true;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    free_list(&pages, false);
    expect(kmem_check() == 0);
    _exit(0);
}

/* ---- what would be nice to have, and something else will do for ---- */

static void single_pages(void)
{
    struct kmem_cache *s;
    void *pages = NULL, *p;

    begin();
    s = kmem_cache_create("of 700", 700, 0, SLAB_NO_MERGE, NULL);
    expect(s->order > s->order_min);
    kmem_cache_free(s, kmem_cache_alloc(s, GFP_KERNEL));
    take_pages(&pages, NORETRY);
    expect(free_list(&pages, true) > 2000);
    expect(register_shrinker(&shrinker) == 0);
    for (int i = 0; i < 2000; i++) /* with NOFAIL: not for ever, either */
        expect((p = kmem_cache_alloc(s, i % 2 ? GFP_KERNEL : GFP_KERNEL | __GFP_NOFAIL)) != NULL);
    expect(asked == 0);
    expect(slub_malloc(200000)); /* a mapping */
    expect(asked == 0);
    _exit(0);
}

/* The same of vmalloc's blocks of 2 MiB. */
static void single_frames(void)
{
    static struct page *pages[1 << 16];
    size_t n = 0;
    void *area;

    begin();
    while ((pages[n] = kmem_alloc_pages(NORETRY | __GFP_HIGHMEM, 0)) != NULL)
        n++;
    for (size_t i = 0; i < n; i++)
        if (page_to_frame(pages[i]) % 2)
            kmem_free_pages(pages[i], 0);
    expect(register_shrinker(&shrinker) == 0);
    area = __vmalloc((size_t)4 << 20, GFP_KERNEL | __GFP_NOFAIL);
    expect(area && asked == 0);
    _exit(0);
}

/* ---- malloc in a full pool ---- */

static void malloc_goes_on(void)
{
    static const size_t sizes[] = {700, 24, 1500, 100};
    size_t most[2][4];
    char *p, *q;

    begin();
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 4; i++) {
            size_t n = 0;

            while (n < MANY && (objects[n] = slub_malloc(sizes[i])) != NULL)
                n++;
            most[round][i] = n;
            if (round == 1 && i == 0) {
                /* What fills the better part of a page has one of its own. */
                p = slub_calloc(1, 3000);
                expect(p && !in_page_pool(p) && slub_malloc_usable_size(p) == PAGE_SIZE);
                expect(p[0] == 0 && p[2999] == 0);
                strcpy(p, "contents");
                expect((p = slub_realloc(p, 5000)) != NULL && !strcmp(p, "contents"));
                expect((q = slub_malloc(100000)) != NULL && !in_page_pool(q));
                slub_free(p);
                slub_free(q);
            }
            while (n > 0)
                slub_free(objects[--n]);
            expect(round == 0 || most[1][i] + most[1][i] / 16 + 64 >= most[0][i]);
        }
    expect(kmem_check() == 0);
    _exit(0);
}

static void *refuse_map(size_t bytes)
{
    (void)bytes;
    return NULL;
}

/* Without addresses for mappings, what is idle becomes a large block. */
static void large_from_idle(void)
{
    size_t n;

    begin();
    n = fill_with(1024);
    free_objects(n);
    kmem_os.map = refuse_map;
    expect(slub_malloc(300000));
    _exit(0);
}

TEST(sizes_in_turn)
TEST(goes_first)
TEST(full_pool)
TEST(failing_refills)
TEST(little_by_little)
TEST(ways_to_idle)
TEST(with_the_mutex)
TEST(without_barriers)
TEST(beside_a_flush)
TEST(beside_forks)
TEST(single_pages)
TEST(single_frames)
TEST(malloc_goes_on)
TEST(large_from_idle)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_in_turn),    cmocka_unit_test(test_goes_first),
        cmocka_unit_test(test_full_pool),        cmocka_unit_test(test_failing_refills),
        cmocka_unit_test(test_ways_to_idle),     cmocka_unit_test(test_with_the_mutex),
        cmocka_unit_test(test_without_barriers), cmocka_unit_test(test_beside_forks),
        cmocka_unit_test(test_single_pages),     cmocka_unit_test(test_single_frames),
        cmocka_unit_test(test_malloc_goes_on),   cmocka_unit_test(test_large_from_idle),
        cmocka_unit_test(test_little_by_little), cmocka_unit_test(test_beside_a_flush),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
