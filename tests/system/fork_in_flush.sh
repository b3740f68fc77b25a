#!/bin/sh
# fork_in_flush.sh LIBRARY: one thread forks while another flushes all streams, one of which allocates when it is
# written to, under preload. Exit status 0: neither waits for the other, and children may use streams.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/forks.c" <<'EOT'
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
enum { FORKS = 500 };
static ssize_t write_and_allocate(void *cookie, const char *text, size_t bytes)
{
    (void)cookie, (void)text;
    for (size_t i = 0; i < 20; i++) {
        void *volatile p = malloc(3000 + i * 4000);

        free(p);
    }
    return (ssize_t)bytes;
}
static void *flush(void *argument)
{
    FILE *stream = fopencookie(argument, "w", (cookie_io_functions_t){.write = write_and_allocate});

    for (;;) {
        fputs("text", stream);
        fflush(NULL);
    }
    return NULL;
}
static int use_streams(void)
{
    FILE *null = fopen("/dev/null", "w");

    return null && fputs("text", null) >= 0 && fflush(NULL) == 0 && fclose(null) == 0 ? 0 : 1;
}
int main(void)
{
    pthread_t thread;
    int status;

    alarm(20);
    if (pthread_create(&thread, NULL, flush, NULL) != 0)
        return 1;
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();

        if (child == 0)
            _exit(use_streams());
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            return 1;
    }
    _exit(0);
}
EOT
cc -O1 "$work/forks.c" -o "$work/forks" -pthread
LD_PRELOAD=$1 "$work/forks"
