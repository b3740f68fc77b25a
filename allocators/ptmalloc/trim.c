#include "ptmalloc.h"

#include "arena.h"
#include "bins.h"
#include "fastbin.h"
#include "heap.h"
#include "mmapped.h"
#include "os.h"
#include "tcache.h"

/* Returns the whole pages of a free chunk that hold none of its links. */
static bool purge_inside(struct chunk *c)
{
    uintptr_t start = page_up((uintptr_t)c + sizeof *c);
    uintptr_t end = page_down((uintptr_t)c + chunk_size(c));

    return start < end && ptm_os.purge((void *)start, end - start);
}

static bool trim_arena(struct arena *a, size_t pad)
{
    bool returned = false;

    fast_consolidate(a, 1);
    for (unsigned i = 1; i < PTM_BINS; i++) {
        struct chunk *head = bin_head(a, i);

        for (struct chunk *c = head->fd; c != head; c = c->fd)
            returned |= purge_inside(c);
    }
    return heap_shrink(a, pad) || returned;
}

int ptm_malloc_trim(size_t pad)
{
    bool returned = false, usable;
    struct tcache *tc = tcache_mine(&usable);

    if (usable)
        tcache_flush(tc);
    mmapped_forget();
    for (struct arena *a = &ptm_main_arena; a; a = arena_next(a)) {
        lock_take(&a->lock);
        returned |= trim_arena(a, pad);
        lock_drop(&a->lock);
    }
    return returned;
}
