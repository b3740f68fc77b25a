#include "context.h"

__thread bool in_reclaim, in_atomic;

/*
 * Many times as long as a holder that runs keeps a lock. Behind one that does not run, spinning could last
 * for ever: it may be waiting for this very CPU.
 */
enum { ATOMIC_SPINS = 10000 };

void lock_wait_here(struct lock *l)
{
    for (int i = 0; in_atomic && i < ATOMIC_SPINS; i++) {
        if (__atomic_load_n(&l->word, __ATOMIC_RELAXED) == 0 && lock_try(l))
            return;
        __builtin_ia32_pause();
    }
    lock_wait(l);
}

bool lock_wait_soon_here(struct lock *l)
{
    if (in_atomic)
        return lock_take_soon(l);
    lock_wait(l);
    return true;
}
