#!/bin/sh
# first_in_resolver.sh LIBRARY: under preload the first call of a process is made by the resolver of a program's IFUNC:
# in the middle of relocation, when the C library has neither locale nor environment yet. Exit status 0: what it
# allocates is there.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/resolver.c" <<'EOT'
#include <stdlib.h>
#include <string.h>
void *vmalloc(unsigned long) __attribute__((weak));
void vfree(const void *) __attribute__((weak));
static char *early;
static int use(void)
{
    return early[99] + early[299999];
}
static void *resolve(void)
{
    early = malloc(300000);
    memset(early, 1, 300000);
    for (int i = 1; i < 500; i++)
        free(malloc(100 * i));
    free(realloc(calloc(3, 5), 100));
    if (vmalloc)
        vfree(memset(vmalloc(100000), 1, 100000));
    return (void *)use;
}
int resolved(void) __attribute__((ifunc("resolve")));
int main(void)
{
    char *late = malloc(300000);
    int sum;

    memset(late, 2, 300000);
    sum = resolved();
    free(early);
    free(late);
    return sum != 2;
}
EOT
cc "$work/resolver.c" -o "$work/resolver"
LD_PRELOAD=$1 timeout 20 "$work/resolver"
