#include "workloads/trace/recording.h"

#include "workloads/trace/format.h"
#include "workloads/trace/recording_files.h"
#include "workloads/trace/recording_pace.h"
#include "workloads/trace/recording_processes.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CALIBRATION_NS = 10000000, /* shortest span over which the clock's rate is taken */
    /*
     * How often the drain looks, if it does not have to wait (recording_pace.h). Seldom enough to cost
     * nothing, often enough for the memory that goes round to stay in the caches: 3 ms of the
     * fastest program are 2 MiB.
     */
    ROUND_BUSY_MS = 3,
    ROUND_IDLE_MS = 20, /* comes by doubling: a program that has just begun is idle, too */
    BUSY_EVENTS = 1000, /* in a round */
};

/* ---- the clock ------------------------------------------------------------------------------- */

static void read_end_clocks(struct recording *r)
{
    r->raw->end_ns = raw_now(false);
    r->raw->end_ticks = raw_now(r->raw->is_tsc != 0);
}

/* After very short programs it waits a little, so that the rate is known to some parts per million. */
static void wait_for_rate(struct recording *r)
{
    uint64_t elapsed = raw_now(false) - r->raw->start_ns;
    if (r->recovered)
        return;
    if (elapsed < CALIBRATION_NS)
        usleep((unsigned)((CALIBRATION_NS - elapsed) / 1000 + 1));
    read_end_clocks(r);
}

/* ---- signals --------------------------------------------------------------------------------- */

static volatile sig_atomic_t child, interrupted, toggles;

/* The program gets it as long as it runs; then it ends the recording. */
static void pass_on(int signal)
{
    if (child > 0)
        kill((pid_t)child, signal);
    else
        interrupted = 1;
}

/* A terminal sends it to the program as well. */
static void interrupt(int signal)
{
    (void)signal;
    if (child <= 0)
        interrupted = 1;
}

static void toggle(int signal)
{
    (void)signal;
    toggles++;
}

enum { SIGNALS = 5 };

struct saved_signals {
    int signals[SIGNALS];
    struct sigaction actions[SIGNALS];
};

static sigset_t inherited_mask;

/* From before the program starts until they are handled: or else one would end the recorder, not the recording. */
static void hold_signals(const struct recording *r)
{
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    sigaddset(&held, SIGQUIT);
    sigaddset(&held, SIGTERM);
    sigaddset(&held, SIGHUP);
    if (r->options.toggle_signal != 0)
        sigaddset(&held, r->options.toggle_signal);
    sigprocmask(SIG_BLOCK, &held, &inherited_mask);
}

static void handle_signals(const struct recording *r, struct saved_signals *saved)
{
    void (*const handlers[SIGNALS])(int) = {interrupt, interrupt, pass_on, pass_on, toggle};
    *saved = (struct saved_signals){
        .signals = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, r->options.toggle_signal}};
    for (int i = 0; i < SIGNALS; i++) {
        struct sigaction action = {.sa_handler = handlers[i]};
        if (saved->signals[i] != 0)
            sigaction(saved->signals[i], &action, &saved->actions[i]);
    }
}

/*
 * Where SIGCHLD is ignored, as some supervisors leave it, the kernel forgets who ends before anybody
 * can ask. The program gets it as it was.
 */
static struct sigaction inherited_child_ends;

static void take_child_ends(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(SIGCHLD, &action, &inherited_child_ends);
}

static void restore_signals(const struct saved_signals *saved)
{
    for (int i = SIGNALS - 1; i >= 0; i--)
        if (saved->signals[i] != 0)
            sigaction(saved->signals[i], &saved->actions[i], NULL);
}

/* ---- starting and stopping ------------------------------------------------------------------- */

/*
 * After the first start, what ends is recorded while recording pauses, so that objects do not live
 * on that the program has freed.
 */
static void set_level(struct recording *r, enum raw_level level)
{
    if (level == RAW_OFF && r->raw->level != RAW_OFF)
        level = RAW_FREES;
    r->raw->level = level;
}

/* Of enum raw_flag. */
static uint32_t flags_of_all(const struct recording *r)
{
    uint32_t flags = 0;
    for (uint32_t i = 0; i < r->process_count; i++)
        flags |= raw_process(r->raw, i)->flags;
    return flags;
}

/* Why no process is recorded any more: of enum raw_flag; 0: there is room. */
static uint32_t limit_reached(const struct recording *r)
{
    uint32_t flags = flags_of_all(r);
    return flags & RAW_SIZE_LIMIT ? RAW_SIZE_LIMIT : flags & RAW_NO_SPACE;
}

/* What one process has met ends the recording of all: those that run are marked before they are cut off. */
static void heed_limit(struct recording *r)
{
    uint32_t limit = limit_reached(r);
    if (limit == 0 || r->all_ended)
        return;
    r->all_ended = true;
    processes_mark_running(r, limit);
    r->raw->level = RAW_OFF;
    if (processes_see_new(r) == 0) /* else the next round says so */
        processes_mark_running(r, limit);
}

/* What the clock and the signals have asked for since the last time. */
static void control_level(struct recording *r, sig_atomic_t *toggles_seen)
{
    uint64_t elapsed = raw_now(false) - r->raw->start_ns;
    struct recording_options *options = &r->options;
    if (r->all_ended)
        return;
    if (options->start_after_ns != 0 && elapsed >= options->start_after_ns) {
        options->start_after_ns = 0;
        set_level(r, RAW_ALL);
    }
    if (options->stop_after_ns != 0 && elapsed >= options->stop_after_ns) {
        options->stop_after_ns = 0;
        set_level(r, RAW_OFF);
        r->raw->ever_partial = 1;
    }
    for (; *toggles_seen != toggles; (*toggles_seen)++) {
        set_level(r, r->raw->level == RAW_ALL ? RAW_OFF : RAW_ALL);
        r->raw->ever_partial = 1;
    }
}

/* ---- the end of processes -------------------------------------------------------------------- */

static int end_process(struct recording *r, uint32_t index)
{
    struct recorded_process *process = &r->processes[index];
    struct raw_process *raw = raw_process(r->raw, index);
    bool replaced = process_was_replaced(r, index);
    int status = -1;
    if (process_is_first(r, index) && !replaced)
        status = r->exit_status;
    if (replaced)
        atomic_fetch_or(&raw->flags, RAW_REPLACED);
    if (process->pidfd >= 0)
        close(process->pidfd);
    process->pidfd = -1;
    process->over = true;
    uint32_t traces = r->trace_count;
    int error = recording_files_finish(r, index, status);
    if (r->trace_count > traces)
        r->traces[traces].ends = raw->flags;
    return error;
}

/* *running: how many there are still. */
static int end_processes(struct recording *r, uint32_t *running)
{
    *running = 0;
    for (uint32_t i = 0; i < r->process_count; i++) {
        if (r->processes[i].over)
            continue;
        if (!process_is_over(r, i)) {
            ++*running;
            continue;
        }
        if (process_is_first(r, i) && child == 0)
            wait_for_rate(r);
        int error = end_process(r, i);
        if (error != 0)
            return error;
    }
    return 0;
}

static void reap(struct recording *r)
{
    pid_t ended, whom = r->orphans.adopted ? -1 : (pid_t)r->raw->first.pid;
    int status;
    while ((ended = waitpid(whom, &status, WNOHANG)) > 0) {
        if (ended != child)
            continue;
        r->exit_status = status;
        child = 0;
        r->first_is_over = true;
    }
}

/* After a limit, or a stop without a signal to start again, nothing begins to be recorded. */
static bool is_off_for_good(const struct recording *r)
{
    return limit_reached(r) != 0 || (r->raw->level != RAW_ALL && r->options.start_after_ns == 0 &&
                                     r->options.toggle_signal == 0);
}

/* The table alone does not tell: a PID namespace of the program's hides who is in it. */
static bool any_left(struct recording *r, uint32_t running)
{
    if (!r->orphans.adopted)
        return running > 0;
    if (running > 0 || is_off_for_good(r))
        return running > 0 && orphans_exist(&r->orphans);
    return orphans_may_call(&r->orphans, r->raw_path, r->raw_fd, raw_now(false));
}

/* ---- the program ----------------------------------------------------------------------------- */

static bool preload(const char *library, const char *raw_path)
{
    const char *others = getenv("LD_PRELOAD");
    char list[2 * PATH_MAX];
    snprintf(list, sizeof list, "%s%s%s", library, others != NULL && *others != '\0' ? ":" : "",
             others != NULL ? others : "");
    return setenv("LD_PRELOAD", list, 1) == 0 && setenv(RAW_ENV, raw_path, 1) == 0;
}

/* In the child: reports through `status_fd`, which exec closes, why it could not run. */
static _Noreturn void run_program(const struct recording *r, const char *path,
                                  char *const arguments[], const char *library, int status_fd)
{
    sigaction(SIGCHLD, &inherited_child_ends, NULL);
    sigaction(SIGXFSZ, &r->inherited_size_limit, NULL);
    sigaction(SIGPIPE, &r->inherited_pipe_end, NULL);
    setrlimit(RLIMIT_NOFILE, &r->inherited_descriptors);
    sigprocmask(SIG_SETMASK, &inherited_mask, NULL);
    if (preload(library, r->raw_path))
        execv(path, arguments);
    int error = errno;
    ssize_t ignored = write(status_fd, &error, sizeof error);
    (void)ignored;
    _exit(127);
}

/* What a user can do about an error. */
static const char *remedy(int error)
{
    return error == EMFILE ? "; raise the limit for open files (ulimit -n)" : "";
}

static int cannot_run(struct recording *r, const char *path, int error)
{
    return recording_fail(r, -error, "cannot run '%s': %s%s", path, strerrordesc_np(error),
                          remedy(error));
}

/* 0 when it runs. */
static int start_program(struct recording *r, const char *path, char *const arguments[],
                         const char *library)
{
    int status[2], error = 0;
    if (pipe2(status, O_CLOEXEC) != 0)
        return cannot_run(r, path, errno);
    r->raw->start_ns = r->raw->end_ns = raw_now(false);
    r->raw->start_ticks = r->raw->end_ticks = raw_now(r->raw->is_tsc != 0);
    child = fork();
    if (child == 0)
        run_program(r, path, arguments, library, status[1]);
    close(status[1]);
    if (child < 0)
        error = errno;
    ssize_t got = -1;
    while (child > 0 && (got = read(status[0], &error, sizeof error)) < 0 && errno == EINTR)
        continue;
    close(status[0]);
    if (child > 0 && got != sizeof error) {
        r->raw->first = identity_of((uint32_t)child);
        r->raw->first.space = identity_of_self().space; /* of one that has ended it is not told */
        return 0;
    }
    if (child > 0)
        waitpid((pid_t)child, NULL, 0);
    child = 0;
    return cannot_run(r, path, error);
}

/* The least of what programs need of the kernel while they are recorded. */
static int check_kernel(struct recording *r)
{
    if (madvise(r->raw, RAW_PAGE_BYTES, MADV_POPULATE_WRITE) == 0 || errno != EINVAL)
        return 0;
    return recording_fail(r, -ENOSYS, "recording needs Linux 5.14 or newer");
}

/* Sleeps that long, or until the first process ends, and counts milliseconds. */
static void sleep_or_reap(struct recording *r, int pidfd, int milliseconds)
{
    struct pollfd end = {.fd = child > 0 ? pidfd : -1, .events = POLLIN};
    do
        r->raw->coarse++;
    while (milliseconds-- > 0 && poll(&end, 1, 1) == 0);
    reap(r);
}

static int drain_failed(struct recording *r, int error)
{
    return recording_fail(r, error, "cannot record to '%s': %s", r->output,
                          strerrordesc_np(-error));
}

/*
 * A round of the drain, if it is the time for one. *pause_ms: how long it was to this one, and is to the next. 0 or
 * -errno.
 */
static int drain_in_turn(struct recording *r, struct pace *pace, int *pause_ms)
{
    int paused_ms = *pause_ms;
    *pause_ms = ROUND_BUSY_MS;
    if (!pace_allows(pace, r->raw, raw_now(false)))
        return 0;
    space_make_pages(&r->space, r->raw);
    int64_t events = drain_round(r->drain);
    if (events < 0)
        return drain_failed(r, (int)events);
    if (events >= DRAIN_ROUND_EVENTS)
        *pause_ms = 0;
    else if (events <= BUSY_EVENTS)
        *pause_ms = paused_ms < ROUND_IDLE_MS / 2 ? 2 * paused_ms + 1 : ROUND_IDLE_MS;
    return 0;
}

/* Until the program has ended and all that it started, or until a signal says so. */
static int follow(struct recording *r, void (*note)(const char *text))
{
    int pidfd = processes_open_pidfd((uint32_t)child), pause_ms = 0, error = 0;
    sig_atomic_t toggles_seen = 0; /* one may have come before */
    uint32_t running = 0;
    bool told = false;
    struct pace pace;
    pace_begin(&pace, r->raw_fd);
    while (error == 0) {
        read_end_clocks(r);
        control_level(r, &toggles_seen);
        space_keep_ahead(&r->space, r->raw);
        error = drain_in_turn(r, &pace, &pause_ms);
        heed_limit(r);
        if (error == 0)
            error = processes_see_new(r);
        if (error == 0)
            error = end_processes(r, &running);
        if (error != 0 || (child == 0 && (interrupted || !any_left(r, running))))
            break;
        if (child == 0 && !told) {
            note("the program has ended; processes that it started go on and are recorded as far "
                 "as they can be: Ctrl-C ends the recording, not them");
            told = true;
        }
        sleep_or_reap(r, pidfd, pause_ms);
    }
    pace_end(&pace);
    if (pidfd >= 0)
        close(pidfd);
    return error;
}

int recording_run(struct recording *r, const char *path, char *const arguments[],
                  const char *library, void (*note)(const char *text))
{
    struct saved_signals saved;
    if (check_kernel(r) != 0)
        return -ENOSYS;
    interrupted = toggles = 0;
    space_announce(&r->space, r->raw);
    set_level(r, r->options.start_after_ns != 0 ? RAW_OFF : RAW_ALL);
    r->raw->ever_partial = r->options.start_after_ns != 0;
    if (!r->options.only_first)
        orphans_adopt(&r->orphans);
    take_child_ends();
    hold_signals(r);
    int error = start_program(r, path, arguments, library);
    if (error == 0)
        handle_signals(r, &saved);
    sigprocmask(SIG_SETMASK, &inherited_mask, NULL);
    if (error == 0) {
        error = follow(r, note);
        while (child > 0 && waitpid((pid_t)child, &r->exit_status, 0) < 0 && errno == EINTR)
            continue;
        child = 0;
        r->first_is_over = true;
        restore_signals(&saved);
    }
    sigaction(SIGCHLD, &inherited_child_ends, NULL);
    orphans_release(&r->orphans);
    return error;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* What it was started as; where the command line did not fit, it stands behind an empty word. */
static const char *program_name(const struct raw_header *header)
{
    return header->command + (header->command[0] == '\0');
}

static int check_recorded(struct recording *r)
{
    if (r->trace_count > 0)
        return 0;
    if (r->raw->processes == 0)
        return recording_fail(r, -ENODATA,
                              "nothing was recorded: '%s' did not load the recorder, or its limits "
                              "(ulimit -v) leave no room for it",
                              program_name(r->raw));
    int failure = drain_failure(r->drain, 0);
    uint32_t limit = limit_reached(r);
    if (r->raw_away && failure == -ENOENT)
        return recording_fail(r, failure,
                              "nothing was recorded: '%s' was deleted while it was written; choose "
                              "another place with -o",
                              r->raw_path);
    if (limit == RAW_NO_SPACE && failure != 0)
        return recording_fail(r, failure, "nothing was recorded: '%s' cannot be written: %s%s",
                              r->output, strerrordesc_np(-failure), remedy(-failure));
    if (limit == RAW_NO_SPACE)
        return recording_fail(r, -ENOSPC,
                              "nothing was recorded: no space left beside '%s'; choose another "
                              "place with -o",
                              r->output);
    if (limit == RAW_SIZE_LIMIT)
        return recording_fail(r, -EFBIG,
                              "nothing was recorded: the size limit has no room for the beginning");
    if (flags_of_all(r) & RAW_FORBIDDEN)
        return recording_fail(r, -EPERM,
                              "nothing was recorded: '%s' forbids system calls that recording "
                              "needs, madvise say (a seccomp filter?)",
                              program_name(r->raw));
    if (flags_of_all(r) & RAW_SHUT)
        return recording_fail(r, -EPERM,
                              "nothing was recorded: '%s' shut itself off from the clock "
                              "(seccomp's "
                              "strict mode, or PR_SET_TSC) before its first call",
                              program_name(r->raw));
    if (r->raw->sample > 1)
        return recording_fail(r, -ENODATA,
                              "nothing was recorded: none of the objects of '%s' was drawn into "
                              "the sample, if it made any%s; ask for a larger one than "
                              "--sample=1/%" PRIu32,
                              program_name(r->raw),
                              r->raw->ever_partial ? " while recording was on" : "",
                              r->raw->sample);
    if (r->raw->ever_partial)
        return recording_fail(r, -ENODATA,
                              "nothing was recorded: the program never allocated while recording "
                              "was on");
    if (r->exit_status != -1 && WIFSIGNALED(r->exit_status))
        return recording_fail(r, -ENODATA,
                              "nothing was recorded: '%s' was ended by signal %d (%s) before it "
                              "made a call to malloc that a preloaded library sees",
                              program_name(r->raw), WTERMSIG(r->exit_status),
                              sigdescr_np(WTERMSIG(r->exit_status)));
    return recording_fail(r, -ENODATA,
                          "nothing was recorded: '%s' made no call to malloc that a preloaded "
                          "library sees; it may bring its own allocator inside",
                          program_name(r->raw));
}

int recording_finish(struct recording *r)
{
    uint32_t running;
    r->raw->level = RAW_OFF;
    int error = processes_see_new(r);
    if (error == 0)
        error = end_processes(r, &running);
    for (uint32_t i = 0; i < r->process_count && error == 0; i++) {
        if (r->processes[i].over)
            continue;
        if (!r->orphans.adopted || orphans_exist(&r->orphans)) /* else it only was hidden */
            atomic_fetch_or(&raw_process(r->raw, i)->flags, RAW_LEFT);
        error = end_process(r, i);
    }
    return error != 0 ? error : check_recorded(r);
}

/*
 * Somebody who still writes would be cut off. A PID alone does not tell who that is: it may be another
 * program's by now.
 */
static int check_all_over(struct recording *r)
{
    for (uint32_t i = 0; i < RAW_PROCESSES_MAX && i < r->raw->processes; i++) {
        uint32_t pid = raw_process(r->raw, i)->pid;
        if (pid != 0 && /* 0 where the raw file was damaged */
            orphan_may_write((pid_t)pid, r->raw_path, r->raw_fd))
            return recording_fail(r, -EBUSY,
                                  "cannot recover '%s': process %" PRIu32
                                  " is still being recorded; wait for its end",
                                  r->raw_path, pid);
    }
    return 0;
}

int recording_recover(struct recording *r, const char *raw_path, char *error, size_t error_bytes)
{
    int result = recording_files_reopen(r, raw_path, error, error_bytes);
    if (result == 0)
        result = check_all_over(r);
    if (result == 0)
        space_release(r->raw, 0);
    r->exit_status = -1;
    r->recovered = r->first_is_over = true;
    if (result == 0)
        result = recording_finish(r);
    if (result != 0 && r->trace_count == 0)
        r->raw_path[0] = '\0'; /* it stays */
    return result;
}

void recording_release(struct recording *r)
{
    processes_release(r);
    recording_files_release(r);
}
