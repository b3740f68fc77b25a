#include "arena.h"

#include <sched.h>

#include "bins.h"
#include "fastbin.h"
#include "fault.h"
#include "heap.h"
#include "knobs.h"
#include "mmapped.h"

/*
 * Bytes that may lie unmerged in bounded fast bins before somebody merges them: an eighth, or
 * this.
 */
#define PARKED_MIN ((intptr_t)128 << 10)

/*
 * A request of this size merges what is parked before it looks for room. Parked chunks keep the free
 * memory around them in pieces that it may not fit, and then the heap grows, a little with every wave of
 * small and large requests. (The original does so from 1 KiB on, which tears down what small requests
 * want back.)
 */
#define MERGE_FIRST ((size_t)32 << 10)

struct lock ptm_list_lock;
bool ptm_many_arenas;

static size_t arena_count = 1;

void arena_start(void)
{
    bins_start(&ptm_main_arena);
}

static size_t arena_limit(void)
{
    cpu_set_t cpus;

    if (ptm_knobs.arena_max)
        return ptm_knobs.arena_max;
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
        return 64;
    return 8 * (size_t)CPU_COUNT(&cpus);
}

static unsigned attached(const struct arena *a)
{
    return __atomic_load_n(&a->attached, __ATOMIC_RELAXED);
}

static void attach(struct arena *a)
{
    __atomic_add_fetch(&a->attached, 1, __ATOMIC_RELAXED);
}

static struct arena *arena_create(void)
{
    struct arena *a, *last = &ptm_main_arena;

    if (arena_count >= arena_limit())
        return NULL;
    a = heap_new_arena();
    if (!a)
        return NULL;
    while (arena_next(last))
        last = arena_next(last);
    a->index = (unsigned)arena_count++;
    PTM_STORE(ptm_many_arenas, true);
    __atomic_store_n(&last->next, a, __ATOMIC_RELEASE);
    return a;
}

static struct arena *least_attached(void)
{
    struct arena *best = &ptm_main_arena;

    for (struct arena *a = best; a; a = arena_next(a))
        if (attached(a) < attached(best))
            best = a;
    return best;
}

/*
 * An arena for a thread that has none: one without threads, a new one, or the one shared by
 * fewest.
 */
static struct arena *arena_choose(void)
{
    struct arena *a, *created;

    lock_take(&ptm_list_lock);
    a = least_attached();
    if (attached(a) > 0 && (created = arena_create()) != NULL)
        a = created;
    attach(a);
    lock_drop(&ptm_list_lock);
    return a;
}

/* Another arena whose lock is free right now, with it taken; or NULL. */
static struct arena *arena_lock_other(struct arena *mine)
{
    for (struct arena *a = &ptm_main_arena; a; a = arena_next(a))
        if (a != mine && attached(a) && lock_try(&a->lock))
            return a;
    return NULL;
}

struct arena *arena_lock_slow(struct tcache *tc)
{
    struct arena *a = tc->arena, *other;

    if (!a)
        a = tc->arena = arena_choose();
    if (lock_try(&a->lock))
        return a;
    /* A lock held by a thread that shares the arena will be held again: move on. */
    if (attached(a) > 1 && tc->state != TCACHE_DEAD && (other = arena_lock_other(a)) != NULL) {
        attach(other);
        __atomic_sub_fetch(&a->attached, 1, __ATOMIC_RELAXED);
        tc->arena = other;
        return other;
    }
    lock_wait(&a->lock);
    return a;
}

static size_t trim_threshold(const struct arena *a)
{
    size_t threshold = PTM_LOAD(ptm_knobs.trim_threshold);

    return threshold > a->trim_slack ? threshold : a->trim_slack;
}

static void trim_beyond(struct arena *a, size_t threshold)
{
    /* However small: while it stays, what is freed in the heap before it cannot be returned. */
    heap_drop_empty(a, TRIM_LOOK);
    if (top_size(a) >= threshold && heap_shrink(a, ptm_knobs.top_pad))
        a->trimmed = true;
}

void arena_look_for_trim(struct arena *a)
{
    heap_drop_empty(a, TRIM_LOOK);
    if (top_size(a) < trim_threshold(a))
        return;
    fast_consolidate(a, 1);
    trim_beyond(a, trim_threshold(a));
}

void arena_detach(struct arena *a)
{
    lock_take(&ptm_list_lock);
    if (__atomic_sub_fetch(&a->attached, 1, __ATOMIC_RELAXED) == 0) {
        lock_take(&a->lock);
        fast_consolidate(a, 1);
        trim_beyond(a, PTM_LOAD(ptm_knobs.trim_threshold));
        lock_drop(&a->lock);
    }
    lock_drop(&ptm_list_lock);
}

void arena_after_fork(struct arena *mine)
{
    for (struct arena *a = &ptm_main_arena; a; a = arena_next(a)) {
        lock_reset(&a->lock);
        a->attached = a == mine;
        /* A thread that is gone may have counted a run, and not pushed it any more. */
        parked_recount(a);
    }
    lock_reset(&ptm_list_lock);
}

static bool parked_too_much(const struct arena *a)
{
    intptr_t parked = PTM_LOAD(a->parked);

    return parked > PARKED_MIN && parked > (intptr_t)(PTM_LOAD(a->system_bytes) / 8);
}

/* Merges what is bounded, because it is too much. */
static __attribute__((noinline)) void merge_parked(struct arena *a)
{
    fast_consolidate(a, fast_index(ptm_knobs.fastbin_max) + 1);
}

/* The last resort when the thread's own arena cannot grow: whichever can. */
static struct chunk *alloc_elsewhere(struct arena *failed, struct take *t)
{
    struct chunk *c = NULL;

    for (struct arena *a = &ptm_main_arena; a && !c; a = arena_next(a)) {
        if (a == failed)
            continue;
        lock_take(&a->lock);
        c = arena_obtain(a, t);
        lock_drop(&a->lock);
    }
    return c;
}

/* What `a`, whose lock is held and dropped, does not have at hand. */
static __attribute__((noinline)) struct chunk *alloc_more(struct arena *a, struct take *t)
{
    struct chunk *c = NULL;

    if (mmapped_wanted(t->unit)) {
        lock_drop(&a->lock);
        c = mmapped_alloc(t->unit, PTM_ALIGN);
        t->clean = (char *)c;
        if (c)
            return c;
        lock_take(&a->lock);
    }
    c = arena_obtain(a, t);
    lock_drop(&a->lock);
    if (!c)
        c = alloc_elsewhere(a, t);
    if (!c) {
        c = mmapped_alloc(t->unit, PTM_ALIGN);
        t->clean = (char *)c;
    }
    return c;
}

/* A single chunk from a fast bin, or NULL. */
static __attribute__((noinline)) struct chunk *alloc_fast(struct arena *a, size_t size)
{
    struct cell *cell = fast_pop_cell(a, fast_index(size));

    if (!cell)
        return NULL;
    if (PTM_UNLIKELY(chunk_size(chunk_of(cell)) != size))
        fault("malloc(): invalid size of a chunk in a fast bin", cell);
    if (size > ptm_knobs.fastbin_max)
        parked_add(a, -(intptr_t)size);
    cell->key = 0;
    return chunk_of(cell);
}

struct chunk *arena_alloc(struct tcache *tc, struct take *t)
{
    struct arena *a = arena_lock_mine(tc);
    struct chunk *c;

    if (t->unit <= PTM_TCACHE_MAX_CHUNK && (c = alloc_fast(a, t->unit)) != NULL) {
        lock_drop(&a->lock);
        t->clean = NULL;
        return c;
    }
    if (PTM_UNLIKELY(t->unit >= MERGE_FIRST) && fast_any(a))
        fast_consolidate(a, 1);
    else if (PTM_UNLIKELY(parked_too_much(a)))
        merge_parked(a);
    c = arena_take(a, t);
    if (PTM_UNLIKELY(c == NULL))
        return alloc_more(a, t);
    lock_drop(&a->lock);
    return c;
}

/*
 * Merges what is parked, unless the lock is taken: then its holder is at work here and will see to
 * it.
 */
static void unpark(struct arena *a)
{
    if (!lock_try(&a->lock))
        return;
    merge_parked(a);
    trim_beyond(a, trim_threshold(a));
    lock_drop(&a->lock);
}

/* Puts a run into a fast bin; `bounded` if its bytes count towards what may be parked. */
static void park(struct arena *a, unsigned index, struct cell *run, size_t bytes, bool bounded)
{
    if (bounded)
        parked_add(a, (intptr_t)bytes);
    fast_push(a, index, run);
    if (bounded && parked_too_much(a))
        unpark(a);
}

static void merge_locked(struct arena *a, struct chunk *c, size_t size)
{
    lock_take(&a->lock);
    arena_maybe_trim(a, arena_merge(a, c, size));
    lock_drop(&a->lock);
}

/* Puts a single chunk into a fast bin. */
static __attribute__((noinline)) void park_chunk(struct arena *a, struct chunk *c, size_t size)
{
    struct cell *cell = cell_of(c);
    bool fast = size <= ptm_knobs.fastbin_max;

    heap_check_freed(c, size);
    if (PTM_UNLIKELY(chunk_size(chunk_next(c)) >= PTM_LOAD(a->system_bytes)))
        fault("free(): invalid next size", cell);
    cell_link(cell, NULL);
    cell->key = ptm_key;
    run_seal(cell, 1, NULL);
    park(a, fast ? fast_index(size) : 0, cell, size, !fast);
}

void arena_free(struct tcache *tc, struct chunk *c, size_t size)
{
    struct arena *a = arena_of(c);

    if (size > ptm_knobs.fastbin_max && (a == tc->arena || single_threaded() || attached(a) == 0))
        merge_locked(a, c, size);
    else
        park_chunk(a, c, size);
}

void arena_free_run(struct arena *a, size_t size, struct cell *run)
{
    size_t biggest = 0;

    if (ptm_knobs.fastbin_max && attached(a)) {
        park(a, fast_index(size), run, size * run_count(run), size > ptm_knobs.fastbin_max);
        return;
    }
    lock_take(&a->lock);
    for (size_t n = run_count(run); n > 0; n--) {
        struct cell *next = cell_next(run);
        size_t merged;

        cell_check(next, "free(): unaligned link in a thread cache");
        run->key = 0;
        merged = arena_merge(a, chunk_of(run), size);
        if (merged > biggest)
            biggest = merged;
        run = next;
    }
    arena_maybe_trim(a, biggest);
    lock_drop(&a->lock);
}
