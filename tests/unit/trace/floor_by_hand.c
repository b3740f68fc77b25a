/*
 * What the replayer's floor is made of: the calls of the traces that make_floor writes, with the
 * same stamps in the same blocks, as a loop by hand that knows sizes and places beforehand.
 *
 *   HEAPMARK_NULL=ring=4m LD_PRELOAD=libhm_null.so floor_by_hand [PASSES]
 *
 * Prints ns a call of one thread that replaces one of 1,000 blocks over and over, and ns a hand-over
 * from a thread that allocates to one that frees: wall time of both calls, less that of the same
 * calls in one thread. Medians of the passes, without and with stamps. Threads are on CPUs 0 and 1.
 */
#include "include/workload.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { LIVE = 1000, PAIRS = 500000, SLOTS = 65536, PASSES = 30, PASSES_MAX = 1000 };

/* What a pass does, drawn beforehand. */
static struct step {
    uint32_t place;
    uint16_t old_size, size;
} steps[PAIRS];

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void stay_on(int cpu)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);
}

static size_t size_of(uint32_t number)
{
    return 16 + number % 9;
}

/* ---- the two calls --------------------------------------------------------------------------- */

/* As the replayer knows it of its words, so that neither asks. */
HM_INLINE size_t plain(size_t size)
{
    if (stamp_is_odd(size))
        __builtin_unreachable();
    return size;
}

HM_INLINE void *make(size_t size, bool stamps)
{
    void *block = malloc(size);
    if (HM_UNLIKELY(block == NULL))
        abort();
    if (stamps)
        stamp_write(block, plain(size));
    return block;
}

HM_INLINE void end(void *block, size_t size, bool stamps)
{
    const uint64_t wiped = 0;
    if (stamps && HM_UNLIKELY(!stamp_is_whole(block, plain(size))))
        abort();
    if (stamps)
        memcpy(block, &wiped, sizeof wiped);
    free(block);
}

/* ---- one thread ------------------------------------------------------------------------------ */

static void draw_steps(void)
{
    uint64_t rng = 1;
    uint16_t sizes[LIVE];
    for (uint32_t i = 0; i < LIVE; i++)
        sizes[i] = (uint16_t)size_of(i);
    for (uint32_t i = 0; i < PAIRS; i++) {
        struct step *step = &steps[i];
        step->place = (uint32_t)rng_below(&rng, LIVE);
        step->old_size = sizes[step->place];
        step->size = sizes[step->place] = (uint16_t)(16 + rng_below(&rng, 9));
    }
}

HM_INLINE double replace(bool stamps)
{
    static void *blocks[LIVE];
    for (uint32_t i = 0; i < LIVE; i++)
        blocks[i] = make(size_of(i), stamps);
    double begin_ns = now_ns();
    for (const struct step *step = steps; step < steps + PAIRS; step++) {
        end(blocks[step->place], step->old_size, stamps);
        blocks[step->place] = make(step->size, stamps);
    }
    double took_ns = now_ns() - begin_ns;
    for (uint32_t i = 0; i < LIVE; i++)
        free(blocks[i]);
    return took_ns / 2 / PAIRS;
}

static double replace_plain(void)
{
    return replace(false);
}

static double replace_stamped(void)
{
    return replace(true);
}

/* ---- hand-overs ------------------------------------------------------------------------------ */

static _Atomic uintptr_t slots[SLOTS];
static pthread_barrier_t both;

HM_INLINE void publish(uint32_t number, void *block)
{
    _Atomic uintptr_t *slot = &slots[number % SLOTS];
    while (HM_UNLIKELY(atomic_load_explicit(slot, memory_order_acquire) != 0))
        __builtin_ia32_pause();
    atomic_store_explicit(slot, (uintptr_t)block, memory_order_release);
}

HM_INLINE void *take(uint32_t number)
{
    _Atomic uintptr_t *slot = &slots[number % SLOTS];
    uintptr_t block;
    while (HM_UNLIKELY((block = atomic_load_explicit(slot, memory_order_acquire)) == 0))
        __builtin_ia32_pause();
    atomic_store_explicit(slot, 0, memory_order_release);
    return (void *)block;
}

static void *take_all(void *stamps)
{
    stay_on(1);
    pthread_barrier_wait(&both);
    for (uint32_t i = 0; i < PAIRS; i++)
        if (stamps != NULL)
            end(take(i), size_of(i), true);
        else
            end(take(i), size_of(i), false);
    return NULL;
}

HM_INLINE double by_two(bool stamps)
{
    pthread_t taker;
    if (pthread_create(&taker, NULL, take_all, stamps ? slots : NULL) != 0)
        abort();
    pthread_barrier_wait(&both);
    double begin_ns = now_ns();
    for (uint32_t i = 0; i < PAIRS; i++)
        publish(i, make(size_of(i), stamps));
    pthread_join(taker, NULL);
    return (now_ns() - begin_ns) / PAIRS;
}

/* The freeing is 1,000 behind, as in the trace. */
HM_INLINE double by_one(bool stamps)
{
    double begin_ns = now_ns();
    for (uint32_t i = 0; i < PAIRS + LIVE; i++) {
        if (i >= LIVE)
            end(take(i - LIVE), size_of(i - LIVE), stamps);
        if (i < PAIRS)
            publish(i, make(size_of(i), stamps));
    }
    return (now_ns() - begin_ns) / PAIRS;
}

static double hand_over_plain(void)
{
    return by_two(false) - by_one(false);
}

static double hand_over_stamped(void)
{
    return by_two(true) - by_one(true);
}

/* ---- all ------------------------------------------------------------------------------------- */

static int rising(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static const struct figure_of {
    const char *name;
    double (*take)(void);
} figures[] = {
    {"a call", replace_plain},
    {"a call, with stamps", replace_stamped},
    {"a hand-over", hand_over_plain},
    {"a hand-over, with stamps", hand_over_stamped},
};

enum { FIGURES = sizeof figures / sizeof *figures };

int main(int argc, char **argv)
{
    static double taken[FIGURES][PASSES_MAX];
    int passes = argc > 1 ? atoi(argv[1]) : PASSES;
    if (argc > 2 || passes < 1 || passes > PASSES_MAX) {
        fprintf(stderr, "usage: floor_by_hand [PASSES], at most %d\n", PASSES_MAX);
        return 2;
    }
    stay_on(0);
    draw_steps();
    pthread_barrier_init(&both, NULL, 2);
    for (int pass = 0; pass < passes; pass++) /* in turn, so that all meet the same neighbours */
        for (int i = 0; i < FIGURES; i++)
            taken[i][pass] = figures[i].take();
    for (int i = 0; i < FIGURES; i++) {
        qsort(taken[i], (size_t)passes, sizeof taken[i][0], rising);
        printf("%-26s%6.2f ns\n", figures[i].name, taken[i][passes / 2]);
    }
    return 0;
}
