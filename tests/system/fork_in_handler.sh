#!/bin/sh
# fork_in_handler.sh LIBRARY: a program of one thread forks in the handler of a signal that interrupts malloc and free,
# under preload. Exit status 0: no fork waits for what it interrupted.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/forks.c" <<'EOT'
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
static volatile sig_atomic_t forks;
static void set_timer(void)
{
    struct itimerval soon = {.it_value = {0, 100 + forks % 7 * 100}};

    setitimer(ITIMER_REAL, &soon, NULL);
}
static void fork_here(int signal)
{
    int status = 1;
    pid_t child = fork();

    (void)signal;
    if (child == 0)
        _exit(0);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        _exit(1);
    forks++;
    set_timer();
}
int main(void)
{
    static void *p[4096];
    unsigned r = 1;

    signal(SIGALRM, fork_here);
    set_timer();
    while (forks < 200) {
        r = r * 1103515245 + 12345;
        free(p[r >> 8 & 4095]);
        p[r >> 8 & 4095] = malloc((r >> 4) % 40000);
    }
    return 0;
}
EOT
cc -O1 "$work/forks.c" -o "$work/forks"
LD_PRELOAD=$1 timeout 30 "$work/forks"
