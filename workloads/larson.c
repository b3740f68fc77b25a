/*
 * larson: a server under load. Every thread owns an array of blocks and keeps replacing one at
 * random by a new one of random size. After each round the arrays pass to the next thread, so that
 * blocks are freed by threads that did not allocate them, as when connections change workers.
 *
 * The original starts a new thread for each hand-over. Here the threads stay and the arrays move:
 * starting a thread calls the allocator, and the harness must not call it while it measures.
 */
#include "workloads/slots.h"

enum { SLOTS, SMALLEST, LARGEST, ROUND };

static const struct workload_option options[] = {
    [SLOTS] = {"slots", OPTION_COUNT, "1000", 1, 10000000, NULL, "live blocks of each thread"},
    [SMALLEST] = {"size_min", OPTION_BYTES, "8", 1, 1 << 20, NULL, "smallest block"},
    [LARGEST] = {"size_max", OPTION_BYTES, "1000", 1, 1 << 20, NULL, "largest block"},
    [ROUND] = {"round", OPTION_COUNT, "10000", 1, 1000000000, NULL,
               "replacements between two hand-overs"},
    {.name = NULL},
};

static uint32_t draw_size(struct trial *trial, uint64_t *rng)
{
    uint64_t smallest = trial_param(trial, SMALLEST), largest = trial_param(trial, LARGEST);
    return (uint32_t)(smallest + rng_below(rng, largest - smallest + 1));
}

static const char *refusal(const uint64_t *params)
{
    return params[SMALLEST] > params[LARGEST] ? "size_min is above size_max" : NULL;
}

static int setup(struct trial *trial)
{
    slots_setup(trial, trial_param(trial, SLOTS), draw_size);
    return 0;
}

/* The array that this worker owns in a round: they all move on by one each time. */
static struct slot *slots_in_round(struct worker *w, uint64_t round)
{
    uint32_t owner = (uint32_t)((w->index + round) % w->thread_count);
    return ((struct slots *)trial_worker(w->trial, owner)->state)->slots;
}

HM_INLINE void larson(struct worker *w, bool timed)
{
    const struct slots *state = w->state;
    const uint64_t slot_count = trial_param(w->trial, SLOTS);
    const uint64_t round_length = trial_param(w->trial, ROUND);
    struct slot *slots = state->slots;
    for (uint64_t i = 0; i < slot_count; i++)
        slot_fill(w, &slots[i], state->draws[i % DRAWS].size, timed);

    uint64_t round = 0, left = round_length;
    for (uint64_t i = 0; i < w->work; i++) {
        const struct draw *draw = &state->draws[i % DRAWS];
        slot_empty(w, &slots[draw->slot], timed);
        slot_fill(w, &slots[draw->slot], draw->size, timed);
        if (HM_UNLIKELY(--left == 0)) {
            left = round_length;
            worker_barrier(w);
            slots = slots_in_round(w, ++round);
        }
    }
    for (uint64_t i = 0; i < slot_count; i++)
        slot_empty(w, &slots[i], timed);
    w->ops += 2 * (w->work + slot_count);
}
WORKLOAD_INSTANCES(larson)

const struct workload workload_larson = {
    .name = "larson",
    .summary = "server: random replacement in arrays that pass from thread to thread",
    .source = "Larson and Krishnan 1998, Memory Allocation for Long-Running Server Applications",
    .work_unit = "replacements",
    .options = options,
    .refusal = refusal,
    .setup = setup,
    .run = larson_plain,
    .run_timed = larson_timed,
};
