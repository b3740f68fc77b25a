#include "kept.h"

#include <stdint.h>
#include <string.h>

#include "../os.h"
#include "../types.h"
#include "lock.h"

/* So many regions are looked at, and tried again, at most: the list may become long. */
enum { LOOKED_AT = 32 };

/* Lies at the start of the region, the rest of which was never touched since it reads as zero. */
struct region {
    struct region *next;
    size_t bytes;
};

static struct lock regions_lock;
static struct region *regions; /* whether there are any is looked at without the lock */

static bool has_regions(void)
{
    return __atomic_load_n(&regions, __ATOMIC_RELAXED) != NULL;
}

static void set_link(struct region **at, struct region *r)
{
    __atomic_store_n(at, r, __ATOMIC_RELAXED);
}

/* Joined with neighbours that were kept of late, lest regions only ever become smaller. Under the lock. */
static void keep(char *start, size_t bytes)
{
    struct region **at = &regions, *r;

    for (int looked = 0; (r = *at) != NULL && looked < LOOKED_AT; looked++) {
        bool in_front = (char *)r + r->bytes == start;

        if (!in_front && start + bytes != (char *)r) {
            at = &r->next;
            continue;
        }
        set_link(at, r->next);
        bytes += r->bytes;
        start = in_front ? (char *)r : start;
        memset(r, 0, sizeof *r);
    }
    r = (struct region *)start;
    *r = (struct region){regions, bytes};
    set_link(&regions, r);
}

/* Whoever unmaps something tries for what others could not: there may be room for it now. */
static void try_again(void)
{
    struct region *r;

    for (int tried = 0; has_regions() && tried < LOOKED_AT; tried++) {
        lock_take(&regions_lock);
        r = regions;
        if (r)
            set_link(&regions, r->next);
        lock_drop(&regions_lock);
        if (!r || kmem_os.unmap(r, r->bytes))
            continue;
        lock_take(&regions_lock);
        keep((char *)r, r->bytes);
        lock_drop(&regions_lock);
        return;
    }
}

void unmap_or_keep(void *start, size_t bytes)
{
    if (kmem_os.unmap(start, bytes)) {
        try_again();
        return;
    }
    if (!kmem_os.purge(start, bytes, false))
        memset(start, 0, bytes); /* as of memory that is locked */
    lock_take(&regions_lock);
    keep(start, bytes);
    lock_drop(&regions_lock);
}

static size_t bytes_in_front(const void *start, size_t align)
{
    return -(uintptr_t)start & (align - 1);
}

/* What is in front and behind stays. */
static void *cut(struct region **at, size_t bytes, size_t align)
{
    struct region *r = *at;
    size_t head = bytes_in_front(r, align), behind = r->bytes - head - bytes;
    char *start = (char *)r + head;

    set_link(at, r->next);
    memset(r, 0, sizeof *r);
    if (head)
        keep((char *)r, head);
    if (behind)
        keep(start + bytes, behind);
    return start;
}

void *take_kept(size_t bytes, size_t align)
{
    struct region **at = &regions;
    void *start = NULL;

    if (!has_regions())
        return NULL;
    lock_take(&regions_lock);
    for (int looked = 0; *at && !start && looked < LOOKED_AT; looked++)
        if ((*at)->bytes < bytes + bytes_in_front(*at, align))
            at = &(*at)->next;
        else
            start = cut(at, bytes, align);
    lock_drop(&regions_lock);
    return start;
}

void kept_before_fork(void)
{
    lock_take(&regions_lock);
}

void kept_after_fork_parent(void)
{
    lock_drop(&regions_lock);
}

void kept_after_fork_child(void)
{
    lock_reset(&regions_lock);
}
