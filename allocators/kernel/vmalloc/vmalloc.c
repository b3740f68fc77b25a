/*
 * vmalloc() and vmap(): finding frames and addresses, and bringing them together.
 */
#include "vmalloc.h"

#include <string.h>

#include "../os.h"
#include "../page/context.h"
#include "../page/pool.h"
#include "../page/waiters.h"
#include "fault.h"
#include "space.h"

enum { HUGE_ORDER = 9, BULK = 64 };

#define HUGE_PAGES ((size_t)1 << HUGE_ORDER)
#define HUGE_BYTES (PAGE_SIZE << HUGE_ORDER)

/* Blocks of 2 MiB as far as they can be had without effort: each is one mapping. */
static size_t add_huge(struct vmap_area *a, size_t pages, gfp_t gfp)
{
    gfp_t first = (gfp | __GFP_NOWARN | __GFP_NO_RECLAIM) & ~__GFP_NOFAIL;
    size_t done = 0;

    for (; pages - done >= HUGE_PAGES; done += HUGE_PAGES) {
        struct page *p = alloc_pages_node(a->node, first, HUGE_ORDER);

        if (!p)
            break;
        if (!extents_add(&a->extents, page_to_frame(p), HUGE_PAGES)) {
            __free_pages(p, HUGE_ORDER);
            break;
        }
    }
    lock_take(&vmalloc_space.lock);
    vmalloc_space.stats.huge += done / HUGE_PAGES;
    lock_drop(&vmalloc_space.lock);
    return done;
}

/* Adds single frames; how many of them. What is not added is freed. */
static size_t add_single(struct vmap_area *a, struct page **page, size_t n)
{
    size_t done = 0;

    while (done < n && extents_add(&a->extents, page_to_frame(page[done]), 1))
        done++;
    for (size_t i = done; i < n; i++)
        __free_pages(page[i], 0);
    return done;
}

static bool add_frames(struct vmap_area *a, gfp_t gfp)
{
    struct page *page[BULK];
    size_t done = add_huge(a, a->pages, gfp);

    while (done < a->pages) {
        size_t wanted = a->pages - done < BULK ? a->pages - done : BULK;
        size_t n = alloc_pages_bulk_node(a->node, gfp, wanted, page);

        if (add_single(a, page, n) < wanted)
            return false;
        done += wanted;
    }
    return true;
}

/* Clears what does not read as zero anyway. */
static void clear(const struct vmap_area *a)
{
    struct extents_walk walk = extents_walk(&a->extents);
    const struct extent *x;
    uintptr_t at = a->start;

    while ((x = extents_step(&walk)) != NULL)
        for (size_t i = 0; i < x->count; i++, at += PAGE_SIZE)
            if (!(frame_state(x->frame + i) & PAGE_IS_ABSENT))
                memset((void *)at, 0, PAGE_SIZE);
}

static void *publish(struct vmap_area *a, enum area_state state)
{
    void *start = (void *)a->start;

    lock_take(&vmalloc_space.lock);
    a->state = (uint8_t)state;
    if (state == AREA_VMALLOC)
        vmalloc_space.used_pages += a->pages;
    vmalloc_space.stats.areas++;
    lock_drop(&vmalloc_space.lock);
    return start;
}

/* A huge area wants an aligned start, but takes another. */
static struct vmap_area *take_addresses(size_t pages)
{
    struct vmap_area *a = pages >= HUGE_PAGES ? space_take(pages, HUGE_BYTES) : NULL;

    return a ? a : space_take(pages, PAGE_SIZE);
}

static struct vmap_area *build(size_t pages, gfp_t gfp, int node)
{
    struct vmap_area *a = take_addresses(pages);

    if (!a)
        return NULL;
    a->node = node;
    a->prot = PROT_READ | PROT_WRITE;
    if (add_frames(a, gfp & ~__GFP_ZERO) && space_map(a))
        return a;
    space_retire(a);
    return NULL;
}

/* Frames, mappings and addresses come back from others, and from what is lazy: __GFP_NOFAIL waits for them. */
static struct vmap_area *build_patiently(size_t pages, gfp_t gfp, int node)
{
    bool never_fails = gfp & __GFP_NOFAIL && !in_reclaim;
    struct vmap_area *a = build(pages, gfp, node);

    if (!a && purge_lazy() > 0)
        a = build(pages, gfp, node);
    while (!a && never_fails) {
        page_waiters_wait(page_waiters_ticket(), 1);
        (void)purge_lazy();
        a = build(pages, gfp, node);
    }
    return a;
}

static void *vmalloc_with(size_t size, gfp_t gfp, int node)
{
    size_t pages = size / PAGE_SIZE + (size % PAGE_SIZE != 0);
    struct vmap_area *a;

    pages_start_once();
    gfp |= __GFP_HIGHMEM;
    if (node != NUMA_NO_NODE && (unsigned)node >= node_count())
        return NULL;
    if (pages == 0 || !(gfp & __GFP_DIRECT_RECLAIM) || gfp & __GFP_DMA || pages > space_frames() ||
        !space_start())
        return NULL;
    a = lazy_take(pages, node);
    if (a) {
        if (gfp & __GFP_ZERO)
            memset((void *)a->start, 0, pages << PAGE_SHIFT);
        return publish(a, AREA_VMALLOC);
    }
    a = build_patiently(pages, gfp, node);
    if (!a)
        return NULL;
    if (gfp & __GFP_ZERO)
        clear(a);
    return publish(a, AREA_VMALLOC);
}

void *__vmalloc(size_t size, gfp_t gfp)
{
    return vmalloc_with(size, gfp, NUMA_NO_NODE);
}

void *vmalloc(size_t size)
{
    return vmalloc_with(size, GFP_KERNEL, NUMA_NO_NODE);
}

void *vzalloc(size_t size)
{
    return vmalloc_with(size, GFP_KERNEL | __GFP_ZERO, NUMA_NO_NODE);
}

void *vmalloc_node(size_t size, int node)
{
    return vmalloc_with(size, GFP_KERNEL, node);
}

void *vzalloc_node(size_t size, int node)
{
    return vmalloc_with(size, GFP_KERNEL | __GFP_ZERO, node);
}

bool is_vmalloc_addr(const void *address)
{
    uintptr_t at = (uintptr_t)address,
              start = __atomic_load_n(&vmalloc_space.start, __ATOMIC_ACQUIRE);

    return start && at >= start && at < __atomic_load_n(&vmalloc_space.end, __ATOMIC_RELAXED);
}

/* What is wrong with freeing the area that starts at or below an address; NULL: nothing. */
static const char *objection(const struct vmap_area *a, uintptr_t address, enum area_state expected)
{
    bool unmapping = expected == AREA_VMAP;

    if (!a || address >= a->end)
        return unmapping ? "vunmap(): not an area" : "vfree(): not an area";
    if (a->state != AREA_VMALLOC && a->state != AREA_VMAP)
        return unmapping ? "vunmap(): the area was freed before"
                         : "vfree(): the area was freed before";
    if (a->state != expected)
        return unmapping ? "vunmap(): an area of vmalloc(), expected vmap(); use vfree()"
                         : "vfree(): an area of vmap(), expected vmalloc(); use vunmap()";
    if (a->start != address)
        return unmapping ? "vunmap(): inside an area, expected its start"
                         : "vfree(): inside an area, expected its start";
    return NULL;
}

/* The area at an address, with the space lock taken; a wrong address ends the process. */
static struct vmap_area *area_to_free(const void *address, enum area_state expected)
{
    struct vmap_area *a;
    const char *wrong;

    lock_take(&vmalloc_space.lock);
    a = area_floor(&vmalloc_space.busy, (uintptr_t)address);
    wrong = objection(a, (uintptr_t)address, expected);
    if (wrong)
        fault(wrong, address);
    vmalloc_space.stats.areas--;
    return a;
}

void vfree(const void *address)
{
    bool much;

    if (!address)
        return;
    much = lazy_add_locked(area_to_free(address, AREA_VMALLOC));
    lock_drop(&vmalloc_space.lock);
    if (much)
        purge_lazy();
}

/* Frames of memfds, allocated: those that can be mapped again. */
static bool add_callers(struct vmap_area *a, struct page **pages)
{
    for (size_t i = 0; i < a->pages; i++) {
        size_t frame = page_to_frame(pages[i]);

        if (frame >= page_globals.bytes >> PAGE_SHIFT || !frame_is_used(frame_state(frame)) ||
            !frame_zone(frame)->shared || !extents_add(&a->extents, frame, 1))
            return false;
    }
    return true;
}

static struct vmap_area *build_for_caller(struct page **pages, unsigned count, pgprot_t prot)
{
    struct vmap_area *a = space_take(count, PAGE_SIZE);

    if (!a)
        return NULL;
    a->prot = prot;
    if (add_callers(a, pages) && space_map(a))
        return a;
    extents_clear(&a->extents);
    space_retire(a);
    return NULL;
}

void *vmap(struct page **pages, unsigned count, unsigned long flags, pgprot_t prot)
{
    struct vmap_area *a;

    (void)flags;
    pages_start_once();
    if (count == 0 || !space_start())
        return NULL;
    a = build_for_caller(pages, count, prot);
    if (!a && purge_lazy() > 0)
        a = build_for_caller(pages, count, prot);
    return a ? publish(a, AREA_VMAP) : NULL;
}

void vunmap(const void *address)
{
    struct vmap_area *a;

    if (!address)
        return;
    a = area_to_free(address, AREA_VMAP);
    a->state = AREA_BUILDING;
    lock_drop(&vmalloc_space.lock);
    /* The frames are the caller's again, whether they stay mapped here or not. */
    extents_clear(&a->extents);
    space_retire(a);
}

struct page *vmalloc_to_page(const void *address)
{
    struct page *page = NULL;
    struct vmap_area *a;
    size_t nth;

    lock_take(&vmalloc_space.lock);
    a = area_floor(&vmalloc_space.busy, (uintptr_t)address);
    if (a && (a->state == AREA_VMALLOC || a->state == AREA_VMAP)) {
        nth = ((uintptr_t)address - a->start) >> PAGE_SHIFT;
        if (nth < a->pages)
            page = frame_to_page(extents_frame(&a->extents, nth));
    }
    lock_drop(&vmalloc_space.lock);
    return page;
}

void vm_unmap_aliases(void)
{
    purge_lazy();
}

void kmem_vmalloc_stats(struct vmalloc_stats *stats)
{
    lock_take(&vmalloc_space.lock);
    *stats = vmalloc_space.stats;
    stats->used_bytes = vmalloc_space.used_pages << PAGE_SHIFT;
    stats->lazy_bytes = vmalloc_space.lazy_pages << PAGE_SHIFT;
    lock_drop(&vmalloc_space.lock);
}
