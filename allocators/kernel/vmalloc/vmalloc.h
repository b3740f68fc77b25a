/*
 * vmalloc from inside; what programs call is in kmem.h.
 *
 * An area's life: BUILDING while its frames are found and mapped, VMALLOC or VMAP while it is in
 * use, LAZY once freed: still mapped, its frames still its own, until so much is lazy that unmapping
 * pays, or memory is short. An allocation of the same size takes a lazy area as it is, without a
 * system call. vunmap() unmaps at once, since the frames are the caller's and may change hands. An area that goes
 * at once, this one or one that could not be built, is LEAVING meanwhile; if the system refuses to unmap it, STUCK: it
 * waits among the lazy ones, and nobody takes it.
 *
 * What is fast: taking a lazy area again (two locks, no system call). What is not: all else, one
 * system call for each run of frames, and a page fault for each page on its first touch here.
 */
#ifndef KMEM_VMALLOC_H
#define KMEM_VMALLOC_H

#include "../kmem.h"

struct vmalloc_stats {
    size_t areas;      /* in use, vmap()'s included */
    size_t used_bytes; /* of vmalloc() */
    size_t lazy_bytes;
    size_t purges;     /* times that lazy areas were unmapped */
    size_t unmappings; /* system calls for that */
    size_t reused;     /* allocations that took a lazy area */
    size_t huge;       /* blocks of 2 MiB mapped at once */
};

void kmem_vmalloc_stats(struct vmalloc_stats *stats);

/* Like kmem_pages_check(). Waits for purges under way. */
bool kmem_vmalloc_check(char *why, size_t bytes);

/*
 * After kmem_pages_limit(): addresses that are free, beyond what HIGHMEM's share of the limit is good for, go back to
 * the system.
 */
void kmem_vmalloc_limit(size_t limit);

/*
 * Around fork(), before (after) the same of the page layer: makes the child have the areas, too. Also
 * where nothing was allocated yet: somebody else may be about to.
 */
void kmem_vmalloc_before_fork(void);
void kmem_vmalloc_after_fork_parent(void);
void kmem_vmalloc_after_fork_child(void);

#endif
