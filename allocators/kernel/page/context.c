#include "context.h"

__thread bool in_reclaim, in_atomic;

void lock_wait_here(struct lock *l)
{
    if (!in_atomic) {
        lock_wait(l);
        return;
    }
    while (!lock_try(l))
        __builtin_ia32_pause();
}

bool lock_wait_soon_here(struct lock *l)
{
    if (in_atomic)
        return lock_take_soon(l);
    lock_wait(l);
    return true;
}
