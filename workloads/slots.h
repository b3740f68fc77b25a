/*
 * Random replacement in an array of live blocks, which several workloads are made of: the slots,
 * and the ring of draws that says which one is replaced next by how large a block. The draws are
 * made before the clock starts; the ring is small enough to stay in the second-level cache.
 */
#ifndef HEAPMARK_WORKLOADS_SLOTS_H
#define HEAPMARK_WORKLOADS_SLOTS_H

#include "include/workload.h"

enum { DRAWS = 1 << 15 };

struct slot {
    void *block; /* NULL: empty */
    size_t size;
};

struct draw {
    uint32_t slot, size;
};

struct slots {
    struct slot *slots;
    struct draw *draws; /* DRAWS of them */
};

/* Gives every worker as its state empty slots and draws whose sizes come from `size`. */
static inline void slots_setup(struct trial *trial, uint64_t slot_count,
                               uint32_t (*size)(struct trial *trial, uint64_t *rng))
{
    for (uint32_t i = 0; i < trial_thread_count(trial); i++) {
        uint64_t rng = trial_seed(trial) + i;
        struct slots *state = trial_map(trial, sizeof *state);
        state->slots = trial_map(trial, slot_count * sizeof *state->slots);
        state->draws = trial_map(trial, DRAWS * sizeof *state->draws);
        for (uint32_t d = 0; d < DRAWS; d++) {
            state->draws[d].slot = (uint32_t)rng_below(&rng, slot_count);
            state->draws[d].size = size(trial, &rng);
        }
        trial_worker(trial, i)->state = state;
    }
}

HM_INLINE void slot_fill(struct worker *w, struct slot *slot, size_t size, bool timed)
{
    slot->block = op_malloc(w, size, timed);
    slot->size = size;
    stamp_write(slot->block, size);
    worker_live(w, (int64_t)size);
}

HM_INLINE void slot_empty(struct worker *w, struct slot *slot, bool timed)
{
    stamp_take(w, slot->block, slot->size);
    worker_live(w, -(int64_t)slot->size);
    op_free(w, slot->block, timed);
    slot->block = NULL;
}

#endif
