/*
 * The kernel's interface for the workloads that speak it. An allocator under test takes part as
 * it is if it exports these names with the kernel's meaning (libhm_slub.so does). For any other,
 * the bodies have a branch that stands in for it, the adapter: malloc, calloc, realloc and free
 * instead, aligned memory for pages, and the constructor at every allocation of an object. The row
 * of such a trial carries the flag "adapter".
 *
 * A body is compiled for both, so that neither side pays for a level of calls that the other does
 * not have: a call through a pointer here, a call through the linker's table there.
 */
#ifndef HEAPMARK_WORKLOADS_KERNEL_OPS_H
#define HEAPMARK_WORKLOADS_KERNEL_OPS_H

#include "allocators/kernel/kmem.h"
#include "include/workload.h"

/* Parts of the interface: an allocator that lacks a name of a part does not have that part. */
enum kernel_part { KERNEL_CACHES = 1, KERNEL_KMALLOC = 2, KERNEL_VMALLOC = 4, KERNEL_PAGES = 8 };

#define KERNEL_OPS(X)                   \
    X(KERNEL_CACHES, kmem_cache_create) \
    X(KERNEL_CACHES, kmem_cache_alloc)  \
    X(KERNEL_CACHES, kmem_cache_free)   \
    X(KERNEL_KMALLOC, kmalloc)          \
    X(KERNEL_KMALLOC, kzalloc)          \
    X(KERNEL_KMALLOC, krealloc)         \
    X(KERNEL_KMALLOC, kfree)            \
    X(KERNEL_VMALLOC, vmalloc)          \
    X(KERNEL_VMALLOC, vfree)            \
    X(KERNEL_PAGES, __get_free_pages)   \
    X(KERNEL_PAGES, free_pages)

/* Each with the type that it has in kmem.h, which is the contract. */
struct kernel_ops {
#define X(part, name) __typeof__(&name) name;
    KERNEL_OPS(X)
#undef X
};

/*
 * For setup(): the functions of `parts` (of enum kernel_part) as the allocator under test exports
 * them, the others NULL. NULL if one is missing: the adapter's turn, which the row then says.
 */
const struct kernel_ops *kernel_ops_find(struct trial *trial, unsigned parts);

#endif
