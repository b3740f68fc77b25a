/*
 * alloc_pages(): which zones in which order, how hard to try, and what to do when nothing is left.
 *
 *   1. this CPU's list of the node's NORMAL zone, refilled down to the low watermark, and closed below it;
 *   2. all zones the flags allow, by distance, down to the low watermark;
 *   3. with all CPU lists drained, down to min; GFP_ATOMIC to a quarter of min;
 *   4. who may: what the layer above keeps idle, shrinkers, and waiting for others to free, by rounds whose
 *      number the flags say; then shrinkers up to the high watermark.
 */
#include "pool.h"

#include <unistd.h>

#include "fault.h"
#include "out.h"
#include "inject.h"
#include "os.h"
#include "pcp.h"
#include "reclaim.h"
#include "state.h"
#include "tick.h"
#include "zone.h"

/* Above this order nobody waits long for neighbours to come free. */
enum { COSTLY_ORDER = 3 };

enum { ROUNDS = 8, ROUNDS_COSTLY = 3, ROUNDS_MAYFAIL = 32, WAIT_MS_MOST = 4 };

enum { WARNINGS = 10, WARNINGS_WINDOW_MS = 5000 };

/* Changes at any time: see lists_open_or_close(). */
static inline unsigned listed_orders(void)
{
    return __atomic_load_n(&page_globals.listed_orders, __ATOMIC_RELAXED);
}

static enum zone_kind highest_zone(gfp_t gfp)
{
    if (gfp & __GFP_DMA)
        return ZONE_DMA;
    return gfp & __GFP_HIGHMEM && pool.config.backing == BACKING_PRIVATE ? ZONE_HIGHMEM
                                                                         : ZONE_NORMAL;
}

/*
 * Private memory cannot stand in for frames that are to be mapped twice, and memfds cannot stand in
 * for memory that a forked child inherits: HIGHMEM and the others serve each other in no direction.
 */
static enum zone_kind lowest_zone(enum zone_kind highest)
{
    return highest == ZONE_HIGHMEM ? ZONE_HIGHMEM : ZONE_DMA;
}

static size_t take_from_zone(struct zone *z, gfp_t gfp, unsigned order, enum zone_kind highest,
                             enum urgency u)
{
    size_t frame;

    if (z->start == z->end || !lock_take_for(&z->lock, gfp))
        return NO_FRAME;
    frame = zone_take(z, gfp, order, highest, u);
    lock_drop(&z->lock);
    return frame;
}

static size_t take_anywhere(int node, gfp_t gfp, unsigned order, enum urgency u)
{
    enum zone_kind highest = highest_zone(gfp), lowest = lowest_zone(highest);
    unsigned nodes = gfp & __GFP_THISNODE ? 1 : page_globals.nodes;

    for (unsigned nth = 0; nth < nodes; nth++)
        for (int kind = (int)highest; kind >= (int)lowest; kind--) {
            struct zone *z = node_zone(node_by_distance(node, nth), (enum zone_kind)kind);
            size_t frame = take_from_zone(z, gfp, order, highest, u);

            if (frame != NO_FRAME)
                return frame;
        }
    return NO_FRAME;
}

static unsigned rounds_allowed(gfp_t gfp, unsigned order)
{
    if (gfp & __GFP_NOFAIL)
        return ~0u;
    if (gfp & __GFP_NORETRY)
        return 1;
    if (gfp & __GFP_RETRY_MAYFAIL)
        return ROUNDS_MAYFAIL;
    return order <= COSTLY_ORDER ? ROUNDS : ROUNDS_COSTLY;
}

/* Has none of the zones that `gfp` allows as much free as the high watermark says? */
static bool node_is_below_high(int node, gfp_t gfp)
{
    enum zone_kind highest = highest_zone(gfp);

    for (enum zone_kind kind = lowest_zone(highest); kind <= highest; kind++) {
        struct zone *z = node_zone(node, kind);

        if (z->start != z->end && !zone_is_below(z, WMARK_HIGH, highest))
            return false;
    }
    return true;
}

/* Of the zones that `gfp` allows, all together. */
static size_t node_free_frames(int node, gfp_t gfp)
{
    enum zone_kind highest = highest_zone(gfp);
    size_t frames = 0;

    for (enum zone_kind kind = lowest_zone(highest); kind <= highest; kind++) {
        struct zone *z = node_zone(node, kind);

        lock_take(&z->lock);
        frames += zone_free_frames(z);
        lock_drop(&z->lock);
    }
    return frames;
}

/*
 * There is no kswapd: who had to reclaim goes on up to the high watermark, lest the next ones have to as
 * well. But nobody is in need now, so each round asks for the smallest share, and one that set no page free is
 * the last: objects that were freed need not be pages, and the caches would be emptied for nothing.
 */
static void reclaim_to_high(int node, gfp_t gfp)
{
    for (unsigned i = 0; i < ROUNDS && node_is_below_high(node, gfp); i++) {
        size_t before = node_free_frames(node, gfp);

        (void)reclaim(gfp, node, 0);
        pcp_drain_all(gfp);
        if (node_free_frames(node, gfp) <= before)
            return;
    }
}

/* What is merely kept goes before anybody who uses it is asked. Frames of memfds are not among it. */
static size_t take_idle(int node, gfp_t gfp, unsigned order, enum urgency u)
{
    size_t frame = NO_FRAME;
    bool flushed = false;

    if (highest_zone(gfp) == ZONE_HIGHMEM)
        return NO_FRAME;
    if (reclaim_idle_wait())
        frame = take_anywhere(node, gfp, order, u);
    if (frame == NO_FRAME && (flushed = reclaim_idle())) {
        pcp_drain_all(gfp);
        frame = take_anywhere(node, gfp, order, u);
    }
    if (frame == NO_FRAME)
        reclaim_idle_in_vain(flushed);
    return frame;
}

/* Asks shrinkers, and waits if they have nothing. */
static size_t take_shrunk(int node, gfp_t gfp, unsigned order, unsigned round, enum urgency u)
{
    unsigned ticket = page_waiters_ticket();

    if (reclaim(gfp, node, round) == 0 && round > 0)
        page_waiters_wait(ticket, round < WAIT_MS_MOST ? round : WAIT_MS_MOST);
    pcp_drain_all(gfp);
    return take_anywhere(node, gfp, order, u);
}

/* Reclaims and waits. */
static size_t take_patiently(int node, gfp_t gfp, unsigned order)
{
    unsigned rounds = rounds_allowed(gfp, order), round = 0;
    size_t frame = NO_FRAME;

    for (; frame == NO_FRAME && round < rounds; round++) {
        enum urgency u = gfp & __GFP_NOFAIL && round > 0 ? DESPERATE : WITHIN_MIN;

        frame = take_idle(node, gfp, order, u);
        if (frame == NO_FRAME)
            frame = take_shrunk(node, gfp, order, round, u);
    }
    if (frame != NO_FRAME && !(gfp & __GFP_NORETRY))
        reclaim_to_high(node, gfp);
    return frame;
}

/* One line, ten times in five seconds at most. */
static void warn_of_failure(gfp_t gfp, unsigned order)
{
    static struct lock lock;
    static uint64_t window_ends_ms;
    static unsigned said;
    uint64_t now = os_now_ms();
    bool say;

    if (gfp & __GFP_NOWARN || !pool.config.warn || !lock_try(&lock))
        return;
    if (now >= window_ends_ms) {
        window_ends_ms = now + WARNINGS_WINDOW_MS;
        said = 0;
    }
    say = said++ < WARNINGS;
    lock_drop(&lock);
    if (say) {
        struct out o = out_to_fd(STDERR_FILENO);

        out_put(&o, "%s: page allocation failure: order %u, gfp %p\n", fault_subject, (size_t)order,
                (void *)(uintptr_t)gfp);
        out_flush(&o);
    }
}

static size_t take_slowly(int node, gfp_t gfp, unsigned order)
{
    bool may_enter_os = gfp & __GFP_DIRECT_RECLAIM && !in_reclaim;
    size_t frame = take_anywhere(node, gfp, order, WITHIN_LOW);

    if (frame == NO_FRAME) {
        pcp_drain_all(gfp);
        frame = take_anywhere(node, gfp, order, WITHIN_MIN);
    }
    if (frame == NO_FRAME && may_enter_os && gfp_may_reclaim(gfp))
        frame = take_patiently(node, gfp, order);
    if (may_enter_os)
        (void)zone_fill_reserve(node_zone(node, ZONE_NORMAL));
    if (frame == NO_FRAME) {
        __atomic_add_fetch(&pool.failures, 1, __ATOMIC_RELAXED);
        warn_of_failure(gfp, order);
    }
    return frame;
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
