#include "trial/clock.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

struct clock_scale clock_scale = {.is_tsc = 0, .ns_per_tick = 1.0};

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

struct clock_scale clock_calibrate(unsigned milliseconds)
{
    struct clock_scale scale = {.is_tsc = 0, .ns_per_tick = 1.0};
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
