/*
 * Kernel-style memory in user space: words, flags, and how memory is laid out.
 *
 * One reservation of address space holds all page frames of all nodes. Node n owns the slice that
 * starts at n << node_shift, so node, zone, frame and page structure follow from an address by
 * arithmetic. Inside a slice lie the node's zones, each a multiple of 4 MiB:
 *
 *      base                                        + 1 << node_shift             (frames)
 *       |  node 0                                   |  node 1
 *       +-----+-----------------+-----------------+-+------------------+---------+-
 *       | DMA | NORMAL          | HIGHMEM         | | NORMAL           | HIGHMEM |  ...
 *       +-----+-----------------+-----------------+-+------------------+---------+-
 *       first frames of node 0,  in memfds; only with
 *       nowhere else             private backing
 *
 * What stands beside it, lazily resident, each an array with one element a frame:
 *
 *      struct page   64 bytes, `mem_map`. Belongs to the owner of the block while it is allocated
 *                    (struct slab lies over it) and to the buddy system while it is free. Pages
 *                    inside a block are never touched: one line a block, however large it is.
 *      state         1 byte: order of the block, whose it is, whether the frame was ever touched.
 *                    What page_head(), kfree() and the search for a buddy read: 64 frames a cache
 *                    line, and no chain of pointers.
 *
 *      zone:   start ......... frontier ...... committed ........................ end
 *              in the buddy    readable, not   reserved: neither readable
 *              system          yet given out   nor charged
 *
 * Memory beyond the frontier has never been touched. A frame behind it is *present* (it was given
 * out once: touching it most likely costs no fault) or *absent* (never touched, or given back to
 * the operating system: it reads as zero and costs a fault). GFP_ATOMIC and GFP_NOWAIT are served
 * from present frames alone; everybody else prefers them, lest the process grow.
 *
 * Lock order: pcp lock, zone lock. Nothing is called, and the operating system is not entered,
 * with a zone lock held, except to make reserved memory readable when a zone grows, and to give up addresses when
 * they are limited.
 */
#ifndef KMEM_TYPES_H
#define KMEM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE  ((size_t)1 << PAGE_SHIFT)
#define PAGE_MASK  (~(PAGE_SIZE - 1))

/* The largest block: 2^10 frames, 4 MiB. */
#define MAX_PAGE_ORDER     10
#define NR_PAGE_ORDERS     (MAX_PAGE_ORDER + 1)
#define MAX_ORDER_NR_PAGES ((size_t)1 << MAX_PAGE_ORDER)
#define MAX_ORDER_BYTES    (PAGE_SIZE << MAX_PAGE_ORDER)

#define MAX_NUMNODES 64
#define NUMA_NO_NODE (-1)

typedef unsigned gfp_t;

/*
 * Where the memory may come from. HIGHMEM: frames that can be mapped a second time (vmap); with
 * private backing only these are, and they are no place for memory a forked child must inherit
 * cheaply.
 */
#define __GFP_DMA     0x01u
#define __GFP_HIGHMEM 0x02u

/* May dip into the reserve. */
#define __GFP_HIGH 0x04u
/* May enter the operating system (grow, touch memory for the first time), run shrinkers and wait. */
#define __GFP_DIRECT_RECLAIM 0x08u

/* The block reads as zero. Costs nothing where it never was written. */
#define __GFP_ZERO 0x20u
/* Reclaim once, then fail; never wait for others. */
#define __GFP_NORETRY 0x40u
/* Reclaim and wait as long as it may help, then fail. */
#define __GFP_RETRY_MAYFAIL 0x80u
/* Never fails: waits for ever. Ignored in contexts that cannot wait: there it may fail. */
#define __GFP_NOFAIL 0x100u
/* No line on standard error on failure, which only the knob warn=1 asks for. */
#define __GFP_NOWARN 0x200u
/* From the named node, or not at all. */
#define __GFP_THISNODE 0x400u
/*
 * The owner can free it on demand (a shrinker): grouped in 4 MiB blocks apart from the rest, so that
 * what is reclaimed becomes whole.
 */
#define __GFP_RECLAIMABLE 0x800u
/* Accepted: every block of more than one page is compound here. */
#define __GFP_COMP 0x1000u
/* Accepted: there is no memory accounting by group. */
#define __GFP_ACCOUNT 0x2000u
/* 0x4000u is used inside: see page.h. */

#define GFP_KERNEL   __GFP_DIRECT_RECLAIM
#define GFP_USER     GFP_KERNEL
#define GFP_HIGHUSER (GFP_KERNEL | __GFP_HIGHMEM)
#define GFP_ATOMIC   __GFP_HIGH
#define GFP_NOWAIT   __GFP_NOWARN
#define GFP_DMA      __GFP_DMA

static inline bool gfpflags_allow_blocking(gfp_t gfp)
{
    return gfp & __GFP_DIRECT_RECLAIM;
}

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* A part of the interface for programs: exported by the shared object, yet bound inside it. */
#ifdef KMEM_INSIDE
#define KMEM_API __attribute__((visibility("protected")))
#else
#define KMEM_API
#endif

#endif
