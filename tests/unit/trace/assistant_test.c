/* The second thread that works for the first. */
#include "workloads/trace/assistant.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

struct job {
    pthread_t worker;
    sigset_t blocked;
    int times;
};

static void work(void *context)
{
    struct job *job = context;
    job->worker = pthread_self();
    pthread_sigmask(SIG_SETMASK, NULL, &job->blocked);
    job->times++;
}

static void done_by_another_thread(void **state)
{
    (void)state;
    struct assistant assistant = {.is_there = false};
    struct job job = {.times = 0};
    assistant_wait(&assistant); /* nothing was asked for */
    for (int i = 1; i <= 100; i++) {
        assistant_ask(&assistant, work, &job);
        assistant_wait(&assistant);
        assert_int_equal(job.times, i);
    }
    assert_false(pthread_equal(job.worker, pthread_self()));
    assert_true(sigismember(&job.blocked, SIGINT)); /* it is the first thread's to be interrupted */
    assistant_dismiss(&assistant);
    assistant_dismiss(&assistant);
}

/* What was asked for last is done before the thread goes. */
static void dismissed_at_work(void **state)
{
    (void)state;
    struct assistant assistant = {.is_there = false};
    struct job job = {.times = 0};
    assistant_ask(&assistant, work, &job);
    assistant_dismiss(&assistant);
    assert_int_equal(job.times, 1);
}

/* No memory for another thread's stack: the first one does it. */
static void done_by_the_same_thread(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* they end where memory does */
#endif
    struct rlimit before, none;
    struct assistant assistant = {.is_there = false};
    struct job job = {.times = 0};
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    none = (struct rlimit){.rlim_cur = 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &none), 0);
    assistant_ask(&assistant, work, &job);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(job.times, 1);
    assert_true(pthread_equal(job.worker, pthread_self()));
    assistant_dismiss(&assistant);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(done_by_the_same_thread), /* first: no stack of a thread before is kept */
        cmocka_unit_test(done_by_another_thread),
        cmocka_unit_test(dismissed_at_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
