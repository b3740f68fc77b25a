/*
 * pair: allocate a block, touch it, free it, over and over. The best case of every allocator: one
 * block goes round between malloc and free, and only the fast path is measured.
 */
#include "include/workload.h"

enum { SIZE };

static const struct workload_option options[] = {
    [SIZE] = {"size", OPTION_BYTES, "64", 1, 1ull << 32, NULL, "size of the block"},
    {.name = NULL},
};

HM_INLINE void pair(struct worker *w, bool timed)
{
    const size_t size = trial_param(w->trial, SIZE);
    const uint64_t work = w->work;
    for (uint64_t i = 0; i < work; i++) {
        void *block = op_malloc(w, size, timed);
        stamp_write(block, size);
        __asm__ volatile("" ::: "memory"); /* the check must read what memory holds */
        stamp_take(w, block, size);
        op_free(w, block, timed);
    }
    w->ops += 2 * work;
    worker_live(w, (int64_t)size);
}
WORKLOAD_INSTANCES(pair)

const struct workload workload_pair = {
    .name = "pair",
    .summary = "malloc and free of one block in turn: the fast path alone",
    .source = "the classic microbenchmark; Lever and Boreham 2000, malloc-test",
    .work_unit = "malloc/free pairs",
    .options = options,
    .run = pair_plain,
    .run_timed = pair_timed,
};
