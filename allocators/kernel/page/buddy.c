/*
 * Free blocks lie on lists by the mobility of their pageblock, by presence and by order. Two free
 * buddies of one order never stay apart, whatever their presence. A block never crosses a pageblock,
 * so merging never mixes mobilities.
 */
#include "buddy.h"

#include "state.h"
#include "zone.h"

static void list_push(struct zone *z, size_t frame, unsigned order, unsigned absent)
{
    struct free_area *a = &z->area[pageblock_mobility(frame)][presence_of(absent, order)];
    struct free_list *list = &a->list[order];
    struct page *p = frame_to_page(frame), *first = list->first;

    p->buddy.absent = absent;
    p->buddy.prev = NULL;
    p->buddy.next = first;
    if (first)
        first->buddy.prev = p;
    else
        list->last = p;
    list->first = p;
    a->orders |= 1u << order;
    pool.pageblock_present[frame >> MAX_PAGE_ORDER] += (uint16_t)((1u << order) - absent);
    state_set(frame, PAGE_IS_FREE | order | (frame_state(frame) & PAGE_IS_ABSENT));
}

/* Its number of absent frames. */
static unsigned list_remove(struct zone *z, size_t frame, unsigned order)
{
    struct page *p = frame_to_page(frame);
    unsigned absent = p->buddy.absent;
    struct free_area *a = &z->area[pageblock_mobility(frame)][presence_of(absent, order)];
    struct free_list *list = &a->list[order];

    if (p->buddy.next)
        p->buddy.next->buddy.prev = p->buddy.prev;
    else
        list->last = p->buddy.prev;
    if (p->buddy.prev)
        p->buddy.prev->buddy.next = p->buddy.next;
    else if (!(list->first = p->buddy.next))
        a->orders &= ~(1u << order);
    pool.pageblock_present[frame >> MAX_PAGE_ORDER] -= (uint16_t)((1u << order) - absent);
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
    zone_watch(z);
    return order;
}

unsigned buddy_put(struct zone *z, size_t frame, unsigned order)
{
    state_fill(frame, order, 0);
    return coalesce(z, frame, order, 0);
}

unsigned buddy_put_mixed(struct zone *z, size_t frame, unsigned order)
{
    state_fill_keeping(frame, order, 0);
    return coalesce(z, frame, order, state_absent(frame, order));
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
    /* Each frame remembers what it was, lest a run that is cut out of the block lose count of the
     * rest; but a block is said to read as zero as a whole or not at all. */
    state_fill_keeping(frame, order, PAGE_IS_USED | order);
    state_set(frame, PAGE_IS_USED | order | (absent == 1u << order ? PAGE_IS_ABSENT : 0));
    zone_watch(z);
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
    frame = page_to_frame(a->list[found].first);
    return split(z, frame, found, order, list_remove(z, frame, found));
}

/* A run of frames that are all present, or all absent, inside a block that has both kinds. */
static size_t take_run(struct zone *z, enum mobility m, unsigned order, enum presence wanted)
{
    size_t n = (size_t)1 << order, absent = wanted == ABSENT ? n : 0;

    for (unsigned o = order + 1; o < NR_PAGE_ORDERS; o++) {
        for (struct page *p = z->area[m][MIXED].list[o].first; p; p = p->buddy.next) {
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
    struct page *block = z->area[!to][p].list[MAX_PAGE_ORDER].first;
    size_t frame;

    if (!block)
        return false;
    frame = page_to_frame(block);
    unsigned absent = list_remove(z, frame, MAX_PAGE_ORDER);
    set_pageblock(z, frame, to);
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

/* Where the free block around `frame` starts; NO_FRAME: it is not free. */
static size_t free_head(const struct zone *z, size_t frame)
{
    for (unsigned order = 0; order < NR_PAGE_ORDERS && frame < z->frontier; order++) {
        size_t head = frame & -((size_t)1 << order);
        unsigned state = frame_state(head);

        if ((state & PAGE_WHOSE_MASK) == PAGE_IS_FREE && (state & PAGE_ORDER_MASK) >= order)
            return head;
    }
    return NO_FRAME;
}

/* From the start of a free block on. */
static bool all_free(const struct zone *z, size_t frame, size_t end)
{
    while (frame < end) {
        unsigned state = frame_state(frame);

        if (frame >= z->frontier || (state & PAGE_WHOSE_MASK) != PAGE_IS_FREE)
            return false;
        frame += (size_t)1 << (state & PAGE_ORDER_MASK);
    }
    return true;
}

/* What is left over of a block that was taken in part: the pieces' buddies are, in part, taken. */
static void push_rest(struct zone *z, size_t frame, size_t end)
{
    while (frame < end) {
        unsigned order = state_order_between(frame, end);

        list_push(z, frame, order, state_absent(frame, order));
        frame += (size_t)1 << order;
    }
}

bool buddy_take_at(struct zone *z, size_t frame, size_t count)
{
    size_t end = frame + count, absent = 0, start = free_head(z, frame), at = start;

    if (start == NO_FRAME || frame >> MAX_PAGE_ORDER != (end - 1) >> MAX_PAGE_ORDER ||
        !all_free(z, start, end))
        return false;
    while (at < end) {
        unsigned order = frame_state(at) & PAGE_ORDER_MASK;

        list_remove(z, at, order);
        at += (size_t)1 << order;
    }
    for (size_t f = frame; f < end; f++)
        absent += (frame_state(f) & PAGE_IS_ABSENT) != 0;
    z->absent -= absent;
    z->present -= count - absent;
    push_rest(z, start, frame);
    push_rest(z, end, at);
    zone_watch(z);
    return true;
}

/*
 * The first free block that starts at `at` or behind; `end` or more: there is none. Looks at the state
 * bytes alone, eight at a time: a pageblock is 16 lines of them, its page structures a thousand.
 */
static size_t next_free(size_t at, size_t end)
{
    const uint64_t whose = EVERY_BYTE * PAGE_WHOSE_MASK, free = EVERY_BYTE * PAGE_IS_FREE;

    for (; at < end && at % 8; at++)
        if ((frame_state(at) & PAGE_WHOSE_MASK) == PAGE_IS_FREE)
            return at;
    for (; at < end; at += 8) {
        /* Others may be writing states of blocks that are theirs. */
        uint64_t word =
            __atomic_load_n((const uint64_t *)(page_globals.state + at), __ATOMIC_RELAXED);
        uint64_t other = (word ^ free) & whose; /* a byte of it is 0 where a free block starts */
        uint64_t found = (other - EVERY_BYTE) & ~other & EVERY_BYTE << 7;

        if (found)
            return at + (size_t)__builtin_ctzl(found) / 8;
    }
    return end;
}

static size_t span_in(struct zone *z, size_t block, size_t count)
{
    size_t end = block + MAX_ORDER_NR_PAGES, from = block, next = block;

    for (size_t at = block; (at = next_free(at, end)) < end && at < z->frontier; at = next) {
        unsigned order = frame_state(at) & PAGE_ORDER_MASK, absent;

        if (at != next)
            from = at;
        next = at + ((size_t)1 << order);
        absent = order ? frame_to_page(at)->buddy.absent : state_absent(at, 0);
        if (absent == 1u << order)
            from = next;
        else if (absent)
            for (size_t f = at; f < next && f - from < count; f++)
                if (frame_state(f) & PAGE_IS_ABSENT)
                    from = f + 1;
        if (next - from >= count)
            return from;
    }
    return NO_FRAME;
}

/* So many pageblocks are looked into: what is saved are page faults, which are dear, but not priceless. */
enum { SPAN_BLOCKS = 16 };

size_t buddy_take_span(struct zone *z, enum mobility m, size_t count)
{
    unsigned looked = 0;

    for (size_t block = z->start; block < z->frontier && looked < SPAN_BLOCKS;
         block += MAX_ORDER_NR_PAGES) {
        size_t frame;

        if (pool.pageblock_present[block >> MAX_PAGE_ORDER] < count ||
            pageblock_mobility(block) != m)
            continue;
        looked++;
        frame = span_in(z, block, count);
        if (frame != NO_FRAME && buddy_take_at(z, frame, count))
            return frame;
    }
    return NO_FRAME;
}

size_t buddy_take_coldest(struct zone *z, unsigned order, enum presence presence)
{
    for (enum mobility m = 0; m < NR_MOBILITIES; m++) {
        struct page *p = z->area[m][presence].list[order].last;

        if (!p)
            continue;
        size_t frame = page_to_frame(p);
        list_remove(z, frame, order);
        mark_used(z, frame, order);
        return frame;
    }
    return NO_FRAME;
}
