/*
 * Shrinkers run one thread at a time. Who finds another at it does not queue behind its hooks, which
 * may take locks of their own, but waits a little for the memory that comes of it.
 */
#include "reclaim.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os.h"
#include "pool.h"
#include "zone.h"

enum { SHRINK_BATCH = 128, FIRST_SHARE_LOG2 = 3 };

struct lock reclaim_lock;
static struct shrinker *shrinkers = &lazy_shrinker;

const struct page_keeper *page_keeper;

/* Of flushes; times of os_now_ms(). Read and written without a lock. */
static uint64_t flush_took_ms, next_flush_ms;

/* A process that was held up in the middle of a flush is not to wait for as long again. */
enum { FLUSH_MS_MAX = 100 };

static struct {
    unsigned ticket, waiters;
} waiting;

int register_shrinker(struct shrinker *s)
{
    int error = 0;

    lock_take(&reclaim_lock);
    for (struct shrinker *other = shrinkers; other; other = other->next)
        if (other == s)
            error = -EEXIST;
    if (!error) {
        s->next = shrinkers;
        shrinkers = s;
    }
    lock_drop(&reclaim_lock);
    return error;
}

void unregister_shrinker(struct shrinker *s)
{
    lock_take(&reclaim_lock);
    for (struct shrinker **at = &shrinkers; *at; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            break;
        }
    lock_drop(&reclaim_lock);
}

static unsigned long shrink_one(struct shrinker *s, gfp_t gfp, int node, unsigned round)
{
    struct shrink_control sc = {.gfp_mask = gfp, .nid = node};
    unsigned long freeable = s->count_objects(s, &sc), freed = 0;
    unsigned long wanted =
        round < FIRST_SHARE_LOG2 ? freeable >> (FIRST_SHARE_LOG2 - round) : freeable;

    if (freeable == 0)
        return 0;
    wanted = wanted * 4 / (s->seeks ? s->seeks : DEFAULT_SEEKS);
    if (wanted < SHRINK_BATCH)
        wanted = SHRINK_BATCH;
    for (unsigned long scanned = 0; scanned < wanted; scanned += sc.nr_scanned) {
        sc.nr_to_scan = wanted - scanned < SHRINK_BATCH ? wanted - scanned : SHRINK_BATCH;
        sc.nr_scanned = sc.nr_to_scan;

        unsigned long n = s->scan_objects(s, &sc);

        if (n == SHRINK_STOP || sc.nr_scanned == 0)
            break;
        freed += n;
    }
    return freed;
}

unsigned long reclaim(gfp_t gfp, int node, unsigned round)
{
    unsigned long freed = 0;

    if (!lock_try(&reclaim_lock))
        return 0;
    in_reclaim = true;
    __atomic_add_fetch(&pool.reclaims, 1, __ATOMIC_RELAXED);
    for (struct shrinker *s = shrinkers; s; s = s->next)
        freed += shrink_one(s, gfp, node, round);
    in_reclaim = false;
    lock_drop(&reclaim_lock);
    return freed;
}

bool pages_may_flush(void)
{
    return single_threaded() || os_now_ms() >= __atomic_load_n(&next_flush_ms, __ATOMIC_RELAXED);
}

static bool has_idle(void)
{
    return page_keeper && page_keeper->has_idle();
}

bool reclaim_idle_wait(void)
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

bool reclaim_idle(void)
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

void reclaim_idle_in_vain(bool flushed)
{
    uint64_t next = os_now_ms() + 1 + __atomic_load_n(&flush_took_ms, __ATOMIC_RELAXED);

    if (flushed)
        __atomic_store_n(&next_flush_ms, next, __ATOMIC_RELAXED);
    if (page_keeper)
        page_keeper->in_vain();
}

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
