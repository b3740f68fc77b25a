/*
 * Once a window, whoever comes by has what lies idle given back: from the layer above to the page layer, and from
 * there to the system what was not in use for as long as README.md says. The zones' own look, when a whole pageblock
 * comes free, is not enough: once everything is free, light work is served from fragments, and completes none.
 */
#include "tick.h"

#include "context.h"
#include "os.h"
#include "zone.h"

enum { PAUSE_MS = 10 /* before the next part of much */ };

__thread unsigned tick_count;

/* Read and written without a lock. */
static uint64_t next_ms, window_ends_ms;

static void end_window(uint64_t now)
{
    if (now < __atomic_load_n(&window_ends_ms, __ATOMIC_RELAXED))
        return;
    __atomic_store_n(&window_ends_ms, now + IDLE_WINDOW_MS, __ATOMIC_RELAXED);
    if (page_keeper)
        page_keeper->window_over();
}

static bool release_idle(void)
{
    bool more = false;

    for (struct zone *z = zone_first(); z; z = zone_next(z))
        more |= zone_release_idle(z);
    return more;
}

void tick_look(void)
{
    uint64_t now, next = __atomic_load_n(&next_ms, __ATOMIC_RELAXED);

    tick_count = 0;
    if (in_atomic || in_reclaim)
        return;
    now = os_now_ms();
    /* Who sets the next time does it, and what it frees itself does not lead here again. */
    if (now < next || !__atomic_compare_exchange_n(&next_ms, &next, now + IDLE_WINDOW_MS, false,
                                                   __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return;
    if (next == 0) { /* nothing can have lain idle for so long */
        __atomic_store_n(&window_ends_ms, now + IDLE_WINDOW_MS, __ATOMIC_RELAXED);
        return;
    }
    end_window(now);
    if (release_idle())
        __atomic_store_n(&next_ms, now + PAUSE_MS, __ATOMIC_RELAXED);
}
