/*
 * Requests too large for blocks of pages: mappings of their own, page-aligned and without a header.
 * A table tells what was mapped, so that a pointer that is not ours is noticed before it is touched.
 */
#ifndef KMEM_MALLOC_MAPPED_H
#define KMEM_MALLOC_MAPPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed, aligned to `align` (a power of two); NULL: refused. */
void *mapped_alloc(size_t bytes, size_t align);
/* Bytes of the mapping at `memory`; 0: there is none. */
size_t mapped_size(const void *memory);
/* False: there is no mapping at `memory`. */
bool mapped_free(void *memory);
/* Resizes by moving page tables; NULL: refused, nothing has changed. */
void *mapped_resize(void *memory, size_t bytes);

/* Where the highest of those begins that begin there; 0: none does. */
uintptr_t mapped_between(uintptr_t from, uintptr_t to);

struct mapped_count {
    size_t count, bytes, count_max, bytes_max;
};

extern struct mapped_count mapped_count;

void mapped_before_fork(void);
void mapped_after_fork_parent(void);
void mapped_after_fork_child(void);

#endif
