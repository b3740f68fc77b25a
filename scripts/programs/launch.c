/*
 * launch RESULT NAME=VALUE... -- PROGRAM ARGUMENT...
 *
 * Runs a program and writes its wait status, wall time, user and system time in ns, and peak of
 * resident bytes to RESULT. It forks from a process of a page or two: the peak that the kernel
 * reports for a program is never below its parent's, which in Python would be some 100 MB.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static long long us(struct timeval time)
{
    return time.tv_sec * 1000000LL + time.tv_usec;
}

int main(int argc, char **argv)
{
    FILE *result = argc > 1 ? fopen(argv[1], "we") : NULL;
    if (!result)
        return 2;
    long long start = monotonic_ns();
    pid_t child = fork();
    if (child == 0) {
        int at = 2;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (; at < argc && strcmp(argv[at], "--") != 0; at++)
            putenv(argv[at]);
        execvp(argv[at + 1], argv + at + 1);
        _exit(127);
    }
    int status;
    struct rusage usage;
    if (child < 0 || wait4(child, &status, 0, &usage) != child)
        return 2;
    long long wall_ns = monotonic_ns() - start;
    fprintf(result, "%d %lld %lld %lld %ld\n", status, wall_ns, us(usage.ru_utime) * 1000,
            us(usage.ru_stime) * 1000, usage.ru_maxrss * 1024);
    return fclose(result) != 0;
}
