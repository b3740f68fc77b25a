/*
 * batch: allocate a number of blocks, then free them all, in the order of allocation, in reverse,
 * or shuffled. Unlike pair it empties and refills whatever the allocator caches, and the shuffled
 * order scatters its free lists.
 */
#include "include/workload.h"

enum { SIZE, COUNT, ORDER };
enum { FIFO, LIFO, SHUFFLED };

static const char *const orders[] = {"fifo", "lifo", "shuffled", NULL};

static const struct workload_option options[] = {
    [SIZE] = {"size", OPTION_BYTES, "64", 1, 1ull << 30, NULL, "size of each block"},
    [COUNT] = {"count", OPTION_COUNT, "1000", 1, 100000000, NULL, "blocks in a batch"},
    [ORDER] = {"order", OPTION_CHOICE, "fifo", 0, 0, orders, "order in which they are freed"},
    {.name = NULL},
};

struct batch {
    void **blocks;
    uint32_t *order; /* which block is freed first, second, ... */
};

static void fill_order(uint32_t *order, uint32_t count, uint64_t kind, uint64_t *rng)
{
    for (uint32_t i = 0; i < count; i++)
        order[i] = kind == LIFO ? count - 1 - i : i;
    if (kind != SHUFFLED)
        return;
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t j = (uint32_t)rng_below(rng, i + 1u), other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
}

static int setup(struct trial *trial)
{
    uint32_t count = (uint32_t)trial_param(trial, COUNT);
    for (uint32_t i = 0; i < trial_thread_count(trial); i++) {
        uint64_t rng = trial_seed(trial) + i;
        struct batch *batch = trial_map(trial, sizeof *batch);
        batch->blocks = trial_map(trial, count * sizeof *batch->blocks);
        batch->order = trial_map(trial, count * sizeof *batch->order);
        fill_order(batch->order, count, trial_param(trial, ORDER), &rng);
        trial_worker(trial, i)->state = batch;
    }
    return 0;
}

HM_INLINE void batch(struct worker *w, bool timed)
{
    const struct batch *state = w->state;
    const size_t size = trial_param(w->trial, SIZE);
    const uint32_t count = (uint32_t)trial_param(w->trial, COUNT);
    for (uint64_t round = 0; round < w->work; round++) {
        for (uint32_t i = 0; i < count; i++) {
            state->blocks[i] = op_malloc(w, size, timed);
            stamp_write(state->blocks[i], size);
        }
        for (uint32_t i = 0; i < count; i++) {
            void *block = state->blocks[state->order[i]];
            stamp_take(w, block, size);
            op_free(w, block, timed);
        }
    }
    w->ops += 2 * w->work * count;
    worker_live(w, (int64_t)(size * count));
}
WORKLOAD_INSTANCES(batch)

const struct workload workload_batch = {
    .name = "batch",
    .summary = "allocate many blocks, then free them in order, in reverse or shuffled",
    .source = "glibc's bench-malloc-simple; mimalloc-bench's alloc-test",
    .work_unit = "batches",
    .options = options,
    .setup = setup,
    .run = batch_plain,
    .run_timed = batch_timed,
};
