#include "space.h"

#include "../os.h"
#include "../page/pool.h"

/* Addresses are cheap: the range is several times as large as the memory that can lie in it. */
enum { RANGE_TIMES_MEMORY = 4 };

/* Stacks, libraries and malloc need mappings, too: of those the system allows a process half are vmalloc's. */
enum { MAPPINGS_SHARE = 2, MAPPINGS_USUAL = 65530 };

struct vmalloc_space vmalloc_space;

size_t space_frames(void)
{
    size_t frames = 0;

    for (struct zone *z = zone_first(); z; z = zone_next(z))
        if (z->shared)
            frames += zone_frames(z);
    return frames;
}

static size_t mappings_max(void)
{
    char text[32];
    unsigned allowed = 0;

    if (kmem_os.read_text("/proc/sys/vm/max_map_count", text, sizeof text) > 0)
        (void)os_read_number(text, &allowed);
    return (allowed ? allowed : MAPPINGS_USUAL) / MAPPINGS_SHARE;
}

/* The whole range is one free area. */
static bool add_range(uintptr_t start, size_t bytes)
{
    struct vmap_area *area = meta_alloc();

    if (!area)
        return false;
    area->start = start;
    area->end = start + bytes;
    area_insert(&vmalloc_space.free, area);
    vmalloc_space.mappings_max = mappings_max();
    vmalloc_space.end = start + bytes;
    __atomic_store_n(&vmalloc_space.start, start, __ATOMIC_RELEASE);
    return true;
}

static bool reserve_range(void)
{
    size_t least = space_frames() << PAGE_SHIFT;

    for (size_t bytes = least * RANGE_TIMES_MEMORY; bytes && bytes >= least; bytes /= 2) {
        /* More than asked for, to have it aligned for huge blocks. */
        char *range = kmem_os.reserve(bytes + MAX_ORDER_BYTES);

        if (!range)
            continue;
        if (add_range(((uintptr_t)range + MAX_ORDER_BYTES - 1) & -MAX_ORDER_BYTES, bytes))
            return true;
        kmem_os.unmap(range, bytes + MAX_ORDER_BYTES);
        return false;
    }
    return false;
}

/* Or behind what is in use. */
static void end_range_at(uintptr_t end)
{
    struct vmalloc_space *v = &vmalloc_space;
    struct vmap_area *last = area_floor(&v->free, v->end - 1);
    size_t behind;

    if (!last || last->end != v->end)
        return;
    if (end < last->start)
        end = last->start;
    if (end >= v->end)
        return;
    behind = v->end - end;
    area_remove(&v->free, last);
    last->end = end;
    __atomic_store_n(&v->end, end, __ATOMIC_RELAXED);
    if (last->start < end)
        area_insert(&v->free, last);
    else
        meta_free(last);
    (void)kmem_os.unmap((void *)end, behind); /* refused: nobody uses them */
}

/*
 * Of HIGHMEM there may be more than its share: what was made readable stays. In the handler of a signal that
 * interrupted who has the lock nothing can be done.
 */
void kmem_vmalloc_limit(size_t limit)
{
    struct vmalloc_space *v = &vmalloc_space;
    size_t memory = space_frames() << PAGE_SHIFT, share = limit / SHARES * HIGH_SHARE;

    if (!__atomic_load_n(&v->start, __ATOMIC_ACQUIRE))
        return;
    if (!lock_try(&v->lock)) {
        if (single_threaded())
            return;
        lock_take(&v->lock);
    }
    end_range_at(v->start + (memory < share ? memory : share) * RANGE_TIMES_MEMORY);
    lock_drop(&v->lock);
}

bool space_start(void)
{
    bool started;

    if (likely(__atomic_load_n(&vmalloc_space.start, __ATOMIC_ACQUIRE)))
        return true;
    if (!page_globals.bytes)
        return false;
    lock_take(&vmalloc_space.lock);
    started = vmalloc_space.start || reserve_range();
    lock_drop(&vmalloc_space.lock);
    return started;
}

/* Cuts [start, end) out of a free area; `rest` becomes the part behind, if there is one. */
static void cut(struct vmap_area *area, uintptr_t start, uintptr_t end, struct vmap_area *taken,
                struct vmap_area *rest)
{
    uintptr_t area_start = area->start, area_end = area->end;

    area_remove(&vmalloc_space.free, area);
    taken->start = start;
    taken->end = end;
    if (area_start < start) {
        area->end = start;
        area_insert(&vmalloc_space.free, area);
    } else {
        meta_free(area);
    }
    if (end < area_end) {
        rest->start = end;
        rest->end = area_end;
        area_insert(&vmalloc_space.free, rest);
    } else {
        meta_free(rest);
    }
}

struct vmap_area *space_take(size_t pages, size_t align)
{
    size_t bytes = (pages + 1) << PAGE_SHIFT;
    struct vmap_area *taken = meta_alloc(), *rest = meta_alloc(), *found = NULL;

    if (taken && rest) {
        lock_take(&vmalloc_space.lock);
        found = area_lowest_fit(&vmalloc_space.free, bytes, align);
        if (found) {
            uintptr_t start = (found->start + align - 1) & -align;

            cut(found, start, start + bytes, taken, rest);
            taken->state = AREA_BUILDING;
            taken->pages = pages;
            area_insert(&vmalloc_space.busy, taken);
        }
        lock_drop(&vmalloc_space.lock);
    }
    if (found)
        return taken;
    if (taken)
        meta_free(taken);
    if (rest)
        meta_free(rest);
    return NULL;
}

void space_give_locked(struct vmap_area *area)
{
    struct vmap_area *before = area_floor(&vmalloc_space.free, area->start);
    struct vmap_area *behind = area_above(&vmalloc_space.free, area->start);

    area->state = AREA_FREE;
    vmalloc_space.mappings -= area->mappings;
    area->mappings = 0;
    if (before && before->end == area->start) {
        area_remove(&vmalloc_space.free, before);
        area->start = before->start;
        meta_free(before);
    }
    if (behind && behind->start == area->end) {
        area_remove(&vmalloc_space.free, behind);
        area->end = behind->end;
        meta_free(behind);
    }
    area_insert(&vmalloc_space.free, area);
}

/*
 * With one thread there is nobody else, and a signal's handler may fork when the system is just about to return. False:
 * not taken.
 */
static bool map_lock_take(void)
{
    if (single_threaded())
        return false;
    lock_take(&vmalloc_space.map_lock);
    return true;
}

static void map_lock_drop(bool taken)
{
    if (taken)
        lock_drop(&vmalloc_space.map_lock);
}

static bool map_run(uintptr_t at, const struct extent *x, int prot)
{
    struct zone *z = frame_zone(x->frame);
    size_t offset = (size_t)(x->frame - z->start) << PAGE_SHIFT;
    bool taken = map_lock_take(), done;

    done = kmem_os.map_memfd((void *)at, (size_t)x->count << PAGE_SHIFT, prot, z->fd, offset,
                             frame_address(x->frame));
    map_lock_drop(taken);
    return done;
}

bool space_map_again(const struct vmap_area *area)
{
    struct extents_walk walk = extents_walk(&area->extents);
    const struct extent *x;
    uintptr_t at = area->start;

    while ((x = extents_step(&walk)) != NULL) {
        if (!map_run(at, x, area->prot))
            return false;
        at += (size_t)x->count << PAGE_SHIFT;
    }
    return true;
}

/* One for each run, and one for the guard page. False: more than there may be. */
static bool count_mappings(struct vmap_area *area)
{
    struct vmalloc_space *v = &vmalloc_space;
    size_t more = area->extents.n + 1;
    bool fits;

    lock_take(&v->lock);
    fits = more <= v->mappings_max - v->mappings;
    if (fits) {
        area->mappings = more;
        v->mappings += more;
    }
    lock_drop(&v->lock);
    return fits;
}

bool space_map(struct vmap_area *area)
{
    return count_mappings(area) && space_map_again(area);
}

bool space_hide(const struct vmap_area *first, const struct vmap_area *last)
{
    bool taken = map_lock_take(), done;

    done = kmem_os.hide((void *)first->start, last->end - first->start);
    map_lock_drop(taken);
    return done;
}

void area_free_frames(struct vmap_area *area)
{
    struct extents_walk walk = extents_walk(&area->extents);
    const struct extent *x;

    while ((x = extents_step(&walk)) != NULL)
        for (size_t frame = x->frame, end = frame + x->count; frame < end;) {
            unsigned order = frame_state(frame) & PAGE_ORDER_MASK;

            __free_pages(frame_to_page(frame), order);
            frame += (size_t)1 << order;
        }
    extents_clear(&area->extents);
}

/* From here on the child of a fork in a signal's handler maps none of its frames: they are about to be others'. */
static void leave(struct vmap_area *area)
{
    lock_take(&vmalloc_space.lock);
    area->state = AREA_LEAVING;
    lock_drop(&vmalloc_space.lock);
}

void space_retire(struct vmap_area *area)
{
    leave(area);
    if (area->mappings && !space_hide(area, area)) {
        lazy_add_stuck(area);
        return;
    }
    area_free_frames(area);
    lock_take(&vmalloc_space.lock);
    area_remove(&vmalloc_space.busy, area);
    space_give_locked(area);
    lock_drop(&vmalloc_space.lock);
}
