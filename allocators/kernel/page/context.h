/*
 * What the calling thread may do, and how it takes a lock then.
 *
 * GFP_ATOMIC and GFP_NOWAIT neither wait nor enter the operating system, but for the exceptions that
 * README.md lists under "Pages, zones and nodes". What such an allocation can do without it does without: a
 * lock that is not free soon means that there is nothing to be had. What it must put back on its way it puts
 * back, and nothing is given to the system: there it spins, as the kernel does, and sleeps only behind a
 * holder that is not running.
 */
#ifndef KMEM_CONTEXT_H
#define KMEM_CONTEXT_H

#include "../types.h"
#include "lock.h"

/* This thread runs shrinkers: it may use everything, and does not reclaim again. */
extern __thread bool in_reclaim;

/* This thread is inside an allocation that must not wait. */
extern __thread bool in_atomic;

/* Around an allocation of a layer that frees on its way, too; `was` is what atomic_begin() returned. */
static inline bool atomic_begin(gfp_t gfp)
{
    bool was = in_atomic;

    if (unlikely(!gfpflags_allow_blocking(gfp)))
        in_atomic = true;
    return was;
}

static inline void atomic_end(bool was)
{
    in_atomic = was;
}

enum { SOON_SPINS = 200 };

/*
 * Takes a lock for somebody who must not sleep: false after a short spin. Also what makes pages safe to
 * ask for with GFP_ATOMIC in a signal handler that interrupted the holder.
 */
static inline bool lock_take_soon(struct lock *l)
{
    for (int i = 0; i < SOON_SPINS; i++) {
        if (lock_try(l))
            return true;
        __builtin_ia32_pause();
    }
    return false;
}

/* Would it have been taken? */
static inline bool lock_is_free_soon(const struct lock *l)
{
    for (int i = 0; i < SOON_SPINS; i++) {
        if (!lock_is_taken(l))
            return true;
        __builtin_ia32_pause();
    }
    return false;
}

static inline bool lock_take_for(struct lock *l, gfp_t gfp)
{
    if (gfp & __GFP_DIRECT_RECLAIM) {
        lock_take(l);
        return true;
    }
    return lock_take_soon(l);
}

/* For a lock that is held. */
void lock_wait_here(struct lock *l) __attribute__((noinline));
bool lock_wait_soon_here(struct lock *l) __attribute__((noinline));

/* Takes a lock in any context: in_atomic spins for it as long as it makes sense. */
static inline void lock_take_here(struct lock *l)
{
    if (unlikely(!lock_try(l)))
        lock_wait_here(l);
}

/* False: in_atomic, and the lock was not free soon. */
static inline bool lock_take_soon_here(struct lock *l)
{
    return likely(lock_try(l)) || lock_wait_soon_here(l);
}

#endif
