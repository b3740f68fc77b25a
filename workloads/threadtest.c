/*
 * threadtest: all threads allocate and free their share of a fixed number of small objects, each
 * its own, with a little work in between. Nothing is shared, so that an allocator that scales keeps
 * the time of one thread divided by their number.
 */
#include "include/workload.h"

enum { SIZE, OBJECTS, DELAY };

static const struct workload_option options[] = {
    [SIZE] = {"size", OPTION_BYTES, "8", 1, 1ull << 30, NULL, "size of each object"},
    [OBJECTS] = {"objects", OPTION_COUNT, "30000", 1, 100000000, NULL,
                 "objects of all threads together"},
    [DELAY] = {"delay", OPTION_COUNT, "0", 0, 1000000, NULL,
               "turns of an empty loop after each call"},
    {.name = NULL},
};

static uint32_t share(const struct worker *w)
{
    uint64_t objects = trial_param(w->trial, OBJECTS);
    return (uint32_t)(objects / w->thread_count + (w->index < objects % w->thread_count));
}

static int setup(struct trial *trial)
{
    for (uint32_t i = 0; i < trial_thread_count(trial); i++) {
        struct worker *w = trial_worker(trial, i);
        w->state = trial_map(trial, share(w) * sizeof(void *));
    }
    return 0;
}

HM_INLINE void pause_for(uint64_t delay)
{
    for (uint64_t i = 0; i < delay; i++)
        __asm__ volatile("" ::: "memory");
}

HM_INLINE void threadtest(struct worker *w, bool timed)
{
    void **objects = w->state;
    const size_t size = trial_param(w->trial, SIZE);
    const uint64_t delay = trial_param(w->trial, DELAY);
    const uint32_t count = share(w);
    for (uint64_t round = 0; round < w->work; round++) {
        for (uint32_t i = 0; i < count; i++) {
            objects[i] = op_malloc(w, size, timed);
            stamp_write(objects[i], size);
            pause_for(delay);
        }
        for (uint32_t i = 0; i < count; i++) {
            stamp_take(w, objects[i], size);
            op_free(w, objects[i], timed);
            pause_for(delay);
        }
    }
    w->ops += 2 * w->work * count;
    worker_live(w, (int64_t)(size * count));
}
WORKLOAD_INSTANCES(threadtest)

const struct workload workload_threadtest = {
    .name = "threadtest",
    .summary = "threads share out a number of small objects: does the allocator scale?",
    .source = "Berger et al. 2000, Hoard",
    .work_unit = "rounds of allocating and freeing all objects",
    .options = options,
    .setup = setup,
    .run = threadtest_plain,
    .run_timed = threadtest_timed,
};
