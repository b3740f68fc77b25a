/*
 * The buddy system proper: free blocks of 2^order frames, split and coalesced. All with the zone's
 * lock held.
 */
#ifndef KMEM_BUDDY_H
#define KMEM_BUDDY_H

#include "pool.h"

enum appetite {
    TAKE_ANY,     /* present frames first, lest the process grow */
    TAKE_PRESENT, /* only those: the operating system must not be entered */
    TAKE_ABSENT   /* only frames that are not: what is present is the reserve */
};

/*
 * A block whose state is set to used, or NO_FRAME. The caller has looked at the watermarks.
 * Grows the zone if the appetite allows.
 */
size_t buddy_take(struct zone *z, unsigned order, enum mobility mobility, enum appetite appetite);

/*
 * Puts a used block back, whole and present; merges it with its buddies; the order it came to.
 */
unsigned buddy_put(struct zone *z, size_t frame, unsigned order);

/* The same for a block of which no frame is present: fresh, or given back to the system. */
void buddy_put_absent(struct zone *z, size_t frame, unsigned order);

/* The same for a used block whose frames are present or absent as each of them says. */
unsigned buddy_put_mixed(struct zone *z, size_t frame, unsigned order);

/*
 * Takes the frames from `frame` on that are all free, whatever blocks they lie in. Their states are for
 * the caller to set. False: one of the `count` is not free, or not in the same pageblock.
 */
bool buddy_take_at(struct zone *z, size_t frame, size_t count);

/*
 * The lowest `count` frames in a row that are free and present, wherever the blocks around them begin and
 * end; NO_FRAME: none among the first pageblocks that have as many. The same otherwise.
 */
size_t buddy_take_span(struct zone *z, enum mobility mobility, size_t count);

/* Takes the coldest free block of exactly this order and presence; NO_FRAME: none. Its state is used. */
size_t buddy_take_coldest(struct zone *z, unsigned order, enum presence presence);

static inline enum presence presence_of(unsigned absent, unsigned order)
{
    return absent == 0 ? READY : absent < 1u << order ? MIXED : ABSENT;
}

/*
 * Makes fresh memory, enough for a block of `order` and mobility, part of the buddy system. False:
 * the zone is all in use, or the system refused.
 */
bool zone_grow(struct zone *z, unsigned order, enum mobility mobility);

#endif
