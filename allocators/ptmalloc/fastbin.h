/*
 * Fast bins: lock-free stacks of runs. The structure is described in types.h.
 */
#ifndef PTM_FASTBIN_H
#define PTM_FASTBIN_H

#include "chunk.h"

#define RUN_COUNT_SHIFT 48
#define RUN_LINK_MASK   (((uintptr_t)1 << RUN_COUNT_SHIFT) - 1)

/* Random for each process; never zero. Marks cached cells. */
extern uintptr_t ptm_key;

static inline struct cell *cell_of(struct chunk *c)
{
    return chunk_memory(c);
}

static inline struct cell *cell_next(const struct cell *cell)
{
    return unmangle(cell, cell->next);
}

static inline void cell_link(struct cell *cell, const struct cell *next)
{
    cell->next = mangle(cell, next);
}

static inline size_t run_count(const struct cell *run)
{
    return run->run >> RUN_COUNT_SHIFT;
}

static inline struct cell *run_next(const struct cell *run)
{
    return unmangle(run, run->run & RUN_LINK_MASK);
}

/* Makes `first` the head of a run of `count` chunks, with `next` below it. */
static inline void run_seal(struct cell *first, size_t count, const struct cell *next)
{
    first->run = mangle(first, next) | (uintptr_t)count << RUN_COUNT_SHIFT;
}

static inline unsigned fast_index(size_t size)
{
    return (unsigned)(size / PTM_ALIGN);
}

/* Aborts unless `cell` can be one: what an overwritten link is noticed by. */
void cell_check(const struct cell *cell, const char *what);

/*
 * Pushes a sealed run onto a fast bin. Needs no lock; safe from any thread.
 */
void fast_push(struct arena *a, unsigned index, struct cell *run);

/* May there be anything in the fast bins? A hint: a run that is just being pushed may be missed. */
static inline bool fast_any(const struct arena *a)
{
    return PTM_LOAD(a->fast_any);
}

/* Takes the newest run of a fast bin, or NULL. Needs the arena's lock. */
struct cell *fast_pop_run(struct arena *a, unsigned index);

/* Takes one chunk from a fast bin, or NULL. Needs the arena's lock. */
struct cell *fast_pop_cell(struct arena *a, unsigned index);

/* Takes a whole fast bin, or NULL. Needs the arena's lock. */
struct cell *fast_take_all(struct arena *a, unsigned index);

/* True if `cell` lies in a fast bin. Needs the arena's lock; linear, for confirming a suspicion. */
bool fast_contains(struct arena *a, unsigned index, const struct cell *cell);

/* Chunks in a fast bin. Needs the arena's lock. */
size_t fast_count(struct arena *a, unsigned index);

/* Counts bytes into or out of what is parked. Needs no lock. */
void parked_add(struct arena *a, intptr_t bytes);

/* Finds out anew what is parked, run by run. Nobody else may be at work on the arena. */
void parked_recount(struct arena *a);

/*
 * Merges every chunk in the fast bins of index `from` and above, and in fast bin 0, with its
 * neighbours. Needs the arena's lock. True if there was anything.
 */
bool fast_consolidate(struct arena *a, unsigned from);

#endif
