/* A program that confines itself by filters for system calls. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
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

const struct scene confined_scenes[] = {
    {"child_without_madvise", child_without_madvise},
    {"replaced_without_madvise", replaced_without_madvise},
    {NULL, NULL},
};
