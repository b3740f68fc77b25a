/* The pure half of planning: from cells and a seed to an order. */
#include "plan/plan.h"

#include "util/pool.h"

enum {
    PAD_STEP_BYTES = 16,
    PAD_STEPS = 256, /* up to 4 KiB: moves the stack by up to a page */
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

/*
 * Trials that take turns stand together, where the first of them was drawn, in the order in which
 * they were drawn. Afterwards, so that trials without turns keep the order that they always had.
 */
static void gather_turns(const struct plan *plan, struct planned *trials, uint32_t *units,
                         uint32_t first_number)
{
    uint32_t count = plan->trials_in_block, length;
    struct planned *ordered = pool_alloc(count * sizeof *ordered);
    bool *taken = pool_alloc(plan->cell_count * sizeof *taken);
    uint32_t to = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t cell = trials[i].cell;
        if (taken[cell])
            continue;
        taken[cell] = plan->cells[cell].turns > 0;
        length = taken[cell] ? count : i + 1;
        uint32_t unit = first_number + to;
        for (uint32_t j = i; j < length; j++)
            if (trials[j].cell == cell) {
                units[to] = taken[cell] ? unit : first_number + to;
                ordered[to++] = trials[j];
            }
    }
    for (uint32_t i = 0; i < count; i++)
        trials[i] = ordered[i];
}

void plan_order(struct plan *plan)
{
    uint64_t rng = plan->seed;
    plan->trials_in_block = count_block(plan);
    plan->trial_count = plan->blocks * plan->trials_in_block;
    plan->trials = pool_alloc(plan->trial_count * sizeof *plan->trials);
    plan->units = pool_alloc(plan->trial_count * sizeof *plan->units);
    for (uint32_t block = 0; block < plan->blocks; block++) {
        uint32_t first = block * plan->trials_in_block;
        struct planned *trials = &plan->trials[first];
        fill_block(plan, block, trials);
        shuffle(trials, plan->trials_in_block, &rng);
        for (uint32_t i = 0; i < plan->trials_in_block; i++)
            trials[i].pad_bytes = PAD_STEP_BYTES * (uint32_t)rng_below(&rng, PAD_STEPS);
        gather_turns(plan, trials, &plan->units[first], first);
    }
}

bool cell_settle_turns(struct cell *cell)
{
    uint32_t wanted = cell->turns;
    if (wanted == 0 || cell->work == 0)
        return true;
    if (cell->work < wanted)
        cell->turns = (uint32_t)cell->work;
    cell->work = cell->work / cell->turns * cell->turns;
    return cell->turns == wanted;
}

const char *planned_variant(const struct plan *plan, const struct planned *trial)
{
    return trial->is_aa ? "aa" : plan->contenders[trial->contender].variant;
}
