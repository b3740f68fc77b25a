/* The pure half of planning: from cells and a seed to an order. */
#include "plan/plan.h"

#include "util/pool.h"

enum {
    PAD_STEP_BYTES = 16,
    PAD_STEPS = 256, /* up to 4 KiB: moves the stack by up to a page */
    TRIAL_OVERHEAD_NS =
        25000000, /* spawning, set-up, reading memory: measured, see FACTS of a run */
};

static uint32_t count_block(const struct plan *plan)
{
    uint32_t count = 0;
    for (uint32_t c = 0; c < plan->cell_count; c++)
        count += plan->cells[c].contender_count + (plan->has_aa && plan->cells[c].baseline >= 0);
    return count;
}

static void fill_block(const struct plan *plan, uint32_t block, struct planned *trials)
{
    for (uint32_t c = 0; c < plan->cell_count; c++) {
        const struct cell *cell = &plan->cells[c];
        for (uint32_t i = 0; i < cell->contender_count; i++)
            *trials++ =
                (struct planned){.block = block, .cell = c, .contender = cell->contenders[i]};
        if (plan->has_aa && cell->baseline >= 0)
            *trials++ = (struct planned){.block = block,
                                         .cell = c,
                                         .contender = (uint32_t)cell->baseline,
                                         .is_aa = true};
    }
}

static void shuffle(struct planned *trials, uint32_t count, uint64_t *rng)
{
    for (uint32_t i = count; i > 1; i--) {
        uint32_t j = (uint32_t)rng_below(rng, i);
        struct planned other = trials[j];
        trials[j] = trials[i - 1];
        trials[i - 1] = other;
    }
}

void plan_order(struct plan *plan)
{
    uint64_t rng = plan->seed;
    plan->trials_in_block = count_block(plan);
    plan->trial_count = plan->blocks * plan->trials_in_block;
    plan->trials = pool_alloc(plan->trial_count * sizeof *plan->trials);
    for (uint32_t block = 0; block < plan->blocks; block++) {
        struct planned *trials = &plan->trials[block * plan->trials_in_block];
        fill_block(plan, block, trials);
        shuffle(trials, plan->trials_in_block, &rng);
        for (uint32_t i = 0; i < plan->trials_in_block; i++)
            trials[i].pad_bytes = PAD_STEP_BYTES * (uint32_t)rng_below(&rng, PAD_STEPS);
    }
}

uint64_t plan_trial_estimate_ns(const struct cell *cell)
{
    /* Warm-up is a tenth of the work, the sampled part a quarter. */
    uint64_t parts = cell->trial_time_ns + cell->trial_time_ns / 10;
    if (cell->has_latency)
        parts += cell->trial_time_ns / 4;
    return parts + TRIAL_OVERHEAD_NS;
}

uint64_t plan_estimate_ns(const struct plan *plan)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < plan->trial_count; i++)
        total += plan_trial_estimate_ns(&plan->cells[plan->trials[i].cell]);
    return total;
}

const char *planned_variant(const struct plan *plan, const struct planned *trial)
{
    return trial->is_aa ? "aa" : plan->contenders[trial->contender].variant;
}
