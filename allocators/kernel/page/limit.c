/*
 * A limit of address space that comes after the start. The pool is address space for all memory of the machine: without
 * this a process would be beyond any limit at once, and get no stack, no library and no mapping any more, while
 * the pool would grow as if there were none.
 *
 * Zones end earlier then, and HIGHMEM, as long as nothing was allocated from it, moves down to where NORMAL ends: so
 * a single node's pool becomes shorter as a whole. With several nodes, or HIGHMEM in use, there are holes in it
 * where others may map something. Their frames have no state and no cell, as those that were never used.
 */
#include <unistd.h>

#include "locks.h"
#include "os.h"
#include "zone.h"

/* Frames where something is reserved no further: behind HIGHMEM there may be the rest of a slice. */
struct ends {
    size_t normal, slice;
};

/* A handler that interrupted who holds one would wait for ever. */
static bool take_locks(void)
{
    struct zone *taken = zone_first(), *z = taken;

    for (; z && (!single_threaded() || lock_try(&z->lock)); z = zone_next(z))
        if (!single_threaded())
            lock_take(&z->lock);
    if (!z)
        return true;
    for (; taken != z; taken = zone_next(taken))
        lock_drop(&taken->lock);
    return false;
}

static void drop_locks(void)
{
    for (struct zone *z = zone_first(); z; z = zone_next(z))
        lock_drop(&z->lock);
}

static size_t up(size_t n, size_t to)
{
    return (n + to - 1) & -to;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* What was made readable stays, twice as much as the reserve, and a block, lest there be no zone. */
static void end_at(struct zone *z, size_t end)
{
    end = larger(end, z->committed);
    end = larger(end, z->start + 2 * zone_reserve(z));
    end = up(larger(end, z->start + 1), MAX_ORDER_NR_PAGES);
    if (end < z->end)
        __atomic_store_n(&z->end, end, __ATOMIC_RELEASE);
}

/* Down. For zone_frames() the new end is there last. */
static void move_to(struct zone *z, size_t start)
{
    size_t frames = z->end - z->start;

    __atomic_store_n(&z->start, start, __ATOMIC_RELAXED);
    __atomic_store_n(&z->end, start + frames, __ATOMIC_RELEASE);
    z->frontier = z->committed = start;
}

static size_t pool_end(void)
{
    return node_zone((int)page_globals.nodes - 1, ZONE_HIGHMEM)->end;
}

static struct ends ends_of(int node)
{
    struct ends e = {node_zone(node, ZONE_NORMAL)->end, node_zone(node, ZONE_HIGHMEM)->end};

    if (!pool.limited && (unsigned)node + 1 < page_globals.nodes)
        e.slice = (size_t)(node + 1) << page_globals.node_shift;
    return e;
}

static void shorten(int node, size_t low, size_t high)
{
    struct zone *normal = node_zone(node, ZONE_NORMAL), *highmem = node_zone(node, ZONE_HIGHMEM);

    end_at(normal, ((size_t)node << page_globals.node_shift) + low);
    if (highmem->fd < 0)
        move_to(highmem, normal->end);
    end_at(highmem, highmem->start + high);
}

/* Watermarks as of a pool that was no larger from the start. */
static void set_watermarks(void)
{
    size_t low = 0, high = 0;

    for (struct zone *z = zone_first(); z; z = zone_next(z))
        *(z->kind == ZONE_HIGHMEM ? &high : &low) += (z->end - z->start) << PAGE_SHIFT;
    for (struct zone *z = zone_first(); z; z = zone_next(z)) {
        zone_set_watermarks(z, z->kind == ZONE_HIGHMEM ? high : low);
        zone_watch(z);
    }
    dma_set_lowmem_reserve(node_zone(0, ZONE_NORMAL)->end);
}

static void set_size(void)
{
    size_t frames = pool_end();

    __atomic_store_n(&page_globals.frames, frames, __ATOMIC_RELAXED);
    __atomic_store_n(&page_globals.bytes, frames << PAGE_SHIFT, __ATOMIC_RELEASE);
}

/* Whole pages between the two. */
static void unmap_between(const void *start, const void *end)
{
    uintptr_t from = up((uintptr_t)start, PAGE_SIZE), to = up((uintptr_t)end, PAGE_SIZE);

    if (from < to)
        (void)kmem_os.unmap((void *)from, to - from);
}

/* Where the system refuses, the addresses stay ours, and unused. */
static void give_up(size_t from, size_t to)
{
    unmap_between(frame_address(from), frame_address(to));
    unmap_between(page_globals.mem_map + from, page_globals.mem_map + to);
}

static void give_up_of_node(int node, struct ends before)
{
    struct zone *normal = node_zone(node, ZONE_NORMAL), *highmem = node_zone(node, ZONE_HIGHMEM);

    if (highmem->fd >= 0)
        give_up(normal->end, before.normal);
    give_up(highmem->end, before.slice);
}

/* Frames of a node's part. A size that somebody chose stays, as far as it leaves something for others. */
static size_t low_frames(size_t limit)
{
    size_t chosen = pool.size_chosen ? pool.config.pool_bytes : 0;
    size_t share = limit / SHARES * LOW_SHARE;

    return (chosen > share && chosen < 2 * share ? chosen : share) / page_globals.nodes >>
           PAGE_SHIFT;
}

static size_t high_frames(size_t limit)
{
    return limit / SHARES * HIGH_SHARE / page_globals.nodes >> PAGE_SHIFT;
}

bool kmem_pages_are_anothers(void)
{
    return __atomic_load_n(&page_globals.bytes, __ATOMIC_ACQUIRE) && pool.process != getpid();
}

void kmem_pages_limit(size_t limit, void (*told)(void))
{
    struct ends before[MAX_NUMNODES];
    int nodes = (int)page_globals.nodes;
    size_t frames;

    if (!take_locks())
        return;
    frames = page_globals.frames;
    for (int n = 0; n < nodes; n++) {
        before[n] = ends_of(n);
        shorten(n, low_frames(limit), high_frames(limit));
    }
    pool.limited = true;
    set_watermarks();
    set_size();
    told();
    for (int n = 0; n < nodes; n++)
        give_up_of_node(n, before[n]);
    unmap_between(page_globals.state + page_globals.frames, page_globals.state + frames);
    drop_locks();
}

void kmem_pages_cells_apart(void)
{
    pool.cells_in_front = false;
}

void kmem_pages_limit_cells(size_t least)
{
    size_t frames = larger(least, page_globals.frames);

    if (frames >= pool.cell_frames || !take_locks())
        return;
    unmap_between(pool.cells + frames, pool.cells + pool.cell_frames);
    pool.cell_frames = frames;
    drop_locks();
}
