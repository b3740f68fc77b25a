/* What tells processes from each other. */
#include "fixture.h"

#include "workloads/trace/identity.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_a_process_sees_itself_as_others_see_it(void **state)
{
    (void)state;
    struct identity self = identity_of_self(), seen = identity_of((uint32_t)getpid());
    assert_int_equal(self.pid, getpid());
    assert_true(self.birth > 0 && self.space > 0);
    assert_true(self.birth == seen.birth && self.space == seen.space);
    assert_true(identity_equals(&self, &seen));
}

/* Becomes `cat` when it is told to, which ends with its input. */
static _Noreturn void become_another(int input, int told)
{
    char byte;
    if (read(input, &byte, 1) == 1 && dup2(input, STDIN_FILENO) == STDIN_FILENO)
        execlp("cat", "cat", NULL);
    _exit(write(told, "", 1) != 1);
}

static void test_exec_changes_nothing(void **state)
{
    (void)state;
    int input[2], told[2]; /* exec() closes the second */
    char byte;
    assert_true(pipe2(input, O_CLOEXEC) == 0 && pipe2(told, O_CLOEXEC) == 0);
    pid_t child = fork();
    if (child == 0)
        become_another(input[0], told[1]);
    close(told[1]);
    struct identity before = identity_of((uint32_t)child);
    assert_int_equal(write(input[1], "", 1), 1);
    assert_int_equal(read(told[0], &byte, 1), 0);
    struct identity after = identity_of((uint32_t)child);
    close(input[0]);
    close(input[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(before.birth != 0 && before.birth == after.birth && before.space == after.space);
    close(told[0]);
}

static void test_what_is_not_known_tells_nothing(void **state)
{
    (void)state;
    struct identity one = {.pid = 1, .birth = 10, .space = 20};
    struct identity other_pid = {.pid = 2, .birth = 10, .space = 20};
    struct identity later = {.pid = 1, .birth = 11, .space = 20};
    struct identity elsewhere = {.pid = 1, .birth = 10, .space = 21};
    struct identity unknown = {.pid = 1};
    struct identity told_elsewhere = {.pid = 1, .birth = 11, .clock = 30, .space = 20};
    assert_false(identity_equals(&one, &other_pid));
    assert_false(identity_equals(&one, &later));
    assert_false(identity_equals(&one, &elsewhere));
    assert_true(identity_equals(&one, &unknown) && identity_equals(&unknown, &one));
    assert_true(identity_equals(&one, &told_elsewhere));
}

static void test_nobody_has_that_pid(void **state)
{
    (void)state;
    struct identity nobody = identity_of(UINT32_MAX);
    assert_true(nobody.birth == 0 && nobody.space == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_process_sees_itself_as_others_see_it),
        cmocka_unit_test(test_exec_changes_nothing),
        cmocka_unit_test(test_what_is_not_known_tells_nothing),
        cmocka_unit_test(test_nobody_has_that_pid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
