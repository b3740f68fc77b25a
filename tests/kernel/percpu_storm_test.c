/*
 * Threads that are moved between CPUs every millisecond while they allocate, more threads than CPUs,
 * threads that end holding objects, all of it while somebody shrinks and checks. What is written
 * into an object tells whose it is: two owners of one object would be seen.
 */
#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "kmem.h"
#include "malloc/slub_malloc.h"
#include "percpu/percpu.h"

enum { THREADS = 6, SLOTS = 300, SHARED = 512 };

static atomic_bool stop;
static _Atomic(void *) shared[SHARED]; /* handed from thread to thread */
static struct kmem_cache *cache;

struct worker {
    pthread_t thread;
    pid_t tid;
    uint64_t dice;
    atomic_size_t operations;
};

static uint64_t roll(uint64_t *dice)
{
    *dice ^= *dice << 13;
    *dice ^= *dice >> 7;
    *dice ^= *dice << 17;
    return *dice;
}

static void stamp(void *object, size_t size)
{
    uintptr_t *word = object;

    for (size_t i = 0; i < size / sizeof *word; i++)
        word[i] = (uintptr_t)object + i;
}

static void verify(const void *object, size_t size)
{
    const uintptr_t *word = object;

    for (size_t i = 0; i < size / sizeof *word; i++)
        if (word[i] != (uintptr_t)object + i) {
            fprintf(stderr, "object %p was changed by somebody else\n", (void *)(uintptr_t)object);
            abort();
        }
}

enum { CACHE_BYTES = 96 };

static void exchange(struct worker *w)
{
    void *mine = kmem_cache_alloc(cache, GFP_KERNEL), *other;

    stamp(mine, CACHE_BYTES);
    other = atomic_exchange(&shared[roll(&w->dice) % SHARED], mine);
    if (other) {
        verify(other, CACHE_BYTES);
        kmem_cache_free(cache, other);
    }
}

/* A fifth of the objects are freed by another thread than took them. */
static void *work(void *arg)
{
    struct worker *w = arg;
    struct {
        void *at;
        size_t size;
    } mine[SLOTS] = {0};

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        size_t k = roll(&w->dice) % SLOTS;

        if (roll(&w->dice) % 5 == 0)
            exchange(w);
        if (mine[k].at) {
            verify(mine[k].at, mine[k].size);
            slub_free(mine[k].at);
            mine[k].at = NULL;
        } else {
            mine[k].size = 8 + roll(&w->dice) % (roll(&w->dice) % 32 ? 500 : 10000);
            mine[k].at = slub_malloc(mine[k].size);
            stamp(mine[k].at, mine[k].size);
        }
        atomic_fetch_add_explicit(&w->operations, 1, memory_order_relaxed);
    }
    for (size_t k = 0; k < SLOTS; k++)
        if (mine[k].at) {
            verify(mine[k].at, mine[k].size);
            slub_free(mine[k].at);
        }
    return NULL;
}

static void start(struct worker *w, uint64_t seed)
{
    w->dice = seed * 0x9e3779b97f4a7c15u + 1;
    w->operations = 0;
    assert_int_equal(pthread_create(&w->thread, NULL, work, w), 0);
}

static void millisecond(void)
{
    nanosleep(&(struct timespec){0, 1000000}, NULL);
}

static void move(struct worker *w, unsigned cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    pthread_setaffinity_np(w->thread, sizeof set, &set);
}

static void empty_shared(void)
{
    for (int i = 0; i < SHARED; i++) {
        void *object = atomic_exchange(&shared[i], NULL);

        if (object) {
            verify(object, CACHE_BYTES);
            kmem_cache_free(cache, object);
        }
    }
}

static void test_migration(void **state)
{
    static struct worker workers[THREADS];
    unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);

    (void)state;
    cache = kmem_cache_create("storm", CACHE_BYTES, 0, SLAB_NO_MERGE, NULL);
    stop = false;
    for (int i = 0; i < THREADS; i++)
        start(&workers[i], (uint64_t)i + 1);
    for (unsigned ms = 0; ms < 800; ms++) {
        for (unsigned i = 0; i < THREADS; i++)
            move(&workers[i], (i + ms) % cpus);
        if (ms % 100 == 50)
            assert_int_equal(kmem_check(), 0);
        if (ms % 30 == 0)
            kmem_cache_shrink(cache);
        if (ms % 200 == 0)
            slub_malloc_trim(0);
        millisecond();
    }
    for (int i = 0; i < THREADS; i++)
        while (workers[i].operations <= 100) /* whoever is stuck, the test's time limit ends */
            millisecond();
    stop = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    empty_shared();
    assert_int_equal(kmem_check(), 0);
    kmem_cache_destroy(cache); /* refuses, with a line on standard error, if an object was lost */
    assert_int_equal(kmem_check(), 0);
}

static void *leave_holding(void *unused)
{
    void **held = slub_malloc(64 * sizeof *held);

    (void)unused;
    for (int i = 0; i < 64; i++) {
        held[i] = slub_malloc((size_t)i * 20 + 8);
        slub_free(slub_malloc(48));
    }
    return held;
}

/* Objects outlive the thread that took them; what it had cached does not pile up. */
static void test_threads_end(void **state)
{
    size_t before = 0;

    (void)state;
    for (int round = 0; round < 120; round++) {
        pthread_t thread;
        void **held;

        assert_int_equal(pthread_create(&thread, NULL, leave_holding, NULL), 0);
        pthread_join(thread, (void **)&held);
        for (int i = 0; i < 64; i++)
            slub_free(held[i]);
        slub_free(held);
        if (round == 20)
            before = slub_mallinfo2().arena;
    }
    assert_in_range(slub_mallinfo2().arena, 0, before + ((size_t)1 << 20));
    assert_int_equal(kmem_check(), 0);
}

static void child(void)
{
    struct worker w;

    alarm(60);
    if (kmem_check() != 0)
        _exit(1);
    stop = false;
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
    start(&w, 99);
    for (int i = 0; i < 5; i++)
        millisecond();
    stop = true;
    pthread_join(w.thread, NULL);
#else
    /* Sanitizers do not follow a child of a threaded process that starts threads. */
    (void)w;
#endif
    for (int i = 0; i < 3000; i++)
        slub_free(slub_malloc((size_t)i));
    _exit(kmem_check() == 0 ? 0 : 2);
}

static void test_fork(void **state)
{
    static struct worker workers[THREADS];

    (void)state;
    cache = kmem_cache_create("fork", CACHE_BYTES, 0, SLAB_NO_MERGE, NULL);
    stop = false;
    for (int i = 0; i < THREADS; i++)
        start(&workers[i], (uint64_t)i + 1);
    for (int i = 0; i < 12; i++) {
        pid_t pid = fork();
        int status;

        if (pid == 0)
            child();
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
    stop = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    empty_shared();
    kmem_cache_destroy(cache);
    assert_int_equal(kmem_check(), 0);
}

static void *map_and_unmap(void *unused)
{
    while (!stop)
        slub_free(slub_malloc((size_t)5 << 20));
    return unused;
}

/* Blocks that are mappings have a table and a lock of their own. */
static void test_fork_beside_mappings(void **state)
{
    pthread_t thread[2];

    (void)state;
    slub_free(slub_malloc(1));
    stop = false;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, map_and_unmap, NULL), 0);
    for (int i = 0; i < 60; i++) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
            alarm(60);
            slub_free(slub_malloc((size_t)5 << 20));
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
    stop = true;
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
}

/* The knob decides, and nothing but the machine: where it has rseq, that is taken unless threads are asked for. */
static void test_mode(void **state)
{
    (void)state;
    slub_free(slub_malloc(1));
    if (kmem_config.percpu == PERCPU_THREAD || !machine_has_rseq()) {
        assert_int_equal(percpu_mode, PERCPU_THREAD);
        assert_string_equal(slub_allocator_flags(), "percpu=thread");
    } else {
        assert_int_equal(percpu_mode, PERCPU_RSEQ);
        assert_string_equal(slub_allocator_flags(), "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mode),
        cmocka_unit_test(test_migration),
        cmocka_unit_test(test_threads_end),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_fork_beside_mappings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
