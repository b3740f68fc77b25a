/*
 * byhand: what `pair` does, written out as anybody would write it, with nothing of the harness in
 * the loop. The difference between the two over the null allocator is what the harness adds to a
 * pair (`heapmark run floor`).
 */
#include "include/workload.h"

enum { SIZE };

static const struct workload_option options[] = {
    [SIZE] = {"size", OPTION_BYTES, "64", 1, 1ull << 32, NULL, "size of the block"},
    {.name = NULL},
};

static void byhand(struct worker *w)
{
    const size_t size = trial_param(w->trial, SIZE);
    for (uint64_t i = 0; i < w->work; i++) {
        char *block = malloc(size);
        *(volatile char *)block = 1;
        free(block);
    }
    w->ops += 2 * w->work;
    worker_live(w, (int64_t)size);
}

const struct workload workload_byhand = {
    .name = "byhand",
    .summary = "the calls of pair in a plain C loop: what the harness's own loop is compared with",
    .source = "heapmark",
    .work_unit = "malloc/free pairs",
    .options = options,
    .run = byhand,
    .run_timed = byhand, /* sampling would be the harness again */
};
