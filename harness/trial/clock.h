/*
 * The clock of the data plane: the invariant time-stamp counter where there is one, else
 * CLOCK_MONOTONIC_RAW. Readings are ticks; clock_ns() turns differences into nanoseconds.
 *
 * The parent calibrates once per run and hands the result to every trial, so that all trials of a
 * run share one scale. After clock_use() everything here is read-only and thread-safe.
 * Reading order follows Intel's "How to Benchmark Code Execution Times" (Paoloni 2010).
 */
#ifndef HEAPMARK_TRIAL_CLOCK_H
#define HEAPMARK_TRIAL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct clock_scale {
    uint32_t is_tsc; /* 1: ticks are TSC cycles; 0: ticks are nanoseconds */
    double ns_per_tick;
    double step_ns; /* by which readings advance: no latency is known finer than that */
};

extern struct clock_scale clock_scale;

/* From this step on it shows in the percentiles of a fast allocator, whose calls take 10 to 20 ns. */
#define CLOCK_COARSE_NS 5.0

/* Finds the best clock and its scale; takes about `milliseconds` (20 gives some 10 ppm). */
struct clock_scale clock_calibrate(unsigned milliseconds);

/* Makes a calibrated scale the one that all readings use. */
void clock_use(struct clock_scale scale);

/* Whether latencies are coarse: steps that show in them, or readings by clock_gettime(). */
static inline bool clock_is_coarse(const struct clock_scale *scale)
{
    return !scale->is_tsc || scale->step_ns >= CLOCK_COARSE_NS;
}

/*
 * Many CPUs count in steps of some 10 ns: 26 ticks at once, say. The step is what divides all
 * differences of readings, of which seen[n] were n ticks, that were seen `often`: rare ones are
 * corrections by other hands. 1 where nothing was.
 */
uint64_t clock_step_of(const uint16_t *seen, uint64_t widest, uint16_t often);

/* The median cost, in ticks, of clock_begin() directly followed by clock_end(). */
uint64_t clock_cost_ticks(void);

static inline uint64_t clock_gettime_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#if defined(__x86_64__)
#include <x86intrin.h>

/* A reading that nothing later can overtake: the start of an interval. */
static inline uint64_t clock_begin(void)
{
    if (!clock_scale.is_tsc)
        return clock_gettime_ns(CLOCK_MONOTONIC_RAW);
    _mm_lfence();
    uint64_t ticks = __rdtsc();
    _mm_lfence();
    return ticks;
}

/* A reading that waits for everything earlier: the end of an interval. */
static inline uint64_t clock_end(void)
{
    if (!clock_scale.is_tsc)
        return clock_gettime_ns(CLOCK_MONOTONIC_RAW);
    unsigned cpu;
    uint64_t ticks = __rdtscp(&cpu);
    _mm_lfence();
    return ticks;
}

#else

static inline uint64_t clock_begin(void)
{
    return clock_gettime_ns(CLOCK_MONOTONIC_RAW);
}
static inline uint64_t clock_end(void)
{
    return clock_gettime_ns(CLOCK_MONOTONIC_RAW);
}

#endif

static inline uint64_t clock_ns(uint64_t ticks)
{
    return (uint64_t)((double)ticks * clock_scale.ns_per_tick + 0.5);
}

#endif
