#include "page_support.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "page/pool.h"

struct refusal refusal;
static struct kmem_os real;

const struct page_config usual_pool = {.pool_bytes = 64 * MIB,
                                       .highmem_bytes = 4 * MIB,
                                       .nodes = 1,
                                       .min_bytes = 2 * MIB,
                                       .warn = true};

const struct page_config shared_pool = {.pool_bytes = 64 * MIB,
                                        .nodes = 1,
                                        .min_bytes = 2 * MIB,
                                        .warn = true,
                                        .backing = BACKING_MEMFD};

int in_child(const char *name, const struct page_config *config, int (*run)(void))
{
    int status;
    pid_t child;

    fflush(NULL);
    child = fork();
    if (child == 0) {
        alarm(120);
        if (kmem_pages_start(config) != 0)
            _exit(100);
        status = run();
        fflush(NULL);
        _exit(status != 0);
    }
    waitpid(child, &status, 0);
    if (status != 0)
        fprintf(stderr, "%s: failed, status %#x\n", name, (unsigned)status);
    return status != 0;
}

static void before_fork(void)
{
    kmem_vmalloc_before_fork();
    kmem_pages_before_fork();
}

static void after_fork_parent(void)
{
    kmem_pages_after_fork_parent();
    kmem_vmalloc_after_fork_parent();
    kmem_signals_after_fork();
}

static void after_fork_child(void)
{
    kmem_pages_after_fork_child();
    kmem_vmalloc_after_fork_child();
    kmem_signals_after_fork();
}

void handle_forks(void)
{
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

int in_vmalloc_pools(int (*one)(void), int (*two)(void))
{
    struct page_config config = {.pool_bytes = 32 * MIB, .highmem_bytes = 128 * MIB, .nodes = 1};
    int failed;

    refuse_start();
    handle_forks();
    failed = in_child("one node", &config, one);
    config.nodes = 2;
    return failed + in_child("two nodes", &config, two);
}

bool hoard_one(struct hoard *h, gfp_t gfp, unsigned order)
{
    struct page *p = alloc_pages(gfp, order);

    if (p) {
        *(struct page **)page_address(p) = h->first;
        h->first = p;
        h->n++;
    }
    return p != NULL;
}

void hoard_all(struct hoard *h, gfp_t gfp, unsigned order)
{
    while (hoard_one(h, gfp, order))
        ;
}

void hoard_free(struct hoard *h, unsigned order, size_t n)
{
    for (; h->first && n > 0; n--) {
        struct page *p = h->first;

        h->first = *(struct page **)page_address(p);
        h->n--;
        __free_pages(p, order);
    }
}

size_t highmem_used(void)
{
    size_t used = 0;

    for (struct zone *z = zone_first(); z; z = zone_next(z))
        if (z->kind == ZONE_HIGHMEM)
            used += zone_used_frames(z);
    return used;
}

int signal_of_touching(volatile char *at)
{
    int status;
    pid_t child;

    fflush(NULL);
    child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        *at = 1;
        _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

void assert_whole(void)
{
    char why[200] = "";

    if (!kmem_pages_check(why, sizeof why) || !kmem_vmalloc_check(why, sizeof why))
        fail_msg("%s", why);
}

static bool refuse(bool named)
{
    __atomic_add_fetch(&refusal.calls, 1, __ATOMIC_RELAXED);
    if (!named || next_random(&refusal.random) % 16 >= refusal.of_16)
        return false;
    refusal.refused++;
    return true;
}

static void *refuse_reserve(size_t bytes)
{
    return refuse(refusal.reserve) ? NULL : real.reserve(bytes);
}

static bool refuse_show(void *start, size_t bytes)
{
    return !refuse(refusal.show) && real.show_zeros(start, bytes);
}

static bool refuse_commit(void *start, size_t bytes)
{
    return !refuse(refusal.commit) && real.commit(start, bytes);
}

static void *refuse_map(size_t bytes)
{
    return refuse(refusal.map) ? NULL : real.map(bytes);
}

static bool refuse_purge(void *start, size_t bytes, bool shared)
{
    return !refuse(refusal.purge) && real.purge(start, bytes, shared);
}

static bool refuse_populate(void *start, size_t bytes)
{
    return !refuse(refusal.populate) && real.populate(start, bytes);
}

static int refuse_memfd(size_t bytes)
{
    return refuse(refusal.memfd) ? -1 : real.memfd(bytes);
}

static bool refuse_map_memfd(void *at, size_t bytes, int prot, int fd, size_t offset,
                             void *original)
{
    return !refuse(refusal.map_memfd) && real.map_memfd(at, bytes, prot, fd, offset, original);
}

static bool refuse_hide(void *at, size_t bytes)
{
    return !refuse(refusal.hide) && real.hide(at, bytes);
}

static bool refuse_bind(void *start, size_t bytes, unsigned node)
{
    return !refuse(refusal.bind) && real.bind(start, bytes, node);
}

void refuse_start(void)
{
    real = kmem_os;
    refusal = (struct refusal){.random = 88172645463325252u};
    kmem_os.reserve = refuse_reserve;
    kmem_os.show_zeros = refuse_show;
    kmem_os.commit = refuse_commit;
    kmem_os.map = refuse_map;
    kmem_os.purge = refuse_purge;
    kmem_os.populate = refuse_populate;
    kmem_os.memfd = refuse_memfd;
    kmem_os.map_memfd = refuse_map_memfd;
    kmem_os.hide = refuse_hide;
    kmem_os.bind = refuse_bind;
}

size_t system_calls(void)
{
    return __atomic_load_n(&refusal.calls, __ATOMIC_RELAXED);
}
