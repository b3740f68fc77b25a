/* How long trials take: the work of their parts, what that should cost, and when they are ended. */
#include "plan/plan.h"

/* ---- parts ----------------------------------------------------------------------------------- */

/* A tenth of the work warms up, a quarter is sampled; a part of less than one iteration is left
 * out of warm-up and made one for sampling. */
struct trial_parts cell_parts(const struct cell *cell, uint32_t block)
{
    uint64_t work = cell->work > 0 ? cell->work : cell_paced_work(cell);
    uint64_t quarter = work / 4 > 0 ? work / 4 : 1;
    return (struct trial_parts){.warmup = work / 10,
                                .measured = work,
                                .sampled = cell->has_latency ? quarter : 0,
                                .timeline = cell->has_timeline && block == 0 ? work : 0};
}

uint64_t parts_iterations(const struct trial_parts *parts)
{
    return parts->warmup + parts->measured + parts->sampled + parts->timeline;
}

/* ---- recorded times -------------------------------------------------------------------------- */

uint64_t cell_paced_work(const struct cell *cell)
{
    if (cell->paced_ns == 0 || cell->paced_ns >= cell->trial_time_ns)
        return 1;
    return (cell->trial_time_ns + cell->paced_ns / 2) / cell->paced_ns;
}

/* At most a year each: more of them adds up to nothing. */
static uint64_t product_ns(uint64_t ns, uint64_t times)
{
    const uint64_t year_ns = UINT64_C(365) * 24 * 3600 * 1000000000;
    uint64_t product;
    bool is_more = __builtin_mul_overflow(ns, times, &product) || product > year_ns;
    return is_more ? year_ns : product;
}

uint64_t cell_paced_ns(const struct cell *cell, uint64_t iterations)
{
    return product_ns(cell->paced_ns, iterations);
}

/*
 * Neither what a trial takes by recorded times is a sign of one that hangs, twice as much since it may lag, nor a
 * long trace: a microsecond for an event is what only slow allocators take, or valgrind.
 */
uint64_t cell_timeout_ns(const struct cell *cell, uint64_t iterations)
{
    uint64_t events_ns = cell->input ? product_ns(1000, cell->input->events) : 0;
    if (cell->is_timeout_given)
        return cell->timeout_ns;
    return cell->timeout_ns + 2 * cell_paced_ns(cell, iterations) +
           product_ns(events_ns, iterations);
}

/* ---- estimates ------------------------------------------------------------------------------- */

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Going by trial-time; `slowness` thousandths of the baseline's time. */
static uint64_t timed_ns(const struct cell *cell, const struct trial_parts *parts,
                         uint64_t slowness)
{
    /* Warm-up is a tenth of the work, the sampled part a quarter; a watched one costs five times. */
    uint64_t ns = cell->trial_time_ns + cell->trial_time_ns / 10;
    if (parts->sampled > 0)
        ns += cell->trial_time_ns / 4;
    if (parts->timeline > 0)
        ns += 5 * cell->trial_time_ns;
    return ns / 1000 * slowness;
}

static uint64_t estimate_ns(const struct plan *plan, const struct planned *trial, uint64_t slowness)
{
    /* Spawning, set-up and reading memory; starting valgrind; 10 million instructions under it. */
    const uint64_t overhead_ns = 25000000, valgrind_ns = 700000000, counted_ns = 400000000;
    const struct cell *cell = &plan->cells[trial->cell];
    struct trial_parts parts = cell_parts(cell, trial->block);
    uint64_t paced_ns = cell_paced_ns(cell, parts_iterations(&parts));
    if (plan->has_instructions)
        return valgrind_ns + larger(counted_ns * slowness / 1000, paced_ns);
    uint64_t one_ns = timed_ns(cell, &parts, slowness);
    uint64_t trial_ns = larger(one_ns, paced_ns) + overhead_ns;
    if (!cell->has_exact_peak)
        return trial_ns;
    /* The second process has two parts only, but is slowed down. */
    uint64_t peak_ns = cell_paced_ns(cell, parts.warmup + parts.measured);
    return trial_ns + larger(one_ns, peak_ns) + overhead_ns;
}

uint64_t plan_trial_estimate_ns(const struct plan *plan, const struct planned *trial)
{
    return estimate_ns(plan, trial, 1000);
}

static uint64_t estimate_all_ns(const struct plan *plan, uint64_t slowness)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < plan->trial_count; i++) {
        const struct planned *trial = &plan->trials[i];
        bool is_baseline = (int32_t)trial->contender == plan->cells[trial->cell].baseline;
        total += estimate_ns(plan, trial, is_baseline ? 1000 : slowness);
    }
    return total;
}

uint64_t plan_estimate_ns(const struct plan *plan)
{
    return estimate_all_ns(plan, 1000);
}

uint64_t plan_estimate_slow_ns(const struct plan *plan)
{
    return estimate_all_ns(plan, 2000);
}
