#!/bin/sh
# fork_handlers.sh LIBRARY...: a fork under preload of all of them, beside a library whose constructor comes before
# those of preloaded objects, and whose handlers of forks allocate. Exit status 0: it ends well.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/early.c" <<'EOT'
#include <pthread.h>
#include <stdlib.h>
static void *volatile p;
static void allocate(void)
{
    free(p = malloc(100));
    free(p = malloc(300000));
}
static __attribute__((constructor)) void handle_forks(void)
{
    pthread_atfork(allocate, allocate, allocate);
}
void be_linked(void)
{
}
EOT
cat >"$work/forks.c" <<'EOT'
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
void be_linked(void);
int main(void)
{
    void *volatile p = malloc(10);
    int status = 1;
    pid_t child;

    be_linked();
    alarm(20);
    child = fork();
    if (child == 0)
        _exit(!malloc(100));
    free(p);
    return child < 0 || waitpid(child, &status, 0) != child || status != 0;
}
EOT
cc -shared -fPIC "$work/early.c" -o "$work/libearly.so" -pthread
cc "$work/forks.c" -o "$work/forks" -L"$work" -learly -Wl,-rpath,"$work"
LD_PRELOAD=$* "$work/forks"
