#include "take.h"

#include "bins.h"
#include "fastbin.h"
#include "fault.h"
#include "heap.h"

/*
 * How many chunks of the unsorted bin one call sorts at most. The rest keeps for the next call, so
 * that no malloc pays for a great many frees (the original allows 10,000).
 */
#define UNSORTED_SCAN_MAX 200

/* How many units to cut from a chunk of `size` bytes, of which `spare` must remain. */
static size_t units_in(const struct take *t, size_t size, size_t spare)
{
    size_t n = (size - spare) / t->unit;

    return n < t->count ? n : t->count;
}

/*
 * Leaves `used` of a chunk's `size` bytes in use and puts the rest, a chunk, into the unsorted
 * bin.
 */
static void cut_remainder(struct arena *a, struct chunk *c, size_t size, size_t used, bool small)
{
    struct chunk *tail = chunk_at(c, used);
    size_t rest = size - used, head = chunk_head(c);

    chunk_set_head(tail, rest | CHUNK_P | (head & CHUNK_A));
    chunk_set_foot(tail, rest);
    chunk_set_head(c, used | (head & CHUNK_FLAGS));
    unsorted_insert(a, tail, rest);
    if (small)
        a->last_remainder = tail;
}

/* Marks a chunk that lies in no bin as in use, cutting off what is not wanted. */
static struct chunk *use(struct arena *a, struct chunk *c, size_t size, const struct take *t)
{
    size_t used = t->count == 1 ? t->unit : units_in(t, size, 0) * t->unit;

    if (size - used < PTM_MIN_CHUNK)
        chunk_mark_prev_in_use(chunk_at(c, size));
    else
        cut_remainder(a, c, size, used, is_small(t->unit));
    return c;
}

static struct chunk *take_small(struct arena *a, const struct take *t)
{
    unsigned index = bin_index(t->unit);
    struct chunk *head = bin_head(a, index), *c = head->bk;

    if (c == head)
        return NULL;
    bin_unlink(c);
    chunk_mark_prev_in_use(chunk_at(c, t->unit));
    return c;
}

static inline void check_unsorted(struct arena *a, const struct chunk *c, size_t size,
                                  const struct chunk *head)
{
    const struct chunk *next = chunk_at(c, size);

    if (PTM_UNLIKELY(size < PTM_MIN_CHUNK || size > a->system_bytes))
        fault("malloc(): invalid size in the unsorted bin", (const char *)c + PTM_CHUNK_HEADER);
    if (PTM_UNLIKELY(next->prev_size != size))
        fault("malloc(): mismatching next->prev_size in the unsorted bin",
              (const char *)c + PTM_CHUNK_HEADER);
    /* It is the last of the list, as those behind it are gone by now. */
    if (PTM_UNLIKELY(c->bk->fd != c || c->fd != head))
        fault("malloc(): unsorted double linked list corrupted",
              (const char *)c + PTM_CHUNK_HEADER);
    if (PTM_UNLIKELY(chunk_prev_in_use(next)))
        fault("malloc(): invalid next->prev_inuse in the unsorted bin",
              (const char *)c + PTM_CHUNK_HEADER);
}

/*
 * Runs of small requests are cut from the remainder of the last one, while nothing else is
 * unsorted, so that what is allocated together lies together.
 */
static struct chunk *take_last_remainder(struct arena *a, struct chunk *head, const struct take *t)
{
    struct chunk *c = head->bk;
    size_t size;

    if (!is_small(t->unit) || c != a->last_remainder || c == head || c->bk != head)
        return NULL;
    size = chunk_size(c);
    check_unsorted(a, c, size, head);
    if (size < t->unit + PTM_MIN_CHUNK)
        return NULL;
    bin_unlink(c);
    cut_remainder(a, c, size, units_in(t, size, PTM_MIN_CHUNK) * t->unit, true);
    return c;
}

/* Sorts the unsorted bin into the others, oldest first, and stops at a chunk that fits exactly. */
static struct chunk *take_unsorted(struct arena *a, const struct take *t)
{
    struct chunk *head = bin_head(a, PTM_UNSORTED), *c = take_last_remainder(a, head, t);

    if (c)
        return c;
    c = head->bk;
    for (int left = UNSORTED_SCAN_MAX; c != head && left > 0; left--) {
        size_t size = chunk_size(c);
        struct chunk *before = c->bk;

        check_unsorted(a, c, size, head);
        head->bk = before;
        before->fd = head;
        if (size == t->unit) {
            chunk_mark_prev_in_use(chunk_at(c, size));
            return c;
        }
        bin_insert(a, c, size);
        c = before;
    }
    return NULL;
}

/* The smallest chunk of the bins above `index`, every one of which fits, or NULL. */
static inline struct chunk *smallest_above(struct arena *a, unsigned index, size_t size)
{
    while ((index = binmap_find(a, index + 1)) < PTM_BINS) {
        struct chunk *head = bin_head(a, index), *c = head->bk;

        if (c == head) {
            binmap_clear(a, index);
            continue;
        }
        if (PTM_UNLIKELY(chunk_size(c) < size))
            fault("malloc(): invalid size in a bin", chunk_memory(c));
        return c;
    }
    return NULL;
}

/* Best fit over the sorted bins. */
static struct chunk *take_sorted(struct arena *a, const struct take *t)
{
    size_t unit = t->unit;
    unsigned index = bin_index(unit);
    struct chunk *c = is_small(unit) ? NULL : large_best_fit(a, index, unit);

    if (!c)
        c = smallest_above(a, index, unit);
    if (!c)
        return NULL;
    bin_unlink(c);
    return use(a, c, chunk_size(c), t);
}

static struct chunk *take_top(struct arena *a, struct take *t)
{
    struct chunk *c = a->top, *rest;
    size_t size = top_size(a), used;

    if (size < t->unit + PTM_MIN_CHUNK)
        return NULL;
    if (PTM_UNLIKELY((char *)c + size != a->heap->end))
        fault("malloc(): corrupted top size", chunk_memory(c));
    used = t->count == 1 ? t->unit : units_in(t, size, PTM_MIN_CHUNK) * t->unit;
    rest = chunk_at(c, used);
    chunk_set_head(rest, (size - used) | CHUNK_P | (chunk_head(c) & CHUNK_A));
    chunk_set_size(c, used);
    a->top = rest;
    t->clean = a->heap->clean;
    heap_dirty(a, chunk_memory(rest));
    return c;
}

struct chunk *arena_take(struct arena *a, struct take *t)
{
    struct chunk *c = NULL;

    t->clean = NULL;
    if (is_small(t->unit))
        c = take_small(a, t);
    if (!c)
        c = take_unsorted(a, t);
    if (!c)
        c = take_sorted(a, t);
    if (!c)
        c = take_top(a, t);
    return c;
}

struct chunk *arena_obtain(struct arena *a, struct take *t)
{
    struct chunk *c = arena_take(a, t);

    if (c)
        return c;
    /* Memory that is only parked comes before memory from the system. */
    if (fast_any(a) && fast_consolidate(a, 1))
        c = arena_take(a, t);
    if (!c && heap_grow(a, t->unit + PTM_MIN_CHUNK))
        c = arena_take(a, t);
    return c;
}

void chunk_cut(struct arena *a, struct chunk *c, size_t size)
{
    size_t rest = chunk_size(c) - size;
    struct chunk *tail = chunk_at(c, size);

    if (rest < PTM_MIN_CHUNK)
        return;
    chunk_set_head(tail, rest | CHUNK_P | (chunk_head(c) & CHUNK_A));
    chunk_set_size(c, size);
    arena_merge(a, tail, rest);
}
