/*
 * Instructions by the CPU's own counter (perf_event_open). Virtual machines mostly have none, and
 * kernel.perf_event_paranoid above 2 forbids it; both look the same here: there is no figure.
 */
#include "trial/trial.h"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fd = -1;

void counter_open(void)
{
    struct perf_event_attr what = {
        .type = PERF_TYPE_HARDWARE,
        .size = sizeof what,
        .config = PERF_COUNT_HW_INSTRUCTIONS,
        .exclude_kernel = 1, /* faults and system calls are counted as time, not as instructions */
        .exclude_hv = 1,
        .inherit = 1, /* and so of every thread that starts later */
    };
    fd = (int)syscall(SYS_perf_event_open, &what, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

uint64_t counter_read(void)
{
    uint64_t count = 0;
    return fd >= 0 && read(fd, &count, sizeof count) == sizeof count ? count : 0;
}
