/*
 * What the layer above keeps idle, when pages run out: a flush of it is worth what it costs only so often. Who gets
 * nothing by one sees to it that the next comes later.
 */
#include "keeper.h"

#include "lock.h"
#include "os.h"
#include "waiters.h"

const struct page_keeper *page_keeper;

/* Of flushes; times of os_now_ms(). Read and written without a lock. */
static uint64_t flush_took_ms, next_flush_ms;

/* A process that was held up in the middle of a flush is not to wait for as long again. */
enum { FLUSH_MS_MAX = 100 };

bool pages_may_flush(void)
{
    return single_threaded() || os_now_ms() >= __atomic_load_n(&next_flush_ms, __ATOMIC_RELAXED);
}

static bool has_idle(void)
{
    return page_keeper && page_keeper->has_idle();
}

bool keeper_wait(void)
{
    uint64_t next = __atomic_load_n(&next_flush_ms, __ATOMIC_RELAXED);
    unsigned ticket = page_waiters_ticket();
    bool waited = false;

    if (single_threaded() || !has_idle())
        return false;
    /* Until there are pages, or not longer than this: what others make of it is not waited for, too. */
    for (; os_now_ms() < next && page_waiters_ticket() == ticket; waited = true)
        page_waiters_wait(ticket, 1);
    return waited;
}

bool keeper_flush(void)
{
    uint64_t began, took;
    bool flushed;

    if (!has_idle())
        return false;
    began = os_now_ms();
    flushed = page_keeper->flush_idle();
    took = os_now_ms() - began;
    __atomic_store_n(&flush_took_ms, took < FLUSH_MS_MAX ? took : FLUSH_MS_MAX, __ATOMIC_RELAXED);
    return flushed;
}

void keeper_flushed_in_vain(bool flushed)
{
    uint64_t next = os_now_ms() + 1 + __atomic_load_n(&flush_took_ms, __ATOMIC_RELAXED);

    if (flushed)
        __atomic_store_n(&next_flush_ms, next, __ATOMIC_RELAXED);
    if (page_keeper)
        page_keeper->in_vain();
}
