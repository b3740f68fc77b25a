#include "support.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/wait.h>
#include <unistd.h>

bool machine_has_rseq(void)
{
    return __rseq_size != 0;
}

void stay_on_this_cpu(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(sched_getcpu(), &set);
    sched_setaffinity(0, sizeof set, &set);
}

bool use_up_mappings(void)
{
    enum { PAGES = 1 << 18, PAGE = 4096 };
    char *p = mmap(NULL, (size_t)PAGES * PAGE, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return false;
    /* One more each: it differs from the page behind, and from the rest in front. */
    for (size_t i = PAGES - 1; i > 0; i--)
        if (mprotect(p + i * PAGE, PAGE, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE) != 0)
            return true;
    return false;
}

static _Noreturn void be_the_child(int err, void (*body)(void))
{
    const struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
    signal(SIGABRT, SIG_DFL); /* which the test framework catches */
    signal(SIGSEGV, SIG_DFL);
    dup2(err, STDERR_FILENO);
    body();
    _exit(0);
}

struct ending ending_of(void (*body)(void))
{
    struct ending e = {0};
    size_t used = 0;
    ssize_t n;
    int fd[2];
    pid_t child;

    assert_int_equal(pipe(fd), 0);
    fflush(NULL);
    child = fork();
    if (child == 0)
        be_the_child(fd[1], body);
    close(fd[1]);
    while ((n = read(fd[0], e.said + used, sizeof e.said - 1 - used)) > 0)
        used += (size_t)n;
    close(fd[0]);
    assert_int_equal(waitpid(child, &e.status, 0), child);
    return e;
}

int signal_of(const struct ending *e)
{
    return WIFSIGNALED(e->status) ? WTERMSIG(e->status) : 0;
}

static void fail_unless_well(const struct ending *e)
{
    if (e->status != 0)
        fail_msg("status %#x, '%s'", (unsigned)e->status, e->said);
}

void expect_well(void (*body)(void))
{
    struct ending e = ending_of(body);

    fail_unless_well(&e);
}

void expect_well_or_skipped(void (*body)(void))
{
    struct ending e = ending_of(body);

    if (e.status == SKIPPED << 8)
        skip();
    fail_unless_well(&e);
}
