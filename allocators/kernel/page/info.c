#include "page.h"

#include "locks.h"
#include "pool.h"

static size_t cached_frames(const struct zone *z)
{
    size_t frames = 0;

    for (unsigned cpu = 0; z->pcp && cpu < pool.cpus; cpu++)
        for (unsigned list = 0; list < PCP_LISTS; list++)
            frames += (size_t)z->pcp[cpu].count[list] << list % PCP_ORDERS;
    return frames;
}

void kmem_pages_stats(struct page_stats *stats)
{
    *stats = (struct page_stats){0};
    if (!page_globals.bytes)
        return;
    page_locks_take();
    for (struct zone *z = zone_first(); z; z = zone_next(z)) {
        size_t peak = z->peak.now > z->peak.before ? z->peak.now : z->peak.before;

        stats->pool_bytes += (z->end - z->start) << PAGE_SHIFT;
        stats->used_bytes += zone_used_frames(z) << PAGE_SHIFT;
        stats->cached_bytes += cached_frames(z) << PAGE_SHIFT;
        stats->present_bytes += z->present << PAGE_SHIFT;
        stats->absent_bytes += (z->absent + (z->end - z->frontier)) << PAGE_SHIFT;
        stats->used_bytes_peak += peak << PAGE_SHIFT;
        stats->released_bytes += z->released << PAGE_SHIFT;
    }
    page_locks_drop();
    stats->reclaims = __atomic_load_n(&pool.reclaims, __ATOMIC_RELAXED);
    stats->failures = __atomic_load_n(&pool.failures, __ATOMIC_RELAXED);
}

bool frame_is_highmem(size_t frame)
{
    return frame_zone(frame)->kind == ZONE_HIGHMEM;
}
