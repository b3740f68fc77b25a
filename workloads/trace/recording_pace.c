#include "workloads/trace/recording_pace.h"

#include "workloads/trace/recording_space.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

/* At most this much waits, and no more than space_bytes_max(). */
#define BACKLOG_BYTES_MAX (UINT64_C(256) << 20)
enum { WAIT_NS_MAX = 1000000000 };

void pace_begin(struct pace *pace, int raw_fd)
{
    *pace = (struct pace){.loadavg_fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC),
                          .raw_fd = raw_fd,
                          .backlog_bytes_max = BACKLOG_BYTES_MAX};
}

static uint64_t backlog_bytes_max(const struct pace *pace, const struct raw_header *header)
{
    uint64_t most = space_bytes_max(pace->raw_fd, header->size_max);
    return most < pace->backlog_bytes_max ? most : pace->backlog_bytes_max;
}

/* That we may use: what we record may as a rule use the same. */
static unsigned count_cpus(void)
{
    cpu_set_t cpus;
    return sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? (unsigned)CPU_COUNT(&cpus) : UINT32_MAX;
}

/*
 * Whether so many threads were recorded of processes that are not known to be over. Which of the
 * threads are over nobody notes: that would be work at every thread's end.
 */
static bool has_threads(struct raw_header *header, unsigned wanted)
{
    uint32_t count = header->processes < RAW_PROCESSES_MAX ? header->processes : RAW_PROCESSES_MAX;
    uint64_t threads = 0;
    for (uint32_t i = 0; i < count && threads < wanted; i++)
        if (!raw_process(header, i)->finished)
            threads += raw_process(header, i)->threads;
    return threads >= wanted;
}

/* True when one of the machine's CPUs has nothing to do, since the load is the machine's; in doubt too. */
static bool a_cpu_is_free(const struct pace *pace)
{
    char text[128];
    long running;
    ssize_t got = pread(pace->loadavg_fd, text, sizeof text - 1, 0);
    if (got <= 0)
        return true;
    text[got] = '\0';
    /* three averages, then how many tasks run or wait for a CPU; we are one of them */
    return sscanf(text, "%*s %*s %*s %ld/", &running) != 1 ||
           running <= sysconf(_SC_NPROCESSORS_ONLN);
}

static bool has_free(struct raw_header *header, uint32_t segment_bytes)
{
    return (uint32_t)*raw_free_list(header, segment_bytes) != 0;
}

/* As long as there are free segments of both kinds, no more are carved off the file. */
static bool backlog_has_room(const struct pace *pace, struct raw_header *header)
{
    uint64_t carved = header->next - RAW_FIRST_SEGMENT;
    return carved < backlog_bytes_max(pace, header) ||
           (has_free(header, RAW_SEGMENT_BYTES_SMALL) && has_free(header, RAW_SEGMENT_BYTES_LARGE));
}

bool pace_allows(struct pace *pace, struct raw_header *header, uint64_t now_ns)
{
    bool allowed = pace->loadavg_fd < 0 || now_ns - pace->last_ns >= WAIT_NS_MAX ||
                   !has_threads(header, count_cpus()) || !backlog_has_room(pace, header) ||
                   a_cpu_is_free(pace);
    if (allowed)
        pace->last_ns = now_ns;
    return allowed;
}

void pace_end(struct pace *pace)
{
    if (pace->loadavg_fd >= 0)
        close(pace->loadavg_fd);
}
