/*
 * mlockall() in a recorded program. The raw file is mapped with room for a recording of any length: to lock that
 * would make pages of all of it, and counts against the program's limit. So nothing is locked, as under the
 * compilers' sanitizers, and the call is answered as if it were.
 */
#include "workloads/trace/recorder_log.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { KNOWN_FLAGS = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT };

/* Whether the process may lock anything at all, tried with a page of ours. */
static int try_to_lock(void)
{
    if (mlock(&log_guard, sizeof log_guard) != 0)
        return -1;
    munlock(&log_guard, sizeof log_guard);
    return 0;
}

__attribute__((visibility("default"))) int mlockall(int flags)
{
    bool makes_sense = (flags & (MCL_CURRENT | MCL_FUTURE)) != 0 && (flags & ~KNOWN_FLAGS) == 0;
    log_level(); /* a recording that is about to begin begins here */
    if (!makes_sense || log_header->file_bytes == 0)
        return (int)syscall(SYS_mlockall, flags);
    return try_to_lock();
}
