/*
 * Every allocator has its own word for "give memory back". The way is found by symbol, and only
 * counts if it lies in the object that malloc came from: under a preload, malloc_trim is usually
 * still glibc's and would purge a heap that nobody uses.
 */
#include "trial/trial.h"

#include <dlfcn.h>
#include <stdio.h>

static void *symbol;
static void (*run)(void);

static void run_mallctl(void)
{
    enum { MALLCTL_ARENAS_ALL = 4096 };
    char name[32];
    snprintf(name, sizeof name, "arena.%d.purge", MALLCTL_ARENAS_ALL);
    ((int (*)(const char *, void *, size_t *, void *, size_t))symbol)(name, NULL, NULL, NULL, 0);
}

static void run_release_free_memory(void)
{
    ((void (*)(void))symbol)();
}

static void run_mi_collect(void)
{
    ((void (*)(bool))symbol)(true);
}

static void run_scalable_command(void)
{
    enum { TBBMALLOC_CLEAN_ALL_BUFFERS = 0 };
    ((int (*)(int, void *))symbol)(TBBMALLOC_CLEAN_ALL_BUFFERS, NULL);
}

static void run_malloc_trim(void)
{
    ((int (*)(size_t))symbol)(0);
}

static const struct {
    const char *name;
    void (*run)(void);
    bool beside_malloc; /* must lie in malloc's own object; tbb's command does not */
} ways[] = {
    {"mallctl", run_mallctl, true},
    {"MallocExtension_ReleaseFreeMemory", run_release_free_memory, true},
    {"mi_collect", run_mi_collect, true},
    {"scalable_allocation_command", run_scalable_command, false},
    {"malloc_trim", run_malloc_trim, true},
};

void purge_find(void)
{
    Dl_info malloc_info, info;
    void *malloc_symbol = dlsym(RTLD_DEFAULT, "malloc");
    if (malloc_symbol == NULL || dladdr(malloc_symbol, &malloc_info) == 0)
        return;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        void *found = dlsym(RTLD_DEFAULT, ways[i].name);
        if (found == NULL || dladdr(found, &info) == 0)
            continue;
        if (ways[i].beside_malloc && info.dli_fbase != malloc_info.dli_fbase)
            continue;
        symbol = found;
        run = ways[i].run;
        return;
    }
}

bool purge_run(void)
{
    if (run == NULL)
        return false;
    run();
    return true;
}
