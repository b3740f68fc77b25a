#include "workloads/trace/recording_processes.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int processes_open_pidfd(uint32_t pid)
{
    return (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
}

static bool is_in_our_space(const struct recording *r, const struct identity *identity)
{
    return identity->space != 0 && identity->space == r->raw->first.space;
}

/* Where nothing is known of one of them, the pid decides. */
static bool is_it(const struct recording *r, const struct identity *wanted)
{
    struct identity found = identity_of(wanted->pid);
    if (found.birth == 0 && wanted->space != 0) /* it may not be looked at */
        return is_in_our_space(r, wanted);
    return identity_equals(&found, wanted);
}

/*
 * In a namespace of its own its pid is another process's here, or nobody's: that one is not to be watched for its
 * end. In ours, who is not found has ended.
 */
static void find_process(struct recording *r, uint32_t index)
{
    struct recorded_process *process = &r->processes[index];
    struct identity wanted = raw_identity(r->raw, index);
    process->pidfd = processes_open_pidfd(wanted.pid);
    bool is_missing = process->pidfd < 0 && errno == ESRCH;
    process->sought = process->pidfd >= 0 || is_missing; /* else again in the next round */
    if (process->pidfd >= 0 && !is_it(r, &wanted)) {
        is_missing = true;
        close(process->pidfd);
        process->pidfd = -1;
    }
    process->gone = is_missing && is_in_our_space(r, &wanted);
}

int processes_see_new(struct recording *r)
{
    uint32_t count = r->raw->processes;
    if (count > RAW_PROCESSES_MAX)
        count = RAW_PROCESSES_MAX;
    if (count > r->process_count) {
        struct recorded_process *processes = realloc(r->processes, count * sizeof *r->processes);
        if (processes == NULL)
            return -ENOMEM;
        r->processes = processes;
    }
    for (; r->process_count < count; r->process_count++)
        r->processes[r->process_count] = (struct recorded_process){.pidfd = -1};
    for (uint32_t i = 0; i < count; i++)
        if (!r->processes[i].sought && raw_process(r->raw, i)->identified)
            find_process(r, i);
    return 0;
}

bool process_is_first(const struct recording *r, uint32_t index)
{
    struct identity identity = raw_identity(r->raw, index);
    return identity_equals(&identity, &r->raw->first);
}

bool process_was_replaced(const struct recording *r, uint32_t index)
{
    struct identity identity = raw_identity(r->raw, index);
    for (uint32_t i = index + 1; i < r->process_count; i++) {
        struct identity later = raw_identity(r->raw, i);
        if (raw_process(r->raw, i)->identified && identity_equals(&identity, &later))
            return true;
    }
    return false;
}

/*
 * One that had not told yet who it is when the table was looked at has just begun, or ended at once; another one could
 * not be sought, for want of descriptors.
 */
static bool may_run(const struct recording *r, uint32_t index)
{
    pid_t pid = (pid_t)raw_process(r->raw, index)->pid;
    return !r->processes[index].sought && (kill(pid, 0) == 0 || errno != ESRCH);
}

bool process_is_over(const struct recording *r, uint32_t index)
{
    const struct recorded_process *process = &r->processes[index];
    if (process->gone || process_was_replaced(r, index))
        return true;
    if (process_is_first(r, index) || process->pidfd < 0)
        return r->first_is_over && !may_run(r, index);
    struct pollfd end = {.fd = process->pidfd, .events = POLLIN};
    return poll(&end, 1, 0) == 1;
}

/* What a process is called in its own namespace, the last of the line; 0: it is not told. */
static uint32_t innermost_pid(const char *pid)
{
    char path[280], text[4096];
    snprintf(path, sizeof path, "/proc/%s/status", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[got > 0 ? got : 0] = '\0';
    char *line = strstr(text, "\nNSpid:"), *end = line != NULL ? strchr(line + 1, '\n') : NULL;
    if (end == NULL)
        return 0;
    *end = '\0';
    return (uint32_t)strtoul(strrchr(line, '\t'), NULL, 10);
}

/* Whether one that a namespace hides is among the processes that can be seen from here. Costs some 30 us for each. */
static bool is_seen(const struct identity *hidden)
{
    DIR *proc = opendir("/proc");
    bool seen = proc == NULL; /* in doubt */
    for (struct dirent *entry; !seen && (entry = readdir(proc)) != NULL;)
        seen = isdigit((unsigned char)entry->d_name[0]) &&
               identity_of((uint32_t)atoi(entry->d_name)).space == hidden->space &&
               innermost_pid(entry->d_name) == hidden->pid;
    if (proc != NULL)
        closedir(proc);
    return seen;
}

static bool is_running(const struct recording *r, uint32_t index)
{
    const struct recorded_process *process = &r->processes[index];
    struct identity identity = raw_identity(r->raw, index);
    if (process->over || process_is_over(r, index))
        return false;
    bool is_hidden = process->pidfd < 0 && identity.space != 0 && !is_in_our_space(r, &identity);
    return !is_hidden || is_seen(&identity);
}

void processes_mark_running(struct recording *r, uint32_t flag)
{
    for (uint32_t i = 0; i < r->process_count; i++)
        if (is_running(r, i))
            atomic_fetch_or(&raw_process(r->raw, i)->flags, flag);
}

void processes_release(struct recording *r)
{
    for (uint32_t i = 0; i < r->process_count; i++)
        if (r->processes[i].pidfd >= 0)
            close(r->processes[i].pidfd);
    free(r->processes);
}
