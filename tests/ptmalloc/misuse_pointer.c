/*
 * Pointers that the program had no right to hand over: freed before, or never allocated.
 */
#include "misuse.h"

#include <string.h>

static void double_free_cached(void)
{
    void *p = hidden(ptm_malloc(64));

    ptm_free(p);
    ptm_free(p);
}

static void double_free_cached_later(void)
{
    void *p = hidden(ptm_malloc(64)), *q = ptm_malloc(64);

    ptm_free(p);
    ptm_free(q);
    ptm_free(p);
}

/* In a run that has left the cache. */
static void double_free_parked(void)
{
    void *p[1000];

    for (int i = 0; i < 1000; i++)
        p[i] = hidden(ptm_malloc(64));
    for (int i = 0; i < 1000; i++)
        ptm_free(p[i]);
    ptm_free(p[0]);
}

static void double_free_fast(void)
{
    void *p;

    without_caches();
    p = hidden(ptm_malloc(64));
    ptm_malloc(64);
    ptm_free(p);
    ptm_free(p);
}

static void double_free_large(void)
{
    char *p = large();

    ptm_free(p);
    ptm_free(p);
}

static void double_free_top(void)
{
    void *p = hidden(ptm_malloc(3000));

    ptm_free(p);
    ptm_free(p);
}

static void double_free_mapped(void)
{
    void *p = hidden(ptm_malloc((size_t)64 << 20));

    ptm_free(p);
    ptm_free(p);
}

static void double_free_mapped_later(void)
{
    void *p = hidden(ptm_malloc((size_t)64 << 20)), *q = ptm_malloc((size_t)65 << 20);

    ptm_free(p);
    ptm_free(q);
    ptm_free(ptm_malloc((size_t)66 << 20));
    ptm_free(p);
}

static void misaligned(void)
{
    ptm_free(hidden((char *)ptm_malloc(64) + 8));
}

static void interior(void)
{
    char *p = ptm_malloc(640);

    memset(p, 0, 640);
    ptm_free(hidden(p + 64));
}

/* The user's data look like the size of a chunk, but nothing like a chunk comes behind. */
static void interior_plausible(void)
{
    char *p = ptm_malloc(640);

    memset(p, 0, 640);
    *size_word(p + 64) = 96 | 1;
    ptm_free(hidden(p + 64));
}

static void interior_plausible_large(void)
{
    char *p = large();

    memset(p, 0, 3000);
    *size_word(p + 64) = 2000 | 1;
    *size_word(p + 2064) = 96;
    ptm_free(hidden(p + 64));
}

/* It looks like a chunk in every way, but for where it lies. */
static void outside_plausible(void)
{
    static size_t words[64] __attribute__((aligned(16)));

    words[1] = 96 | 1;
    words[13] = 96 | 1;
    ptm_free(ptm_malloc(3000));
    ptm_free(hidden(&words[2]));
}

static void on_the_stack(void)
{
    size_t words[8] __attribute__((aligned(16))) = {0};

    ptm_free(hidden(&words[2]));
}

static void realloc_misaligned(void)
{
    if (ptm_realloc(hidden((char *)ptm_malloc(64) + 8), 100))
        _exit(3);
}

static void realloc_mapped_freed(void)
{
    void *p = hidden(ptm_malloc((size_t)64 << 20));

    ptm_free(p);
    if (ptm_realloc(p, 100))
        _exit(3);
}

static void realloc_freed(void)
{
    char *p = large();

    ptm_free(p);
    if (ptm_realloc(p, 5000))
        _exit(3);
}

const struct misuse misuse_pointers[] = {
    {FAULT(double_free_cached), "free(): double free detected"},
    {FAULT(double_free_cached_later), "free(): double free detected"},
    {FAULT(double_free_parked), "free(): double free detected"},
    {FAULT(double_free_fast), "free(): double free detected"},
    {FAULT(double_free_large), "free(): double free or corruption (!prev)"},
    {FAULT(double_free_top), "free(): double free or corruption (top)"},
    {FAULT(double_free_mapped), "free(): double free of a mapped chunk"},
    {FAULT(double_free_mapped_later), "free(): double free of a mapped chunk"},
    {FAULT(misaligned), "free(): invalid pointer"},
    {FAULT(interior), "free(): invalid size"},
    {FAULT(interior_plausible), "free(): invalid next size"},
    {FAULT(interior_plausible_large), "free(): double free or corruption (!prev)"},
    {FAULT(outside_plausible), "free(): invalid pointer"},
    {FAULT(on_the_stack), "free(): invalid size"},
    {FAULT(realloc_misaligned), "realloc(): invalid pointer"},
    {FAULT(realloc_mapped_freed), "realloc(): the memory is free"},
    {FAULT(realloc_freed), "realloc(): the memory is free"},
    {0},
};
