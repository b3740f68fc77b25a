/*
 * Taking from and giving to a zone: watermarks, the reserve, and what is due afterwards.
 */
#ifndef KMEM_ZONE_H
#define KMEM_ZONE_H

#include "buddy.h"

/* How far down an allocation may go, apart from what its flags add. */
enum urgency {
    WITHIN_LOW, /* the first attempt */
    WITHIN_MIN, /* after all that could be done without reclaim */
    DESPERATE   /* __GFP_NOFAIL, after reclaim failed: like GFP_ATOMIC */
};

/*
 * One block, or NO_FRAME. `highest` is the highest zone the flags allow. Lock held.
 */
size_t zone_take(struct zone *z, gfp_t gfp, unsigned order, enum zone_kind highest, enum urgency u);

/*
 * Exactly the `count` frames from `frame` on, for somebody who owns those before; false: not all free,
 * or too few would be left. Lock held.
 */
bool zone_take_at(struct zone *z, size_t frame, size_t count);

/* `count` present frames in a row, for GFP_KERNEL; NO_FRAME: none, or too few would be left. Lock held. */
size_t zone_take_span(struct zone *z, enum mobility mobility, size_t count);

/* Gives a used block back. Lock held. True: zone_release_surplus() is due. */
bool zone_give(struct zone *z, size_t frame, unsigned order);

/* Present frames beyond what was in use at any time of this IDLE_WINDOW_MS and the last, plus 1 MiB. Lock held. */
size_t zone_surplus(struct zone *z);

/* What kmem_pages_pad() says, frames. */
size_t zone_pad(void);

/* Free and present frames. Takes the lock. */
size_t zone_present(struct zone *z);

/*
 * Are fewer frames free, in any way, than the watermark says to those whom zones up to `highest` serve?
 * Takes the lock.
 */
bool zone_is_below(struct zone *z, enum watermark w, enum zone_kind highest);

/* Frames kept present. Changes rarely, and is read without a lock. */
static inline size_t zone_reserve(const struct zone *z)
{
    return __atomic_load_n(&z->reserve, __ATOMIC_RELAXED);
}

/*
 * Whether a zone with CPU lists has less free than the low watermark says, or less present than its reserve.
 * The lists are closed then, lest pages pass by the watermarks to those who are not entitled to them: what is
 * freed goes to the zone, and each page is asked for there. Read without a lock.
 */
static inline bool zone_is_short(const struct zone *z)
{
    return __atomic_load_n(&pool.short_nodes, __ATOMIC_RELAXED) >> z->node & 1;
}

/* To be called when what zone_is_short() says may have changed. Lock held. */
void zone_watch(struct zone *z);

/* Opens or closes the fast paths of all CPU lists, by what is short and by what tests refuse. Any thread. */
void lists_open_or_close(void);

/* Touches free memory until the reserve is present. No lock held; enters the system. */
bool zone_fill_reserve(struct zone *z);

/*
 * Gives whole pageblocks back that are not needed: see kmem_pages_release(). No zone lock held. Not
 * from an allocation that must not wait: the next one who frees does it.
 */
void zone_release_surplus(struct zone *z);

/*
 * Gives blocks back that are not needed, whole pageblocks or not, largest first, up to a limit. True: there is more.
 * No zone lock held. For those who look now and then.
 */
bool zone_release_idle(struct zone *z);

#endif
