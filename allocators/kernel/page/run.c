/*
 * Runs of frames whose number need not be a power of two: cut out of a block when they are allocated,
 * lengthened and shortened where they lie. The page structure of the first frame holds the length,
 * the state bytes tell the first frame from the others.
 */
#include "pool.h"

#include "fault.h"
#include "inject.h"
#include "state.h"
#include "tick.h"
#include "waiters.h"
#include "zone.h"

/* Frames that go back: somebody may have written to them since they came, or nobody has seen them. */
enum came { USED_SINCE, UNTOUCHED };

/* A number of frames that can be a block is one. The zone's lock is held, for those who check. */
static void mark(size_t frame, size_t pages)
{
    unsigned absent = frame_state(frame) & PAGE_IS_ABSENT;
    unsigned order = (unsigned)__builtin_ctzl(pages);

    if ((pages & (pages - 1)) == 0 && order <= MAX_PAGE_ORDER && (frame & (pages - 1)) == 0) {
        state_fill(frame, order, PAGE_IS_USED | order | absent);
        return;
    }
    frame_to_page(frame)->run_pages = pages;
    for (size_t f = frame + 1; f < frame + pages; f++)
        state_set(f, PAGE_IS_USED | PAGE_IN_RUN);
    state_set(frame, PAGE_IS_USED | PAGE_RUN | absent);
}

/* The frames of a run in the largest blocks that are aligned. True: zone_release_surplus() is due. */
static bool give(struct zone *z, size_t frame, size_t end, enum came came)
{
    bool surplus = false;

    while (frame < end) {
        unsigned order = state_order_between(frame, end);

        if (came == UNTOUCHED)
            (void)buddy_put_mixed(z, frame, order);
        else
            surplus |= zone_give(z, frame, order);
        frame += (size_t)1 << order;
    }
    return surplus;
}

/* Where `gfp` may not wait for the lock and would have to, the run stays as long as it is. */
static void shorten(gfp_t gfp, size_t frame, size_t from, size_t to, enum came came)
{
    struct zone *z = frame_zone(frame);
    bool surplus;

    if (!lock_take_for(&z->lock, gfp))
        return;
    surplus = give(z, frame + to, frame + from, came);
    if (to > 0)
        mark(frame, to);
    lock_drop(&z->lock);
    page_waiters_wake();
    if (surplus)
        zone_release_surplus(z);
    if (gfp & __GFP_DIRECT_RECLAIM)
        tick(TICK_PAGES);
}

/*
 * Fragments before fresh memory: a run fits where no block of the next order would, and each page that
 * was touched before saves a page fault.
 */
static struct page *alloc_span(gfp_t gfp, size_t pages)
{
    struct zone *z = node_zone(numa_node_id(), ZONE_NORMAL);
    size_t frame;

    lock_take(&z->lock);
    frame = zone_take_span(z, gfp_mobility(gfp), pages);
    if (frame != NO_FRAME) {
        state_set(frame, 0);
        mark(frame, pages);
    }
    lock_drop(&z->lock);
    return frame == NO_FRAME ? NULL : frame_to_page(frame);
}

static struct page *alloc_cut(gfp_t gfp, size_t pages, unsigned order)
{
    struct page *page;

    while ((size_t)1 << order < pages)
        order++;
    page = alloc_pages(gfp, order);
    if (page && pages < (size_t)1 << order)
        shorten(gfp, page_to_frame(page), (size_t)1 << order, pages, UNTOUCHED);
    return page;
}

/* Where the CPU lists do not serve, and nothing is to be refused for a test. */
static bool wants_span(gfp_t gfp, size_t pages, unsigned order)
{
    return order == 0 && pages > (size_t)1 << (PCP_ORDERS - 1) &&
           (gfp & (__GFP_DIRECT_RECLAIM | __GFP_DMA | __GFP_HIGHMEM)) == __GFP_DIRECT_RECLAIM &&
           !fail_pages;
}

struct page *alloc_page_run(gfp_t gfp, size_t pages, unsigned order)
{
    bool was = atomic_begin(gfp);
    struct page *page = wants_span(gfp, pages, order) ? alloc_span(gfp, pages) : NULL;

    if (!page)
        page = alloc_cut(gfp & ~__GFP_ZERO, pages, order);
    atomic_end(was);
    if (page && gfp & __GFP_ZERO && !page_was_absent(page))
        __builtin_memset(page_address(page), 0, pages << PAGE_SHIFT);
    return page;
}

/* Frames of what starts at `page`, or the end of the process. */
static size_t length(const struct page *page, const char *function)
{
    size_t frame = page_to_frame(page);
    unsigned state;

    if (unlikely(frame >= page_globals.bytes >> PAGE_SHIFT))
        fault(function, page);
    state = frame_state(frame);
    if (unlikely(!frame_is_used(state) || state & PAGE_IS_SLAB || !frame_starts(frame, state)))
        fault(function, page);
    return page_frames(page);
}

void free_page_run(struct page *page)
{
    size_t pages = length(page, "free_page_run(): not an allocated run or block");

    if (page_order(page) == PAGE_RUN)
        shorten(GFP_KERNEL, page_to_frame(page), pages, 0, USED_SINCE);
    else
        __free_pages(page, page_order(page));
}

bool resize_page_run(struct page *page, size_t pages, size_t *absent)
{
    size_t frame = page_to_frame(page);
    size_t old = length(page, "resize_page_run(): not an allocated run or block");
    struct zone *z = frame_zone(frame);
    size_t grown_absent = 0;
    bool done = true;

    if (pages < old) {
        shorten(GFP_KERNEL, frame, old, pages, USED_SINCE);
    } else if (pages > old) {
        lock_take(&z->lock);
        grown_absent = z->absent;
        done = frame >> MAX_PAGE_ORDER == (frame + pages - 1) >> MAX_PAGE_ORDER &&
               zone_take_at(z, frame + old, pages - old);
        if (done)
            mark(frame, pages);
        grown_absent -= z->absent;
        lock_drop(&z->lock);
    }
    if (absent)
        *absent = grown_absent;
    return done;
}
