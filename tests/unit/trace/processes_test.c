/* Which processes of the raw file's table run, and which are one. */
#include "fixture.h"

#include "workloads/trace/raw.h"
#include "workloads/trace/recording_processes.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct recording *make_recording(void)
{
    struct recording *r = calloc(1, sizeof *r);
    r->raw = calloc(1, RAW_FIRST_SEGMENT);
    r->raw->first = identity_of_self();
    return r;
}

static void release(struct recording *r)
{
    processes_release(r);
    free(r->raw);
    free(r);
}

static struct raw_process *enter(struct recording *r, struct identity identity)
{
    struct raw_process *process = raw_enter(r->raw, identity.pid);
    process->birth = identity.birth;
    process->clock = identity.clock;
    process->space = identity.space;
    return process;
}

static pid_t start_sleeper(void)
{
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves it behind */
        pause();
        _exit(0);
    }
    return child;
}

static void end_sleeper(pid_t child)
{
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* The program that started it has ended by then: the process goes on, and is only beginning. */
static void test_one_that_has_not_told_who_it_is(void **state)
{
    (void)state;
    struct recording *r = make_recording();
    pid_t child = start_sleeper();
    struct raw_process *process = enter(r, identity_of((uint32_t)child));
    r->first_is_over = true;
    assert_int_equal(processes_see_new(r), 0);
    assert_false(process_is_over(r, 0));
    process->identified = 1; /* between two looks at the table */
    assert_false(process_is_over(r, 0));
    assert_int_equal(processes_see_new(r), 0);
    assert_false(process_is_over(r, 0));
    end_sleeper(child);
    assert_true(process_is_over(r, 0));
    release(r);
}

static void test_one_that_ended_before_it_told(void **state)
{
    (void)state;
    struct recording *r = make_recording();
    pid_t child = start_sleeper();
    enter(r, identity_of((uint32_t)child));
    end_sleeper(child);
    assert_int_equal(processes_see_new(r), 0);
    assert_false(process_is_over(r, 0)); /* a namespace may hide it */
    r->first_is_over = true;
    assert_true(process_is_over(r, 0));
    release(r);
}

/* Its pid is somebody else's here, who ends. */
static void test_one_of_another_namespace(void **state)
{
    (void)state;
    struct recording *r = make_recording();
    pid_t child = start_sleeper();
    struct identity inside = identity_of((uint32_t)child);
    inside.space++;
    enter(r, inside)->identified = 1;
    assert_int_equal(processes_see_new(r), 0);
    end_sleeper(child);
    assert_false(process_is_over(r, 0));
    r->first_is_over = true;
    assert_true(process_is_over(r, 0));
    release(r);
}

/* In our own namespace who is not found has ended, also where the pid has been given to another one. */
static void test_a_pid_that_was_given_to_another(void **state)
{
    (void)state;
    struct recording *r = make_recording();
    pid_t child = start_sleeper();
    struct identity before = identity_of((uint32_t)child);
    before.birth--;
    enter(r, before)->identified = 1;
    assert_int_equal(processes_see_new(r), 0);
    assert_true(process_is_over(r, 0));
    end_sleeper(child);
    release(r);
}

static void test_only_the_same_process_replaces_itself(void **state)
{
    (void)state;
    struct recording *r = make_recording();
    struct identity one = {.pid = 1, .birth = 10, .space = 20}, other = one, again = one;
    other.space = 21;
    enter(r, one)->identified = 1;
    enter(r, other)->identified = 1;
    assert_int_equal(processes_see_new(r), 0);
    assert_false(process_was_replaced(r, 0));
    struct raw_process *later = enter(r, again);
    assert_int_equal(processes_see_new(r), 0);
    assert_false(process_was_replaced(r, 0)); /* it has not told yet */
    later->identified = 1;
    assert_true(process_was_replaced(r, 0));
    assert_false(process_was_replaced(r, 1));
    release(r);
}

static void test_a_limit_marks_those_that_run(void **state)
{
    (void)state;
    struct recording *r = make_recording();
    pid_t runs = start_sleeper(), ended = start_sleeper();
    struct raw_process *running = enter(r, identity_of((uint32_t)runs));
    struct raw_process *over = enter(r, identity_of((uint32_t)ended));
    running->identified = over->identified = 1;
    assert_int_equal(processes_see_new(r), 0);
    end_sleeper(ended);
    processes_mark_running(r, RAW_SIZE_LIMIT);
    assert_int_equal(running->flags, RAW_SIZE_LIMIT);
    assert_int_equal(over->flags, 0);
    end_sleeper(runs);
    release(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_that_has_not_told_who_it_is),
        cmocka_unit_test(test_one_that_ended_before_it_told),
        cmocka_unit_test(test_one_of_another_namespace),
        cmocka_unit_test(test_a_pid_that_was_given_to_another),
        cmocka_unit_test(test_only_the_same_process_replaces_itself),
        cmocka_unit_test(test_a_limit_marks_those_that_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
