/* Every way to wait for a thread's end, each in the same program. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "scene.h"

enum { TURNS = 8, WORKERS = 2 };

static struct timespec in_a_minute(clockid_t clock)
{
    struct timespec then;
    clock_gettime(clock, &then);
    then.tv_sec += 60;
    return then;
}

static int join_plainly(pthread_t thread, void **result)
{
    return pthread_join(thread, result);
}

/* The first time it is too late already: that waits for nobody. */
static int join_by_time(pthread_t thread, void **result)
{
    const struct timespec past = {0}, then = in_a_minute(CLOCK_REALTIME);
    int error = pthread_timedjoin_np(thread, result, &past);
    return error == ETIMEDOUT ? pthread_timedjoin_np(thread, result, &then) : error;
}

static int join_by_clock(pthread_t thread, void **result)
{
    const struct timespec then = in_a_minute(CLOCK_MONOTONIC);
    return pthread_clockjoin_np(thread, result, CLOCK_MONOTONIC, &then);
}

static int join_by_trying(pthread_t thread, void **result)
{
    int error;
    while ((error = pthread_tryjoin_np(thread, result)) == EBUSY)
        usleep(1000);
    return error;
}

/* Two threads at a time, and then the main thread alone, in turn: a join that is missed moves that turn. */
static int take_turns(int (*join)(pthread_t, void **))
{
    for (int turn = 0; turn < TURNS; turn++) {
        pthread_t threads[WORKERS];
        for (intptr_t i = 0; i < WORKERS; i++)
            if (pthread_create(&threads[i], NULL, rounds, (void *)i) != 0)
                return 1;
        for (intptr_t i = 0; i < WORKERS; i++) {
            void *result = NULL;
            if (join(threads[i], &result) != 0 || (intptr_t)result != i)
                return 2;
        }
        pairs();
    }
    return 0;
}

static int joins(void)
{
    return take_turns(join_plainly);
}

static int timed_joins(void)
{
    return take_turns(join_by_time);
}

static int clock_joins(void)
{
    return take_turns(join_by_clock);
}

static int try_joins(void)
{
    return take_turns(join_by_trying);
}

/* Its result is negative: a void pointer in between must not change it. */
static int c11_rounds(void *number)
{
    return pairs() - 7 - *(int *)number;
}

static int c11_joins(void)
{
    for (int turn = 0; turn < TURNS; turn++) {
        thrd_t threads[WORKERS];
        int numbers[WORKERS], result;
        for (int i = 0; i < WORKERS; i++) {
            numbers[i] = turn + i;
            if (thrd_create(&threads[i], c11_rounds, &numbers[i]) != thrd_success)
                return 1;
        }
        for (int i = 0; i < WORKERS; i++)
            if (thrd_join(threads[i], i == 0 ? &result : NULL) != thrd_success ||
                result != -7 - numbers[0])
                return 2;
        pairs();
    }
    return 0;
}

const struct scene join_scenes[] = {
    {"joins", joins},         {"timed_joins", timed_joins}, {"clock_joins", clock_joins},
    {"try_joins", try_joins}, {"c11_joins", c11_joins},     {NULL, NULL},
};
