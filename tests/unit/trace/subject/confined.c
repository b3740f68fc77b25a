/* A program that confines itself by filters for system calls. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scene.h"

/* One that no library sees. */
static long call_kernel(long number, long a, long b, const void *c)
{
#if defined(__x86_64__)
    register long d __asm__("r10") = 0, e __asm__("r8") = 0;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(d), "r"(e)
                     : "rcx", "r11", "memory");
    return result;
#else
    return syscall(number, a, b, c, 0L, 0L);
#endif
}

#define ALLOWED(call)                                      \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

#define NUMBER BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))

/* madvise() fails from here on. */
static int forbid_madvise(void)
{
    struct sock_filter filter[] = {NUMBER, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 1),
                                   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                                   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    return call_kernel(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, NULL) != 0 ||
           call_kernel(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0;
}

/* A child that may not madvise() makes a hundred times its calls, and more than once. */
static int child_without_madvise(void)
{
    pid_t child = fork();
    if (child == 0) {
        free(grab(10));
        int failed = forbid_madvise();
        for (int i = 0; i < 20; i++) {
            pairs();
            usleep(5000);
        }
        _exit(failed);
    }
    for (int i = 0; i < 20; i++) {
        pairs();
        usleep(5000);
    }
    return failed(child) || pairs();
}

/* What comes next has no madvise() from its beginning. */
static int replaced_without_madvise(void)
{
    char *arguments[] = {"subject", "every_call", NULL};
    free(grab(10));
    pid_t child = fork();
    if (child == 0)
        _exit(forbid_madvise() || execv("/proc/self/exe", arguments));
    return failed(child);
}

/* What malloc and this program need; all else is its end. */
static int confine(bool by_prctl)
{
    struct sock_filter filter[] = {NUMBER,
                                   ALLOWED(brk),
                                   ALLOWED(mmap),
                                   ALLOWED(munmap),
                                   ALLOWED(mremap),
                                   ALLOWED(mprotect),
                                   ALLOWED(futex),
                                   ALLOWED(clone),
                                   ALLOWED(wait4),
                                   ALLOWED(set_robust_list),
                                   ALLOWED(clock_nanosleep),
                                   ALLOWED(write),
                                   ALLOWED(exit_group),
                                   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)};
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return 1;
    return by_prctl ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0
                    : syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0;
}

/* One call is its end from here on. */
static int confine_from(int number)
{
    struct sock_filter filter[] = {NUMBER, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
                                   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                                   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0;
}

/* Many calls, all of a sudden: more than there is at the start. */
static int confines_itself(void)
{
    pairs();
    return confine(true) || pairs() + pairs() + pairs() + pairs() + pairs();
}

static int confines_itself_by_number(void)
{
    pairs();
    return confine(false) || pairs() + pairs() + pairs() + pairs() + pairs();
}

/* A child is forked then. */
static int forks_confined(void)
{
    pairs();
    if (confine(false))
        return 1;
    pid_t child = fork();
    pairs();
    if (child == 0)
        _exit(0);
    return failed(child);
}

/* A child confines itself before its first call; and a child of vfork(), not its parent's memory. */
static int children_confine_themselves(void)
{
    pairs();
    pid_t child = fork();
    if (child == 0)
        _exit(confine(true) || pairs());
    if (failed(child))
        return 1;
    child = vfork();
    if (child == 0)
        _exit(confine(true));
    if (failed(child))
        return 1;
    child = fork();
    if (child == 0)
        _exit(pairs());
    return failed(child);
}

/* Its own filters, one that is none, and one of a child of vfork(): all by who may not ask who it is. */
static int puts_on_filters(void)
{
    pairs();
    if (confine_from(SYS_getpid) || confine_from(SYS_getppid) ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) != -1)
        return 1;
    pid_t child = vfork();
    if (child == 0)
        _exit(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) != -1);
    return failed(child) || pairs();
}

/* One program that is not there, and one with an argument that is too long. */
static int fails_to_run_programs(void)
{
    static char large[1 << 20];
    char *arguments[] = {"subject", large, NULL};
    for (size_t i = 0; i < sizeof large - 1; i++)
        large[i] = 'a';
    pairs();
    return confine_from(SYS_getpid) || execv("/nonexistent", arguments + 2) != -1 ||
           execv("/proc/self/exe", arguments) != -1 || errno != E2BIG || pairs();
}

/* As libraries find out what the kernel knows. */
static int tries_filters(void)
{
    for (int i = 0; i < 10; i++)
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == 0 ||
            syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) == 0 || errno != EFAULT)
            return 1;
    pid_t child = fork();
    pairs();
    if (child == 0)
        _exit(0);
    return failed(child);
}

/* While `heapmark record` sleeps, nobody can do anything for who tries; that must not take a time each. */
static int tries_filters_alone(void)
{
    struct timespec began, ended;
    int good = 0;
    free(grab(10));
    kill(getppid(), SIGSTOP);
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (int i = 0; i < 60; i++)
        good += prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == 0;
    clock_gettime(CLOCK_MONOTONIC, &ended);
    kill(getppid(), SIGCONT);
    return good > 0 || ended.tv_sec - began.tv_sec > 1;
}

static void *has_a_filter_of_its_own(void *result)
{
    *(int *)result = forbid_madvise();
    return pause() != 0 ? result : NULL;
}

/* One for all threads, which another thread's filter stands in the way of: the number of that is told, and no error. */
static int fails_for_all_threads(void)
{
    struct sock_filter filter[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {1, filter};
    pthread_t thread;
    volatile int result = -1;
    free(grab(10));
    if (pthread_create(&thread, NULL, has_a_filter_of_its_own, (void *)&result) != 0)
        return 1;
    while (result == -1)
        usleep(1000);
    if (result != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) <= 0)
        return 1;
    pid_t child = fork();
    if (child == 0)
        _exit(pairs());
    return failed(child);
}

/* read(), write() and the thread's end are left. */
static int goes_strict(void)
{
    pairs();
    pid_t child = fork();
    if (child != 0)
        return failed(child);
    free(grab(10));
    int error = prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    for (int i = 0; i < 20; i++)
        free(grab(100));
    syscall(SYS_exit, error);
    _exit(1);
}

/* Under a filter by which it may not ask who it is. */
static int shuts_the_clock_off_confined(void)
{
    pairs();
    if (confine_from(SYS_getpid))
        return 1;
    prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
    return pairs();
}

/* And runs a program that is not there, under a filter by which it may not ask for filters. */
static int confines_itself_unrecorded(void)
{
    char *arguments[] = {"subject", NULL};
    pairs();
    prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
    return confine_from(SYS_prctl) || execv("/nonexistent", arguments) != -1 || errno != ENOENT;
}

/* Under a filter that is not seen, and one that is, by which it may not ask for more than it does. */
static int goes_strict_in_vain(void)
{
    if (forbid_madvise() || prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != -1 || pairs() ||
        confine_from(SYS_getppid) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != -1 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL) != -1)
        return 1;
    return pairs();
}

/* Before its first call. */
static int shuts_the_clock_off_at_once(void)
{
    return prctl(PR_SET_TSC, PR_TSC_SIGSEGV) != 0;
}

static int shuts_the_clock_off(void)
{
#if defined(__x86_64__)
    pairs();
    if (prctl(PR_SET_TSC, PR_TSC_SIGSEGV) != 0)
        return 1;
    pid_t child = fork();
    pairs();
    if (child == 0)
        _exit(0);
    return failed(child);
#else
    return pairs();
#endif
}

/* The number of arguments is the caller's business. */
static int calls_by_number(void)
{
    static int memory;
    long page = sysconf(_SC_PAGESIZE);
    void *at =
        (void *)syscall(SYS_mmap, NULL, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
    if (at == MAP_FAILED || syscall(SYS_munmap, at, page) != 0 || syscall(SYS_getpid) != getpid())
        return 1;
    if (syscall(SYS_futex, &memory, 1 /* wake */, 1) != 0 || syscall(-1L) != -1 || errno != ENOSYS)
        return 1;
    return prctl(PR_SET_NAME, "numbers") != 0 || pairs();
}

const struct scene confined_scenes[] = {
    {"child_without_madvise", child_without_madvise},
    {"replaced_without_madvise", replaced_without_madvise},
    {"confines_itself", confines_itself},
    {"confines_itself_by_number", confines_itself_by_number},
    {"forks_confined", forks_confined},
    {"children_confine_themselves", children_confine_themselves},
    {"puts_on_filters", puts_on_filters},
    {"fails_to_run_programs", fails_to_run_programs},
    {"tries_filters", tries_filters},
    {"tries_filters_alone", tries_filters_alone},
    {"fails_for_all_threads", fails_for_all_threads},
    {"goes_strict", goes_strict},
    {"goes_strict_in_vain", goes_strict_in_vain},
    {"shuts_the_clock_off_at_once", shuts_the_clock_off_at_once},
    {"shuts_the_clock_off", shuts_the_clock_off},
    {"shuts_the_clock_off_confined", shuts_the_clock_off_confined},
    {"confines_itself_unrecorded", confines_itself_unrecorded},
    {"calls_by_number", calls_by_number},
    {NULL, NULL},
};
