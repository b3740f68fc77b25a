/*
 * Links of free and cached memory that the program wrote over, and who comes across them first.
 */
#include "misuse.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

/* An overflow over the end of a block into the links of a freed one. */
static void cached_link_overwritten(void)
{
    char *p = hidden(ptm_malloc(64)), *q = hidden(ptm_malloc(64));

    ptm_free(q);
    ptm_free(p);
    *(size_t *)p = bad_link(p);
    ptm_malloc(64);
    ptm_malloc(64);
}

/* Two runs of one chunk in a fast bin; the link of the newer one is broken. Returns the older one. */
static char *broken_fast_bin(void)
{
    char *p, *q;

    without_caches();
    p = hidden(ptm_malloc(64));
    q = hidden(ptm_malloc(64));
    ptm_malloc(64);
    ptm_free(q);
    ptm_free(p);
    ((size_t *)p)[2] = bad_link(p) | (size_t)1 << 48;
    return q;
}

static void fast_link_overwritten(void)
{
    broken_fast_bin();
    ptm_malloc(64);
}

static void fast_link_seen_by_free(void)
{
    ptm_free(broken_fast_bin());
}

static void fast_link_seen_by_trim(void)
{
    broken_fast_bin();
    ptm_malloc_trim(0);
}

static void fast_link_seen_by_mallinfo(void)
{
    broken_fast_bin();
    if (ptm_mallinfo2().arena)
        _exit(3);
}

static void *do_nothing(void *unused)
{
    return unused;
}

/* The child of a process that had threads counts what is parked; this child dies as that one did. */
static void fast_link_seen_by_fork(void)
{
    char *p[4];
    int status;
    pid_t child;
    pthread_t thread;

    if (pthread_create(&thread, NULL, do_nothing, NULL) != 0 || pthread_join(thread, NULL) != 0)
        _exit(3);
    cached_by_one(p, 4);
    ((size_t *)p[1])[2] = bad_link(p[1]) | (size_t)1 << 48;
    child = fork();
    if (child == 0)
        _exit(0);
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status))
        kill(getpid(), WTERMSIG(status));
}

static void cached_link_seen_by_free(void)
{
    char *p = hidden(ptm_malloc(64)), *q = hidden(ptm_malloc(64));

    ptm_free(q);
    ptm_free(p);
    *(size_t *)p = bad_link(p);
    ptm_free(q);
}

static void bin_link_overwritten(void)
{
    char *p = large();

    ptm_free(p);
    ((void **)p)[1] = hidden(p - 16);
    ((void **)p)[0] = hidden(p - 16);
    ptm_malloc(2000);
}

static void sorted_link_overwritten(void)
{
    char *p = sorted();

    ((void **)p)[0] = hidden(p - 16);
    ptm_malloc(2000);
}

static void skip_link_overwritten(void)
{
    char *p = sorted();

    ((void **)p)[2] = hidden(p + 16);
    ptm_malloc(2500);
}

static void fast_link_seen_by_merge(void)
{
    char *p;

    without_caches();
    p = hidden(ptm_malloc(64));
    ptm_malloc(64);
    ptm_free(p);
    *(size_t *)p = bad_link(p);
    ptm_malloc_trim(0);
}

/* Four chunks of 64 bytes, of which the last is the first of a run of all four in a fast bin. */
static void run_in_fast_bin(char *p[4])
{
    for (int i = 0; i < 4; i++)
        p[i] = hidden(ptm_malloc(64));
    for (int i = 0; i < 4; i++)
        ptm_free(p[i]);
    ptm_mallopt(M_PERTURB, 85); /* needs the cache out of the way, */
    ptm_malloc(5000);           /* which is noticed off the fast path */
}

static void run_link_seen_by_malloc(void)
{
    char *p[4];

    run_in_fast_bin(p);
    *(size_t *)p[3] = bad_link(p[3]);
    ptm_malloc(64);
}

static void run_link_seen_by_free(void)
{
    char *p[4];

    run_in_fast_bin(p);
    *(size_t *)p[3] = bad_link(p[3]);
    ptm_free(p[0]);
}

static void cached_link_seen_by_trim(void)
{
    char *p = hidden(ptm_malloc(64));

    ptm_free(p);
    *(size_t *)p = bad_link(p);
    ptm_malloc_trim(0);
}

static void spare_link_seen_by_malloc(void)
{
    char *p[2];

    cached_by_one(p, 2);
    *(size_t *)p[0] = bad_link(p[0]);
    ptm_malloc(200);
    ptm_malloc(200);
}

/* Freeing the first once more, which is parked, looks through the cache first. */
static void spare_link_seen_by_free(void)
{
    char *p[3];

    cached_by_one(p, 3);
    *(size_t *)p[1] = bad_link(p[1]);
    ptm_free(p[0]);
}

/* Without fast bins, a run that leaves the cache is merged at once. */
static void spare_link_seen_by_merge(void)
{
    char *p[2], *last;

    setenv("HEAPMARK_PTMALLOC", "tcache=1:fastbin_max=0", 1);
    last = hidden(ptm_malloc(200));
    free_in_order(p, 2);
    *(size_t *)p[0] = bad_link(p[0]);
    ptm_free(last);
}

static void *allocate_200(void *unused)
{
    (void)unused;
    return ptm_malloc(200);
}

/* A block of an arena that is not this thread's. */
static char *foreign(void)
{
    pthread_t thread;
    void *p;

    ptm_malloc(1);
    if (pthread_create(&thread, NULL, allocate_200, NULL) != 0 || pthread_join(thread, &p) != 0)
        _exit(3);
    return hidden(p);
}

/*
 * Of six blocks, four lie in the cache, two by two; the fifth pushes the first two out. Before, the link of number
 * `broken` is overwritten; number 1 is `other`, if that is not NULL.
 */
static void push_out(char *other, int broken)
{
    char *p[6]; /* an even number empties the cache */

    for (int i = 0; i < 6; i++)
        p[i] = hidden(ptm_malloc(200));
    if (other)
        p[1] = other;
    for (int i = 0; i < 4; i++)
        ptm_free(p[i]);
    *(size_t *)p[broken] = bad_link(p[broken]);
    ptm_free(p[4]);
}

/* The owners of a run's chunks are looked up one by one. */
static void spare_link_seen_by_owner(void)
{
    setenv("HEAPMARK_PTMALLOC", "tcache=4", 1);
    foreign();
    push_out(NULL, 1);
}

/* A run of chunks of two arenas is taken apart. */
static void spare_link_seen_by_two_owners(void)
{
    setenv("HEAPMARK_PTMALLOC", "tcache=4", 1);
    push_out(foreign(), 0);
}

static void unsorted_link_seen_by_free(void)
{
    char *p = large(), *q = large();

    ptm_free(p);
    ((void **)p)[1] = hidden(p - 16);
    ptm_free(q);
}

/* A chunk of another size is sorted into the bin where the broken one lies. */
static void skip_link_seen_by_sort(void)
{
    char *p = large(), *larger = hidden(ptm_malloc(3040));

    ptm_malloc(3000);
    ptm_free(larger);
    ptm_malloc(100000);
    ((void **)larger)[2] = hidden(larger + 16);
    ptm_free(p);
    ptm_malloc(100000);
}

const struct misuse misuse_links[] = {
    {FAULT(cached_link_overwritten), "malloc(): unaligned link in a thread cache"},
    {FAULT(fast_link_overwritten), "malloc(): unaligned link in a fast bin"},
    {FAULT(fast_link_seen_by_free), "free(): unaligned link in a fast bin"},
    {FAULT(fast_link_seen_by_trim), "consolidate: unaligned link in a fast bin"},
    {FAULT(fast_link_seen_by_mallinfo), "unaligned link in a fast bin"},
    {FAULT(fast_link_seen_by_fork), "fork: unaligned link in a fast bin"},
    {FAULT(cached_link_seen_by_free), "free(): unaligned link in a thread cache"},
    {FAULT(bin_link_overwritten), "unsorted double linked list corrupted"},
    {FAULT(sorted_link_overwritten), "corrupted double-linked list"},
    {FAULT(skip_link_overwritten), "corrupted size list of a large bin"},
    {FAULT(fast_link_seen_by_merge), "consolidate: unaligned link in a fast bin"},
    {FAULT(run_link_seen_by_malloc), "malloc(): unaligned link in a fast bin"},
    {FAULT(run_link_seen_by_free), "free(): unaligned link in a fast bin"},
    {FAULT(cached_link_seen_by_trim), "free(): unaligned link in a thread cache"},
    {FAULT(spare_link_seen_by_malloc), "malloc(): unaligned link in a thread cache"},
    {FAULT(spare_link_seen_by_free), "free(): unaligned link in a thread cache"},
    {FAULT(spare_link_seen_by_merge), "free(): unaligned link in a thread cache"},
    {FAULT(spare_link_seen_by_owner), "free(): unaligned link in a thread cache"},
    {FAULT(spare_link_seen_by_two_owners), "free(): unaligned link in a thread cache"},
    {FAULT(unsorted_link_seen_by_free), "corrupted double-linked list"},
    {FAULT(skip_link_seen_by_sort), "corrupted size list of a large bin"},
    {0},
};
