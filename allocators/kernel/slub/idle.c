/*
 * When pages run out, what is free in sheaves, barns, CPU slabs and empty slabs goes back, of all caches at once,
 * before anybody who uses memory is asked for it.
 *
 * A flush leaves nothing in any CPU's block, so that the first object that comes there behind it comes by a slow
 * path, which notes it. Without a note there is nothing to be had, and a program that goes on asking for memory
 * in a full pool pays nothing for this. Nor does one that frees a little in between: for some time after a flush
 * that was in vain the slow paths, which all paths are then, leave nothing behind.
 */
#include "../page/waiters.h"
#include "slub.h"

enum { MUTEX_WAIT_MS = 16, SPARING_CALLS = 256 };

bool slub_idle;
unsigned slub_sparing;
static bool flushing;

static bool has_idle(void)
{
    return __atomic_load_n(&slub_idle, __ATOMIC_RELAXED) ||
           __atomic_load_n(&flushing, __ATOMIC_RELAXED);
}

/* Not for ever: it may be held by whoever asks for pages, from a stream that a report is written to. */
static bool take_mutex(void)
{
    for (int i = 0; i < MUTEX_WAIT_MS; i++) {
        if (lock_try(&slab_mutex))
            return true;
        page_waiters_wait(page_waiters_ticket(), 1);
    }
    return lock_try(&slab_mutex);
}

static void flush(void)
{
    __atomic_store_n(&flushing, true, __ATOMIC_RELAXED);
    __atomic_store_n(&slub_idle, false, __ATOMIC_RELAXED);
    if (percpu_try_stop()) {
        slub_drain_blocks();
        percpu_resume();
    } else {
        note_idle(); /* what CPUs hold is still there, for a time when the barrier is granted */
    }
    slub_shrink_slabs(AS_IT_IS);
    __atomic_store_n(&flushing, false, __ATOMIC_RELAXED);
}

static bool flush_idle(void)
{
    if (!take_mutex())
        return false;
    if (__atomic_load_n(&slub_idle, __ATOMIC_RELAXED))
        flush(); /* unless somebody else just did */
    lock_drop(&slab_mutex);
    return true;
}

/* The program will free a little and ask again, most likely. */
static void in_vain(void)
{
    __atomic_store_n(&slub_sparing, SPARING_CALLS, __ATOMIC_RELAXED);
}

const struct page_keeper slub_keeper = {
    .has_idle = has_idle,
    .flush_idle = flush_idle,
    .in_vain = in_vain,
    .window_over = slub_window_over,
};
