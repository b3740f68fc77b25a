#!/bin/sh
# preload.sh LIBRARY PROGRAM HEADER: the shared object exports the standard names, those of the public header and
# no others, serves C and C++ from before main to after exit, answers a malformed knob string with one line
# and the defaults, and works without rseq.
set -eu
library=$1
program=$2
header=$3
variable=HEAPMARK_SLUB
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/../system/preloaded.sh"

# Without comments, one declaration a line: the name stands before the first parenthesis.
kernel_names() {
    cc -fpreprocessed -E -P "$header" | tr '\n' ' ' | tr ';' '\n' | grep KMEM_API |
        grep -v '#define' | sed 's/^[^(]*[ *]\([a-z_]*\)(.*/\1/'
}

{
    malloc_names
    echo heapmark_allocator_flags
    printf '%s\n' prlimit prlimit64 setrlimit setrlimit64 vfork
    kernel_names
} | exports_only
serves_programs
# A program that starts others by vfork(), and has it refused.
cat >"$work/vfork.c" <<'EOT'
#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
    struct rlimit none = {0, 0};
    int status = 1;
    pid_t child = vfork();

    if (child == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        return 1;
    if (setrlimit(RLIMIT_NPROC, &none) != 0 || (geteuid() == 0 && setuid(65534) != 0))
        return 2;
    child = vfork();
    if (child == 0)
        _exit(0);
    return child != -1 || errno != EAGAIN;
}
EOT
cc "$work/vfork.c" -o "$work/vfork"
chmod 755 "$work"
LD_PRELOAD=$library "$work/vfork" || fail "vfork(): status $?"
# A program that is written for the interface, linked against the library.
cat >"$work/kernel.c" <<'EOT'
#include <kmem.h>
#include <stdio.h>
int main(void)
{
    int nodes = 0;
    struct kmem_cache *s = kmem_cache_create("of a program", 72, 0, SLAB_NO_MERGE, 0);
    void *area = vmalloc(10000);

    kmem_cache_free(s, kmem_cache_alloc(s, GFP_KERNEL));
    kmem_cache_destroy(s);
    kfree(kmalloc(100, GFP_KERNEL));
    vfree(area);
    kmem_slabinfo(1);
    for (void *p; (p = kmalloc_node(64, GFP_KERNEL, nodes)) != NULL; nodes++)
        kfree(p);
    printf("nodes %d\n", nodes);
    return !s || !area || kmem_check();
}
EOT
cc -I"$(dirname "$header")" "$work/kernel.c" "$library" -o "$work/kernel" || fail "a program cannot be linked"
LD_PRELOAD=$library "$work/kernel" | grep -q '^kmalloc-128 ' || fail "a program of the kernel's interface fails"
for nodes in 1 3 64; do
    HEAPMARK_KMEM_NODES=$nodes LD_PRELOAD=$library "$work/kernel" | grep -q "^nodes $nodes\$" || fail "HEAPMARK_KMEM_NODES=$nodes makes other nodes"
done
# A stream that gets its buffer while the caches are told of.
cat >"$work/info.c" <<'EOT'
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    void *volatile p;
    for (int i = 0; i < 6; i++)
        p = malloc(100 * i + 1);
    return malloc_info(0, stdout) || !p;
}
EOT
cc "$work/info.c" -o "$work/info"
LD_PRELOAD=$library timeout 20 "$work/info" >"$work/out" || fail "malloc_info as the first that writes: status $?"
grep -q '^  <size from=' "$work/out" || fail "malloc_info lists no sizes"
# A program that limits its address space when it has begun: there is room for threads, libraries, other programs and
# mappings, and the heap ends at the limit.
cat >"$work/limit.c" <<'EOT'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <kmem.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
static size_t fill(void)
{
    void **last = NULL, **p;
    size_t n = 0;

    while (n < 6000 && (p = malloc(1 << 20)) != NULL) {
        *p = last;
        last = p;
        n++;
    }
    for (; last; last = p) {
        p = *last;
        free(last);
    }
    return n;
}
static void *in_a_thread(void *unused)
{
    void *volatile p = malloc(10);

    free(p);
    return unused;
}
int main(int argc, char **argv)
{
    struct rlimit limit = {(size_t)2 << 30, (size_t)2 << 30}, was = {0, 0};
    void *volatile p = malloc(10);
    pthread_t thread;

    (void)argv;
    /* As without the library. */
    struct rlimit *volatile none = NULL, *volatile nowhere = (struct rlimit *)8;
    if (setrlimit(RLIMIT_AS, none) != 0 || setrlimit64(RLIMIT_AS, (void *)none) != 0 ||
        setrlimit(RLIMIT_AS, nowhere) == 0 || errno != EFAULT)
        return 8;
    if (argc > 1 ? setrlimit(RLIMIT_AS, &limit) : prlimit(0, RLIMIT_AS, &limit, &was))
        return 2;
    if (getrlimit(RLIMIT_AS, &was) != 0 || was.rlim_cur != limit.rlim_cur)
        return 3;
    if (pthread_create(&thread, NULL, in_a_thread, NULL) != 0 || pthread_join(thread, NULL) != 0)
        return 4;
    if (system("true") != 0 || !dlopen("libresolv.so.2", RTLD_NOW))
        return 5;
    for (int i = 0; i < 2; i++) {
        size_t n = fill();
        if (n < 1500 || n > 2048)
            return 6;
    }
    free(p);
    limit.rlim_cur = (size_t)4 << 30;
    limit.rlim_max = (size_t)1 << 30;
    errno = 0;
    if (setrlimit(RLIMIT_AS, &limit) == 0 || errno != EINVAL)
        return 7;
    return kmem_check() != 0;
}
EOT
cc -I"$(dirname "$header")" "$work/limit.c" -o "$work/limit" "$library" -pthread -ldl
for knobs in '' nodes=2 percpu=thread sheaves=0 pool=256m; do
    for how in '' set; do
        # shellcheck disable=SC2086
        HEAPMARK_SLUB=$knobs LD_PRELOAD=$library "$work/limit" $how || fail "a late limit with '$knobs': status $?"
    done
done
# Its shrinker is asked when the pool is used up, and with warn=1 the allocation that failed in the end is told of.
cat >"$work/shrink.c" <<'EOT'
#include <kmem.h>
#include <stdio.h>
static unsigned long asked;
static unsigned long count(struct shrinker *s, struct shrink_control *sc)
{
    (void)s;
    (void)sc;
    asked++;
    return 0;
}
int main(void)
{
    static struct shrinker shrinker = {.count_objects = count, .scan_objects = count};
    struct page *page, *last = NULL;

    if (register_shrinker(&shrinker) != 0 || register_shrinker(&shrinker) == 0)
        return 2;
    while ((page = kmem_alloc_pages(GFP_KERNEL | __GFP_NOWARN, 10)) != NULL)
        last = page;
    if (!last || !asked)
        return 3;
    unregister_shrinker(&shrinker);
    asked = 0;
    if (kmem_alloc_pages(GFP_KERNEL, 10) || asked)
        return 4;
    kmem_free_pages(last, 10);
    return kmem_check() != 0;
}
EOT
cc -I"$(dirname "$header")" "$work/shrink.c" "$library" -o "$work/shrink" || fail "a program with a shrinker cannot be linked"
for warn in 0 1; do
    HEAPMARK_SLUB=pool=16m:warn=$warn LD_PRELOAD=$library "$work/shrink" 2>"$work/err" || fail "a program's shrinker: status $?"
    [ "$(grep -c '^slub: page allocation failure: order 10' "$work/err")" = $warn ] || fail "warn=$warn: $(cat "$work/err")"
done
"$(dirname "$0")/../system/fork_handlers.sh" "$library" || fail "a fork with a handler that allocates does not end well"
"$(dirname "$0")/../system/fork_in_handler.sh" "$library" || fail "a fork in a signal's handler does not end well"
"$(dirname "$0")/../system/fork_in_flush.sh" "$library" || fail "a fork beside fflush(NULL) does not end well"
for knobs in '' percpu=thread sheaves=0 debug=1; do
    HEAPMARK_SLUB=$knobs "$(dirname "$0")/../system/cancelled.sh" "$library" || fail "'$knobs': a cancelled thread does not end well"
    HEAPMARK_SLUB=$knobs "$(dirname "$0")/../system/first_in_resolver.sh" "$library" || fail "'$knobs': a first call during relocation does not end well"
    HEAPMARK_SLUB=$knobs "$(dirname "$0")/../system/two_copies.sh" "$library" || fail "'$knobs': two copies in a process do not go together"
done
expect_line 'sheaf=1' "unknown knob 'sheaf=1'"
expect_line 'sheaves=1:frob=2' "unknown knob 'frob=2'"
expect_line 'sheaves=' "no number for knob 'sheaves='"
expect_line 'sheaves=2' "out of range for knob 'sheaves=2'"
expect_line 'percpu=maybe' "no such value for knob 'percpu=maybe'"
expect_line 'pool=12q' "no number for knob 'pool=12q'.*k, m and g are units"
expect_line 'nodes=0' "out of range for knob 'nodes=0'"
expect_line 'pool=1' "'pool=1' in HEAPMARK_SLUB; knobs, joined by ':', are .* pool=4m..4096g, "
expect_line 'min_partial=1,cpu_partial=3' "',' in place of ':' in 'min_partial=1,cpu_partial=3'"
for knobs in 'sheaves=0:cpu_partial=2:min_partial=3' 'percpu=thread:pool=64m' 'nodes=2:barn=0' 'stats=1' 'debug=1' 'warn=1'; do
    expect_silence "$knobs"
done
# Valgrind has no rseq: the fallback must serve, unasked.
if command -v valgrind >/dev/null; then
    LD_PRELOAD=$library valgrind --tool=none -q --trace-children=no ls / >/dev/null 2>"$work/err" ||
        fail "under valgrind: $(cat "$work/err")"
fi
