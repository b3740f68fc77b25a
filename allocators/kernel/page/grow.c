/*
 * Growing: the frontier of a zone moves up, low addresses first, in small steps so that the page
 * structures and free lists of untouched memory stay untouched, too. Memory is made readable in
 * larger steps, and what describes it made writable with it. This, and limit.c, are the only ways into the operating
 * system with a zone lock held.
 */
#include "buddy.h"

#include "os.h"
#include "zone.h"

enum { GROW_ORDER = 6 /* a page of page structures */, COMMIT_SHARE = 8 };

/* A zone in a memfd gets it when it is first used: most programs never do. */
static bool open_memfd(struct zone *z)
{
    size_t bytes = (z->end - z->start) << PAGE_SHIFT;

    if (z->fd >= 0)
        return true;
    z->fd = kmem_os.memfd(bytes);
    if (z->fd < 0)
        return false;
    if (kmem_os.map_memfd(frame_address(z->start), bytes, PROT_NONE, z->fd, 0, NULL)) {
        os_spare_keep(); /* vmalloc() follows, and the child of a fork maps again */
        return true;
    }
    kmem_os.close(z->fd);
    z->fd = -1;
    return false;
}

/* Whole pages: their first and last may describe frames of other zones, too. */
static bool commit_table(void *from, void *to)
{
    uintptr_t start = (uintptr_t)from & -PAGE_SIZE;

    return kmem_os.commit((void *)start, ((uintptr_t)to - start + PAGE_SIZE - 1) & -PAGE_SIZE);
}

/* The frames [from, to), and before them what describes them. */
static bool commit_frames(size_t from, size_t to)
{
    return commit_table(page_globals.mem_map + from, page_globals.mem_map + to) &&
           commit_table(page_globals.state + from, page_globals.state + to) &&
           commit_table(pool.cells + from, pool.cells + to) &&
           kmem_os.commit(frame_address(from), (to - from) << PAGE_SHIFT);
}

static bool commit_more(struct zone *z, size_t to)
{
    if ((z->shared && !open_memfd(z)) || !commit_frames(z->committed, to))
        return false;
    z->committed = to;
    return true;
}

/* Makes all below `frame` readable. */
static bool commit_to(struct zone *z, size_t frame)
{
    size_t step = (z->committed - z->start) / COMMIT_SHARE & ~(MAX_ORDER_NR_PAGES - 1);
    size_t to = z->committed + step;
    bool done;

    if (frame <= z->committed)
        return true;
    if (to < z->committed + zone_pad())
        to = (z->committed + zone_pad()) & ~(MAX_ORDER_NR_PAGES - 1);
    if (to < frame)
        to = (frame + MAX_ORDER_NR_PAGES - 1) & ~(MAX_ORDER_NR_PAGES - 1);
    if (to > z->end)
        to = z->end;
    /* A signal's handler may look: see fork.c. */
    __atomic_store_n(&z->growing, true, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    done = commit_more(z, to);
    __atomic_store_n(&z->growing, false, __ATOMIC_RELEASE);
    return done;
}

/* Fresh memory that nobody asked for goes to the lists, in the largest blocks that are aligned. */
static void move_frontier(struct zone *z, size_t to)
{
    while (z->frontier < to) {
        size_t frame = z->frontier;
        unsigned order = frame ? (unsigned)__builtin_ctzl(frame) : MAX_PAGE_ORDER;

        if (order > MAX_PAGE_ORDER)
            order = MAX_PAGE_ORDER;
        while (frame + ((size_t)1 << order) > to)
            order--;
        z->frontier += (size_t)1 << order;
        buddy_put_absent(z, frame, order);
    }
}

bool zone_grow(struct zone *z, unsigned order, enum mobility m)
{
    size_t size = (size_t)1 << (order > GROW_ORDER ? order : GROW_ORDER);
    size_t from = (z->frontier + size - 1) & -size;
    size_t inside = from & (MAX_ORDER_NR_PAGES - 1);

    if (inside && pageblock_mobility(from) != m)
        from += MAX_ORDER_NR_PAGES - inside;
    if (from >= z->end || !commit_to(z, from + size))
        return false;
    move_frontier(z, from);
    if ((from & (MAX_ORDER_NR_PAGES - 1)) == 0)
        set_pageblock(z, from, m);
    move_frontier(z, from + size);
    return true;
}
