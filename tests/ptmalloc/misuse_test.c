/*
 * Every fault, run in a child: it must die of SIGABRT, and the one line it leaves on standard error must name
 * the fault.
 */
#include "misuse.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

/* Runs `misuse` in a child and returns how it ended; what it wrote is in `said`. */
static int run(const struct misuse *misuse, char *said, size_t size)
{
    size_t used = 0;
    int ends[2], status;
    ssize_t n;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        const struct rlimit no_core = {0, 0};

        setrlimit(RLIMIT_CORE, &no_core);
        alarm(10);
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        misuse->run();
        _exit(0);
    }
    close(ends[1]);
    while (used < size - 1 && (n = read(ends[0], said + used, size - 1 - used)) > 0)
        used += (size_t)n;
    said[used] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void test_misuse(void **state)
{
    const struct misuse *misuse = *state;
    char said[1024];
    int status = run(misuse, said, sizeof said);

    assert_true(WIFSIGNALED(status));
    if (!strstr(said, misuse->message))
        fail_msg("'%s' is not in what it said: '%s'", misuse->message, said);
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
}

enum { MISUSES_MAX = 200 };

/* Appends the rows of a table; returns the number of tests there are then. */
static size_t add_tests(struct CMUnitTest *tests, size_t count, const struct misuse *misuse)
{
    for (; misuse->name; misuse++) {
        if (count == MISUSES_MAX)
            abort();
        tests[count++] =
            (struct CMUnitTest){misuse->name, test_misuse, NULL, NULL, (void *)(uintptr_t)misuse};
    }
    return count;
}

int main(void)
{
    static struct CMUnitTest tests[MISUSES_MAX];
    size_t count = add_tests(tests, 0, misuse_pointers);

    count = add_tests(tests, count, misuse_headers);
    count = add_tests(tests, count, misuse_links);
    return _cmocka_run_group_tests("misuse", tests, count, NULL, NULL);
}
