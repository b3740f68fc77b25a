#include "tcache.h"

#include "arena.h"
#include "fault.h"
#include "heap.h"
#include "init.h"
#include "knobs.h"

__thread struct tcache ptm_tcache;

/*
 * A run is at most this many bytes and this many chunks, and at least three chunks. Twice as long,
 * runs make random replacement a tenth faster and keep twice the memory in the caches. The bytes
 * are four chunks for requests of 512, so that sizes that are powers of two fill their runs.
 */
#define RUN_BYTES      2112u
#define RUN_CHUNKS     64u
#define RUN_CHUNKS_MIN 3u

static uint8_t
    run_max[PTM_TCACHE_BINS]; /* chunks in a run, at most; fixed once the knobs are read */

static unsigned bin_number(size_t size)
{
    return (unsigned)((size - PTM_MIN_CHUNK) / PTM_ALIGN);
}

void tcache_limits(void)
{
    for (unsigned i = 0; i < PTM_TCACHE_BINS; i++) {
        size_t n = RUN_BYTES / (PTM_MIN_CHUNK + i * PTM_ALIGN);

        n = n < RUN_CHUNKS_MIN ? RUN_CHUNKS_MIN : n > RUN_CHUNKS ? RUN_CHUNKS : n;
        if (ptm_knobs.tcache_count != PTM_TCACHE_AUTO)
            n = (ptm_knobs.tcache_count + 1) / 2;
        run_max[i] = (uint8_t)n;
    }
}

/*
 * Lengthens the runs of a bin: each time it runs empty or full, up to the maximum. So that a size
 * seen a few times ties up a few chunks only. False if they are as long as they may be.
 */
static inline bool lengthen(struct tcache *tc, unsigned i)
{
    unsigned old = tc->capacity[i], new = old ? 2 * old : 2;

    if (old >= run_max[i])
        return false;
    if (new > run_max[i])
        new = run_max[i];
    tc->capacity[i] = (uint8_t) new;
    tc->bins[i].room += new - old;
    return true;
}

static void tcache_configure(struct tcache *tc)
{
    tcache_flush(tc);
    for (unsigned i = 0; i < PTM_TCACHE_BINS; i++) {
        tc->bins[i].room = 0;
        tc->capacity[i] = 0;
    }
    tc->epoch = __atomic_load_n(&ptm_knobs.epoch, __ATOMIC_ACQUIRE);
    /* The fast paths do not fill memory, so that perturbing needs the cache out of the way. */
    tc->state = ptm_knobs.tcache_count && !ptm_knobs.perturb ? TCACHE_ON : TCACHE_OFF;
}

void tcache_set_up(struct tcache *tc)
{
    if (tc->state == TCACHE_STARTING || tc->state == TCACHE_DEAD)
        return;
    if (tc->state == TCACHE_NEW) {
        tc->state = TCACHE_STARTING;
        init_process();
        init_thread(tc);
    }
    tcache_configure(tc);
}

static struct cell *cell_push(struct chunk *c, size_t head, struct cell *rest)
{
    struct cell *cell = cell_of(c);

    chunk_set_head(c, head);
    cell_link(cell, rest);
    cell->key = ptm_key;
    return cell;
}

/*
 * Cuts a chunk into `count` cells of `unit` bytes, linked in address order in front of `rest`. If
 * 16 bytes are left over, the last piece has them and comes first: it is not for the bin, but for
 * the request that is being served.
 */
static struct cell *slice(struct chunk *c, size_t unit, size_t count, struct cell *rest)
{
    size_t head = chunk_head(c), flags = head & CHUNK_A, odd = chunk_size(c) - count * unit;
    size_t first = head & (CHUNK_A | CHUNK_P);
    size_t last = count - 1;

    /* Last to first, so that each link is written once. */
    for (size_t i = odd ? last : count; i-- > 0;)
        rest = cell_push(chunk_at(c, i * unit), unit | (i ? flags | CHUNK_P : first), rest);
    if (odd)
        rest = cell_push(chunk_at(c, last * unit), (unit + odd) | (last ? flags | CHUNK_P : first),
                         rest);
    return rest;
}

/*
 * Gets up to `want` chunks of `size` bytes from the bins and the top, linked; how many in `count`.
 */
static struct cell *gather(struct arena *a, size_t size, size_t want, size_t *count)
{
    struct take t = {.unit = size, .count = want};
    struct chunk *c = arena_obtain(a, &t);
    struct cell *run = NULL;

    for (*count = 0; c; c = arena_take(a, &t)) {
        size_t bytes = chunk_size(c), n = bytes / size;

        run = slice(c, size, n, run);
        *count += n;
        t.count = want - *count;
        if (t.count == 0 || bytes != n * size)
            break;
    }
    return run;
}

/* A run from this thread's arena: one that is parked there, or one cut for the purpose. */
static struct cell *fetch(struct tcache *tc, size_t size, size_t *count)
{
    struct arena *a = arena_lock_mine(tc);
    struct cell *run = fast_pop_run(a, fast_index(size));

    if (run) {
        *count = run_count(run);
        if (size > ptm_knobs.fastbin_max)
            parked_add(a, -(intptr_t)(*count * size));
        if (PTM_UNLIKELY(chunk_size(chunk_of(run)) != size))
            fault("malloc(): invalid size of a chunk in a fast bin", run);
    } else {
        run = gather(a, size, tc->capacity[bin_number(size)], count);
    }
    lock_drop(&a->lock);
    return run;
}

void *tcache_refill(struct tcache *tc, size_t size)
{
    struct tcache_bin *bin = tcache_bin(size);
    unsigned i = bin_number(size);
    struct cell *run = tc->spare[i];
    size_t count;

    if (run) {
        tc->spare[i] = NULL;
        count = run_count(run);
    } else {
        lengthen(tc, i);
        run = fetch(tc, size, &count);
        if (!run)
            return NULL;
    }
    bin->head = cell_next(run);
    cell_check(bin->head, "malloc(): unaligned link in a thread cache");
    /* The run may come from a thread that uses this size more. */
    if (count > tc->capacity[i])
        tc->capacity[i] = (uint8_t)count;
    bin->room = (uint32_t)(tc->capacity[i] - (count - 1));
    run->key = 0;
    return run;
}

/* True if all chunks of a run belong to the arena of its first one. */
static bool one_owner(struct cell *run, struct arena **owner)
{
    struct chunk *first = chunk_of(run);
    uintptr_t heap = (uintptr_t)first & ~PTM_HEAP_MASK;
    bool mapped = chunk_head(first) & CHUNK_A;
    struct cell *cell = run;

    *owner = arena_of(first);
    for (size_t n = run_count(run); n > 0; n--) {
        struct chunk *c = chunk_of(cell);

        cell_check(cell, "free(): unaligned link in a thread cache");
        if (!!(chunk_head(c) & CHUNK_A) != mapped ||
            (mapped && ((uintptr_t)c & ~PTM_HEAP_MASK) != heap && arena_of(c) != *owner))
            return false;
        cell = cell_next(cell);
    }
    return true;
}

/*
 * Gives back the chunks of `run` that belong to its first one's arena; the others as a run, or
 * NULL.
 */
static struct cell *give_first_owner(size_t size, struct cell *run)
{
    struct arena *owner = arena_of(chunk_of(run));
    struct cell *own = NULL, *others = NULL;
    size_t own_count = 0, other_count = 0;

    for (size_t n = run_count(run); n > 0; n--) {
        struct cell *next = cell_next(run);

        cell_check(next, "free(): unaligned link in a thread cache");
        if (arena_of(chunk_of(run)) == owner) {
            cell_link(run, own);
            own = run;
            own_count++;
        } else {
            cell_link(run, others);
            others = run;
            other_count++;
        }
        run = next;
    }
    run_seal(own, own_count, NULL);
    arena_free_run(owner, size, own);
    if (others)
        run_seal(others, other_count, NULL);
    return others;
}

static void give_back(size_t size, struct cell *run)
{
    struct arena *owner = &ptm_main_arena;

    while (run) {
        if (!PTM_LOAD(ptm_many_arenas) || one_owner(run, &owner)) {
            arena_free_run(owner, size, run);
            return;
        }
        run = give_first_owner(size, run);
    }
}

void tcache_overflow(struct tcache *tc, size_t size, struct cell *cell)
{
    struct tcache_bin *bin = tcache_bin(size);
    unsigned i = bin_number(size);

    if (bin->room == 0 && !lengthen(tc, i)) {
        struct cell *old = tc->spare[i];

        run_seal(bin->head, tc->capacity[i], NULL);
        tc->spare[i] = bin->head;
        bin->head = NULL;
        bin->room = tc->capacity[i];
        if (old)
            give_back(size, old);
    }
    cell_link(cell, bin->head);
    cell->key = ptm_key;
    bin->head = cell;
    bin->room--;
}

bool is_cached(struct tcache *tc, struct chunk *c, size_t size)
{
    struct arena *a = arena_of(c);
    struct cell *cell = cell_of(c);
    bool found = false;

    if (size <= PTM_TCACHE_MAX_CHUNK) {
        unsigned i = bin_number(size);

        for (struct cell *x = tc->bins[i].head; x && !found; x = cell_next(x)) {
            cell_check(x, "free(): unaligned link in a thread cache");
            found = x == cell;
        }
        for (struct cell *x = tc->spare[i]; x && !found; x = cell_next(x)) {
            cell_check(x, "free(): unaligned link in a thread cache");
            found = x == cell;
        }
    }
    if (found)
        return true;
    lock_take(&a->lock);
    if (size <= PTM_TCACHE_MAX_CHUNK)
        found = fast_contains(a, fast_index(size), cell);
    found = found || fast_contains(a, 0, cell);
    lock_drop(&a->lock);
    return found;
}

void tcache_flush(struct tcache *tc)
{
    for (unsigned i = 0; i < PTM_TCACHE_BINS; i++) {
        size_t size = PTM_MIN_CHUNK + i * PTM_ALIGN;
        struct cell *head = tc->bins[i].head, *spare = tc->spare[i];
        size_t count = 0;

        for (struct cell *c = head; c; c = cell_next(c), count++)
            cell_check(c, "free(): unaligned link in a thread cache");
        tc->bins[i].head = NULL;
        tc->bins[i].room = tc->capacity[i];
        tc->spare[i] = NULL;
        if (head) {
            run_seal(head, count, NULL);
            give_back(size, head);
        }
        if (spare)
            give_back(size, spare);
    }
}

/*
 * What the key holds is not looked at: a second C library in the process (dlmopen) numbers its keys like the first,
 * in the same place of the thread, so that it may be the cache of another copy of us; perhaps after our own.
 */
void tcache_end(void *unused)
{
    struct tcache *tc = &ptm_tcache;

    (void)unused;
    if (tc->state == TCACHE_DEAD)
        return;
    tc->state = TCACHE_DEAD;
    tcache_flush(tc);
    for (unsigned i = 0; i < PTM_TCACHE_BINS; i++)
        tc->bins[i].room = 0;
    if (tc->arena)
        arena_detach(tc->arena);
}
