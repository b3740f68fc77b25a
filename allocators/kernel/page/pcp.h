/*
 * Per-CPU lists: the last freed blocks of order 0 to 3 of this CPU, taken and given without the
 * zone's lock. "This CPU's" is a hint: a list has a lock of its own, which is taken only if it is
 * free, and somebody who was moved away meanwhile merely uses another CPU's list.
 */
#ifndef KMEM_PCP_H
#define KMEM_PCP_H

#include "inject.h"
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

/* Where each list lies in struct pcp.frames. */
struct pcp_span {
    uint8_t first, blocks;
};

extern const struct pcp_span pcp_span[PCP_LISTS];

static inline uint32_t *pcp_frames(struct pcp *p, enum mobility m, unsigned order)
{
    return p->frames + pcp_span[pcp_list(m, order)].first;
}

static inline struct pcp *this_pcp(struct zone *z)
{
    unsigned cpu = os_cpu();

    return &z->pcp[likely(cpu < pool.cpus) ? cpu : cpu % pool.cpus];
}

/*
 * The calling CPU's lists of a node, of its own if that is negative, whether there is an rseq or not.
 * False: there is no such node, or that takes a question to the system, or there are more CPUs than were
 * possible at the start.
 */
static inline __attribute__((always_inline)) bool near_pcp(int node, struct pcp **p)
{
    unsigned cpu = os_cpu_at_hand(page_globals.cpus);

    if (unlikely(cpu >= page_globals.cpus))
        return false;
    if (likely(page_globals.nodes == 1)) {
        *p = page_globals.pcps + cpu;
        return node <= 0;
    }
    if (node < 0)
        node = pool.node_of_cpu[cpu];
    *p = page_globals.pcps + (size_t)node * page_globals.cpus + cpu;
    return (unsigned)node < page_globals.nodes;
}

/*
 * lock_drop(), but that waking who waits, if that is what it returns, is left to the caller for its last
 * act: a call from the middle would cost every pass a stack frame.
 */
static inline __attribute__((always_inline)) bool pcp_drop(struct pcp *p)
{
    if (single_threaded()) {
        __atomic_store_n(&p->lock.word, 0, __ATOMIC_RELEASE);
        return false;
    }
    return __atomic_exchange_n(&p->lock.word, 0, __ATOMIC_RELEASE) == 2;
}

/* Whether the lists of a zone that has some may be used: see zone_is_short(). */
static inline bool lists_serve(const struct zone *z, unsigned order)
{
    return order < PCP_ORDERS && !fail_pages && !zone_is_short(z);
}

/* The block on top of a list. False: there is none, or none that is fit for `gfp`. Lock held. */
static inline __attribute__((always_inline)) bool pcp_pop(struct pcp *p, gfp_t gfp, unsigned order,
                                                          size_t *frame)
{
    unsigned list = pcp_list(gfp_mobility(gfp), order), n = p->count[list];
    uint8_t *state;

    if (unlikely(n == 0))
        return false;
    *frame = p->frames[pcp_span[list].first + n - 1];
    state = &page_globals.state[*frame];
    /* To touch an absent frame would enter the operating system. */
    if (unlikely(*state & PAGE_IS_ABSENT) && !(gfp & __GFP_DIRECT_RECLAIM))
        return false;
    __atomic_store_n(state, *state | PAGE_IS_USED, __ATOMIC_RELAXED);
    p->count[list] = (uint8_t)(n - 1);
    return true;
}

/* A used block of a zone with lists onto one of them. False: it is full. Lock held. */
static inline __attribute__((always_inline)) bool pcp_push(struct pcp *p, size_t frame,
                                                           unsigned order, enum mobility m)
{
    unsigned list = pcp_list(m, order), n = p->count[list];

    if (unlikely(n == pcp_span[list].blocks))
        return false;
    p->frames[pcp_span[list].first + n] = (uint32_t)frame;
    /* It was written, as far as anybody knows. */
    if (order > 0)
        state_fill(frame, order, PAGE_IS_USED | order);
    state_set(frame, PAGE_IS_CACHED | order);
    p->count[list] = (uint8_t)(n + 1);
    return true;
}

/* From this CPU's list, filled first if need be; NO_FRAME: it cannot be, or is busy. */
size_t pcp_take(struct zone *z, gfp_t gfp, unsigned order);

/* Empties all lists of all CPUs; for a context that must not sleep, those that are not in use. */
void pcp_drain_all(gfp_t gfp);

/* Onto this CPU's list, part of which goes to the zone if need be. False: the list is busy. */
bool pcp_give(struct zone *z, size_t frame, unsigned order);

#endif
