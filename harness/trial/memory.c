/*
 * The peak is VmHWM, which is inherited across fork and exec, so that it must be reset first.
 */
#include "trial/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int open_proc(pid_t pid, const char *name)
{
    char path[64];
    if (pid == 0)
        snprintf(path, sizeof path, "/proc/self/%s", name);
    else
        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static size_t read_proc(pid_t pid, const char *name, char *text, size_t bytes)
{
    int fd = open_proc(pid, name);
    if (fd < 0)
        return 0;
    size_t length = 0;
    ssize_t got;
    while (length + 1 < bytes && (got = read(fd, text + length, bytes - 1 - length)) > 0)
        length += (size_t)got;
    close(fd);
    text[length] = '\0';
    return length;
}

/* The number of KiB after `key` in a file of "Key:   123 kB" lines, in bytes; 0 if there is none. */
static uint64_t read_kib(pid_t pid, const char *name, const char *key)
{
    char text[8192];
    if (read_proc(pid, name, text, sizeof text) == 0)
        return 0;
    const char *at = strstr(text, key);
    if (at == NULL)
        return 0;
    at += strlen(key);
    while (*at == ' ' || *at == '\t')
        at++;
    uint64_t kib = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        kib = kib * 10 + (uint64_t)(*at - '0');
    return kib * 1024;
}

uint64_t memory_rss_bytes(pid_t pid)
{
    uint64_t exact = read_kib(pid, "smaps_rollup", "\nRss:");
    return exact != 0 ? exact : read_kib(pid, "status", "\nVmRSS:");
}

uint64_t memory_rss_bytes_quick(pid_t pid)
{
    char text[128];
    unsigned long pages = 0;
    if (read_proc(pid, "statm", text, sizeof text) == 0)
        return 0;
    const char *at = strchr(text, ' '); /* the second number */
    for (at += at != NULL; at != NULL && *at >= '0' && *at <= '9'; at++)
        pages = pages * 10 + (unsigned long)(*at - '0');
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/*
 * The kernel counts file, anonymous and shared pages. Each CPU keeps up to max(32, 2 x CPUs) of each to
 * itself before it hands them in (its percpu_counter); before Linux 6.2 each thread kept what 64 page
 * faults brought (SPLIT_RSS_COUNTING).
 */
uint64_t memory_lag_bytes(unsigned threads)
{
    uint64_t cpus = (uint64_t)sysconf(_SC_NPROCESSORS_CONF);
    uint64_t batch = 2 * cpus > 32 ? 2 * cpus : 32;
    return (3 * cpus * batch + 64 * (uint64_t)threads) * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t memory_rss_bytes_peak(void)
{
    return read_kib(0, "status", "\nVmHWM:");
}

void memory_reset_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t ignored = write(fd, "5", 1);
    (void)ignored;
    close(fd);
}
