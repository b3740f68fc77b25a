#include "zone.h"

#include "inject.h"
#include "os.h"
#include "tick.h"

enum { SLACK_FRAMES = 256 };

/* See kmem_pages_keep(). Frames; read and written without a lock. */
static size_t keep_chosen = SIZE_MAX; /* nobody chose */
static size_t pad_chosen;

/* What must be left of all that is free. */
static size_t frames_to_leave(const struct zone *z, gfp_t gfp, enum zone_kind highest,
                              enum urgency u)
{
    size_t leave = z->watermark[u == WITHIN_LOW ? WMARK_LOW : WMARK_MIN];

    if (in_reclaim)
        return 0;
    if (gfp & __GFP_HIGH || u == DESPERATE)
        leave = z->watermark[WMARK_MIN] / 4;
    return leave + (z->kind < highest ? z->lowmem_reserve : 0);
}

/* What must be left of what is free and present. */
static size_t reserve_to_leave(const struct zone *z, gfp_t gfp, enum urgency u)
{
    if (in_reclaim)
        return 0;
    return gfp & __GFP_HIGH || u == DESPERATE ? zone_reserve(z) / 4 : zone_reserve(z);
}

/*
 * Nothing but a single word says whether the fast paths are open, so that they need not look at a zone. Who
 * changes the nodes while another is between its load and its store has that one look again.
 */
void lists_open_or_close(void)
{
    uint64_t nodes;

    do {
        nodes = __atomic_load_n(&pool.short_nodes, __ATOMIC_SEQ_CST);
        __atomic_store_n(&page_globals.listed_orders, nodes || fail_pages ? 0 : PCP_ORDERS,
                         __ATOMIC_SEQ_CST);
    } while (__atomic_load_n(&pool.short_nodes, __ATOMIC_SEQ_CST) != nodes);
}

void zone_watch(struct zone *z)
{
    bool is_short = zone_free_frames(z) < z->watermark[WMARK_LOW] || z->present < zone_reserve(z);

    if (likely(!z->pcp || is_short == zone_is_short(z)))
        return;
    __atomic_fetch_xor(&pool.short_nodes, (uint64_t)1 << z->node, __ATOMIC_SEQ_CST);
    lists_open_or_close();
}

static void note_peak(struct zone *z)
{
    size_t used = zone_used_frames(z);

    if (used > z->peak.now)
        z->peak.now = used;
}

size_t zone_take(struct zone *z, gfp_t gfp, unsigned order, enum zone_kind highest, enum urgency u)
{
    size_t n = (size_t)1 << order, frame;
    bool spares_reserve = z->present >= n + reserve_to_leave(z, gfp, u);
    enum appetite appetite = TAKE_PRESENT;

    if (zone_free_frames(z) < n + frames_to_leave(z, gfp, highest, u))
        return NO_FRAME;
    if (gfp & __GFP_DIRECT_RECLAIM)
        appetite = spares_reserve || zone_reserve(z) == 0 ? TAKE_ANY : TAKE_ABSENT;
    else if (!spares_reserve)
        return NO_FRAME;
    frame = buddy_take(z, order, gfp_mobility(gfp), appetite);
    note_peak(z);
    return frame;
}

/* Enough is left for others, as far as somebody may care who could do without these. */
static bool may_spare(const struct zone *z, size_t count)
{
    size_t reserve = zone_reserve(z);

    return zone_free_frames(z) >= count + z->watermark[WMARK_LOW] &&
           (reserve == 0 || z->present >= count + reserve);
}

bool zone_take_at(struct zone *z, size_t frame, size_t count)
{
    if (!may_spare(z, count) || !buddy_take_at(z, frame, count))
        return false;
    note_peak(z);
    return true;
}

size_t zone_take_span(struct zone *z, enum mobility mobility, size_t count)
{
    size_t frame = may_spare(z, count) ? buddy_take_span(z, mobility, count) : NO_FRAME;

    if (frame != NO_FRAME)
        note_peak(z);
    return frame;
}

/* Moves the window on; the most frames used within the last one to two. */
static size_t recent_peak(struct zone *z)
{
    uint64_t now = os_now_ms();

    if (now >= z->peak.ends_ms) {
        bool idle = now >= z->peak.ends_ms + IDLE_WINDOW_MS;

        z->peak.before = idle ? zone_used_frames(z) : z->peak.now;
        z->peak.now = zone_used_frames(z);
        z->peak.ends_ms = now + IDLE_WINDOW_MS;
    }
    return z->peak.now > z->peak.before ? z->peak.now : z->peak.before;
}

void kmem_pages_keep(size_t bytes)
{
    __atomic_store_n(&keep_chosen, bytes >> PAGE_SHIFT, __ATOMIC_RELAXED);
}

void kmem_pages_pad(size_t bytes)
{
    __atomic_store_n(&pad_chosen, bytes >> PAGE_SHIFT, __ATOMIC_RELAXED);
}

size_t zone_pad(void)
{
    return __atomic_load_n(&pad_chosen, __ATOMIC_RELAXED);
}

size_t zone_surplus(struct zone *z)
{
    size_t used = zone_used_frames(z), peak = recent_peak(z);
    size_t keep = __atomic_load_n(&keep_chosen, __ATOMIC_RELAXED);

    if (keep == SIZE_MAX)
        keep = (peak > used ? peak - used : 0) + SLACK_FRAMES;
    keep += zone_pad();
    if (keep < zone_reserve(z))
        keep = zone_reserve(z);
    return z->present > keep ? z->present - keep : 0;
}

size_t zone_present(struct zone *z)
{
    size_t present;

    lock_take(&z->lock);
    present = z->present;
    lock_drop(&z->lock);
    return present;
}

bool zone_is_below(struct zone *z, enum watermark w, enum zone_kind highest)
{
    size_t wanted = z->watermark[w] + (z->kind < highest ? z->lowmem_reserve : 0);
    bool below;

    lock_take(&z->lock);
    below = zone_free_frames(z) < wanted;
    lock_drop(&z->lock);
    return below;
}

bool zone_give(struct zone *z, size_t frame, unsigned order)
{
    return buddy_put(z, frame, order) == MAX_PAGE_ORDER && zone_surplus(z) >= MAX_ORDER_NR_PAGES;
}
