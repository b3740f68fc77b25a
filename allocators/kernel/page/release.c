/*
 * Between the free lists and the operating system: memory given back, and memory touched in advance.
 * Blocks are in nobody's list while the system has them in hand, so no lock is held meanwhile.
 */
#include "zone.h"

#include "os.h"
#include "pcp.h"

enum {
    SURPLUS_BLOCKS = 16,   /* at a time, lest one free() pays for all */
    IDLE_ORDER_MIN = 4,    /* of blocks for which it is worth a system call */
    IDLE_FRAMES_MIN = 256, /* of a zone, altogether */
    FILL_ORDER = 6
};

/* Frames given back: of one block, or 0 if there is none or the system refused. */
static size_t release_one(struct zone *z, unsigned order, enum presence presence)
{
    bool done;
    size_t frame;

    lock_take(&z->lock);
    frame = buddy_take_coldest(z, order, presence);
    lock_drop(&z->lock);
    if (frame == NO_FRAME)
        return 0;
    done = kmem_os.purge(frame_address(frame), PAGE_SIZE << order, z->shared);
    lock_take(&z->lock);
    if (done) {
        buddy_put_absent(z, frame, order);
        z->released += (size_t)1 << order;
    } else {
        buddy_put(z, frame, order);
    }
    lock_drop(&z->lock);
    return done ? (size_t)1 << order : 0;
}

static size_t surplus_now(struct zone *z)
{
    size_t surplus;

    lock_take(&z->lock);
    surplus = zone_surplus(z);
    lock_drop(&z->lock);
    return surplus;
}

void zone_release_surplus(struct zone *z)
{
    for (int i = 0; i < SURPLUS_BLOCKS && !in_atomic; i++)
        if (surplus_now(z) < MAX_ORDER_NR_PAGES || !release_one(z, MAX_PAGE_ORDER, READY))
            return;
}

bool zone_release_idle(struct zone *z)
{
    size_t given = 0;

    if (surplus_now(z) < IDLE_FRAMES_MIN)
        return false;
    for (unsigned order = NR_PAGE_ORDERS; order-- > IDLE_ORDER_MIN;)
        for (enum presence p = READY; p <= MIXED; p++)
            while (surplus_now(z) >= (size_t)1 << order && release_one(z, order, p)) {
                given += (size_t)1 << order;
                if (given >= SURPLUS_BLOCKS * MAX_ORDER_NR_PAGES)
                    return true;
            }
    return false;
}

static bool above_reserve(struct zone *z, unsigned order)
{
    return zone_reserve(z) == 0 || zone_present(z) >= zone_reserve(z) + ((size_t)1 << order);
}

/* Gives back until all zones together have no more than `keep` present frames. */
static void zone_release(struct zone *z, size_t keep)
{
    for (unsigned order = NR_PAGE_ORDERS; order-- > 0;)
        for (enum presence p = READY; p <= MIXED; p++)
            for (;;) {
                size_t present = 0;

                for (struct zone *other = zone_first(); other; other = zone_next(other))
                    present += zone_present(other);
                if (present <= keep || !above_reserve(z, order) || !release_one(z, order, p))
                    break;
            }
}

void kmem_pages_release(size_t keep_bytes)
{
    pcp_drain_all(GFP_KERNEL);
    for (struct zone *z = zone_first(); z; z = zone_next(z))
        zone_release(z, keep_bytes >> PAGE_SHIFT);
}

/* Touches one free block that is absent. False: there is none, or the system refused. */
static bool fill_one(struct zone *z, unsigned order)
{
    size_t frame;
    bool done;

    lock_take(&z->lock);
    frame = buddy_take(z, order, UNMOVABLE, TAKE_ABSENT);
    lock_drop(&z->lock);
    if (frame == NO_FRAME)
        return false;
    done = frame_state(frame) & PAGE_IS_ABSENT &&
           kmem_os.populate(frame_address(frame), PAGE_SIZE << order);
    lock_take(&z->lock);
    if (done || !(frame_state(frame) & PAGE_IS_ABSENT))
        buddy_put(z, frame, order);
    else
        buddy_put_absent(z, frame, order);
    lock_drop(&z->lock);
    return done;
}

bool zone_fill_reserve(struct zone *z)
{
    size_t reserve = zone_reserve(z), present;

    while (reserve > 0 && (present = zone_present(z)) < reserve) {
        unsigned order = 0;

        while (order < FILL_ORDER && (size_t)2 << order <= reserve - present)
            order++;
        if (!fill_one(z, order))
            return false;
    }
    return true;
}

bool kmem_pages_reserve(size_t bytes)
{
    bool filled = true;

    for (unsigned n = 0; n < page_globals.nodes; n++) {
        struct zone *z = node_zone((int)n, ZONE_NORMAL);
        size_t frames = (bytes / page_globals.nodes + PAGE_SIZE - 1) >> PAGE_SHIFT;
        size_t most = (z->end - z->start) / 2;

        lock_take(&z->lock);
        __atomic_store_n(&z->reserve, frames < most ? frames : most, __ATOMIC_RELAXED);
        zone_watch(z);
        lock_drop(&z->lock);
        filled &= zone_fill_reserve(z);
    }
    return filled;
}
