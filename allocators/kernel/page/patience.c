/*
 * Where no CPU's list serves: how hard to try, and what is said when nothing is left.
 *
 *   1. all zones the flags allow, by distance, down to the low watermark;
 *   2. with all CPU lists drained, down to min; GFP_ATOMIC to a quarter of min;
 *   3. who may: what the layer above keeps idle, shrinkers, and waiting for others to free, by rounds whose
 *      number the flags say; then shrinkers up to the high watermark.
 */
#include "patience.h"

#include <unistd.h>

#include "fault.h"
#include "keeper.h"
#include "os.h"
#include "out.h"
#include "pcp.h"
#include "reclaim.h"
#include "waiters.h"
#include "zonelist.h"

/* Above this order nobody waits long for neighbours to come free. */
enum { COSTLY_ORDER = 3 };

enum { ROUNDS = 8, ROUNDS_COSTLY = 3, ROUNDS_MAYFAIL = 32, WAIT_MS_MOST = 4 };

enum { WARNINGS = 10, WARNINGS_WINDOW_MS = 5000 };

static unsigned rounds_allowed(gfp_t gfp, unsigned order)
{
    if (gfp & __GFP_NOFAIL)
        return ~0u;
    if (gfp & __GFP_NORETRY)
        return 1;
    if (gfp & __GFP_RETRY_MAYFAIL)
        return ROUNDS_MAYFAIL;
    return order <= COSTLY_ORDER ? ROUNDS : ROUNDS_COSTLY;
}

/*
 * There is no kswapd: who had to reclaim goes on up to the high watermark, lest the next ones have to as
 * well. But nobody is in need now, so each round asks for the smallest share, and one that set no page free is
 * the last: objects that were freed need not be pages, and the caches would be emptied for nothing.
 */
static void reclaim_to_high(int node, gfp_t gfp)
{
    for (unsigned i = 0; i < ROUNDS && node_is_below_high(node, gfp); i++) {
        size_t before = node_free_frames(node, gfp);

        (void)reclaim(gfp, node, 0);
        pcp_drain_all(gfp);
        if (node_free_frames(node, gfp) <= before)
            return;
    }
}

/* What is merely kept goes before anybody who uses it is asked. Frames of memfds are not among it. */
static size_t take_idle(int node, gfp_t gfp, unsigned order, enum urgency u)
{
    size_t frame = NO_FRAME;
    bool flushed = false;

    if (highest_zone(gfp) == ZONE_HIGHMEM)
        return NO_FRAME;
    if (keeper_wait())
        frame = take_anywhere(node, gfp, order, u);
    if (frame == NO_FRAME && (flushed = keeper_flush())) {
        pcp_drain_all(gfp);
        frame = take_anywhere(node, gfp, order, u);
    }
    if (frame == NO_FRAME)
        keeper_flushed_in_vain(flushed);
    return frame;
}

/* Asks shrinkers, and waits if they have nothing. */
static size_t take_shrunk(int node, gfp_t gfp, unsigned order, unsigned round, enum urgency u)
{
    unsigned ticket = page_waiters_ticket();

    if (reclaim(gfp, node, round) == 0 && round > 0)
        page_waiters_wait(ticket, round < WAIT_MS_MOST ? round : WAIT_MS_MOST);
    pcp_drain_all(gfp);
    return take_anywhere(node, gfp, order, u);
}

/* Reclaims and waits. */
static size_t take_patiently(int node, gfp_t gfp, unsigned order)
{
    unsigned rounds = rounds_allowed(gfp, order), round = 0;
    size_t frame = NO_FRAME;

    for (; frame == NO_FRAME && round < rounds; round++) {
        enum urgency u = gfp & __GFP_NOFAIL && round > 0 ? DESPERATE : WITHIN_MIN;

        frame = take_idle(node, gfp, order, u);
        if (frame == NO_FRAME)
            frame = take_shrunk(node, gfp, order, round, u);
    }
    if (frame != NO_FRAME && !(gfp & __GFP_NORETRY))
        reclaim_to_high(node, gfp);
    return frame;
}

/* One line, ten times in five seconds at most. */
static void warn_of_failure(gfp_t gfp, unsigned order)
{
    static struct lock lock;
    static uint64_t window_ends_ms;
    static unsigned said;
    uint64_t now = os_now_ms();
    bool say;

    if (gfp & __GFP_NOWARN || !pool.config.warn || !lock_try(&lock))
        return;
    if (now >= window_ends_ms) {
        window_ends_ms = now + WARNINGS_WINDOW_MS;
        said = 0;
    }
    say = said++ < WARNINGS;
    lock_drop(&lock);
    if (say) {
        struct out o = out_to_fd(STDERR_FILENO);

        out_put(&o, "%s: page allocation failure: order %u, gfp %p\n", fault_subject, (size_t)order,
                (void *)(uintptr_t)gfp);
        out_flush(&o);
    }
}

size_t take_slowly(int node, gfp_t gfp, unsigned order)
{
    bool may_enter_os = gfp & __GFP_DIRECT_RECLAIM && !in_reclaim;
    size_t frame = take_anywhere(node, gfp, order, WITHIN_LOW);

    if (frame == NO_FRAME) {
        pcp_drain_all(gfp);
        frame = take_anywhere(node, gfp, order, WITHIN_MIN);
    }
    if (frame == NO_FRAME && may_enter_os && gfp_may_reclaim(gfp))
        frame = take_patiently(node, gfp, order);
    if (may_enter_os)
        (void)zone_fill_reserve(node_zone(node, ZONE_NORMAL));
    if (frame == NO_FRAME) {
        __atomic_add_fetch(&pool.failures, 1, __ATOMIC_RELAXED);
        warn_of_failure(gfp, order);
    }
    return frame;
}
