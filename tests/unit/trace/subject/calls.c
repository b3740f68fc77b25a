/* Each function of the allocator, and many calls of one thread. */
#include <dlfcn.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "scene.h"

static void *volatile keep;

static int nothing(void)
{
    return 0;
}

static int every_call(void)
{
    free(grab(100001));
    free(calloc(100003, 1));
    free(realloc(grab(100005), 200007));
    free(reallocarray(NULL, 100009, 1));
    free(memalign(64, 100011));
    free(aligned_alloc(64, 100032));
    free(valloc(100013));
    free(pvalloc(100015));
    void *block;
    if (posix_memalign(&block, 128, 100017) != 0)
        return 1;
    free(block);
    free(NULL);
    keep = realloc(grab(100019), 0);
    free(grab(0));
    volatile size_t huge = SIZE_MAX / 2;
    keep = malloc(huge);
    return keep == NULL ? 0 : 1;
}

/* One that stays where it is, and one that cannot. */
static int reallocs(void)
{
    char *block = malloc(90001);
    if (realloc(block, 80003) != block)
        return 1;
    block = malloc(101);
    keep = malloc(103); /* behind it */
    return realloc(block, 70001) == block;
}

static int millions(void)
{
    for (int i = 0; i < 200; i++)
        pairs();
    return 0;
}

/* At sizes that do not compress to next to nothing. */
static int millions_of_sizes(void)
{
    uint32_t state = 1;
    for (int i = 0; i < 200 * ROUNDS; i++) {
        state = state * 1664525u + 1013904223u;
        free(malloc(1 + (state >> 16) % 4096));
    }
    return 0;
}

/* The recorder, its parent, takes nothing away meanwhile: that is more than a small disk holds. */
static int millions_undrained(void)
{
    return kill(getppid(), SIGSTOP) != 0 || millions() != 0 || kill(getppid(), SIGCONT) != 0;
}

/* Half of its calls are still to come when it is told to go on. */
static int millions_in_two_parts(void)
{
    for (int i = 0; i < 200; i++) {
        if (i == 100)
            raise(SIGSTOP);
        pairs();
    }
    return 0;
}

/* Five bursts of calls, with a tenth of a second between them. */
static int pauses(void)
{
    for (int burst = 0; burst < 5; burst++) {
        for (int i = 0; i < 203; i++)
            free(grab((size_t)i));
        usleep(100000);
    }
    return 0;
}

/* Every block grows twice, as often as not to another place. */
static int grown(void)
{
    for (int i = 0; i < ROUNDS; i++)
        free(realloc(realloc(grab(100), 1000), 20000));
    return 0;
}

static void fill(void *blocks[])
{
    for (int i = 0; i < ROUNDS; i++)
        blocks[i] = grab(100);
}

static void empty(void *blocks[], void (*give)(void *))
{
    for (int i = 0; i < ROUNDS; i++)
        give(blocks[i]);
}

/* Who frees by the C library's own name is not seen; the addresses come again. */
extern void __libc_free(void *block);

static int freed_unseen(void)
{
    static void *blocks[ROUNDS];
    fill(blocks);
    empty(blocks, __libc_free);
    for (int i = 0; i < 3; i++) {
        fill(blocks);
        empty(blocks, free);
    }
    return 0;
}

/* A malloc and a free at a time, with a tenth of a millisecond in between. */
static int sparse(void)
{
    for (int i = 0; i < 1000; i++) {
        free(grab((size_t)i));
        usleep(50);
    }
    return 0;
}

static int go_to(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return sched_setaffinity(0, sizeof set, &set);
}

/* All is made on the first CPU that it may use and freed on the last one. */
static int frees_elsewhere(void)
{
    static void *blocks[1000];
    cpu_set_t allowed;
    int first = -1, last = -1;
    sched_getaffinity(0, sizeof allowed, &allowed);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed)) {
            first = first < 0 ? cpu : first;
            last = cpu;
        }
    int error = go_to(first);
    for (int i = 0; i < 1000; i++)
        blocks[i] = grab(100);
    error |= go_to(last);
    for (int i = 0; i < 1000; i++)
        free(blocks[i]);
    return error;
}

/* C23's, which the C library may not have. */
static int sized_frees(void)
{
    void (*sized)(void *, size_t) = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
    void (*aligned)(void *, size_t, size_t) =
        (void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized");
    if (sized == NULL || aligned == NULL)
        return 1;
    for (int i = 0; i < 100; i++) {
        sized(grab(100), 100);
        aligned(aligned_alloc(64, 128), 64, 128);
    }
    return 0;
}

/* With the allocator of crowd.c behind the recorder. */
static int crowded(void)
{
    static void *blocks[200];
    for (int i = 0; i < 200; i++)
        blocks[i] = malloc(777);
    for (int i = 0; i < 200; i++)
        blocks[i] = realloc(blocks[i], 800);
    for (int i = 0; i < 200; i++)
        free(blocks[i]);
    return 0;
}

const struct scene call_scenes[] = {
    {"nothing", nothing},
    {"every_call", every_call},
    {"reallocs", reallocs},
    {"pairs", pairs},
    {"endless", endless},
    {"millions", millions},
    {"millions_of_sizes", millions_of_sizes},
    {"millions_undrained", millions_undrained},
    {"millions_in_two_parts", millions_in_two_parts},
    {"frees_elsewhere", frees_elsewhere},
    {"sized_frees", sized_frees},
    {"crowded", crowded},
    {"pauses", pauses},
    {"sparse", sparse},
    {"grown", grown},
    {"freed_unseen", freed_unseen},
    {NULL, NULL},
};
