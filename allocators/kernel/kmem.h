/*
 * The interface for programs: pages, object caches, kmalloc, vmalloc, under the kernel's names and
 * with the kernel's signatures. Everything here is exported by libhm_slub.so.
 *
 * Unless a function says otherwise: any thread may call it at any time, but not in a signal's handler, where only
 * GFP_ATOMIC and GFP_NOWAIT are of use (README.md, "Signals' handlers"); it returns NULL when memory
 * is short in the sense of its gfp_t (see types.h), and a pointer that was not handed out, or was
 * given back before, ends the process with one line on standard error; where sheaves are, an object that lies
 * free in a slab may be taken for one in use (README.md, "Wrong frees").
 */
#ifndef KMEM_H
#define KMEM_H

#include "types.h"

/* ---- Object caches -------------------------------------------------------------------------- */

struct kmem_cache;

typedef unsigned slab_flags_t;

#define SLAB_HWCACHE_ALIGN   0x0001u /* objects start on cache lines (fractions for small ones) */
#define SLAB_PANIC           0x0002u /* creation ends the process rather than return NULL */
#define SLAB_RECLAIM_ACCOUNT 0x0004u /* its pages are __GFP_RECLAIMABLE */
#define SLAB_CACHE_DMA       0x0008u /* its pages come from the DMA zone */
#define SLAB_NO_MERGE        0x0010u /* never shares slabs with another cache */
#define SLAB_ACCOUNT         0x0020u /* accepted: there is no memory accounting by group */
#define SLAB_NO_SHEAVES      0x0040u /* every call works on the slabs */

/*
 * A cache of objects of `size` bytes (1 to 4 MiB), aligned to `align` (a power of two up to the page
 * size; 0: as the machine wants). `ctor` is called once for each object when its slab is made, not
 * on each allocation: an object is given back in its constructed state. NULL: bad arguments, or no
 * memory. Beyond some 2,000 caches, divided by the nodes, every call works on the slabs, as with
 * SLAB_NO_SHEAVES. A cache compatible with an existing one is merged with it and returned, unless
 * there is a constructor. `name`, which is not empty, is copied, up to 31 characters.
 */
struct kmem_cache *kmem_cache_create(const char *name, unsigned size, unsigned align,
                                     slab_flags_t flags, void (*ctor)(void *)) KMEM_API;
/* Bytes useroffset..+usersize of an object may be copied to and from users; not merged. */
struct kmem_cache *kmem_cache_create_usercopy(const char *name, unsigned size, unsigned align,
                                              slab_flags_t flags, unsigned useroffset,
                                              unsigned usersize, void (*ctor)(void *)) KMEM_API;

/*
 * To be called before `n` bytes at `memory` are copied to a user, or from one: ends the process if these
 * lie in a slab and not all in the part of one object that its cache allows, if `memory` is NULL or
 * ZERO_SIZE_PTR, or if they wrap around the end of all addresses. Objects of kmalloc() and malloc() may
 * be copied whole, those of plain kmem_cache_create() not at all; other memory outside of slabs is not
 * looked at. `n` 0: all is well.
 */
void check_object_size(const void *memory, size_t n, bool to_user) KMEM_API;

/*
 * Gives the cache up. With objects still live it refuses, names them on standard error, and the
 * cache goes on; so it does where the system refuses membarrier() (README). Nobody else may use the
 * cache at the time. NULL is ignored. What is no cache, or was destroyed before and is no new one yet, ends
 * the process.
 */
void kmem_cache_destroy(struct kmem_cache *s) KMEM_API;

void *kmem_cache_alloc(struct kmem_cache *s, gfp_t gfp) KMEM_API __attribute__((malloc));
/*
 * From `node` as long as it has memory, then from others, whose partial slabs come first; with __GFP_THISNODE from
 * nowhere else.
 */
void *kmem_cache_alloc_node(struct kmem_cache *s, gfp_t gfp, int node) KMEM_API
    __attribute__((malloc));
void *kmem_cache_zalloc(struct kmem_cache *s, gfp_t gfp) KMEM_API __attribute__((malloc));
/* NULL is ignored. */
void kmem_cache_free(struct kmem_cache *s, void *object) KMEM_API;

/* All `count` objects into `p`, or none: count or 0. */
int kmem_cache_alloc_bulk(struct kmem_cache *s, gfp_t gfp, size_t count, void **p) KMEM_API;
/*
 * `s` NULL: whatever kfree() takes, blocks above KMALLOC_MAX_CACHE_SIZE, NULL and ZERO_SIZE_PTR among it. Otherwise
 * objects of `s` alone: at a NULL the process ends.
 */
void kmem_cache_free_bulk(struct kmem_cache *s, size_t count, void **p) KMEM_API;

/* Gives back what is free: CPU lists, sheaves, empty slabs. 0: nothing is left; else 1. */
int kmem_cache_shrink(struct kmem_cache *s) KMEM_API;

/* Bytes of an object: as many as were asked for, or more where the cache is one with another that asked for more. */
unsigned kmem_cache_size(struct kmem_cache *s) KMEM_API;

/*
 * The caches in the format of /proc/slabinfo; with the knob stats=1 followed by their counts. A name is one field:
 * blanks and control characters in it become _. What cannot be written to `fd` is left out, and nobody is told; errno
 * stays.
 */
void kmem_slabinfo(int fd) KMEM_API;

/* ---- kmalloc -------------------------------------------------------------------------------- */

#define KMALLOC_MAX_CACHE_SIZE 8192u
#define KMALLOC_MAX_SIZE       MAX_ORDER_BYTES

/* What kmalloc(0) returns: not NULL, not to be touched, may be freed. */
#define ZERO_SIZE_PTR       ((void *)16)
#define ZERO_OR_NULL_PTR(x) ((uintptr_t)(x) <= (uintptr_t)ZERO_SIZE_PTR)

/* NULL above KMALLOC_MAX_SIZE. Powers of two are aligned to their size, all else to 8. */
void *kmalloc(size_t size, gfp_t gfp) KMEM_API __attribute__((malloc));
void *kzalloc(size_t size, gfp_t gfp) KMEM_API __attribute__((malloc));
void *kmalloc_node(size_t size, gfp_t gfp, int node) KMEM_API __attribute__((malloc));
/*
 * size 0 frees and returns ZERO_SIZE_PTR; on NULL the old object is untouched. Where the object was made, and always
 * resized, with __GFP_ZERO, what a larger size adds reads as zero; so all behind `size` up to ksize() is cleared.
 */
void *krealloc(const void *object, size_t size, gfp_t gfp) KMEM_API;
/* Also objects of kmem_cache_alloc(). NULL and ZERO_SIZE_PTR are ignored. */
void kfree(const void *object) KMEM_API;
/* Bytes that may be used; of NULL and ZERO_SIZE_PTR none, 0. */
size_t ksize(const void *object) KMEM_API;

/* ---- Pages ---------------------------------------------------------------------------------- */

struct page;

/*
 * 2^order pages (order 0 to 10) in a row, aligned to their size; by address or by page structure.
 * Freed by the call of the same kind, with the same order. Addresses of __GFP_HIGHMEM pages are
 * usable, too; only such pages can be mapped by vmap() (where the whole pool lies in memfds: all).
 * An address of 0, or NULL: memory is short, or the order is above 10.
 */
unsigned long __get_free_pages(gfp_t gfp, unsigned order) KMEM_API;
unsigned long get_zeroed_page(gfp_t gfp) KMEM_API;
/*
 * 0 is ignored. The process ends at pages of a slab. It does not at a block above KMALLOC_MAX_CACHE_SIZE from
 * kmalloc(), or above 32 KiB from malloc(), of this order: as in the kernel nothing tells it from other pages. For the
 * same reason kfree() and free() take pages from here, but those of __GFP_HIGHMEM; the kernel warns of
 * such that are not compound.
 */
void free_pages(unsigned long address, unsigned order) KMEM_API;

/* As functions for programs; inside, alloc_pages() and virt_to_page() are inline. */
struct page *kmem_alloc_pages(gfp_t gfp, unsigned order) KMEM_API;
void kmem_free_pages(struct page *page, unsigned order) KMEM_API;
/* Arithmetic: the address must lie in a page from here or in an object; of any other the result is no page. */
struct page *kmem_virt_to_page(const void *address) KMEM_API;
void *kmem_page_address(const struct page *page) KMEM_API;

/* ---- Shrinkers ------------------------------------------------------------------------------ */

/*
 * Somebody who can give memory back. Both hooks are called without locks of the page layer, by a
 * thread that is inside a GFP_KERNEL allocation: they must not take a lock that its holder may
 * allocate under. They may free and allocate, and make and destroy caches; such allocations never
 * reclaim, and may use all of the reserve.
 */
struct shrink_control {
    gfp_t gfp_mask; /* of the allocation */
    int nid;        /* the node that is short */
    /*
     * Objects, as count_objects counts them. For scan_objects: how many, 128 at most; and as many that were looked
     * at, unless the hook says otherwise, with 0 that it is no use to go on.
     */
    unsigned long nr_to_scan;
    unsigned long nr_scanned;
};

#define SHRINK_STOP (~0UL)

struct shrinker {
    /* Required: how many objects could be freed now; 0: none. */
    unsigned long (*count_objects)(struct shrinker *, struct shrink_control *);
    /* Required: frees up to nr_to_scan of them, returns how many, or SHRINK_STOP: no use to go on. */
    unsigned long (*scan_objects)(struct shrinker *, struct shrink_control *);
    unsigned seeks; /* cost of making one again: 4 / seeks of a round's share is scanned; 0: 2 */
    struct shrinker *next;
};

#define DEFAULT_SEEKS 2

/* 0, or -EEXIST. Any thread, not from a hook. The struct must stay until it is unregistered. */
int register_shrinker(struct shrinker *shrinker) KMEM_API;
/* Returns when no thread runs it any more. */
void unregister_shrinker(struct shrinker *shrinker) KMEM_API;

/* ---- vmalloc -------------------------------------------------------------------------------- */

typedef int pgprot_t; /* PROT_READ and so on, of sys/mman.h */

#define PAGE_KERNEL    3 /* PROT_READ | PROT_WRITE */
#define PAGE_KERNEL_RO 1
#define VM_MAP         4ul

/*
 * `size` bytes, rounded up to pages, in one piece of addresses that may lie in scattered page frames,
 * with an unmapped guard page behind. NULL: size 0, more than there is memory at all, or memory,
 * addresses or mappings are short: for those __vmalloc() waits with __GFP_NOFAIL. It is not for contexts that
 * cannot wait, and zone DMA has no frames that can be mapped: with such flags, or __GFP_DMA, it returns NULL. The
 * memory is copied for a forked child by the parent's fork(), whatever its size.
 */
void *vmalloc(size_t size) KMEM_API __attribute__((malloc));
void *vzalloc(size_t size) KMEM_API __attribute__((malloc));
/* From `node` as long as it has frames, then from others; NULL if there is no such node. NUMA_NO_NODE: this CPU's. */
void *vmalloc_node(size_t size, int node) KMEM_API __attribute__((malloc));
void *vzalloc_node(size_t size, int node) KMEM_API __attribute__((malloc));
void *__vmalloc(size_t size, gfp_t gfp) KMEM_API __attribute__((malloc));
/* NULL is ignored. The memory may stay mapped for a while: see vm_unmap_aliases(). */
void vfree(const void *address) KMEM_API;

/* Maps the caller's pages side by side; NULL also for pages that cannot be (see above). `flags` are ignored. */
void *vmap(struct page **pages, unsigned count, unsigned long flags, pgprot_t prot) KMEM_API;
/* Unmaps at once; what the system refuses to unmap stays mapped until vm_unmap_aliases(). NULL is ignored. */
void vunmap(const void *address) KMEM_API;

/* Unmaps all that vfree() left mapped, and frees its page frames. */
void vm_unmap_aliases(void) KMEM_API;

bool is_vmalloc_addr(const void *address) KMEM_API;
/* The page at an address inside an area; NULL elsewhere. */
struct page *vmalloc_to_page(const void *address) KMEM_API;

/* ---- Checks --------------------------------------------------------------------------------- */

/*
 * Walks everything: buddy lists, page states, every slab's free list, every sheaf, whether an object is
 * free in two places, vmalloc's areas, all counts. 0 when whole; else, or where the system refuses the first
 * call the memory to remember what was seen (a 64th of the pool, touched for what is in use), -1 and one line
 * on standard error. Other threads may go on: their fast paths stand still meanwhile.
 */
int kmem_check(void) KMEM_API;

#endif
