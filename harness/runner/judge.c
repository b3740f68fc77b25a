/* How a trial ended: from exit status, captured output and shared result to a status and a detail. */
#include "runner/child.h"

#include "util/parse.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

uint64_t kernel_oom_kills(void)
{
    static const char key[] = "oom_kill ";
    char line[256];
    uint64_t value = 0;
    FILE *file = fopen("/proc/vmstat", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            value = strtoull(line + strlen(key), NULL, 10);
    if (file != NULL)
        fclose(file);
    return value;
}

static const char *stage_name(uint32_t stage)
{
    static const char *const names[] = {
        [STAGE_START] = "at the start",          [STAGE_SETUP] = "in set-up",
        [STAGE_WARMUP] = "in warm-up",           [STAGE_MEASURED] = "in the measured part",
        [STAGE_SAMPLED] = "in the sampled part", [STAGE_END] = "at the end",
        [STAGE_WAITING] = "waiting for a turn",  [STAGE_TIMELINE] = "in the timeline part",
    };
    return stage < sizeof names / sizeof names[0] ? names[stage] : "at an unknown stage";
}

/* The last line that the child printed, which is where allocators say why they abort. */
static const char *last_line(struct child *child)
{
    char *end = child->output + child->output_length;
    while (end > child->output && (end[-1] == '\n' || end[-1] == ' '))
        *--end = '\0';
    char *begin = end;
    while (begin > child->output && begin[-1] != '\n')
        begin--;
    for (char *c = begin; c < end; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    return begin;
}

/*
 * The line in which the library says that it ignores a knob, or NULL. The values of our own are
 * checked before a run, but a foreign library, or another build of one of ours, may know better.
 */
static const char *refusal_line(struct child *child)
{
    const struct contender *c = child->request->contender;
    const char *words = c->descriptor != NULL ? c->descriptor->refusal : NULL;
    if (c->environment.count == 0 || words == NULL)
        return NULL;
    const char *found = strstr(child->output, words);
    if (found == NULL)
        return NULL;
    const char *begin = found;
    while (begin > child->output && begin[-1] != '\n')
        begin--;
    return pool_printf("%.*s", (int)strcspn(begin, "\n"), begin);
}

static void set_outcome(struct trial_outcome *outcome, enum trial_status status, const char *detail)
{
    outcome->status = status;
    snprintf(outcome->detail, sizeof outcome->detail, "%s", detail);
}

static void judge_killed(struct child *child, const char *stage, struct trial_outcome *outcome)
{
    const struct trial_request *request = child->request;
    char limit[32];
    if (child->killed_for == TRIAL_TIMEOUT)
        set_outcome(outcome, TRIAL_TIMEOUT,
                    pool_printf("did not end within %s (was %s)",
                                format_duration(request->timeout_ns, limit), stage));
    else
        set_outcome(outcome, TRIAL_OOM,
                    pool_printf("resident memory passed the limit of %s (was %s)",
                                format_bytes(request->memory_limit_bytes, limit), stage));
}

/* Memory is looked at now and then while the trial runs: what came and went in between shows in its
 * peak. */
static void judge_finished(const struct child *child, struct trial_outcome *outcome)
{
    uint64_t peak_bytes = child->shared->result.rss_bytes_peak;
    uint64_t limit_bytes = child->request->memory_limit_bytes;
    char peak[32], limit[32];
    if (peak_bytes <= limit_bytes)
        set_outcome(outcome, TRIAL_OK, "");
    else
        set_outcome(outcome, TRIAL_OOM,
                    pool_printf("resident memory passed the limit of %s: its peak was %s",
                                format_bytes(limit_bytes, limit), format_bytes(peak_bytes, peak)));
}

static void judge_crashed(struct child *child, int wait_status, const char *stage,
                          struct trial_outcome *outcome)
{
    const char *line = last_line(child);
    const char *said = *line ? pool_printf(": %s", line) : "";
    if (WIFEXITED(wait_status)) {
        set_outcome(outcome, TRIAL_CRASHED,
                    pool_printf("ended with exit code %d %s%s", WEXITSTATUS(wait_status), stage,
                                said));
        return;
    }
    int signal = WTERMSIG(wait_status);
    if (signal == SIGKILL && kernel_oom_kills() > child->oom_kills_before) {
        set_outcome(outcome, TRIAL_OOM,
                    pool_printf("killed by the kernel, out of memory (was %s)", stage));
        return;
    }
    set_outcome(outcome, TRIAL_CRASHED,
                pool_printf("SIG%s (%s) %s%s", sigabbrev_np(signal) ? sigabbrev_np(signal) : "?",
                            strsignal(signal), stage, said));
}

void child_judge(struct child *child, int wait_status, struct trial_outcome *outcome)
{
    const struct trial_result *result = &child->shared->result;
    const char *stage = stage_name(result->stage);
    uint32_t status = result->status;
    const char *refusal = refusal_line(child);
    if (refusal != NULL)
        set_outcome(outcome, TRIAL_UNSUPPORTED,
                    pool_printf("the allocator ignored a knob: %s", refusal));
    else if (status == TRIAL_OK && WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0)
        judge_finished(child, outcome);
    else if (status > TRIAL_OK && status < TRIAL_STATUS_COUNT && WIFEXITED(wait_status))
        set_outcome(outcome, status, result->detail);
    else if (child->killed_for != TRIAL_RUNNING)
        judge_killed(child, stage, outcome);
    else
        judge_crashed(child, wait_status, stage, outcome);
    if (outcome->status == TRIAL_PRELOAD_FAILED) {
        const char *line = last_line(child);
        set_outcome(outcome, TRIAL_PRELOAD_FAILED,
                    pool_printf("%s, not from '%s'%s%s", result->detail,
                                child->request->contender->path, *line ? ": " : "", line));
    }
}
