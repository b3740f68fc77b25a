/*
 * Threads that are born, die and free each other's memory; destructors that free after the cache
 * is gone; fork while others allocate.
 */
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "arena.h"
#include "chunk.h"
#include "fastbin.h"
#include "heap.h"
#include "model.h"
#include "ptmalloc.h"

#define THREADS 4

static void start(pthread_t *t, void *(*body)(void *), void *arg)
{
    assert_int_equal(pthread_create(t, NULL, body, arg), 0);
}

/* A post box of blocks: whoever finds a full slot frees it, whoever finds an empty one fills it. */
#define BOXES 512
static _Atomic(unsigned char *) box[BOXES];

static void post(uint64_t *random, size_t max_bytes)
{
    size_t bytes, slot;
    unsigned char *mine, *theirs;

    *random = *random * 6364136223846793005u + 1442695040888963407u;
    slot = *random >> 33 & (BOXES - 1);
    bytes = 2 + (*random >> 42) % max_bytes;
    mine = ptm_malloc(bytes);
    if (!mine)
        abort();
    /* The block says how to verify itself. */
    mine[0] = mine[bytes - 1] = (unsigned char)slot;
    theirs = atomic_exchange(&box[slot], mine);
    if (theirs && theirs[0] != (unsigned char)slot)
        model_fail("a block in the post changed", NULL);
    ptm_free(theirs);
}

static void empty_boxes(void)
{
    for (size_t i = 0; i < BOXES; i++)
        ptm_free(atomic_exchange(&box[i], NULL));
}

static void *post_many(void *seed)
{
    uint64_t random = (uintptr_t)seed;

    for (int i = 0; i < 40000; i++)
        post(&random, i % 16 ? 900 : 20000);
    return NULL;
}

static void test_remote_frees(void **state)
{
    pthread_t t[THREADS];

    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        start(&t[i], post_many, (void *)(i + 1));
    for (int i = 0; i < 20; i++)
        assert_int_equal(ptm_check(), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    empty_boxes();
    assert_int_equal(ptm_check(), 0);
}

/* ---- what is parked is known ----------------------------------------------------------------- */

/* A chunk for the other thread to free, and how many were given and freed. */
static struct {
    void *gift;
    _Atomic unsigned given, freed;
} parking;

enum { PARK_ROUNDS = 40000 };

static void await_count(const _Atomic unsigned *count, unsigned wanted)
{
    for (unsigned i = 1; atomic_load(count) < wanted; i++)
        if (i % 4096 == 0) /* within nanoseconds of each other; but there may be one CPU only */
            sched_yield();
}

static void waste_time(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    for (volatile unsigned spin = (*random >> 33) % 200; spin > 0; spin--)
        ;
}

/* From another thread's arena: they go to fast bin 0, by no lock. */
static void *free_gifts(void *unused)
{
    uint64_t random = 1;

    for (unsigned n = 1; n <= PARK_ROUNDS; n++) {
        await_count(&parking.given, n);
        waste_time(&random);
        ptm_free(parking.gift);
        atomic_store(&parking.freed, n);
    }
    return unused;
}

static bool is_parked(const struct arena *a)
{
    for (unsigned i = 0; i < PTM_FAST_BINS; i++)
        if (__atomic_load_n(&a->fast[i], __ATOMIC_ACQUIRE))
            return true;
    return false;
}

/*
 * One thread empties the fast bins while another pushes: at rest the arena knows of every run. Bin 0 is
 * empty until then: to take a run out of it would put in order what shall not need it. (Without thread
 * caches alone does the small block reach a fast bin.)
 */
static void test_what_is_parked_is_known(void **state)
{
    void *first = ptm_malloc(3000);
    const struct arena *a = arena_of(chunk_of(first));
    uint64_t random = 2;
    pthread_t other;

    (void)state;
    start(&other, free_gifts, NULL);
    for (unsigned n = 1; n <= PARK_ROUNDS; n++) {
        void *small = ptm_malloc(64), *between, *large;

        parking.gift = ptm_malloc(5000);
        between = ptm_malloc(3000);
        ptm_free(small);
        atomic_store(&parking.given, n);
        waste_time(&random);
        large = ptm_malloc(40000); /* merges what is parked first */
        await_count(&parking.freed, n);
        if (is_parked(a))
            assert_true(fast_any(a));
        ptm_free(large);
        ptm_free(between);
    }
    pthread_join(other, NULL);
    ptm_free(first);
    assert_int_equal(ptm_check(), 0);
}

static void *post_some(void *seed)
{
    uint64_t random = (uintptr_t)seed;

    for (int i = 0; i < 300; i++)
        post(&random, 2000);
    return NULL;
}

/* Sums what stands behind each `what` in malloc_info()'s answer, or 1 for each. */
static size_t info(const char *what, bool sum)
{
    char *text = NULL, *at;
    size_t bytes, n = 0;
    FILE *stream = open_memstream(&text, &bytes);

    ptm_malloc_info(0, stream);
    fclose(stream);
    for (at = text; (at = strstr(at, what)) != NULL;) {
        at += strlen(what);
        n += sum ? strtoul(at, NULL, 10) : 1;
    }
    free(text);
    return n;
}

static size_t arenas(void)
{
    return info("<heap nr", false);
}

/* Hundreds of threads in turn need no more arenas than lived at once, and lose nothing. */
static void test_births_and_deaths(void **state)
{
    size_t before = arenas(), used;

    (void)state;
    for (uintptr_t round = 0; round < 150; round++) {
        pthread_t t[THREADS];

        for (size_t i = 0; i < THREADS; i++)
            start(&t[i], post_some, (void *)(round * THREADS + i + 1));
        for (size_t i = 0; i < THREADS; i++)
            pthread_join(t[i], NULL);
    }
    assert_true(arenas() <= (before > THREADS + 1 ? before : THREADS + 1));
    empty_boxes();
    ptm_malloc_trim(0);
    assert_int_equal(ptm_check(), 0);
    used = ptm_mallinfo2().uordblks;
    /* Headers of heaps and arenas, and what this test's own thread still caches. */
    assert_in_range(used, 0, 64 << 10);
}

static pthread_key_t late_key;
static atomic_int late_runs;

/* The last of the rounds of destructors (PTHREAD_DESTRUCTOR_ITERATIONS) is left out: in it TSan's runtime gives up
 * its own record of the thread, and what is instrumented and runs after that may crash in the runtime. */
enum { LATE_THREADS = 50, LATE_ROUNDS = 3 };

/* Runs again and again, so that each run comes after the cache's own destructor. */
static void late(void *memory)
{
    void *more = ptm_malloc(100);

    ptm_free(memory);
    ptm_free(ptm_calloc(1, 5000));
    if (atomic_fetch_add(&late_runs, 1) % LATE_ROUNDS == LATE_ROUNDS - 1)
        ptm_free(more);
    else
        pthread_setspecific(late_key, more);
}

static void *leave_late(void *unused)
{
    (void)unused;
    pthread_setspecific(late_key, ptm_malloc(64));
    return ptm_malloc(32);
}

static void test_destructors_after_the_cache(void **state)
{
    (void)state;
    pthread_key_create(&late_key, late);
    for (int i = 0; i < LATE_THREADS; i++) {
        pthread_t t;
        void *left;

        start(&t, leave_late, NULL);
        pthread_join(t, &left);
        ptm_free(left);
    }
    assert_int_equal(late_runs, LATE_THREADS * LATE_ROUNDS);
    assert_int_equal(ptm_check(), 0);
}

static atomic_bool stop;
static atomic_int started;

static void *post_until_stopped(void *seed)
{
    uint64_t random = (uintptr_t)seed;

    started++;
    while (!stop)
        post(&random, 3000);
    return NULL;
}

#ifdef __SANITIZE_THREAD__
/* A fork is slow under TSan, which has nothing to find in a child with one thread. */
#define FORKS 8

/* Once a threaded process has forked, TSan's runtime takes no new thread ("dup thread"). */
static bool thread_works(void)
{
    return true;
}
#else
#define FORKS 40

static bool thread_works(void)
{
    pthread_t t;

    return pthread_create(&t, NULL, post_some, (void *)5) == 0 && pthread_join(t, NULL) == 0;
}
#endif

/* The child finds every lock free and every heap whole, and can allocate and start threads. */
static void child_works(void)
{
    uint64_t random = 99;

    alarm(20);
    if (ptm_check() != 0)
        _exit(1);
    for (int i = 0; i < 2000; i++)
        post(&random, 3000);
    if (!thread_works())
        _exit(2);
    _exit(ptm_check() == 0 ? 0 : 3);
}

static void test_fork_while_others_allocate(void **state)
{
    pthread_t t[THREADS];

    (void)state;
    stop = false;
    started = 0;
    for (size_t i = 0; i < THREADS; i++)
        start(&t[i], post_until_stopped, (void *)(i + 1));
    /*
     * A thread that is still starting may be inside ASan's runtime, which takes locks then that its
     * fork does not release in the child (and the child hangs in pthread_create, with any
     * allocator). Later these threads call nothing but ours.
     */
    while (started < THREADS)
        sched_yield();
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        int status;

        if (child == 0)
            child_works();
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    stop = true;
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    empty_boxes();
    assert_int_equal(ptm_check(), 0);
}

/* A queue from one thread to another: what the second frees comes back without growing the heap. */
static void *consume(void *queue)
{
    _Atomic(void *) *slot = queue;

    for (size_t i = 0; i < 200000; i++) {
        void *p;

        while ((p = atomic_exchange(&slot[i % 1024], NULL)) == NULL)
            ;
        ptm_free(p);
    }
    return NULL;
}

static void test_producer_and_consumer(void **state)
{
    static _Atomic(void *) queue[1024];
    size_t before = ptm_mallinfo2().arena;
    pthread_t t;

    (void)state;
    start(&t, consume, queue);
    for (size_t i = 0; i < 200000; i++) {
        void *p = ptm_malloc(i % 3 ? 64 : 2000), *empty;

        do
            empty = NULL;
        while (!atomic_compare_exchange_weak(&queue[i % 1024], &empty, p));
    }
    pthread_join(t, NULL);
    /* 1,024 blocks live, a few hundred KiB parked; 150 MB passed through. */
    assert_in_range(ptm_mallinfo2().arena, 0, before + (6 << 20));
    assert_int_equal(ptm_check(), 0);
}

/* Blocks of more than one heap, of which those in the second are freed. */
static void *fill_two_heaps(void *heaps)
{
    enum { BLOCKS = 90, BYTES = 1 << 20 };
    void *block[BLOCKS];

    for (size_t i = 0; i < BLOCKS; i++)
        block[i] = ptm_malloc(BYTES);
    for (size_t i = BLOCKS; i-- > BLOCKS / 2;)
        ptm_free(block[i]);
    *(size_t *)heaps = info("subheaps\" size=\"", true);
    for (size_t i = 0; i < BLOCKS / 2; i++)
        ptm_free(block[i]);
    return NULL;
}

/* An empty heap goes back however high the trim threshold is: see trim_beyond(). */
static void test_empty_heaps_go_back(void **state)
{
    size_t heaps;
    pthread_t t;

    (void)state;
    ptm_mallopt(M_MMAP_THRESHOLD, 2 << 20);
    ptm_mallopt(M_TRIM_THRESHOLD, 1 << 30);
    start(&t, fill_two_heaps, &heaps);
    pthread_join(t, NULL);
    assert_int_equal(heaps, arenas() - 1);
    assert_int_equal(ptm_check(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_births_and_deaths),
        cmocka_unit_test(test_remote_frees),
        cmocka_unit_test(test_what_is_parked_is_known),
        cmocka_unit_test(test_destructors_after_the_cache),
        cmocka_unit_test(test_producer_and_consumer),
        cmocka_unit_test(test_fork_while_others_allocate),
        cmocka_unit_test(test_empty_heaps_go_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
