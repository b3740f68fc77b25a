/*
 * Per-CPU lists: the last freed blocks of order 0 to 3 of this CPU, taken and given without the
 * zone's lock. "This CPU's" is a hint: a list has a lock of its own, which is taken only if it is
 * free, and somebody who was moved away meanwhile merely uses another CPU's list.
 */
#ifndef KMEM_PCP_H
#define KMEM_PCP_H

#include "os.h"
#include "pool.h"
#include "state.h"
#include "zone.h"

/* Blocks a list holds at most: 256 KiB of each order. */
static inline unsigned pcp_high(unsigned order)
{
    return 64u >> order;
}

/* Blocks that move between list and zone at a time. */
static inline unsigned pcp_batch(unsigned order)
{
    return 16u >> order;
}

static inline unsigned pcp_list(enum mobility m, unsigned order)
{
    return (unsigned)m * PCP_ORDERS + order;
}

static inline uint32_t *pcp_frames(struct pcp *p, enum mobility m, unsigned order)
{
    return p->frames + m * (PCP_FRAMES / 2) + 128 - (128 >> order);
}

static inline struct pcp *this_pcp(struct zone *z)
{
    unsigned cpu = os_cpu();

    return &z->pcp[likely(cpu < pool.cpus) ? cpu : cpu % pool.cpus];
}

/* Fills an empty list; how many blocks it holds then. The list's lock is held. */
unsigned pcp_refill(struct zone *z, struct pcp *p, gfp_t gfp, unsigned order);

/* Moves the coldest batch of a full list to the zone; the same. True: zone_release_surplus() is due. */
bool pcp_spill(struct zone *z, struct pcp *p, enum mobility m, unsigned order);

/* Empties all lists of all CPUs; for a context that must not sleep, those that are not in use. */
void pcp_drain_all(gfp_t gfp);

static inline size_t pcp_take(struct zone *z, gfp_t gfp, unsigned order)
{
    struct pcp *p = this_pcp(z);
    enum mobility m = gfp_mobility(gfp);
    uint8_t *count = &p->count[pcp_list(m, order)];
    unsigned n, state;
    size_t frame = NO_FRAME;

    if (unlikely(!lock_try(&p->lock)))
        return NO_FRAME;
    n = *count;
    if (likely(n != 0) || (n = pcp_refill(z, p, gfp, order)) != 0) {
        size_t top = pcp_frames(p, m, order)[n - 1];

        state = frame_state(top);
        /* To touch an absent frame would enter the operating system. */
        if (likely(!(state & PAGE_IS_ABSENT) || gfp & __GFP_DIRECT_RECLAIM)) {
            *count = (uint8_t)(n - 1);
            state_set(top, state | PAGE_IS_USED);
            frame = top;
        }
    }
    lock_drop(&p->lock);
    return frame;
}

/* False: the list is busy. */
static inline bool pcp_give(struct zone *z, size_t frame, unsigned order)
{
    enum mobility m = pool.mobility[frame >> MAX_PAGE_ORDER];
    struct pcp *p = this_pcp(z);
    uint8_t *count = &p->count[pcp_list(m, order)];
    bool surplus = false;

    if (unlikely(!lock_try(&p->lock)))
        return false;
    if (unlikely(*count == pcp_high(order)))
        surplus = pcp_spill(z, p, m, order);
    /* It was written, as far as anybody knows. */
    if (order > 0)
        state_fill(frame, order, PAGE_IS_USED | order);
    state_set(frame, PAGE_IS_CACHED | order);
    pcp_frames(p, m, order)[(*count)++] = (uint32_t)frame;
    lock_drop(&p->lock);
    if (unlikely(surplus))
        zone_release_surplus(z);
    return true;
}

#endif
