#include "lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Critical sections are far below a microsecond, so a short spin nearly always spares the system
 * call.
 */
#define SPINS 40

static void futex(struct lock *l, int op, int value)
{
    int saved = errno;

    syscall(SYS_futex, &l->word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
    errno = saved;
}

void lock_wait(struct lock *l)
{
    for (int i = 0; i < SPINS; i++) {
        int unlocked = 0;

        if (__atomic_load_n(&l->word, __ATOMIC_RELAXED) == 0 &&
            __atomic_compare_exchange_n(&l->word, &unlocked, 1, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return;
        __builtin_ia32_pause();
    }
    while (__atomic_exchange_n(&l->word, 2, __ATOMIC_ACQUIRE) != 0)
        futex(l, FUTEX_WAIT, 2);
}

void lock_wake(struct lock *l)
{
    futex(l, FUTEX_WAKE, 1);
}
