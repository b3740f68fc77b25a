#include "workloads/trace/recording_pace.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

/*
 * At most this much waits, and no more than these parts of the memory and of the disk: it is dirty
 * page cache, and on a full disk the recording ends.
 */
#define BACKLOG_BYTES_MAX (UINT64_C(256) << 20)
enum { PART_OF_MEMORY = 64, PART_OF_DISK = 16, WAIT_NS_MAX = 1000000000 };

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void pace_begin(struct pace *pace, const struct raw_header *header, int raw_fd)
{
    struct statvfs disk;
    uint64_t most = BACKLOG_BYTES_MAX;
    long pages = sysconf(_SC_PHYS_PAGES);
    if (pages > 0)
        most = least(most, (uint64_t)pages * RAW_PAGE_BYTES / PART_OF_MEMORY);
    if (fstatvfs(raw_fd, &disk) == 0 && disk.f_blocks != 0) /* else it has no limit */
        most = least(most, (uint64_t)disk.f_bavail * disk.f_frsize / PART_OF_DISK);
    if (header->size_max != 0)
        most = least(most, header->size_max);
    *pace = (struct pace){.loadavg_fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC),
                          .backlog_bytes_max = most};
}

static unsigned count_cpus(void)
{
    cpu_set_t cpus;
    return sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? (unsigned)CPU_COUNT(&cpus) : UINT32_MAX;
}

/* Whether so many threads were recorded of processes that are not known to be over. */
static bool has_threads(struct raw_header *header, unsigned wanted)
{
    uint32_t count = header->processes < RAW_PROCESSES_MAX ? header->processes : RAW_PROCESSES_MAX;
    uint64_t threads = 0;
    for (uint32_t i = 0; i < count && threads < wanted; i++)
        if (!raw_process(header, i)->finished)
            threads += raw_process(header, i)->threads;
    return threads >= wanted;
}

/* True when one of as many CPUs has nothing to do; in doubt too. */
static bool a_cpu_is_free(const struct pace *pace, unsigned cpus)
{
    char text[128];
    unsigned running;
    ssize_t got = pread(pace->loadavg_fd, text, sizeof text - 1, 0);
    if (got <= 0)
        return true;
    text[got] = '\0';
    /* three averages, then how many tasks run or wait for a CPU; we are one of them */
    return sscanf(text, "%*s %*s %*s %u/", &running) != 1 || running <= cpus;
}

/* As long as there are free segments, no more are carved off the file. */
static bool backlog_has_room(const struct pace *pace, struct raw_header *header)
{
    uint64_t carved = header->next - RAW_FIRST_SEGMENT;
    uint64_t free_list = *raw_free_list(header, RAW_SEGMENT_BYTES_LARGE);
    return carved < pace->backlog_bytes_max || (uint32_t)free_list != 0;
}

bool pace_allows(struct pace *pace, struct raw_header *header, uint64_t now_ns)
{
    unsigned cpus = count_cpus();
    bool allowed = pace->loadavg_fd < 0 || now_ns - pace->last_ns >= WAIT_NS_MAX ||
                   !has_threads(header, cpus) || !backlog_has_room(pace, header) ||
                   a_cpu_is_free(pace, cpus);
    if (allowed)
        pace->last_ns = now_ns;
    return allowed;
}

void pace_end(struct pace *pace)
{
    if (pace->loadavg_fd >= 0)
        close(pace->loadavg_fd);
}
