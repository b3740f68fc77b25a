#include "workloads/trace/recording_processes.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int processes_open_pidfd(uint32_t pid)
{
    return (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
}

static bool is_in_our_space(const struct recording *r, const struct identity *identity)
{
    return identity->space != 0 && identity->space == r->first.space;
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
    return identity_equals(&identity, &r->first);
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

void processes_mark_running(struct recording *r, uint32_t flag)
{
    for (uint32_t i = 0; i < r->process_count; i++)
        if (!r->processes[i].over && !process_is_over(r, i))
            atomic_fetch_or(&raw_process(r->raw, i)->flags, flag);
}

void processes_release(struct recording *r)
{
    for (uint32_t i = 0; i < r->process_count; i++)
        if (r->processes[i].pidfd >= 0)
            close(r->processes[i].pidfd);
    free(r->processes);
}
