/*
 * Fork. Every lock is taken in the parent, so that the child finds nothing half changed; nor does it find
 * half a start, for which a fork waits.
 */
#include "../malloc/mapped.h"
#include "../vmalloc/vmalloc.h"
#include "slub.h"

bool slub_forked;

/* From before to after, by the one thread that forks. */
static bool holds_start, holds_all, with_threads;

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
    kmem_vmalloc_before_fork();
    kmem_pages_before_fork();
    mapped_before_fork();
}

static void drop_all(void)
{
    mapped_after_fork_parent();
    kmem_pages_after_fork_parent();
    kmem_vmalloc_after_fork_parent();
    for_each_node(node_drop_locks);
    percpu_resume();
    lock_drop(&slab_mutex);
}

static void reset_all(void)
{
    mapped_after_fork_child();
    kmem_pages_after_fork_child();
    kmem_vmalloc_after_fork_child();
    for_each_node(reset_locks);
    percpu_after_fork_child();
    percpu_resume();
    slub_forked |= with_threads;
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
    bool threads = !single_threaded();

    if (!threads && !__atomic_load_n(&slub_started, __ATOMIC_ACQUIRE))
        return;
    lock_take(&slub_starting);
    with_threads = threads;
    holds_start = true;
    holds_all = slub_started;
    if (holds_all)
        take_all();
}

static bool let_go(bool *held)
{
    bool was = *held;

    *held = false;
    return was;
}

void slub_after_fork_parent(void)
{
    if (let_go(&holds_all))
        drop_all();
    if (let_go(&holds_start))
        lock_drop(&slub_starting);
}

void slub_after_fork_child(void)
{
    if (let_go(&holds_all))
        reset_all();
    if (let_go(&holds_start))
        lock_reset(&slub_starting);
}
