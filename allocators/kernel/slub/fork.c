/*
 * Fork. Every lock is taken in the parent, so that the child finds nothing half changed; nor does it find
 * half a start, for which a fork waits.
 *
 * A process of one thread takes none, lest a signal's handler wait for what it interrupted: malloc() with a lock in
 * its hands. That goes on in both processes, once the handlers have returned, and finds everything as it left it.
 * (Programs that ever had a second thread must not fork there: POSIX says so, and the C library's malloc waits, too.)
 */
#include "../malloc/mapped.h"
#include "../vmalloc/vmalloc.h"
#include "slub.h"
#include "streams.h"

bool slub_forked;

/* From before to after, by the thread that forks. With one thread there may be a fork in a handler in between. */
static bool with_threads, started;

static void for_each_node(void (*what)(struct kmem_cache_node *))
{
    for (struct kmem_cache *s = slab_caches; s; s = s->next)
        for (unsigned n = 0; n < node_count(); n++)
            what(s->node[n]);
}

void node_take_barns(struct kmem_cache_node *n)
{
    for (unsigned i = 0; i < nr_barns; i++)
        lock_take(&n->barn[i].lock);
}

void node_take_list(struct kmem_cache_node *n)
{
    lock_take(&n->list_lock);
}

void node_drop_locks(struct kmem_cache_node *n)
{
    lock_drop(&n->list_lock);
    for (unsigned i = 0; i < nr_barns; i++)
        lock_drop(&n->barn[i].lock);
}

static void reset_locks(struct kmem_cache_node *n)
{
    lock_reset(&n->list_lock);
    for (unsigned i = 0; i < nr_barns; i++)
        lock_reset(&n->barn[i].lock);
}

static void take_all(void)
{
    lock_take(&slab_mutex);
    percpu_stop();
    for_each_node(node_take_barns);
    for_each_node(node_take_list);
    mapped_before_fork();
}

static void drop_all(void)
{
    mapped_after_fork_parent();
    for_each_node(node_drop_locks);
    percpu_resume();
    lock_drop(&slab_mutex);
}

static void reset_all(void)
{
    mapped_after_fork_child();
    for_each_node(reset_locks);
    percpu_after_fork_child();
    percpu_resume();
    slub_forked = true;
    lock_reset(&slab_mutex);
}

/*
 * Handlers run in reverse order of registration before the fork and in order after it. Those of others may
 * allocate, which asks for ours to be the first: the shared object's constructor runs before all others (see
 * library.cmake). Linked into a program, handlers of its libraries may be there before ours: they may allocate
 * for the first time in the process, because while it has one thread nobody is starting, and no lock is held.
 */
void slub_before_fork(void)
{
    with_threads = !single_threaded();
    if (with_threads) {
        streams_hold();
        lock_take(&slub_starting);
    }
    started = slub_started;
    if (!started)
        return;
    if (with_threads)
        take_all();
    kmem_vmalloc_before_fork();
    kmem_pages_before_fork();
}

void slub_after_fork_parent(void)
{
    if (started) {
        kmem_pages_after_fork_parent();
        kmem_vmalloc_after_fork_parent();
        if (with_threads)
            drop_all();
    }
    if (with_threads) {
        lock_drop(&slub_starting);
        streams_let_go();
    }
    kmem_signals_after_fork();
}

void slub_after_fork_child(void)
{
    if (started) {
        kmem_pages_after_fork_child();
        kmem_vmalloc_after_fork_child();
        if (with_threads)
            reset_all();
    }
    if (with_threads)
        lock_reset(&slub_starting);
    kmem_signals_after_fork();
}
