/*
 * What mallopt() may change. One word each, read where it matters, without a lock; none of it is looked at
 * on the fast paths.
 */
#ifndef KMEM_MALLOC_OPTIONS_H
#define KMEM_MALLOC_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct malloc_options {
    size_t pages_max; /* bytes of a request; more is mapped */
    size_t mmap_max;  /* mappings at a time; beyond, pages serve as far as they can */
    unsigned
        perturb; /* 0: off; else what freed bytes are filled with, and new ones with its complement */
};

extern struct malloc_options malloc_options;

/* As far as these options and the knobs allow it; also when the pool has changed. */
void open_fast_paths(void);

static inline void perturb_new(void *memory, size_t bytes)
{
    if (__builtin_expect(malloc_options.perturb != 0 && memory, 0))
        memset(memory, ~(int)malloc_options.perturb & 0xff, bytes);
}

#endif
