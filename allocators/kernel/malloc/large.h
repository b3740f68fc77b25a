/*
 * Requests above MALLOC_CACHE_MAX: blocks of pages, and mappings.
 */
#ifndef KMEM_MALLOC_LARGE_H
#define KMEM_MALLOC_LARGE_H

#include <stdbool.h>
#include <stddef.h>

/* `zero`: the memory shall read as zero. NULL: refused. */
void *large_alloc(size_t bytes, size_t align, bool zero);
/* Aborts with `function` in the message unless `memory` starts a block or a mapping. */
void large_free(void *memory);
size_t large_size(const void *memory, const char *wrong);
/* In place or by moving page tables; NULL: must be copied. */
void *large_resize(void *memory, size_t bytes);

#endif
