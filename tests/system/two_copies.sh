#!/bin/sh
# two_copies.sh LIBRARY: beside the preloaded one a program loads a second copy with a C library of its own (dlmopen),
# and its threads use both. Exit status 0: neither takes what is the other's when threads end.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/copies.c" <<'EOT'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
static void *(*other_malloc)(size_t);
static void (*other_free)(void *);
static void *thread(void *unused)
{
    for (size_t i = 0; i < 20000; i++) {
        void *p = malloc(i % 3000), *q = other_malloc(i % 5000); /* the last to set its key */

        free(p);
        other_free(q);
    }
    return unused;
}
int main(int argc, char **argv)
{
    void *other = dlmopen(LM_ID_NEWLM, argv[argc - 1], RTLD_NOW);
    pthread_t t[3];

    if (!other) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    other_malloc = (void *(*)(size_t))dlsym(other, "malloc");
    other_free = (void (*)(void *))dlsym(other, "free");
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 3; i++)
            pthread_create(&t[i], NULL, thread, NULL);
        for (int i = 0; i < 3; i++)
            pthread_join(t[i], NULL);
    }
    return 0;
}
EOT
cc "$work/copies.c" -o "$work/copies" -pthread -ldl
# With room for the second one's thread-local storage.
GLIBC_TUNABLES=glibc.rtld.optional_static_tls=32768 LD_PRELOAD=$1 timeout 30 "$work/copies" "$1"
