/*
 * What each knob and each parameter of mallopt() changes, seen from outside. Every row is run in a child of
 * its own that has not yet made a call: once with the knob in the environment, or with mallopt(), and
 * once as it is by default, where the same question must have another answer.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "heap.h"
#include "lock.h"
#include "ptmalloc.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* Memory that stays, so that what is freed before it does not reach the top. */
static void guard(void)
{
    if (!ptm_malloc(1500))
        abort();
}

static bool is_mapped(size_t bytes)
{
    return ptm_malloc(bytes) && ptm_mallinfo2().hblks == 1;
}

static bool maps_200k(void)
{
    return is_mapped(200 * KIB);
}

/* How many of 200 freed chunks of `bytes` have left the thread's cache for a fast bin. */
static size_t in_fast_bins(size_t bytes)
{
    void *p[200];

    for (int i = 0; i < 200; i++)
        p[i] = ptm_malloc(bytes);
    guard();
    for (int i = 0; i < 200; i++)
        ptm_free(p[i]);
    return ptm_mallinfo2().smblks;
}

static bool caches_at_most_10(void)
{
    return in_fast_bins(60) >= 190;
}

static bool caches_none_of_600(void)
{
    return in_fast_bins(600) == 0 && ptm_mallinfo2().ordblks > 1;
}

/* Without a cache, one free chunk of 100 bytes is either in a fast bin or merged. */
static bool has_fast_100(void)
{
    void *p = ptm_malloc(100);

    guard();
    ptm_free(p);
    return ptm_mallinfo2().smblks == 1;
}

/* Frees a mapping and asks for its size once more. */
static bool maps_again(size_t bytes)
{
    void *p = ptm_malloc(bytes);

    if (!p || ptm_mallinfo2().hblks != 1)
        abort();
    ptm_free(p);
    return is_mapped(bytes);
}

/* By default, a size that was mapped and freed comes from the heap. */
static bool maps_400k_again(void)
{
    return maps_again(400 * KIB);
}

/* ...but not beyond 32 MiB. */
static bool maps_40m_again(void)
{
    void *p = ptm_malloc(40 * MIB);

    ptm_free(p);
    return is_mapped(40 * MIB);
}

/* Fills and empties `blocks` times 100 KiB; what the arena has then. */
static size_t kept_of(int blocks)
{
    char *block[80];

    for (int i = 0; i < blocks; i++)
        block[i] = ptm_malloc(100 * KIB);
    for (int i = blocks; i-- > 0;)
        ptm_free(block[i]);
    return ptm_mallinfo2().arena;
}

static bool keeps_8m(void)
{
    return kept_of(80) > 6 * MIB;
}

/* The trim threshold becomes twice the size of a mapping that was freed. */
static bool keeps_6m_after_a_mapping_of_4m(void)
{
    void *p = ptm_malloc(4 * MIB);

    ptm_free(p);
    return kept_of(60) > 5 * MIB;
}

/* Each time an arena grows after it was trimmed, it keeps twice as much, up to 4 MiB. */
static bool keeps_3m_after_trims(void)
{
    for (int i = 0; i < 8; i++)
        if (kept_of(80) > 6 * MIB)
            abort();
    return kept_of(30) > 2 * MIB;
}

static bool asks_for_1m(void)
{
    guard();
    return ptm_mallinfo2().arena > MIB;
}

static bool fills(void)
{
    unsigned char *p = ptm_malloc(5000);
    bool new = p[0] == 0xaa && p[4999] == 0xaa;

    guard();
    ptm_free(p);
    return new &&p[2500] == 0x55;
}

enum { THREADS = 12 };
static pthread_barrier_t all_there;

static void *allocate_beside_others(void *unused)
{
    (void)unused;
    guard();
    pthread_barrier_wait(&all_there);
    return NULL;
}

static size_t arenas_of_twelve_threads(void)
{
    pthread_t thread[THREADS];
    cpu_set_t one;
    char *text = NULL;
    size_t bytes, n = 0;
    FILE *stream;

    /* On one processor the limit is eight, wherever the test runs. */
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0)
        abort();
    pthread_barrier_init(&all_there, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, allocate_beside_others, NULL) != 0)
            abort();
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    stream = open_memstream(&text, &bytes);
    ptm_malloc_info(0, stream);
    fclose(stream);
    for (char *at = text; (at = strstr(at, "<heap nr")) != NULL; at++)
        n++;
    return n;
}

static bool has_eight_arenas(void)
{
    return arenas_of_twelve_threads() == 8;
}

static bool has_three_arenas(void)
{
    return arenas_of_twelve_threads() == 3;
}

/* Where a thread and the one that looks after it meet, step by step. */
static pthread_barrier_t second_meets, third_meets;

static void *stay_attached(void *unused)
{
    (void)unused;
    guard();
    pthread_barrier_wait(&second_meets);
    pthread_barrier_wait(&second_meets);
    return NULL;
}

/* Allocates three blocks that no cache takes: before, while and after the main arena's lock is held. */
static void *allocate_thrice(void *blocks)
{
    for (int i = 0; i < 3; i++) {
        ((void **)blocks)[i] = ptm_malloc(5000);
        pthread_barrier_wait(&third_meets);
        pthread_barrier_wait(&third_meets);
    }
    return NULL;
}

/*
 * With two arenas and three threads, the third shares the main arena with the first. When it finds its lock
 * taken, it moves to the second's, and stays there. (Neither waits: nothing here depends on time.)
 */
static bool moves_on_contention(void)
{
    pthread_t second, third;
    struct arena *home[3];
    void *block[3];

    guard();
    pthread_barrier_init(&second_meets, NULL, 2);
    pthread_barrier_init(&third_meets, NULL, 2);
    if (pthread_create(&second, NULL, stay_attached, NULL) != 0)
        abort();
    pthread_barrier_wait(&second_meets);
    if (pthread_create(&third, NULL, allocate_thrice, block) != 0)
        abort();
    for (int i = 0; i < 3; i++) {
        pthread_barrier_wait(&third_meets);
        home[i] = arena_of(chunk_of(block[i]));
        if (i == 0)
            lock_take(&ptm_main_arena.lock);
        else if (i == 1)
            lock_drop(&ptm_main_arena.lock);
        pthread_barrier_wait(&third_meets);
    }
    pthread_join(third, NULL);
    pthread_barrier_wait(&second_meets);
    pthread_join(second, NULL);
    return home[0] == &ptm_main_arena && home[1] != home[0] && home[2] == home[1];
}

static const struct knob_row {
    const char *name;
    const char *knobs; /* for the environment, or NULL */
    int parameter;     /* of mallopt(), if there are no knobs */
    int value;
    const char *beside; /* knobs of both children, or NULL */
    bool (*question)(void);
    bool answer; /* with the knob; without it, the other one */
} rows[] = {
    {"arenas", "arenas=3", 0, 0, NULL, has_three_arenas, true},
    {"arenas: eight for each processor", "arenas=3", 0, 0, NULL, has_eight_arenas, false},
    {"arenas: a thread moves on contention", "arenas=2", 0, 0, NULL, moves_on_contention, true},
    {"tcache", "tcache=10", 0, 0, NULL, caches_at_most_10, true},
    {"tcache_max", "tcache_max=500", 0, 0, NULL, caches_none_of_600, true},
    {"mmap_threshold", "mmap_threshold=1m", 0, 0, NULL, maps_200k, false},
    {"mmap_threshold: adapts", "mmap_threshold=128k", 0, 0, NULL, maps_400k_again, true},
    {"mmap_threshold: adapts up to 32 MiB", "mmap_threshold=64m", 0, 0, NULL, maps_40m_again,
     false},
    {"mmap_max", "mmap_max=0", 0, 0, NULL, maps_200k, false},
    {"trim_threshold", "trim_threshold=64m", 0, 0, "tcache=0", keeps_8m, true},
    {"trim_threshold: adapts to mappings", "trim_threshold=128k", 0, 0, NULL,
     keeps_6m_after_a_mapping_of_4m, false},
    {"trim_threshold: adapts to trims", "trim_threshold=128k", 0, 0, NULL, keeps_3m_after_trims,
     false},
    {"top_pad", "top_pad=2m", 0, 0, NULL, asks_for_1m, true},
    {"fastbin_max", "fastbin_max=64", 0, 0, "tcache=0", has_fast_100, false},
    {"perturb", "perturb=85", 0, 0, NULL, fills, true},
    {"M_MXFAST", NULL, M_MXFAST, 64, "tcache=0", has_fast_100, false},
    {"M_TRIM_THRESHOLD", NULL, M_TRIM_THRESHOLD, 64 << 20, "tcache=0", keeps_8m, true},
    {"M_TOP_PAD", NULL, M_TOP_PAD, 2 << 20, NULL, asks_for_1m, true},
    {"M_MMAP_THRESHOLD", NULL, M_MMAP_THRESHOLD, 1 << 20, NULL, maps_200k, false},
    {"M_MMAP_MAX", NULL, M_MMAP_MAX, 0, NULL, maps_200k, false},
    {"M_PERTURB", NULL, M_PERTURB, 85, NULL, fills, true},
    {"M_ARENA_MAX", NULL, M_ARENA_MAX, 3, NULL, has_three_arenas, true},
};

/* The answer to a row's question in a child, with or without what the row is about. */
static bool ask(const struct knob_row *row, bool with)
{
    char knobs[80] = "";
    pid_t child;
    int status;

    if (row->beside)
        strcat(knobs, row->beside);
    if (with && row->knobs)
        strcat(strcat(knobs, *knobs ? ":" : ""), row->knobs);
    child = fork();
    if (child == 0) {
        alarm(20);
        setenv("HEAPMARK_PTMALLOC", knobs, 1);
        if (with && !row->knobs && ptm_mallopt(row->parameter, row->value) != 1)
            _exit(2);
        status = row->question();
        _exit(ptm_check() == 0 ? status : 3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_in_range(WEXITSTATUS(status), 0, 1);
    return WEXITSTATUS(status);
}

static void test_row(void **state)
{
    const struct knob_row *row = *state;

    assert_int_equal(ask(row, true), row->answer);
    assert_int_equal(ask(row, false), !row->answer);
}

int main(void)
{
    enum { COUNT = sizeof rows / sizeof rows[0] };
    struct CMUnitTest tests[COUNT];

    for (int i = 0; i < COUNT; i++)
        tests[i] =
            (struct CMUnitTest){rows[i].name, test_row, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
