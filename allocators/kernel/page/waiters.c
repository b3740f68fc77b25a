/* Who waits for memory that others free sleeps on a number that each free of pages to a zone moves on. */
#include "waiters.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "context.h"

static struct {
    unsigned ticket, waiters;
} waiting;

unsigned page_waiters_ticket(void)
{
    return __atomic_load_n(&waiting.ticket, __ATOMIC_ACQUIRE);
}

void page_waiters_wait(unsigned ticket, unsigned ms)
{
    struct timespec most = {.tv_nsec = (long)ms * 1000000};
    int saved = errno;

    __atomic_add_fetch(&waiting.waiters, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &waiting.ticket, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, ticket, &most, NULL, 0);
    __atomic_sub_fetch(&waiting.waiters, 1, __ATOMIC_SEQ_CST);
    errno = saved;
}

void page_waiters_reset(void)
{
    waiting.waiters = 0;
}

void page_waiters_wake(void)
{
    int saved = errno;

    if (likely(__atomic_load_n(&waiting.waiters, __ATOMIC_RELAXED) == 0) || in_atomic)
        return;
    __atomic_add_fetch(&waiting.ticket, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &waiting.ticket, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL, 0);
    errno = saved;
}
