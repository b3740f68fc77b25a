#include "limit.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "../vmalloc/vmalloc.h"
#include "classes.h"
#include "lock.h"
#include "mapped.h"
#include "options.h"

/*
 * From here on free() is not the near one. But a thread may be in one that began before, about to read the cell of a
 * mapping above the pool, where free() is asked for nothing but mappings: how many frames must have cells
 * for that. (What is mapped now is freed later.)
 */
static size_t leave_cells_in_front(void)
{
    uintptr_t base = page_globals.base, highest;

    kmem_pages_cells_apart();
    open_fast_paths();
    if (single_threaded())
        return 0;
    highest = mapped_between(base + page_globals.bytes, base + (CELLS_IN_FRONT << PAGE_SHIFT));
    return highest ? ((highest - base) >> PAGE_SHIFT) + 1 : 0;
}

static void give_up_addresses(size_t limit)
{
    size_t read = leave_cells_in_front();

    kmem_pages_limit(limit, open_fast_paths);
    kmem_pages_limit_cells(read);
    kmem_vmalloc_limit(limit);
}

/* So far away that all that is reserved, and what vmalloc() may yet reserve, is but a part of it. */
static bool is_far(size_t limit)
{
    return limit / 8 >= page_globals.bytes + CELLS_IN_FRONT * sizeof *kmem_pages_cells();
}

/* Of this process, for which alone `pid` may stand. */
static bool is_short_of_space(pid_t pid, size_t limit)
{
    return (pid == 0 || pid == getpid()) && kmem_pages_are_mine() && !is_far(limit);
}

/* First, lest another thread meet the limit in between. For a refused one it was in vain. */
int slub_prlimit(pid_t pid, int resource, const struct rlimit *limit, struct rlimit *old)
{
    if (resource == RLIMIT_AS && limit && limit->rlim_cur <= limit->rlim_max &&
        is_short_of_space(pid, limit->rlim_cur))
        give_up_addresses(limit->rlim_cur);
    return (int)syscall(SYS_prlimit64, pid, resource, limit, old);
}
