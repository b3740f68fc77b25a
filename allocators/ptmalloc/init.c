#include "init.h"

#include <pthread.h>
#include <sys/auxv.h>
#include <sys/random.h>

#include "arena.h"
#include "fastbin.h"
#include "heap.h"
#include "knobs.h"
#include "os.h"
#include "streams.h"
#include "tcache.h"
#include "uncancelled.h"

static bool ready;
static struct lock ready_lock;
static pthread_key_t thread_end;

/*
 * In a fork, every lock is taken in the parent, so that the child finds no arena half changed.
 * Handlers run in reverse order of registration before the fork and in order after it, and ours
 * were there first: those of others may allocate.
 *
 * A process of one thread takes none, lest a signal's handler wait for the malloc() that it interrupted, which goes
 * on in both processes and finds everything as it left it.
 */
static bool with_threads; /* from before to after */

static void before_fork(void)
{
    with_threads = !single_threaded();
    if (!with_threads)
        return;
    streams_hold();
    lock_take(&ready_lock); /* nor half a start */
    lock_take(&ptm_list_lock);
    for (struct arena *a = &ptm_main_arena; a; a = arena_next(a))
        lock_take(&a->lock);
}

static void after_fork_in_parent(void)
{
    if (!with_threads)
        return;
    for (struct arena *a = &ptm_main_arena; a; a = arena_next(a))
        lock_drop(&a->lock);
    lock_drop(&ptm_list_lock);
    lock_drop(&ready_lock);
    streams_let_go();
}

static void after_fork_in_child(void)
{
    struct arena *mine = ptm_tcache.arena;

    if (!with_threads)
        return;
    arena_after_fork(ptm_tcache.state == TCACHE_DEAD ? NULL : mine);
    lock_reset(&ready_lock);
}

static uintptr_t random_key(void)
{
    uintptr_t key = 0;

    if (uncancelled_getrandom(&key, sizeof key, GRND_NONBLOCK) != sizeof key)
        key = (uintptr_t)__builtin_ia32_rdtsc() * 0x9e3779b97f4a7c15u ^ (uintptr_t)&key << 17;
    return key ? key : 1;
}

/*
 * As early as can be, and not with the first call: the handlers of a library's constructor that comes
 * before ours would run inside of ours, and hang when they allocate.
 */
__attribute__((constructor)) void ptm_handle_forks(void)
{
    static bool done;

    if (!__atomic_exchange_n(&done, true, __ATOMIC_RELAXED))
        pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void init_process(void)
{
    if (PTM_LIKELY(__atomic_load_n(&ready, __ATOMIC_ACQUIRE)))
        return;
    lock_take(&ready_lock);
    if (!ready) {
        ptm_page = getauxval(AT_PAGESZ);
        ptm_key = random_key();
        knobs_from_environment();
        arena_start();
        tcache_limits();
        /* Without a destructor a thread's cache would be lost with the thread. */
        if (pthread_key_create(&thread_end, tcache_end) != 0)
            ptm_knobs.tcache_count = 0;
        ptm_handle_forks(); /* constructors of others may have come first */
        __atomic_store_n(&ready, true, __ATOMIC_RELEASE);
    }
    lock_drop(&ready_lock);
}

void init_thread(struct tcache *tc)
{
    pthread_setspecific(thread_end, tc);
}
