/*
 * The arenas of the process, which thread uses which, and allocation across them.
 */
#ifndef PTM_ARENA_H
#define PTM_ARENA_H

#include "take.h"
#include "types.h"

/* Guards additions to the list of arenas. Before arena locks. */
extern struct lock ptm_list_lock;

/* The list starts at the main arena and only ever grows, so reading it needs no lock. */
static inline struct arena *arena_next(const struct arena *a)
{
    return __atomic_load_n(&a->next, __ATOMIC_ACQUIRE);
}

/* True once there is more than the main arena. */
extern bool ptm_many_arenas;

/* Gives the main arena its bins. Once, before anything else. */
void arena_start(void);

/* arena_lock_mine() when the thread has no arena yet, or its lock is taken. */
struct arena *arena_lock_slow(struct tcache *tc) __attribute__((cold));

/* Takes the lock of the arena this thread allocates from, choosing one if it has none. */
static inline struct arena *arena_lock_mine(struct tcache *tc)
{
    struct arena *a = tc->arena;

    return PTM_LIKELY(a && lock_try(&a->lock)) ? a : arena_lock_slow(tc);
}

/* Ends the thread's stay: an arena without threads is tidied and waits for the next one. */
void arena_detach(struct arena *a);

/* In the child of a fork: only `mine` has a thread; all locks are free. */
void arena_after_fork(struct arena *mine);

/*
 * Takes one chunk of at least t->unit bytes (t->count is 1), mapped if that is wanted, from this
 * thread's arena, or from any other if it cannot grow. NULL if memory is refused everywhere. No lock may
 * be held.
 */
struct chunk *arena_alloc(struct tcache *tc, struct take *t);

/* Gives back one chunk that no thread cache takes. No lock may be held. */
void arena_free(struct tcache *tc, struct chunk *c, size_t size) __attribute__((noinline));

/*
 * Gives a sealed run of chunks of `size` bytes back to the arena that owns all of them. No lock
 * may be held.
 */
void arena_free_run(struct arena *a, size_t size, struct cell *run);

/* A merged chunk of this size is worth looking whether memory can be returned. */
#define TRIM_LOOK ((size_t)64 << 10)

/* Returns memory if the top chunk is big enough. */
void arena_look_for_trim(struct arena *a) __attribute__((noinline));

/* The same, after a merge that made a chunk of `size` bytes. Needs the arena's lock. */
static inline void arena_maybe_trim(struct arena *a, size_t size)
{
    if (PTM_UNLIKELY(size >= TRIM_LOOK))
        arena_look_for_trim(a);
}

#endif
