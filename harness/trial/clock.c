#include "trial/clock.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

struct clock_scale clock_scale = {.is_tsc = 0, .ns_per_tick = 1.0, .step_ns = 1.0};

static bool tsc_is_invariant(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & (1u << 8)) != 0;
#else
    return false;
#endif
}

#if defined(__x86_64__)
/* A pair of readings taken as close together as 16 tries allow: what interrupts them is dropped. */
static void read_both(uint64_t *tsc, uint64_t *ns)
{
    uint64_t narrowest = UINT64_MAX;
    for (int i = 0; i < 16; i++) {
        uint64_t before = __rdtsc();
        uint64_t now = clock_gettime_ns(CLOCK_MONOTONIC_RAW);
        uint64_t after = __rdtsc();
        if (after - before < narrowest) {
            narrowest = after - before;
            *tsc = before + (after - before) / 2;
            *ns = now;
        }
    }
}
#endif

static struct clock_scale find_scale(unsigned milliseconds)
{
    struct clock_scale scale = {.is_tsc = 0, .ns_per_tick = 1.0, .step_ns = 1.0};
#if defined(__x86_64__)
    if (tsc_is_invariant()) {
        uint64_t tsc0, tsc1, ns0, ns1;
        struct timespec pause = {.tv_sec = milliseconds / 1000,
                                 .tv_nsec = (long)(milliseconds % 1000) * 1000000};
        read_both(&tsc0, &ns0);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        read_both(&tsc1, &ns1);
        if (tsc1 > tsc0 && ns1 > ns0) {
            scale.is_tsc = 1;
            scale.ns_per_tick = (double)(ns1 - ns0) / (double)(tsc1 - tsc0);
        }
    }
#else
    (void)milliseconds;
    (void)tsc_is_invariant;
#endif
    return scale;
}

static uint64_t greatest_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

uint64_t clock_step_of(const uint16_t *seen, uint64_t widest, uint16_t often)
{
    uint64_t step = 0;
    for (uint64_t ticks = 1; ticks < widest; ticks++)
        if (seen[ticks] >= often)
            step = greatest_divisor(step, ticks);
    return step > 0 ? step : 1;
}

/* Work of several lengths lies between two readings, so that the differences are not all one. */
static uint64_t step_ticks(void)
{
    enum { TRIES = 4096, WIDEST = 4096, LENGTHS = 16 };
    uint16_t seen[WIDEST] = {0};
    for (int i = 0; i < TRIES; i++) {
        uint64_t begin = clock_begin();
        for (volatile int wait = 0; wait < i % LENGTHS; wait++)
            ;
        uint64_t ticks = clock_end() - begin;
        if (ticks < WIDEST)
            seen[ticks]++;
    }
    return clock_step_of(seen, WIDEST, TRIES / 64);
}

struct clock_scale clock_calibrate(unsigned milliseconds)
{
    struct clock_scale before = clock_scale, scale = find_scale(milliseconds);
    clock_use(scale);
    scale.step_ns = (double)step_ticks() * scale.ns_per_tick;
    clock_use(before);
    return scale;
}

void clock_use(struct clock_scale scale)
{
    clock_scale = scale;
}

uint64_t clock_cost_ticks(void)
{
    enum { TRIES = 255 };
    uint64_t costs[TRIES];
    for (int i = 0; i < TRIES; i++) {
        uint64_t begin = clock_begin();
        uint64_t cost = clock_end() - begin;
        int j = i;
        for (; j > 0 && costs[j - 1] > cost; j--)
            costs[j] = costs[j - 1];
        costs[j] = cost;
    }
    return costs[TRIES / 2];
}
