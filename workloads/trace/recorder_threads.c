/*
 * Which thread starts and joins which: each function of the C library that does so. Those of C11 do
 * not go through the others', so each is here; C++'s threads come through pthread_create() and
 * pthread_join().
 */
#include "workloads/trace/recorder_calls.h"

#include <pthread.h>
#include <threads.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))

typedef void *thread_routine(void *);

static struct {
    int (*pthread_create)(pthread_t *, const pthread_attr_t *, thread_routine *, void *);
    int (*pthread_join)(pthread_t, void **);
    int (*pthread_tryjoin_np)(pthread_t, void **);
    int (*pthread_timedjoin_np)(pthread_t, void **, const struct timespec *);
    int (*pthread_clockjoin_np)(pthread_t, void **, clockid_t, const struct timespec *);
    int (*thrd_create)(thrd_t *, thrd_start_t, void *);
    int (*thrd_join)(thrd_t, int *);
} next;

void threads_find(void)
{
    next.pthread_create = calls_find("pthread_create");
    next.pthread_join = calls_find("pthread_join");
    next.pthread_tryjoin_np = calls_find("pthread_tryjoin_np");
    next.pthread_timedjoin_np = calls_find("pthread_timedjoin_np");
    next.pthread_clockjoin_np = calls_find("pthread_clockjoin_np");
    next.thrd_create = calls_find("thrd_create");
    next.thrd_join = calls_find("thrd_join");
}

/* ---- starting -------------------------------------------------------------------------------- */

/* A new thread learns who started it before it makes any call. */
struct start {
    union {
        thread_routine *routine;
        thrd_start_t routine_c11;
    };
    void *argument;
    uint32_t parent;
    uint64_t created;
};

/* A thread is about to be started. NULL: it will not be told. */
static struct start *announce(void *argument)
{
    calls_be_ready();
    log_not_alone();
    uint32_t self = log_thread_number();
    struct start *start = self != 0 ? calls_malloc(sizeof *start) : NULL;
    if (start != NULL)
        *start =
            (struct start){.argument = argument, .parent = self, .created = raw_now(log_is_tsc)};
    return start;
}

/* In the new thread. */
static struct start learn(void *argument)
{
    struct start start = *(struct start *)argument;
    calls_free(argument);
    log_thread.parent = start.parent;
    log_thread.created = start.created;
    log_thread.started = raw_now(log_is_tsc);
    return start;
}

static void *started(void *argument)
{
    struct start start = learn(argument);
    return start.routine(start.argument);
}

static int started_c11(void *argument)
{
    struct start start = learn(argument);
    return start.routine_c11(start.argument);
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          thread_routine *routine, void *argument)
{
    struct start *start = announce(argument);
    if (start == NULL)
        return next.pthread_create(thread, attributes, routine, argument);
    start->routine = routine;
    int error = next.pthread_create(thread, attributes, started, start);
    if (error != 0)
        calls_free(start);
    return error;
}

EXPORT int thrd_create(thrd_t *thread, thrd_start_t routine, void *argument)
{
    struct start *start = announce(argument);
    if (start == NULL)
        return next.thrd_create(thread, routine, argument);
    start->routine_c11 = routine;
    int result = next.thrd_create(thread, started_c11, start);
    if (result != thrd_success)
        calls_free(start);
    return result;
}

/* ---- joining --------------------------------------------------------------------------------- */

/* A join that has begun. */
struct join {
    bool recorded;
    uint64_t began;
};

static struct join begin_join(void)
{
    calls_be_ready();
    bool recorded = log_level() != RAW_OFF;
    return (struct join){recorded, recorded ? raw_now(log_is_tsc) : 0};
}

/* One that did not wait for the thread's end, for lack of time, say, is none. */
static int end_join(struct join join, pthread_t thread, int error)
{
    if (error == 0 && join.recorded && log_level() != RAW_OFF)
        log_write_join((uint64_t)thread, join.began);
    return error;
}

EXPORT int pthread_join(pthread_t thread, void **result)
{
    struct join join = begin_join();
    return end_join(join, thread, next.pthread_join(thread, result));
}

EXPORT int pthread_tryjoin_np(pthread_t thread, void **result)
{
    struct join join = begin_join();
    return end_join(join, thread, next.pthread_tryjoin_np(thread, result));
}

EXPORT int pthread_timedjoin_np(pthread_t thread, void **result, const struct timespec *until)
{
    struct join join = begin_join();
    return end_join(join, thread, next.pthread_timedjoin_np(thread, result, until));
}

EXPORT int pthread_clockjoin_np(pthread_t thread, void **result, clockid_t clock,
                                const struct timespec *until)
{
    struct join join = begin_join();
    return end_join(join, thread, next.pthread_clockjoin_np(thread, result, clock, until));
}

_Static_assert(thrd_success == 0, "as end_join() has it");
_Static_assert(_Generic((thrd_t)0, pthread_t : 1, default : 0), "a thrd_t is a pthread_t");

EXPORT int thrd_join(thrd_t thread, int *result)
{
    struct join join = begin_join();
    return end_join(join, thread, next.thrd_join(thread, result));
}
