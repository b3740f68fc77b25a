/*
 * A lock of one word on a futex: 0 free, 1 held, 2 held and perhaps waited for.
 *
 * While the process has one thread, no atomic instruction is spent: the C library says so in
 * __libc_single_threaded, which can only change between two calls into the allocator.
 */
#ifndef HM_LOCK_H
#define HM_LOCK_H

#include <stdbool.h>
#include <sys/single_threaded.h>

struct lock {
    int word;
};

static inline bool single_threaded(void)
{
    return __libc_single_threaded;
}

/* Waits until the lock is free and takes it. */
void lock_wait(struct lock *l) __attribute__((noinline));

/* Wakes one waiter. */
void lock_wake(struct lock *l) __attribute__((noinline));

static inline bool lock_try(struct lock *l)
{
    int unlocked = 0;

    if (single_threaded()) {
        if (__atomic_load_n(&l->word, __ATOMIC_RELAXED) != 0)
            return false;
        __atomic_store_n(&l->word, 1, __ATOMIC_RELAXED);
        return true;
    }
    return __atomic_compare_exchange_n(&l->word, &unlocked, 1, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

static inline void lock_take(struct lock *l)
{
    if (!lock_try(l))
        lock_wait(l);
}

static inline void lock_drop(struct lock *l)
{
    if (single_threaded()) {
        __atomic_store_n(&l->word, 0, __ATOMIC_RELEASE);
        return;
    }
    if (__atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE) == 2)
        lock_wake(l);
}

/* By whom, only a process of one thread knows: by what a signal's handler interrupted. */
static inline bool lock_is_taken(const struct lock *l)
{
    return __atomic_load_n(&l->word, __ATOMIC_RELAXED) != 0;
}

/* In the child of a fork: the holder is this thread, the waiters are gone. */
static inline void lock_reset(struct lock *l)
{
    __atomic_store_n(&l->word, 0, __ATOMIC_RELEASE);
}

#endif
