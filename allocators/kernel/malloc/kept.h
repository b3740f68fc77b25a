/*
 * Addresses that the system refuses to take back. To unmap a part of what it keeps as one mapping, as it does
 * with neighbours, makes two of it, and a process may have only so many (vm.max_map_count). Their memory goes back
 * all the same, but for the first page, which says what follows; the addresses wait for mappings to come, or until
 * there may be more mappings. Not all that are kept are looked at each time.
 */
#ifndef KMEM_MALLOC_KEPT_H
#define KMEM_MALLOC_KEPT_H

#include <stddef.h>

/* Unmaps memory of kmem_os.map(), or keeps its addresses. Any thread. */
void unmap_or_keep(void *start, size_t bytes);

/* `bytes` zeroed, aligned to `align`, of what was kept; NULL: there is nothing. */
void *take_kept(size_t bytes, size_t align);

void kept_before_fork(void);
void kept_after_fork_parent(void);
void kept_after_fork_child(void);

#endif
