/*
 * null: a loop that never calls the allocator. What remains is the harness itself: the cost of a
 * process, of an idle loop, and the resident memory that an allocator takes by merely being there.
 */
#include "include/workload.h"

HM_INLINE void null(struct worker *w, bool timed)
{
    (void)timed;
    for (uint64_t i = 0; i < w->work; i++)
        __asm__ volatile("" ::: "memory");
}
WORKLOAD_INSTANCES(null)

const struct workload workload_null = {
    .name = "null",
    .summary = "no allocator call at all: the harness's own time and memory",
    .source = "fio's null engine",
    .work_unit = "turns of an empty loop",
    .run = null_plain,
    .run_timed = null_timed,
};
