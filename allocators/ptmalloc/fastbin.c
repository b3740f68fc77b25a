#include "fastbin.h"

#include "bins.h"
#include "fault.h"
#include "knobs.h"

uintptr_t ptm_key = 1;

void cell_check(const struct cell *cell, const char *what)
{
    if (PTM_UNLIKELY(!is_aligned(cell)))
        fault(what, cell);
}

void fast_push(struct arena *a, unsigned index, struct cell *run)
{
    uintptr_t *stack = &a->fast[index];
    size_t count = run_count(run);
    uintptr_t old = __atomic_load_n(stack, __ATOMIC_RELAXED);

    if (single_threaded()) {
        run_seal(run, count, (struct cell *)old);
        __atomic_store_n(stack, (uintptr_t)run, __ATOMIC_RELAXED);
    } else {
        do
            run_seal(run, count, (struct cell *)old);
        while (!__atomic_compare_exchange_n(stack, &old, (uintptr_t)run, true, __ATOMIC_SEQ_CST,
                                            __ATOMIC_RELAXED));
    }
    /* Pushed, then looked; fast_consolidate() resets, then empties the bins. All four in one order, so
     * that one of the two sees what the other did (Dekker). Written only where it changes. */
    if (!__atomic_load_n(&a->fast_any, __ATOMIC_SEQ_CST))
        PTM_STORE(a->fast_any, true);
}

/*
 * Replaces the newest run, which is `top`, by `with`. Others may have pushed meanwhile, so `top`
 * may no longer be the head; it cannot have left the stack, because only the lock's holder pops.
 */
static bool fast_replace(uintptr_t *stack, struct cell *top, struct cell *with)
{
    uintptr_t expected = (uintptr_t)top;

    if (single_threaded()) {
        __atomic_store_n(stack, (uintptr_t)with, __ATOMIC_RELAXED);
        return true;
    }
    return __atomic_compare_exchange_n(stack, &expected, (uintptr_t)with, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

struct cell *fast_pop_run(struct arena *a, unsigned index)
{
    struct cell *run, *next;

    do {
        run = (struct cell *)__atomic_load_n(&a->fast[index], __ATOMIC_ACQUIRE);
        if (!run)
            return NULL;
        next = run_next(run);
        cell_check(next, "malloc(): unaligned link in a fast bin");
    } while (!fast_replace(&a->fast[index], run, next));
    return run;
}

struct cell *fast_pop_cell(struct arena *a, unsigned index)
{
    struct cell *run = fast_pop_run(a, index);

    if (run && run_count(run) > 1) {
        struct cell *rest = cell_next(run);

        cell_check(rest, "malloc(): unaligned link in a fast bin");
        run_seal(rest, run_count(run) - 1, NULL);
        fast_push(a, index, rest);
    }
    return run;
}

struct cell *fast_take_all(struct arena *a, unsigned index)
{
    if (__atomic_load_n(&a->fast[index], __ATOMIC_RELAXED) == 0)
        return NULL;
    return (struct cell *)__atomic_exchange_n(&a->fast[index], 0, __ATOMIC_ACQUIRE);
}

bool fast_contains(struct arena *a, unsigned index, const struct cell *cell)
{
    struct cell *run = (struct cell *)__atomic_load_n(&a->fast[index], __ATOMIC_ACQUIRE);

    for (; run; run = run_next(run)) {
        cell_check(run, "free(): unaligned link in a fast bin");
        struct cell *c = run;

        for (size_t n = run_count(run); n > 0 && c; n--, c = cell_next(c)) {
            cell_check(c, "free(): unaligned link in a fast bin");
            if (c == cell)
                return true;
        }
    }
    return false;
}

size_t fast_count(struct arena *a, unsigned index)
{
    struct cell *run = (struct cell *)__atomic_load_n(&a->fast[index], __ATOMIC_ACQUIRE);
    size_t count = 0;

    for (; run; run = run_next(run)) {
        cell_check(run, "unaligned link in a fast bin");
        count += run_count(run);
    }
    return count;
}

void parked_add(struct arena *a, intptr_t bytes)
{
    if (single_threaded())
        a->parked += bytes;
    else
        __atomic_add_fetch(&a->parked, bytes, __ATOMIC_RELAXED);
}

/* Are the bytes in this fast bin counted? */
static bool is_bounded(unsigned index)
{
    return index == 0 || index > fast_index(ptm_knobs.fastbin_max);
}

void parked_recount(struct arena *a)
{
    size_t bytes = 0;

    for (unsigned i = 0; i < PTM_FAST_BINS; i++) {
        if (!is_bounded(i))
            continue;
        for (struct cell *run = (struct cell *)a->fast[i]; run; run = run_next(run)) {
            cell_check(run, "fork: unaligned link in a fast bin");
            bytes += run_count(run) * chunk_size(chunk_of(run));
        }
    }
    a->parked = (intptr_t)bytes;
    a->fast_any = true; /* who pushed the last run may have been cut off before saying so */
}

static void merge_run(struct arena *a, unsigned index, struct cell *run)
{
    size_t bytes = 0;

    for (size_t n = run_count(run); n > 0; n--) {
        struct chunk *c = chunk_of(run);
        struct cell *next = cell_next(run);
        size_t size = chunk_size(c);

        cell_check(next, "consolidate: unaligned link in a fast bin");
        if (PTM_UNLIKELY(index && fast_index(size) != index))
            fault("consolidate: invalid size of a chunk in a fast bin", run);
        run->key = 0;
        bytes += size;
        arena_merge(a, c, size);
        run = next;
    }
    if (is_bounded(index))
        parked_add(a, -(intptr_t)bytes);
}

bool fast_consolidate(struct arena *a, unsigned from)
{
    bool any = false;

    if (from <= 1) /* an exchange, so that no load of a bin passes it: see fast_push() */
        (void)__atomic_exchange_n(&a->fast_any, false, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < PTM_FAST_BINS; i++) {
        struct cell *run;

        if (i > 0 && i < from)
            continue;
        run = fast_take_all(a, i);
        any |= run != NULL;
        while (run) {
            struct cell *next = run_next(run);

            cell_check(next, "consolidate: unaligned link in a fast bin");
            merge_run(a, i, run);
            run = next;
        }
    }
    return any;
}
