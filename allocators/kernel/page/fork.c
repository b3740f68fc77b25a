/*
 * Fork. Private memory the system copies as it copies everything. A memfd it shares: the child, whose
 * lists say that the frames are its own, gets a memfd of its own and copies into it, page by page,
 * what there is, while the parent's forking thread waits.
 *
 * Shrinkers are not waited for (their locks may be held by whoever forks): a run that is under way
 * in another thread ends with that thread, in the child.
 */
#include "locks.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fault.h"
#include "os.h"
#include "pool.h"
#include "reclaim.h"
#include "uncancelled.h"
#include "waiters.h"
#include "zone.h"

/* From before to after: not where the process has one thread, see slub/fork.c. */
static bool locked;

/* Of the thread that forks: what it had blocked before. */
static __thread bool signals_blocked;
static __thread sigset_t signals_before;

/* Read end for the parent, which waits until nobody holds the other one. */
static int copied[2] = {-1, -1};

void page_locks_take(void)
{
    for (struct zone *z = zone_first(); z; z = zone_next(z))
        for (unsigned cpu = 0; z->pcp && cpu < pool.cpus; cpu++)
            lock_take(&z->pcp[cpu].lock);
    for (struct zone *z = zone_first(); z; z = zone_next(z))
        lock_take(&z->lock);
}

void page_locks_drop(void)
{
    for (struct zone *z = zone_first(); z; z = zone_next(z))
        lock_drop(&z->lock);
    for (struct zone *z = zone_first(); z; z = zone_next(z))
        for (unsigned cpu = 0; z->pcp && cpu < pool.cpus; cpu++)
            lock_drop(&z->pcp[cpu].lock);
}

static void reset_locks(void)
{
    for (struct zone *z = zone_first(); z; z = zone_next(z)) {
        lock_reset(&z->lock);
        for (unsigned cpu = 0; z->pcp && cpu < pool.cpus; cpu++)
            lock_reset(&z->pcp[cpu].lock);
    }
    lock_reset(&reclaim_lock);
    page_waiters_reset();
}

static bool has_memfd(void)
{
    for (struct zone *z = zone_first(); z; z = zone_next(z))
        if (z->fd >= 0)
            return true;
    return false;
}

/*
 * A handler that forks in the middle of a fork would take its pipe, and one in the child would find mappings of the
 * parent's memory. Faults are answered as ever.
 */
static void block_signals(void)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t set;

    sigfillset(&set);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(&set, faults[i]);
    signals_blocked = pthread_sigmask(SIG_BLOCK, &set, &signals_before) == 0;
}

void kmem_signals_after_fork(void)
{
    sigset_t before = signals_before;

    if (!signals_blocked)
        return;
    signals_blocked = false; /* first: what comes now may fork */
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void kmem_pages_before_fork(void)
{
    int saved = errno;

    if (!page_globals.bytes)
        return;
    if (has_memfd() && !signals_blocked)
        block_signals();
    locked = !single_threaded();
    if (locked)
        page_locks_take();
    /* Without descriptors to spare the parent does not wait: it may change what is being copied. */
    if (has_memfd() && copied[0] < 0 && pipe2(copied, O_CLOEXEC) != 0)
        copied[0] = copied[1] = -1;
    errno = saved;
}

static void close_end(int i)
{
    if (copied[i] >= 0)
        uncancelled_close(copied[i]);
    copied[i] = -1;
}

void kmem_pages_after_fork_parent(void)
{
    int saved = errno;
    char none;

    if (!page_globals.bytes)
        return;
    close_end(1);
    while (copied[0] >= 0 && uncancelled_read(copied[0], &none, 1) < 0 && errno == EINTR)
        ;
    close_end(0);
    if (locked)
        page_locks_drop();
    errno = saved;
}

static void cannot_copy(struct zone *z)
{
    fault("fork(): no memory to copy that of vmalloc() for the child", frame_address(z->start));
}

/* Where the child of a fork is without a memfd of its own. */
static void no_memfd(struct zone *z, int error)
{
    const char *what = "fork(): the system refuses a memfd for a copy of vmalloc()'s memory";

    if (error == EMFILE)
        what = "fork(): no descriptor is free (ulimit -n) for a copy of vmalloc()'s memory";
    else if (error == EFBIG)
        what = "fork(): a copy of vmalloc()'s memory exceeds the file size limit (ulimit -f)";
    fault(what, frame_address(z->start));
}

static void copy_run(struct zone *z, int fd, size_t frame, size_t frames)
{
    const char *from = frame_address(frame);
    off_t to = (off_t)((frame - z->start) << PAGE_SHIFT);

    for (size_t left = frames << PAGE_SHIFT; left > 0;) {
        ssize_t n = uncancelled_pwrite(fd, from, left, to);

        if (n <= 0 && errno != EINTR)
            cannot_copy(z);
        if (n > 0) {
            from += n;
            to += n;
            left -= (size_t)n;
        }
    }
}

/* What a signal's handler interrupted is about to change how far the zone's memfd goes. */
static void expect_at_rest(const struct zone *z)
{
    if (!locked && z->shared && z->growing)
        fault("fork(): in the handler of a signal that came in the middle of vmalloc()",
              frame_address(z->start));
}

/* Copies what the memfd has of a pageblock: absent pages stay so. */
static void copy_pageblock(struct zone *z, int fd, size_t block)
{
    unsigned char there[MAX_ORDER_NR_PAGES];

    if (mincore(frame_address(block), MAX_ORDER_BYTES, there) != 0)
        cannot_copy(z);
    for (size_t i = 0, run; i < MAX_ORDER_NR_PAGES; i = run + 1) {
        for (run = i; run < MAX_ORDER_NR_PAGES && there[run] & 1; run++)
            ;
        if (run > i)
            copy_run(z, fd, block + i, run - i);
    }
}

/* Where the parent's was, if nobody else is there: what a signal's handler interrupted may be about to map it. */
static int in_its_place(int fd, int place)
{
    int moved = fd == place ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, place);

    if (moved >= 0)
        uncancelled_close(moved == place ? fd : moved);
    return moved == place ? place : fd;
}

static void copy_zone(struct zone *z)
{
    size_t bytes = (z->end - z->start) << PAGE_SHIFT;
    void *start = frame_address(z->start);
    int fd = kmem_os.memfd(bytes);

    if (fd < 0)
        no_memfd(z, -fd);
    fd = in_its_place(fd, z->fd);
    for (size_t block = z->start; block < z->committed; block += MAX_ORDER_NR_PAGES)
        copy_pageblock(z, fd, block);
    if (!kmem_os.map_memfd(start, bytes, PROT_NONE, fd, 0, NULL) ||
        !kmem_os.commit(start, (z->committed - z->start) << PAGE_SHIFT))
        cannot_copy(z);
    z->fd = fd;
}

/*
 * What the parent's descriptors are for stays mapped without them. All are closed before the first new one is
 * made: it may need their place, and a program that closed them itself may see it in the place of another.
 */
static void close_memfds(void)
{
    for (struct zone *z = zone_first(); z; z = zone_next(z))
        if (z->fd >= 0)
            kmem_os.close(z->fd);
}

/* Without the spare mappings, lest the system refuse to map over what is mapped. */
static void copy_memfds(void)
{
    bool dropped = os_spare_drop();

    close_memfds();
    for (struct zone *z = zone_first(); z; z = zone_next(z))
        if (z->fd >= 0)
            copy_zone(z);
    if (dropped)
        os_spare_keep();
}

void kmem_pages_after_fork_child(void)
{
    int saved = errno;

    if (!page_globals.bytes)
        return;
    pool.process = getpid();
    close_end(0);
    for (struct zone *z = zone_first(); z; z = zone_next(z))
        expect_at_rest(z);
    copy_memfds();
    close_end(1);
    if (locked)
        reset_locks();
    errno = saved;
}
