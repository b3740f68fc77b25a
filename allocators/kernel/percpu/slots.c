/*
 * Blocks of threads instead of CPUs. A thread announces that it is inside its block by one plain
 * store; whoever wants to stop it stores its wish and then has every CPU pass a memory barrier, so
 * that either the thread sees the wish or the other sees the thread. Where the kernel refuses that
 * barrier, the thread pays for one of its own.
 */
#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../os.h"
#include "blocks.h"
#include "lock.h"

static __thread struct {
    struct cpu_block *block;
    bool dead; /* the thread's destructors have run */
} mine;

static pthread_key_t thread_end;
static bool have_key;
static bool fence_needed = true;

/*
 * The thread is going: its objects go back. Destructors of others may still allocate and free; they
 * work on the slabs. What the key holds is not looked at: a second C library in the process (dlmopen) numbers
 * its keys like the first, in the same place of the thread, so that it may be the block of another copy of us.
 */
static void give_back(void *block)
{
    struct cpu_block *b = mine.block;

    (void)block;
    mine.dead = true;
    mine.block = NULL;
    if (b)
        percpu_free_slot(b);
}

void slots_start(void)
{
    have_key = pthread_key_create(&thread_end, give_back) == 0;
    fence_needed = !kmem_os.membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
}

bool slot_make(void)
{
    struct cpu_block *b;

    /* Without a destructor a thread's objects would be lost with the thread. */
    if (mine.dead || !have_key)
        return false;
    b = percpu_new_slot();
    if (!b)
        return false;
    mine.block = b;
    pthread_setspecific(thread_end, b);
    return true;
}

struct cpu_block *slot_enter(void)
{
    struct cpu_block *b = mine.block;

    if (!b)
        return NULL;
    __atomic_store_n(&b->busy, 1, __ATOMIC_RELAXED);
    if (fence_needed)
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    else
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (likely(!__atomic_load_n(&b->stopped, __ATOMIC_ACQUIRE)))
        return b;
    slot_leave(b);
    return NULL;
}

struct cpu_block *slot_mine(void)
{
    return mine.block;
}

void slot_leave(struct cpu_block *b)
{
    __atomic_store_n(&b->busy, 0, __ATOMIC_RELEASE);
}

/* Yields, then sleeps: so many times; and from so many nanoseconds up to so many. */
enum { YIELDS = 16, SLEEP_MIN = 16000, SLEEP_MAX = 1000000 };

/* At most so long: whoever leaves a block wakes nobody. Unlike nanosleep() no place where a thread is cancelled. */
static void sleep_while_busy(const struct cpu_block *b, long ns)
{
    struct timespec most = {0, ns};
    int saved = errno;

    syscall(SYS_futex, &b->busy, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 1, &most, NULL, 0);
    errno = saved;
}

/*
 * A thread that was preempted inside its block may need this CPU to leave it, and does not get it from one that yields
 * if that has a higher priority (SCHED_FIFO).
 */
static void wait_for_leaving(const struct cpu_block *b)
{
    long ns = SLEEP_MIN;

    for (int i = 0; __atomic_load_n(&b->busy, __ATOMIC_ACQUIRE); i++)
        if (i < YIELDS) {
            sched_yield();
        } else {
            sleep_while_busy(b, ns);
            ns = ns * 2 < SLEEP_MAX ? ns * 2 : SLEEP_MAX;
        }
}

bool slots_stop(struct cpu_block *blocks)
{
    for (struct cpu_block *b = blocks; b; b = b->next)
        __atomic_store_n(&b->stopped, 1, __ATOMIC_SEQ_CST);
    if (fence_needed)
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    else if (!percpu_barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
        return false;
    for (struct cpu_block *b = blocks; b; b = b->next)
        wait_for_leaving(b);
    return true;
}

void slots_resume(struct cpu_block *blocks)
{
    for (struct cpu_block *b = blocks; b; b = b->next)
        __atomic_store_n(&b->stopped, 0, __ATOMIC_RELEASE);
}
