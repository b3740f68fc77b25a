/*
 * alloc_pages() and __free_pages().
 *
 *   1. this CPU's list of the node's NORMAL zone, refilled down to the low watermark, and closed below it;
 *   2. the zones themselves, see take_slowly().
 */
#include "pool.h"

#include "fault.h"
#include "inject.h"
#include "patience.h"
#include "pcp.h"
#include "state.h"
#include "tick.h"
#include "waiters.h"
#include "zonelist.h"

/* Changes at any time: see lists_open_or_close(). */
static inline unsigned listed_orders(void)
{
    return __atomic_load_n(&page_globals.listed_orders, __ATOMIC_RELAXED);
}

static struct page *hand_out(size_t frame, gfp_t gfp, unsigned order)
{
    if (gfp & __GFP_ZERO && !(frame_state(frame) & PAGE_IS_ABSENT))
        __builtin_memset(frame_address(frame), 0, PAGE_SIZE << order);
    return frame_to_page(frame);
}

static __attribute__((noinline)) struct page *alloc_slowly(int node, gfp_t gfp, unsigned order)
{
    size_t frame = order <= MAX_PAGE_ORDER ? take_slowly(node, gfp, order) : NO_FRAME;

    return frame == NO_FRAME ? NULL : hand_out(frame, gfp, order);
}

/* What is not on top of this CPU's list. */
static __attribute__((noinline)) struct page *alloc_elsewhere(int node, gfp_t gfp, unsigned order)
{
    size_t frame = NO_FRAME;

    if (should_fail_pages(gfp))
        return NULL;
    if (node < 0)
        node = numa_node_id();
    else if (unlikely((unsigned)node >= page_globals.nodes))
        return NULL;
    if (!(gfp & (__GFP_DMA | __GFP_HIGHMEM)) && lists_serve(node_zone(node, ZONE_NORMAL), order))
        frame = pcp_take(node_zone(node, ZONE_NORMAL), gfp, order);
    if (gfp & __GFP_DIRECT_RECLAIM)
        tick(TICK_PAGES);
    return frame == NO_FRAME ? alloc_slowly(node, gfp, order) : hand_out(frame, gfp, order);
}

/* The ends of the fast paths that are not fast; calls in their last place. */
static __attribute__((noinline)) struct page *wake_with(struct pcp *p, struct page *page)
{
    lock_wake(&p->lock);
    return page;
}

static __attribute__((noinline)) void wake(struct pcp *p)
{
    lock_wake(&p->lock);
}

static __attribute__((noinline)) struct page *unlock_and_alloc(int node, gfp_t gfp, unsigned order,
                                                               struct pcp *p)
{
    lock_drop(&p->lock);
    return alloc_elsewhere(node, gfp, order);
}

struct page *alloc_pages_node(int node, gfp_t gfp, unsigned order)
{
    struct pcp *p;
    size_t frame;

    if (unlikely(order >= listed_orders() || gfp & (__GFP_DMA | __GFP_HIGHMEM | __GFP_ZERO) ||
                 !near_pcp(node, &p) || !lock_try(&p->lock)))
        return alloc_elsewhere(node, gfp, order);
    if (unlikely(!pcp_pop(p, gfp, order, &frame)))
        return unlock_and_alloc(node, gfp, order, p);
    if (unlikely(pcp_drop(p)))
        return wake_with(p, frame_to_page(frame));
    return frame_to_page(frame);
}

static __attribute__((noinline)) void free_to_zone(struct zone *z, size_t frame, unsigned order)
{
    bool surplus;

    lock_take_here(&z->lock);
    surplus = zone_give(z, frame, order);
    lock_drop(&z->lock);
    page_waiters_wake();
    if (surplus)
        zone_release_surplus(z);
}

/* Ends the process unless it is an allocated block, and not a slab's. */
static void check_freed(size_t frame, unsigned order)
{
    unsigned state = frame < page_globals.frames ? frame_state(frame) : 0;

    if (unlikely(!frame_is_used(state) || order > MAX_PAGE_ORDER ||
                 (state & PAGE_ORDER_MASK) != order || frame & (((size_t)1 << order) - 1)))
        fault("__free_pages(): not an allocated block of this order", frame_to_page(frame));
    if (unlikely(state & PAGE_IS_SLAB))
        fault("__free_pages(): page of a slab in use", frame_to_page(frame));
}

static __attribute__((noinline)) void free_elsewhere(size_t frame, unsigned order)
{
    struct zone *z;

    check_freed(frame, order);
    z = frame_zone(frame);
    if (!z->pcp || !lists_serve(z, order) || !pcp_give(z, frame, order))
        free_to_zone(z, frame, order);
    tick_later(TICK_PAGES);
}

static __attribute__((noinline)) void unlock_and_free(size_t frame, unsigned order, struct pcp *p)
{
    lock_drop(&p->lock);
    free_elsewhere(frame, order);
}

/* Is it a block that a CPU's list may take? What is not may still be an allocated block. */
static inline bool is_listed_block(size_t frame, unsigned order)
{
    return order < listed_orders() && frame < page_globals.frames &&
           (frame_state(frame) & (PAGE_WHOSE_MASK | PAGE_ORDER_MASK | PAGE_IS_SLAB)) ==
               (PAGE_IS_USED | order) &&
           frame >> order << order == frame &&
           pool.pageblock[frame >> MAX_PAGE_ORDER] & PAGEBLOCK_LISTED;
}

void __free_pages(struct page *page, unsigned order)
{
    size_t frame = page_to_frame(page);
    struct pcp *p;

    if (unlikely(!is_listed_block(frame, order) ||
                 !near_pcp((int)(frame >> page_globals.node_shift), &p) || !lock_try(&p->lock)))
        free_elsewhere(frame, order);
    else if (unlikely(!pcp_push(p, frame, order, pageblock_mobility(frame))))
        unlock_and_free(frame, order, p);
    else if (unlikely(pcp_drop(p)))
        wake(p);
}

void page_mark_slab(struct page *page)
{
    size_t frame = page_to_frame(page);
    unsigned state = frame_state(frame);

    state_fill(frame, state & PAGE_ORDER_MASK, state | PAGE_IS_SLAB);
}

void page_unmark_slab(struct page *page)
{
    size_t frame = page_to_frame(page);
    unsigned state = frame_state(frame);

    state_fill(frame, state & PAGE_ORDER_MASK, state & ~(unsigned)PAGE_IS_SLAB);
}

/* Single frames of one zone: one lock for all. */
static size_t take_bulk(struct zone *z, gfp_t gfp, enum zone_kind highest, size_t count,
                        struct page **pages)
{
    size_t n = 0;

    if (z->start == z->end || !lock_take_for(&z->lock, gfp))
        return 0;
    for (size_t frame; n < count; pages[n++] = frame_to_page(frame)) {
        frame = zone_take(z, gfp, 0, highest, WITHIN_LOW);
        if (frame == NO_FRAME)
            break;
    }
    lock_drop(&z->lock);
    return n;
}

size_t alloc_pages_bulk_node(int node, gfp_t gfp, size_t count, struct page **pages)
{
    enum zone_kind highest = highest_zone(gfp);
    size_t n;

    if (node < 0)
        node = numa_node_id();
    else if ((unsigned)node >= page_globals.nodes)
        return 0;
    /* Where failures are injected, each page is asked for by itself. */
    n = fail_pages ? 0 : take_bulk(node_zone(node, highest), gfp, highest, count, pages);
    for (size_t i = 0; i < n; i++)
        (void)hand_out(page_to_frame(pages[i]), gfp, 0);
    /* What is left is somebody else's node, or takes patience. */
    for (; n < count; n++)
        if (!(pages[n] = alloc_pages_node(node, gfp, 0)))
            break;
    return n;
}
