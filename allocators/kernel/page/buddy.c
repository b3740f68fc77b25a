/*
 * Free blocks lie on lists by the mobility of their pageblock, by presence and by order. Two free
 * buddies of one order never stay apart, whatever their presence. A block never crosses a pageblock,
 * so merging never mixes mobilities.
 */
#include "buddy.h"

#include "state.h"

static enum mobility mobility_of(size_t frame)
{
    return pool.mobility[frame >> MAX_PAGE_ORDER];
}

static void list_push(struct zone *z, size_t frame, unsigned order, unsigned absent)
{
    struct free_area *a = &z->area[mobility_of(frame)][presence_of(absent, order)];
    struct page *p = frame_to_page(frame), *first = a->list[order];

    p->buddy.absent = absent;
    p->buddy.prev = NULL;
    p->buddy.next = first;
    if (first)
        first->buddy.prev = p;
    a->list[order] = p;
    a->orders |= 1u << order;
    state_set(frame, PAGE_IS_FREE | order | (frame_state(frame) & PAGE_IS_ABSENT));
}

/* Its number of absent frames. */
static unsigned list_remove(struct zone *z, size_t frame, unsigned order)
{
    struct page *p = frame_to_page(frame);
    unsigned absent = p->buddy.absent;
    struct free_area *a = &z->area[mobility_of(frame)][presence_of(absent, order)];

    if (p->buddy.next)
        p->buddy.next->buddy.prev = p->buddy.prev;
    if (p->buddy.prev)
        p->buddy.prev->buddy.next = p->buddy.next;
    else if (!(a->list[order] = p->buddy.next))
        a->orders &= ~(1u << order);
    state_set(frame, frame_state(frame) & PAGE_IS_ABSENT);
    return absent;
}

static bool is_free_block(size_t frame, unsigned order)
{
    return (frame_state(frame) & ~(unsigned)PAGE_IS_ABSENT) == (PAGE_IS_FREE | order);
}

static unsigned coalesce(struct zone *z, size_t frame, unsigned order, unsigned absent)
{
    z->absent += absent;
    z->present += ((size_t)1 << order) - absent;
    for (; order < MAX_PAGE_ORDER; order++) {
        size_t buddy = frame ^ (size_t)1 << order;

        if (!is_free_block(buddy, order))
            break;
        absent += list_remove(z, buddy, order);
        frame &= buddy;
    }
    list_push(z, frame, order, absent);
    return order;
}

unsigned buddy_put(struct zone *z, size_t frame, unsigned order)
{
    state_fill(frame, order, 0);
    return coalesce(z, frame, order, 0);
}

void buddy_put_absent(struct zone *z, size_t frame, unsigned order)
{
    state_fill(frame, order, PAGE_IS_ABSENT);
    coalesce(z, frame, order, 1u << order);
}

/*
 * Halves the block, which is on no list, until it has the order wanted. Of two halves the caller gets
 * the one with more present frames; else the lower one, so that fresh memory is used in order.
 */
static size_t split(struct zone *z, size_t frame, unsigned from, unsigned to, unsigned absent)
{
    while (from > to) {
        size_t upper = frame + ((size_t)1 << --from);
        unsigned half = 1u << from;
        unsigned below = absent == 0 ? 0 : absent == half * 2 ? half : state_absent(frame, from);
        unsigned above = absent - below;

        if (above < below) {
            list_push(z, frame, from, below);
            frame = upper;
            absent = above;
        } else {
            list_push(z, upper, from, above);
            absent = below;
        }
    }
    return frame;
}

/* Halves the block until `target`, inside it, is a block of its own. */
static void split_towards(struct zone *z, size_t frame, unsigned from, size_t target, unsigned to)
{
    while (from > to) {
        size_t upper = frame + ((size_t)1 << --from);
        size_t other = target >= upper ? frame : upper;

        list_push(z, other, from, state_absent(other, from));
        frame = target >= upper ? upper : frame;
    }
}

static void mark_used(struct zone *z, size_t frame, unsigned order)
{
    unsigned absent = state_absent(frame, order);

    z->absent -= absent;
    z->present -= ((size_t)1 << order) - absent;
    /* A block is said to read as zero as a whole or not at all. */
    state_fill(frame, order, PAGE_IS_USED | order | (absent == 1u << order ? PAGE_IS_ABSENT : 0));
}

/* From the smallest block that is large enough. */
static size_t take_smallest(struct zone *z, enum mobility m, enum presence p, unsigned order)
{
    struct free_area *a = &z->area[m][p];
    unsigned large_enough = a->orders >> order << order;
    unsigned found;
    size_t frame;

    if (!large_enough)
        return NO_FRAME;
    found = (unsigned)__builtin_ctz(large_enough);
    frame = page_to_frame(a->list[found]);
    return split(z, frame, found, order, list_remove(z, frame, found));
}

/* A run of frames that are all present, or all absent, inside a block that has both kinds. */
static size_t take_run(struct zone *z, enum mobility m, unsigned order, enum presence wanted)
{
    size_t n = (size_t)1 << order, absent = wanted == ABSENT ? n : 0;

    for (unsigned o = order + 1; o < NR_PAGE_ORDERS; o++) {
        for (struct page *p = z->area[m][MIXED].list[o]; p; p = p->buddy.next) {
            size_t frame = page_to_frame(p), end = frame + ((size_t)1 << o);
            size_t those = absent ? p->buddy.absent : ((size_t)1 << o) - p->buddy.absent;

            if (those < n)
                continue;
            for (size_t run = frame; run < end; run += n)
                if (state_absent(run, order) == absent) {
                    list_remove(z, frame, o);
                    split_towards(z, frame, o, run, order);
                    return run;
                }
        }
    }
    return NO_FRAME;
}

/* A whole pageblock of the other mobility changes sides. */
static bool convert_pageblock(struct zone *z, enum mobility to, enum presence p)
{
    struct page *block = z->area[!to][p].list[MAX_PAGE_ORDER];
    size_t frame;

    if (!block)
        return false;
    frame = page_to_frame(block);
    unsigned absent = list_remove(z, frame, MAX_PAGE_ORDER);
    pool.mobility[frame >> MAX_PAGE_ORDER] = (uint8_t)to;
    list_push(z, frame, MAX_PAGE_ORDER, absent);
    return true;
}

static size_t take_with(struct zone *z, enum mobility m, const enum presence *wanted,
                        unsigned order)
{
    for (; *wanted != NR_PRESENCES; wanted++) {
        size_t frame = take_smallest(z, m, *wanted, order);

        if (frame == NO_FRAME && convert_pageblock(z, m, *wanted))
            frame = take_smallest(z, m, *wanted, order);
        if (frame != NO_FRAME)
            return frame;
    }
    return NO_FRAME;
}

static size_t take_any(struct zone *z, enum mobility m, unsigned order)
{
    static const enum presence present_first[] = {READY, MIXED, ABSENT, NR_PRESENCES};
    size_t frame = take_with(z, m, present_first, order);

    if (frame == NO_FRAME && zone_grow(z, order, m))
        frame = take_smallest(z, m, ABSENT, order);
    /* Last, mobilities mix. */
    for (enum presence p = READY; frame == NO_FRAME && p < NR_PRESENCES; p++)
        frame = take_smallest(z, !m, p, order);
    return frame;
}

/* Of one kind alone: whole blocks, fresh memory, runs inside mixed blocks, and at last the same of the
 * other mobility. */
static size_t take_only(struct zone *z, enum mobility m, unsigned order, enum presence wanted)
{
    size_t frame = take_with(z, m, (const enum presence[]){wanted, NR_PRESENCES}, order);

    if (frame == NO_FRAME && wanted == ABSENT && zone_grow(z, order, m))
        frame = take_smallest(z, m, ABSENT, order);
    if (frame == NO_FRAME)
        frame = take_run(z, m, order, wanted);
    if (frame == NO_FRAME)
        frame = take_smallest(z, !m, wanted, order);
    return frame == NO_FRAME ? take_run(z, !m, order, wanted) : frame;
}

size_t buddy_take(struct zone *z, unsigned order, enum mobility m, enum appetite appetite)
{
    size_t frame = appetite == TAKE_ANY
                       ? take_any(z, m, order)
                       : take_only(z, m, order, appetite == TAKE_PRESENT ? READY : ABSENT);

    if (frame != NO_FRAME)
        mark_used(z, frame, order);
    return frame;
}

size_t buddy_take_coldest(struct zone *z, unsigned order, enum presence presence)
{
    for (enum mobility m = 0; m < NR_MOBILITIES; m++) {
        struct page *p = z->area[m][presence].list[order];

        if (!p)
            continue;
        while (p->buddy.next)
            p = p->buddy.next;
        size_t frame = page_to_frame(p);
        list_remove(z, frame, order);
        mark_used(z, frame, order);
        return frame;
    }
    return NO_FRAME;
}
