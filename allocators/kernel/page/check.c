/*
 * Walks every zone twice: frame by frame through the states, and list by list through the free
 * areas and CPU lists; the two must agree.
 */
#include <stdio.h>

#include "buddy.h"
#include "locks.h"
#include "pcp.h"
#include "state.h"

/* What a walk over the states of a zone found. */
struct census {
    size_t free[NR_MOBILITIES][NR_PRESENCES][NR_PAGE_ORDERS]; /* blocks */
    size_t cached[PCP_ORDERS]; /* blocks, in lists of any mobility: short of memory they mix */
    size_t present, absent;    /* frames */
    size_t before;             /* present ones when the current pageblock began */
};

/* The first thing wrong. */
struct verdict {
    const char *what; /* NULL: nothing */
    size_t frame;
};

static bool wrong(struct verdict *v, const char *what, size_t frame)
{
    if (!v->what)
        *v = (struct verdict){what, frame};
    return false;
}

/* The bytes behind the first of a block all say `expected`, apart from `ignored` bits. */
static bool inside_says(size_t frame, unsigned order, unsigned expected, unsigned ignored)
{
    for (size_t f = frame + 1; f < frame + ((size_t)1 << order); f++)
        if ((frame_state(f) & ~ignored) != expected)
            return false;
    return true;
}

static bool check_free(size_t frame, unsigned order, struct census *c, struct verdict *v)
{
    unsigned absent = state_absent(frame, order);
    size_t buddy = frame ^ (size_t)1 << order;

    if (!inside_says(frame, order, 0, PAGE_IS_ABSENT))
        return wrong(v, "a frame inside a free block has a state of its own", frame);
    if (frame_to_page(frame)->buddy.absent != absent)
        return wrong(v, "a free block miscounts its absent frames", frame);
    if (order < MAX_PAGE_ORDER &&
        (frame_state(buddy) & (PAGE_WHOSE_MASK | PAGE_ORDER_MASK)) == (PAGE_IS_FREE | order))
        return wrong(v, "two free buddies were not merged", frame);
    c->free[pageblock_mobility(frame)][presence_of(absent, order)][order]++;
    c->absent += absent;
    c->present += ((size_t)1 << order) - absent;
    return true;
}

static bool check_owned(size_t frame, unsigned state, struct census *c, struct verdict *v)
{
    unsigned order = state & PAGE_ORDER_MASK;

    if (!inside_says(frame, order, PAGE_IS_USED | order, PAGE_IS_ABSENT | PAGE_IS_SLAB))
        return wrong(v, "a frame does not belong to the block around it", frame);
    if (frame_is_used(state))
        return true;
    if (order >= PCP_ORDERS)
        return wrong(v, "a block too large for a CPU list is marked as being in one", frame);
    c->cached[order]++;
    return true;
}

/* A number of frames that is no power of two, or lies where no block of that order may. */
static bool check_run(size_t frame, size_t n, struct verdict *v)
{
    for (size_t f = frame + 1; f < frame + n; f++)
        if ((frame_state(f) & ~(unsigned)PAGE_IS_ABSENT) != (PAGE_IS_USED | PAGE_IN_RUN))
            return wrong(v, "a frame does not belong to the run around it", f);
    return true;
}

static bool check_block(struct zone *z, size_t frame, struct census *c, struct verdict *v)
{
    unsigned state = frame_state(frame), order = state & PAGE_ORDER_MASK;

    if (order > MAX_PAGE_ORDER || frame & (((size_t)1 << order) - 1) ||
        frame + ((size_t)1 << order) > z->frontier)
        return wrong(v, "a block is not aligned, or crosses the frontier", frame);
    return (state & PAGE_WHOSE_MASK) == PAGE_IS_FREE ? check_free(frame, order, c, v)
                                                     : check_owned(frame, state, c, v);
}

/* At the first frame behind a pageblock, or at the frontier. */
static bool check_pageblock(size_t end, struct census *c, struct verdict *v)
{
    size_t present = c->present - c->before;

    c->before += present;
    return pool.pageblock_present[(end - 1) >> MAX_PAGE_ORDER] == present ||
           wrong(v, "a pageblock miscounts its present frames", end - 1);
}

static bool check_frames(struct zone *z, struct census *c, struct verdict *v)
{
    for (size_t frame = z->start; frame < z->frontier;) {
        unsigned state = frame_state(frame);
        bool run = frame_is_used(state) && (state & PAGE_ORDER_MASK) == PAGE_RUN;
        size_t n = page_frames(frame_to_page(frame));

        if ((state & PAGE_WHOSE_MASK) == 0)
            return wrong(v, "a frame belongs to nothing", frame);
        if (run && (n == 0 || n > z->frontier - frame))
            return wrong(v, "a run is as long as no run can be", frame);
        if (!(run ? check_run(frame, n, v) : check_block(z, frame, c, v)))
            return false;
        frame += n;
        if ((frame & (MAX_ORDER_NR_PAGES - 1)) == 0 || frame == z->frontier)
            if (!check_pageblock(frame, c, v))
                return false;
    }
    for (size_t frame = z->frontier; frame < z->committed; frame++)
        if (frame_state(frame) != 0)
            return wrong(v, "a frame beyond the frontier has a state", frame);
    return true;
}

static bool check_list(struct zone *z, enum mobility m, enum presence p, unsigned order,
                       size_t expected, struct verdict *v)
{
    const struct free_area *a = &z->area[m][p];
    const struct free_list *list = &a->list[order];
    struct page *last = NULL;
    size_t n = 0;

    if ((list->first != NULL) != (a->orders >> order & 1))
        return wrong(v, "a free area's map of orders is wrong", z->start);
    for (struct page *page = list->first; page; last = page, page = page->buddy.next) {
        size_t frame = page_to_frame(page);

        if (frame < z->start || frame >= z->frontier || ++n > expected)
            return wrong(v, "a free list leads astray", frame);
        if (page->buddy.prev != last)
            return wrong(v, "a free list's back link is wrong", frame);
        if ((frame_state(frame) & (PAGE_WHOSE_MASK | PAGE_ORDER_MASK)) != (PAGE_IS_FREE | order) ||
            pageblock_mobility(frame) != m || presence_of(page->buddy.absent, order) != p)
            return wrong(v, "a free block is on the wrong list", frame);
    }
    if (list->last != last)
        return wrong(v, "a free list does not end where it should", z->start);
    return n == expected || wrong(v, "a free block is on no list", z->start);
}

static bool check_areas(struct zone *z, const struct census *c, struct verdict *v)
{
    for (enum mobility m = 0; m < NR_MOBILITIES; m++)
        for (enum presence p = 0; p < NR_PRESENCES; p++)
            for (unsigned order = 0; order < NR_PAGE_ORDERS; order++)
                if (!check_list(z, m, p, order, c->free[m][p][order], v))
                    return false;
    return true;
}

static bool check_pcp(struct zone *z, struct pcp *pcp, struct census *c, struct verdict *v)
{
    for (enum mobility m = 0; m < NR_MOBILITIES; m++)
        for (unsigned order = 0; order < PCP_ORDERS; order++) {
            unsigned n = pcp->count[pcp_list(m, order)];

            if (n > pcp_high(order))
                return wrong(v, "a CPU list is too long", z->start);
            for (unsigned i = 0; i < n; i++) {
                size_t frame = pcp_frames(pcp, m, order)[i];

                if (frame < z->start || frame >= z->frontier ||
                    (frame_state(frame) & ~(unsigned)PAGE_IS_ABSENT) != (PAGE_IS_CACHED | order))
                    return wrong(v, "a block in a CPU list is not marked so", frame);
            }
            if (c->cached[order] < n)
                return wrong(v, "a block is in two CPU lists", z->start);
            c->cached[order] -= n;
        }
    return true;
}

static bool check_pcps(struct zone *z, struct census *c, struct verdict *v)
{
    for (unsigned cpu = 0; z->pcp && cpu < pool.cpus; cpu++)
        if (!check_pcp(z, &z->pcp[cpu], c, v))
            return false;
    for (unsigned order = 0; order < PCP_ORDERS; order++)
        if (c->cached[order] != 0)
            return wrong(v, "a block marked as being in a CPU list is in none", z->start);
    return true;
}

static bool check_zone(struct zone *z, struct verdict *v)
{
    struct census c = {0};

    if (z->frontier < z->start || z->frontier > z->committed || z->committed > z->end)
        return wrong(v, "a zone's frontier is out of place", z->frontier);
    if (!check_frames(z, &c, v))
        return false;
    if (c.present != z->present || c.absent != z->absent)
        return wrong(v, "a zone miscounts its free frames", z->start);
    return check_areas(z, &c, v) && check_pcps(z, &c, v);
}

bool kmem_pages_check(char *why, size_t bytes)
{
    struct verdict v = {0};

    if (!page_globals.bytes)
        return true;
    page_locks_take();
    for (struct zone *z = zone_first(); z; z = zone_next(z))
        if (!check_zone(z, &v))
            break;
    page_locks_drop();
    if (v.what)
        snprintf(why, bytes, "%s: frame %zu at %p", v.what, v.frame, frame_address(v.frame));
    return !v.what;
}
