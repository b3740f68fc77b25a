#include "limit.h"

#include <errno.h>
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

static int system_prlimit(pid_t pid, int resource, const struct rlimit *limit, struct rlimit *old)
{
    return (int)syscall(SYS_prlimit64, pid, resource, limit, old);
}

/* Of a resource that there is not: the system reads the limit before it finds out. */
static bool can_be_read(const struct rlimit *limit)
{
    return limit && (system_prlimit(0, -1, limit, NULL) == 0 || errno != EFAULT);
}

/* For which also the id of any of its threads may stand: a signal that is none tells. */
static bool is_this_process(pid_t pid)
{
    return pid == 0 || pid == getpid() || (pid > 0 && syscall(SYS_tgkill, getpid(), pid, 0) == 0);
}

/* Only to who has the right to it. */
static bool raises_the_most(const struct rlimit *limit)
{
    struct rlimit now;

    return system_prlimit(0, RLIMIT_AS, NULL, &now) != 0 || limit->rlim_max > now.rlim_max;
}

/* So far away that all that is reserved, and what vmalloc() may yet reserve, is but a part of it. */
static bool is_far(size_t limit)
{
    return limit / 8 >= page_globals.bytes + CELLS_IN_FRONT * sizeof *kmem_pages_cells();
}

/* Nobody starts meanwhile, or forks. False: in the handler of a signal that interrupted who does. */
static bool hold_start(void)
{
    if (single_threaded())
        return lock_try(&slub_starting);
    lock_take(&slub_starting);
    return true;
}

/* Addresses go first, lest another thread meet the limit in between; but not for a limit that may be refused. */
static int set_limit(pid_t pid, const struct rlimit *limit, struct rlimit *old)
{
    bool is_near = slub_started && limit->rlim_cur <= limit->rlim_max && !is_far(limit->rlim_cur);
    bool first = is_near && !raises_the_most(limit);
    int result;

    if (first)
        give_up_addresses(limit->rlim_cur);
    result = system_prlimit(pid, RLIMIT_AS, limit, old);
    if (is_near && !first && result == 0)
        give_up_addresses(limit->rlim_cur);
    return result;
}

int slub_prlimit(pid_t pid, int resource, const struct rlimit *limit, struct rlimit *old)
{
    int saved = errno, result;
    bool ours = resource == RLIMIT_AS && can_be_read(limit) && is_this_process(pid) &&
                !kmem_pages_are_anothers() && hold_start();

    errno = saved;
    if (!ours)
        return system_prlimit(pid, resource, limit, old);
    /* A copy: `old` may be the same. */
    result = set_limit(pid, &(struct rlimit){limit->rlim_cur, limit->rlim_max}, old);
    lock_drop(&slub_starting);
    return result;
}
