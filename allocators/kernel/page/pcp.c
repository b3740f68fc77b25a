#include "pcp.h"
#include "waiters.h"

/* In descending order onto the stack, so that they are taken in ascending order. */
static void reverse(uint32_t *frames, unsigned n)
{
    for (unsigned i = 0; i < n / 2; i++) {
        uint32_t f = frames[i];

        frames[i] = frames[n - 1 - i];
        frames[n - 1 - i] = f;
    }
}

/* See pcp_high(). */
const struct pcp_span pcp_span[PCP_LISTS] = {
    {0, 64}, {64, 32}, {96, 16}, {112, 8}, {120, 64}, {184, 32}, {216, 16}, {232, 8},
};

/*
 * Fills an empty list; how many blocks it holds then. The list's lock is held. Others may get what is put there,
 * so who may dip into the reserve may not do so for a whole batch.
 */
static unsigned refill(struct zone *z, struct pcp *p, gfp_t gfp, unsigned order)
{
    enum mobility m = gfp_mobility(gfp);
    uint32_t *frames = pcp_frames(p, m, order);
    unsigned n = 0;

    if (!lock_take_for(&z->lock, gfp))
        return 0;
    gfp &= ~__GFP_HIGH;
    for (; n < pcp_batch(order); n++) {
        size_t frame = zone_take(z, gfp, order, ZONE_NORMAL, WITHIN_LOW);

        if (frame == NO_FRAME)
            break;
        state_set(frame, PAGE_IS_CACHED | order | (frame_state(frame) & PAGE_IS_ABSENT));
        frames[n] = (uint32_t)frame;
    }
    lock_drop(&z->lock);
    reverse(frames, n);
    p->count[pcp_list(m, order)] = (uint8_t)n;
    return n;
}

/* Gives the n oldest blocks of a list to the zone, whose lock is held. */
static bool give_oldest(struct zone *z, struct pcp *p, enum mobility m, unsigned order, unsigned n)
{
    uint32_t *frames = pcp_frames(p, m, order);
    uint8_t *count = &p->count[pcp_list(m, order)];
    bool surplus = false;

    for (unsigned i = 0; i < n; i++) {
        /* What was never handed out goes back as it came. */
        if (frame_state(frames[i]) & PAGE_IS_ABSENT)
            buddy_put_absent(z, frames[i], order);
        else
            surplus |= zone_give(z, frames[i], order);
    }
    *count = (uint8_t)(*count - n);
    for (unsigned i = 0; i < *count; i++)
        frames[i] = frames[i + n];
    return surplus;
}

/*
 * Moves the coldest batch of a full list, whose lock is held, to the zone. True: zone_release_surplus()
 * is due.
 */
static bool spill(struct zone *z, struct pcp *p, enum mobility m, unsigned order)
{
    bool surplus;

    lock_take_here(&z->lock);
    surplus = give_oldest(z, p, m, order, pcp_batch(order));
    lock_drop(&z->lock);
    page_waiters_wake();
    return surplus;
}

size_t pcp_take(struct zone *z, gfp_t gfp, unsigned order)
{
    struct pcp *p = this_pcp(z);
    size_t frame = NO_FRAME;

    if (!lock_try(&p->lock))
        return NO_FRAME;
    if (!((p->count[pcp_list(gfp_mobility(gfp), order)] != 0 || refill(z, p, gfp, order) != 0) &&
          pcp_pop(p, gfp, order, &frame)))
        frame = NO_FRAME;
    lock_drop(&p->lock);
    return frame;
}

bool pcp_give(struct zone *z, size_t frame, unsigned order)
{
    enum mobility m = pageblock_mobility(frame);
    struct pcp *p = this_pcp(z);
    bool surplus = false, given;

    if (!lock_try(&p->lock))
        return false;
    if (p->count[pcp_list(m, order)] == pcp_high(order))
        surplus = spill(z, p, m, order);
    given = pcp_push(p, frame, order, m);
    lock_drop(&p->lock);
    if (surplus)
        zone_release_surplus(z);
    return given;
}

static void drain(struct zone *z, struct pcp *p, gfp_t gfp)
{
    if (!lock_take_for(&p->lock, gfp))
        return;
    if (lock_take_for(&z->lock, gfp)) {
        for (enum mobility m = 0; m < NR_MOBILITIES; m++)
            for (unsigned order = 0; order < PCP_ORDERS; order++)
                (void)give_oldest(z, p, m, order, p->count[pcp_list(m, order)]);
        lock_drop(&z->lock);
    }
    lock_drop(&p->lock);
}

void pcp_drain_all(gfp_t gfp)
{
    for (struct zone *z = zone_first(); z; z = zone_next(z))
        for (unsigned cpu = 0; z->pcp && cpu < pool.cpus; cpu++)
            drain(z, &z->pcp[cpu], gfp);
}
