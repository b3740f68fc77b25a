#!/bin/sh
# cancelled.sh LIBRARY: no call into the allocator is a place where a thread is cancelled, but for one that writes to a
# program's stream. It calls none of the C library's functions that are such places; and threads with a
# cancellation pending come through its calls, and leave no lock behind, under preload. Exit status 0: so it is.
set -eu
library=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# fcntl: only where it waits for a lock of a file. fwrite: malloc_info() to the stream it is given, no lock in its hands.
"$(dirname "$0")/cancellation_points.sh" "$library" fcntl fwrite

cat >"$work/cancelled.c" <<'EOT'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static int returned;
static void *(*map)(size_t);
static void (*unmap)(void *);
static int (*check)(void);
/* The allocator then goes other ways. */
static void refuse_barriers(void)
{
    struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, f};

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
}
static void use_heap(void)
{
    static void *many[3000];

    for (size_t n = 1; n < 6000000; n = n * 6 / 5 + 1) {
        char *p = realloc(malloc(n), 2 * n);
        p[0] = 1;
        free(p);
    }
    for (int i = 0; i < 3000; i++)
        many[i] = malloc(i % 2 ? 20000 : 500);
    for (int i = 0; i < 3000; i++)
        free(many[i]);
}
static void use_maps(void)
{
    void *p = map ? map(200000) : NULL, *q = map ? map(100000) : NULL;

    if (q)
        unmap(q);
    if (p)
        memset(p, 1, 200000);
}
static void do_fork(void)
{
    int status = 1;
    pid_t child = fork();

    if (child == 0)
        _exit(!malloc(100));
    while (!syscall(SYS_wait4, child, &status, 0, NULL) && errno == EINTR)
        ;
    if (status != 0)
        _exit(3);
}
static void trim(void)
{
    malloc_trim(0);
}
static void report(void)
{
    (void)mallinfo2();
    malloc_stats();
    if (check && check() != 0)
        _exit(4);
}
/* It may be cancelled here, in stdio. */
static void write_stream(void)
{
    malloc_info(0, stderr);
}
static void all(void)
{
    use_heap();
    use_maps();
    trim();
    report();
    do_fork();
    use_heap();
}
static const struct {
    const char *name;
    void (*call)(void);
} calls[] = {{"heap", use_heap}, {"maps", use_maps},     {"fork", do_fork},
             {"trim", trim},     {"reports", report}, {"stream", write_stream}, {"all", all}};
static void *thread(void *name)
{
    pthread_cancel(pthread_self());
    for (int i = 0; i < (int)(sizeof calls / sizeof calls[0]); i++)
        if (strcmp(calls[i].name, name) == 0)
            calls[i].call();
    returned = 1;
    pthread_testcancel();
    return NULL;
}
static void *idle(void *unused)
{
    pause();
    return unused;
}
int main(int argc, char **argv)
{
    pthread_t t;

    map = (void *(*)(size_t))dlsym(RTLD_DEFAULT, "vmalloc");
    unmap = (void (*)(void *))dlsym(RTLD_DEFAULT, "vfree");
    check = (int (*)(void))dlsym(RTLD_DEFAULT, "kmem_check");
    pthread_create(&t, NULL, idle, NULL);
    if (strcmp(argv[1], "fork") == 0)
        use_maps();
    if (argc > 2)
        refuse_barriers();
    pthread_create(&t, NULL, thread, argv[1]);
    pthread_join(t, NULL);
    if (!returned && strcmp(argv[1], "stream") != 0)
        return 2;
    write_stream();
    all();
    return 0;
}
EOT
cc "$work/cancelled.c" -o "$work/cancelled" -pthread -ldl
# What comes first is in a program of its own; a hang takes the children along.
for call in heap maps fork trim reports stream all; do
    for barriers in '' refused; do
        # shellcheck disable=SC2086
        LD_PRELOAD=$library timeout -s KILL 20 "$work/cancelled" $call $barriers 2>"$work/err" || {
            echo "cancelled.sh: '$call${barriers:+, no barriers}' in a thread that is cancelled:" \
                "status $? (2: in the middle of it, 137: hangs): $(tail -n 3 "$work/err")" >&2
            exit 1
        }
    done
done
