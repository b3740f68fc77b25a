/*
 * Faults of programs, each as a function that commits it, and what several of them need.
 */
#ifndef MISUSE_H
#define MISUSE_H

#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "ptmalloc.h"

struct misuse {
    const char *name;
    void (*run)(void);   /* has to end in abort() */
    const char *message; /* part of the one line on standard error */
};

/* The first two fields, as a function is named after its fault. */
#define FAULT(function) #function, function

/* Each ends in a row without a name. */
extern const struct misuse misuse_pointers[], misuse_headers[], misuse_links[];

/* Hides from the compiler what is done on purpose. */
static inline void *hidden(void *p)
{
    __asm__("" : "+r"(p));
    return p;
}

/* What an overflow may leave in place of a link: a misaligned pointer, when unmangled. */
static inline size_t bad_link(void *at)
{
    return (uintptr_t)at >> 12 ^ 0x414141414148;
}

static inline size_t *size_word(void *memory)
{
    return (size_t *)memory - 1;
}

/* A chunk that no cache takes, with another behind it that keeps it from the top. */
static inline char *large(void)
{
    char *p = ptm_malloc(3000);

    ptm_malloc(3000);
    return hidden(p);
}

/* A large free chunk, sorted into its bin. */
static inline char *sorted(void)
{
    char *p = large();

    ptm_free(p);
    ptm_malloc(100000);
    return p;
}

static inline void without_caches(void)
{
    setenv("HEAPMARK_PTMALLOC", "arenas=1:tcache=0", 1);
}

/* Allocates `n` blocks of 200 bytes, then frees them in order. */
static inline void free_in_order(char **p, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = hidden(ptm_malloc(200));
    for (int i = 0; i < n; i++)
        ptm_free(p[i]);
}

/* The same with runs of one: the last is the cache's current run, the one before its spare, and the rest parked. */
static inline void cached_by_one(char **p, int n)
{
    setenv("HEAPMARK_PTMALLOC", "tcache=1", 1);
    free_in_order(p, n);
}

#endif
