/*
 * The invariants, one function each. A broken one is reported and counted, not fatal: a test wants
 * to see all of them.
 */
#include <unistd.h>

#include "arena.h"
#include "bins.h"
#include "fastbin.h"
#include "heap.h"
#include "init.h"
#include "knobs.h"
#include "out.h"
#include "ptmalloc.h"
#include "tcache.h"

struct check {
    struct arena *arena;
    size_t broken;
    size_t free_chunks, free_bytes; /* met on the walk, top excluded */
    size_t bin_chunks, bin_bytes;   /* found in bins */
    size_t bytes;                   /* accounted for */
    intptr_t parked;
};

static void broken(struct check *k, const char *what, const void *where)
{
    struct out o = out_to_fd(STDERR_FILENO);

    out_put(&o, "ptmalloc check: arena %u: %s: '%p'\n", (size_t)k->arena->index, what, where);
    out_flush(&o);
    k->broken++;
}

#define EXPECT(k, truth, what, where) \
    do {                              \
        if (!(truth))                 \
            broken(k, what, where);   \
    } while (0)

/* True if `c` may be followed; what it says about itself and about the chunk before is checked. */
static bool check_chunk(struct check *k, struct heap *h, struct chunk *c, bool before_free,
                        size_t before)
{
    size_t size = chunk_size(c);
    char *end = (char *)c + size;

    if (size < PTM_CHUNK_HEADER || size % PTM_ALIGN || end > h->end || end < (char *)c) {
        broken(k, "size leads out of the heap", c);
        return false;
    }
    EXPECT(k, is_aligned(c), "unaligned chunk", c);
    EXPECT(k, chunk_prev_in_use(c) != before_free, "P does not match the chunk before", c);
    EXPECT(k, !before_free || c->prev_size == before, "prev_size does not match the chunk before",
           c);
    EXPECT(k, !!(chunk_head(c) & CHUNK_A) == h->mapped, "A does not match the heap", c);
    EXPECT(k, !chunk_mmapped(c), "M set in a heap", c);
    return true;
}

static void check_heap(struct check *k, struct heap *h)
{
    struct chunk *c = (struct chunk *)h->first;
    bool before_free = false, newest = h == k->arena->heap;
    size_t before = 0;

    EXPECT(k, h->arena == k->arena, "heap of another arena", h);
    EXPECT(k, h->seal == heap_seal(h), "heap with a broken seal", h);
    EXPECT(k, h->clean >= h->first && h->end <= h->committed, "bounds of the heap", h);
    for (;;) {
        bool last, is_free;

        if (!check_chunk(k, h, c, before_free, before))
            return;
        last = (char *)c + chunk_size(c) == h->end;
        if (last)
            break;
        is_free = !chunk_in_use(c);
        EXPECT(k, !(is_free && before_free), "two free chunks side by side", c);
        EXPECT(k, !newest || c != k->arena->top, "top is not the last chunk", c);
        if (is_free) {
            k->free_chunks++;
            k->free_bytes += chunk_size(c);
        }
        before = chunk_size(c);
        before_free = is_free;
        c = chunk_next(c);
    }
    if (newest)
        EXPECT(k, c == k->arena->top && chunk_prev_in_use(c), "the last chunk is not top", c);
    else
        EXPECT(k, chunk_size(c) == PTM_CHUNK_HEADER, "a closed heap without a fence", c);
    k->bytes += (size_t)(h->end - (char *)h);
}

/* True if `c` lies in one of the arena's heaps. */
static bool in_arena(const struct arena *a, const struct chunk *c)
{
    for (const struct heap *h = a->heap; h; h = h->older)
        if ((const char *)c >= h->first && (const char *)c < h->end)
            return true;
    return false;
}

static void check_skip_list(struct check *k, struct chunk *head, struct chunk *c)
{
    bool leads = c->bk == head || chunk_size(c->bk) != chunk_size(c);

    EXPECT(k, leads == (c->fd_nextsize != NULL), "first of its size, and not in the skip list", c);
    if (!leads || !c->fd_nextsize)
        return;
    EXPECT(k, c->fd_nextsize->bk_nextsize == c && c->bk_nextsize->fd_nextsize == c,
           "skip list does not lead back", c);
    EXPECT(k, c->fd_nextsize == head->fd || chunk_size(c->fd_nextsize) < chunk_size(c),
           "skip list is not sorted", c);
}

static void check_bin(struct check *k, unsigned i)
{
    struct chunk *head = bin_head(k->arena, i);
    size_t before = SIZE_MAX;

    EXPECT(k, head->fd == head || i == PTM_UNSORTED || binmap_find(k->arena, i) == i,
           "a bin that the bit map does not show", head);
    for (struct chunk *c = head->fd; c != head; c = c->fd) {
        size_t size = chunk_size(c);

        if (!in_arena(k->arena, c)) {
            broken(k, "a bin leads out of the arena", c);
            return;
        }
        EXPECT(k, c->fd->bk == c && c->bk->fd == c, "a bin's list does not lead back", c);
        EXPECT(k, !chunk_in_use(c), "a chunk in use lies in a bin", c);
        EXPECT(k, i == PTM_UNSORTED || bin_index(size) == i, "a chunk lies in the wrong bin", c);
        if (i > PTM_UNSORTED && !is_small(size)) {
            EXPECT(k, size <= before, "a large bin is not sorted", c);
            check_skip_list(k, head, c);
        }
        before = size;
        k->bin_chunks++;
        k->bin_bytes += size;
    }
}

static void check_cell(struct check *k, struct cell *cell, unsigned index)
{
    struct chunk *c = chunk_of(cell);

    EXPECT(k, in_arena(k->arena, c), "a fast bin leads out of the arena", c);
    EXPECT(k, chunk_in_use(c), "a chunk in a fast bin is free to its neighbours", c);
    EXPECT(k, cell->key == ptm_key, "a chunk in a fast bin without the key", c);
    EXPECT(k, index == 0 || fast_index(chunk_size(c)) == index,
           "a chunk lies in the wrong fast bin", c);
    if (index == 0 || chunk_size(c) > ptm_knobs.fastbin_max)
        k->parked += (intptr_t)chunk_size(c);
}

static void check_fast_bin(struct check *k, unsigned index)
{
    struct cell *run = (struct cell *)__atomic_load_n(&k->arena->fast[index], __ATOMIC_ACQUIRE);

    for (; run; run = run_next(run)) {
        struct cell *cell = run;
        size_t n = run_count(run);

        EXPECT(k, n > 0, "an empty run in a fast bin", run);
        EXPECT(k, !single_threaded() || fast_any(k->arena),
               "a fast bin of which the arena knows nothing", run);
        for (; n > 0; n--) {
            if (!is_aligned(cell) || !in_arena(k->arena, chunk_of(cell))) {
                broken(k, "a run leads out of the arena", cell);
                return;
            }
            check_cell(k, cell, index);
            cell = cell_next(cell);
        }
    }
}

static size_t check_arena(struct arena *a)
{
    struct check k = {.arena = a};

    lock_take(&a->lock);
    for (struct heap *h = a->heap; h; h = h->older)
        check_heap(&k, h);
    for (unsigned i = 1; i < PTM_BINS; i++)
        check_bin(&k, i);
    for (unsigned i = 0; i < PTM_FAST_BINS; i++)
        check_fast_bin(&k, i);
    EXPECT(&k, k.free_chunks == k.bin_chunks && k.free_bytes == k.bin_bytes,
           "free chunks that are in no bin, or in two", a);
    EXPECT(&k, k.bytes == a->system_bytes, "bytes from the system that are in no heap", a);
    /* Others may be parking right now; alone, the count must be exact. */
    EXPECT(&k, !single_threaded() || k.parked == a->parked, "count of parked bytes", a);
    lock_drop(&a->lock);
    return k.broken;
}

static size_t check_tcache(struct tcache *tc)
{
    struct check k = {.arena = &ptm_main_arena};

    for (unsigned i = 0; i < PTM_TCACHE_BINS; i++) {
        size_t size = PTM_MIN_CHUNK + i * PTM_ALIGN, count = 0;

        for (struct cell *c = tc->bins[i].head; c; c = cell_next(c), count++) {
            if (!is_aligned(c)) {
                broken(&k, "unaligned link in a thread cache", c);
                break;
            }
            EXPECT(&k, chunk_size(chunk_of(c)) == size, "wrong size in a thread cache", c);
            EXPECT(&k, chunk_in_use(chunk_of(c)), "a cached chunk is free to its neighbours", c);
        }
        EXPECT(&k, count + tc->bins[i].room == tc->capacity[i], "room in a thread cache",
               &tc->bins[i]);
    }
    return k.broken;
}

size_t ptm_check(void)
{
    bool usable;
    struct tcache *tc = tcache_mine(&usable);
    size_t sum = usable ? check_tcache(tc) : 0;

    for (struct arena *a = &ptm_main_arena; a; a = arena_next(a))
        sum += check_arena(a);
    return sum;
}
