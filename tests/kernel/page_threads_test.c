/*
 * Many threads on few CPUs: they allocate, hand blocks to each other and free them, while others
 * drain, purge, check, reclaim and fork. Contents tell whether a block ever had two owners.
 */
#include "page_support.h"

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "page/pcp.h"

enum { THREADS = 7, BOXES = 96, STEPS = 30000 };

/* A block in the post: its first words say its order and, again, at its end. */
static struct page *box[BOXES];

struct label {
    size_t order, salt;
};

static struct label *labels(struct page *p, size_t order, struct label **last)
{
    char *at = page_address(p);

    *last = (struct label *)(at + (PAGE_SIZE << order)) - 1;
    return (struct label *)at;
}

static void seal(struct page *p, size_t order, size_t salt)
{
    struct label *last, *first = labels(p, order, &last);

    *first = *last = (struct label){order, salt};
}

static void open_and_free(struct page *p)
{
    size_t order = page_order(p);
    struct label *last, *first = labels(p, order, &last);

    if (first->order != order || memcmp(first, last, sizeof *first) != 0) {
        fprintf(stderr, "a block of order %zu changed hands without its owner\n", order);
        abort();
    }
    __free_pages(p, (unsigned)order);
}

static gfp_t any_gfp(uint64_t *random)
{
    static const gfp_t gfp[] =
        {GFP_KERNEL, GFP_KERNEL,   GFP_KERNEL | __GFP_RECLAIMABLE, GFP_ATOMIC,
         GFP_NOWAIT, GFP_HIGHUSER, GFP_KERNEL | GFP_DMA,           GFP_KERNEL | __GFP_ZERO};

    return gfp[next_random(random) % 8] | __GFP_NORETRY;
}

static void post(uint64_t *random)
{
    unsigned order = (unsigned)__builtin_ctzl(next_random(random) | 1u << 9);
    struct page *p = alloc_pages(any_gfp(random), order), *other;

    if (p)
        seal(p, order, next_random(random));
    other = __atomic_exchange_n(&box[next_random(random) % BOXES], p, __ATOMIC_ACQ_REL);
    if (other)
        open_and_free(other);
}

static void *worker(void *seed)
{
    uint64_t random = (uintptr_t)seed * 0x9e3779b97f4a7c15u;

    for (int i = 0; i < STEPS; i++) {
        post(&random);
        if (i % 4000 == 0)
            kmem_pages_release(next_random(&random) % MIB);
        if (i % 5000 == 0)
            pcp_drain_all(GFP_KERNEL);
    }
    return NULL;
}

static void empty_boxes(void)
{
    for (size_t i = 0; i < BOXES; i++) {
        struct page *p = __atomic_exchange_n(&box[i], NULL, __ATOMIC_ACQ_REL);

        if (p)
            open_and_free(p);
    }
}

static void assert_all_free(void)
{
    pcp_drain_all(GFP_KERNEL);
    assert_whole();
    for (struct zone *z = zone_first(); z; z = zone_next(z))
        assert_int_equal(zone_used_frames(z), 0);
}

static void start_workers(pthread_t *t)
{
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, worker, (void *)(i + 1)), 0);
}

static void join_workers(pthread_t *t)
{
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
}

static void test_storm(void **state)
{
    pthread_t t[THREADS];

    (void)state;
    start_workers(t);
    for (int i = 0; i < 60; i++) {
        assert_whole();
        usleep(2000);
    }
    join_workers(t);
    empty_boxes();
    assert_all_free();
}

/* ---- Shrinkers come and go while others reclaim ------------------------------------------------ */

static bool stop;
static size_t scans;

static unsigned long count_boxes(struct shrinker *s, struct shrink_control *sc)
{
    (void)s;
    (void)sc;
    return BOXES;
}

static unsigned long scan_boxes(struct shrinker *s, struct shrink_control *sc)
{
    unsigned long freed = 0;

    (void)s;
    __atomic_add_fetch(&scans, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < BOXES && freed < sc->nr_to_scan; i++) {
        struct page *p = __atomic_exchange_n(&box[i], NULL, __ATOMIC_ACQ_REL);

        if (p) {
            open_and_free(p);
            freed++;
        }
    }
    return freed;
}

static void *hungry(void *seed)
{
    uint64_t random = (uintptr_t)seed * 0x9e3779b97f4a7c15u;

    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        struct page *p = alloc_pages(GFP_KERNEL, 8), *other;

        if (p)
            seal(p, 8, 1);
        other = __atomic_exchange_n(&box[next_random(&random) % BOXES], p, __ATOMIC_ACQ_REL);
        if (other)
            open_and_free(other);
    }
    return NULL;
}

static void test_shrinkers_come_and_go(void **state)
{
    static struct shrinker s = {.count_objects = count_boxes, .scan_objects = scan_boxes};
    pthread_t t[THREADS];

    (void)state;
    stop = false;
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, hungry, (void *)(i + 1)), 0);
    /* On a busy machine it may take long until anybody runs out of memory. */
    for (int i = 0; i < 40 || !__atomic_load_n(&scans, __ATOMIC_RELAXED); i++) {
        size_t before;

        assert_int_equal(register_shrinker(&s), 0);
        usleep(3000);
        unregister_shrinker(&s);
        before = __atomic_load_n(&scans, __ATOMIC_RELAXED);
        usleep(500);
        assert_int_equal(__atomic_load_n(&scans, __ATOMIC_RELAXED), before);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    join_workers(t);
    empty_boxes();
    assert_all_free();
}

/* ---- Fork ------------------------------------------------------------------------------------- */

static void child_works(void)
{
    uint64_t random = 12345;
    char why[200];

    alarm(30);
    if (!kmem_pages_check(why, sizeof why))
        _exit(1);
    for (int i = 0; i < 3000; i++)
        post(&random);
    pcp_drain_all(GFP_KERNEL);
    kmem_pages_release(0);
    _exit(kmem_pages_check(why, sizeof why) ? 0 : 2);
}

static void test_fork(void **state)
{
    pthread_t t[THREADS];

    (void)state;
    start_workers(t);
    for (int i = 0; i < 12; i++) {
        int status;
        pid_t child = fork();

        if (child == 0)
            child_works();
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    join_workers(t);
    empty_boxes();
    assert_all_free();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_storm),
    cmocka_unit_test(test_shrinkers_come_and_go),
    cmocka_unit_test(test_fork),
};

DEFINE_GROUP(threads, tests)

int main(void)
{
    /* Less than the boxes could hold: memory is short all the time. */
    const struct page_config c = {.pool_bytes = 48 * MIB,
                                  .highmem_bytes = 16 * MIB,
                                  .nodes = 2,
                                  .reserve_bytes = MIB / 4};
    const struct page_config shared = {.pool_bytes = 48 * MIB,
                                       .nodes = 1,
                                       .backing = BACKING_MEMFD};

    handle_forks();
    return (in_child("private", &c, threads) + in_child("shared", &shared, threads)) != 0;
}
