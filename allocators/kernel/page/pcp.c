#include "pcp.h"

/* In descending order onto the stack, so that they are taken in ascending order. */
static void reverse(uint32_t *frames, unsigned n)
{
    for (unsigned i = 0; i < n / 2; i++) {
        uint32_t f = frames[i];

        frames[i] = frames[n - 1 - i];
        frames[n - 1 - i] = f;
    }
}

unsigned pcp_refill(struct zone *z, struct pcp *p, gfp_t gfp, unsigned order)
{
    enum mobility m = gfp_mobility(gfp);
    uint32_t *frames = pcp_frames(p, m, order);
    unsigned n = 0;

    if (!lock_take_for(&z->lock, gfp))
        return 0;
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

bool pcp_spill(struct zone *z, struct pcp *p, enum mobility m, unsigned order)
{
    bool surplus;

    lock_take(&z->lock);
    surplus = give_oldest(z, p, m, order, pcp_batch(order));
    lock_drop(&z->lock);
    page_waiters_wake();
    return surplus;
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
