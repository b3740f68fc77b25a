/*
 * The start: with whatever call is a program's first, before main, from any thread, without malloc.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../page/topology.h"
#include "fault.h"
#include "out.h"
#include "sheaf.h"

bool slub_started;
struct lock slub_starting;

static bool is_limited(int resource)
{
    struct rlimit limit;

    return getrlimit((__rlimit_resource_t)resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

static _Noreturn void no_room(void)
{
    bool limited = is_limited(RLIMIT_AS) || is_limited(RLIMIT_DATA);
    struct out o = out_to_fd(STDERR_FILENO);
    struct topology t;

    topology_count(&t, (unsigned)kmem_config.nodes);
    out_put(&o,
            "%s: cannot start: the system refuses memory for a pool of '%u' bytes, "
            "the least there can be; raise its limit (%s)\n",
            fault_subject, t.nodes * 2 * POOL_BYTES_MIN /* with HIGHMEM */,
            limited ? "ulimit -v, -d"
                    : "of mappings: vm.max_map_count; of memory: vm.overcommit_memory");
    out_flush(&o);
    abort();
}

static void start_pages(void)
{
    struct page_config config = {
        .pool_bytes = kmem_config.pool,
        .reserve_bytes = kmem_config.reserve,
        .nodes = (unsigned)kmem_config.nodes,
        .warn = kmem_config.warn,
    };

    if (kmem_pages_start(&config) != 0)
        no_room();
    percpu_area.pool = page_globals.base;
    percpu_area.frame_cells = kmem_pages_cells();
}

void slub_fast_paths(bool open)
{
    bool as_built = open && kmem_config.near && __rseq_offset == KMEM_RSEQ_OFFSET;
    bool near = as_built && kmem_pages_cells_in_front();

    __atomic_store_n(&percpu_area.small, as_built ? PERCPU_SMALL : 0, __ATOMIC_RELEASE);
    __atomic_store_n(&percpu_area.sizes, open ? PERCPU_SIZES : 0, __ATOMIC_RELEASE);
    __atomic_store_n(&percpu_near_pool, near ? page_globals.base : PERCPU_NO_POOL,
                     __ATOMIC_RELEASE);
    __atomic_store_n(&percpu_area.pool_bytes, open ? page_globals.bytes : 0, __ATOMIC_RELEASE);
}

/*
 * As early as can be, and not with the first call: a thread that forks while another makes that call has to
 * wait for it, lest its child inherit half a start.
 */
__attribute__((constructor)) void slub_handle_forks(void)
{
    static bool done;

    if (!__atomic_exchange_n(&done, true, __ATOMIC_RELAXED))
        pthread_atfork(slub_before_fork, slub_after_fork_parent, slub_after_fork_child);
}

static void start_once(void)
{
    slub_handle_forks(); /* constructors of others may have come first */
    config_read();
    start_pages();
    percpu_drain_block = slub_drain_block;
    page_keeper = &slub_keeper;
    while (nr_barns < BARNS_MAX && nr_barns < topology_online())
        nr_barns *= 2;
    percpu_start((enum percpu_mode)kmem_config.percpu, PERCPU_CELLS / node_count());
    caches_start();
    sheaves_start();
    slub_fast_paths(!kmem_config.stats);
}

void slub_start(void)
{
    if (likely(__atomic_load_n(&slub_started, __ATOMIC_ACQUIRE)))
        return;
    lock_take(&slub_starting);
    if (!slub_started) {
        start_once();
        __atomic_store_n(&slub_started, true, __ATOMIC_RELEASE);
    }
    lock_drop(&slub_starting);
}
