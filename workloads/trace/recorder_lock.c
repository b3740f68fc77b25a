/*
 * mlockall() in a recorded program. The raw file is mapped with room for a recording of any length: to lock that
 * would make pages of all of it, and counts against the program's limit. So nothing is locked, as under the
 * compilers' sanitizers, and the call is answered as it would be without that mapping.
 */
#include "workloads/trace/recorder_log.h"

#include "allocators/common/uncancelled.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { KNOWN_FLAGS = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT };

static bool may_lock_all(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & 1u << CAP_IPC_LOCK) != 0;
}

/* Of the program's own address space; 0 where it is not known. */
static uint64_t mapped_bytes_of_program(void)
{
    char text[64];
    int fd = uncancelled_open("/proc/self/statm", O_RDONLY);
    ssize_t got = fd >= 0 ? uncancelled_read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        uncancelled_close(fd);
    text[got > 0 ? got : 0] = '\0';
    uint64_t all = strtoull(text, NULL, 10) * RAW_PAGE_BYTES, ours = log_mapped_bytes();
    return all > ours ? all - ours : 0;
}

/* As the kernel has it: with MCL_CURRENT, all that is mapped must fit the limit. */
static int try_to_lock(int flags)
{
    struct rlimit limit = {.rlim_cur = RLIM_INFINITY};
    if (may_lock_all())
        return 0;
    getrlimit(RLIMIT_MEMLOCK, &limit);
    if (limit.rlim_cur == 0)
        errno = EPERM;
    else if (flags & MCL_CURRENT && mapped_bytes_of_program() > limit.rlim_cur)
        errno = ENOMEM;
    else
        return 0;
    return -1;
}

__attribute__((visibility("default"))) int mlockall(int flags)
{
    bool makes_sense = (flags & (MCL_CURRENT | MCL_FUTURE)) != 0 && (flags & ~KNOWN_FLAGS) == 0;
    log_level(); /* a recording that is about to begin begins here */
    if (!makes_sense || log_header->file_bytes == 0)
        return (int)syscall(SYS_mlockall, flags);
    return try_to_lock(flags);
}
