#include "runner/child.h"

#include "runner/seats.h"
#include "trial/memory.h"
#include "util/errno_text.h"
#include "util/say.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { POLL_MS = 50 };

/* ---- the child's side of the fork ------------------------------------------------------------ */

/* Only what the trial needs: variables of the user's shell must not reach an allocator. */
static void fill_environment(const struct trial_request *request, struct strings *environment)
{
    const struct contender *c = request->contender;
    const char *library_path = getenv("LD_LIBRARY_PATH");
    strings_add(environment, "PATH=/usr/bin:/bin");
    strings_add(environment, "LC_ALL=C");
    if (library_path != NULL)
        strings_add(environment, pool_printf("LD_LIBRARY_PATH=%s", library_path));
    if (c->is_preloaded)
        strings_add(environment, pool_printf("LD_PRELOAD=%s", c->path));
    for (size_t i = 0; i < c->environment.count; i++)
        strings_add(environment, c->environment.items[i]);
    char *pad = pool_alloc(request->pad_bytes + sizeof "HEAPMARK_PAD=");
    strcpy(pad, "HEAPMARK_PAD=");
    memset(pad + strlen(pad), 'x', request->pad_bytes);
    strings_add(environment, pad);
}

/* If memory runs out, the kernel shall take the trial and not its parent. */
static void volunteer_for_oom(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t ignored = write(fd, "1000", 4);
    (void)ignored;
    close(fd);
}

/* What the child needs of its parent, made before the fork: nothing is allocated after it. */
struct launch {
    const char *program;
    char *const *arguments, *const *environment;
    int shared_fd, input_fd, output_fd, signal_fd, listener_fd; /* -1: there is none */
    pid_t parent;
};

/*
 * The command under callgrind. valgrind's own start is a shell script and a launcher, which must not
 * run on the allocator under test. The tool that they start is linked statically, and is started
 * here in their place. Where it is not found, `env` sets the environment inside, and valgrind
 * follows its exec: twice the time.
 */
static void put_under_callgrind(const struct callgrind_run *run, struct launch *launch,
                                struct strings *words, struct strings *environment)
{
    static char search[] = "PATH=/usr/bin:/bin";
    static char *const outside[] = {search, NULL};
    strings_add(words, "valgrind");
    strings_add(words, "--tool=callgrind");
    strings_add(words, "--quiet");
    strings_add(words, "--log-file=/dev/null"); /* the allocator's own last words are wanted */
    strings_add(words, "--instr-atstart=no");
    strings_add(words, "--dump-line=no");
    strings_add(words, "--compress-strings=no");
    strings_add(words, "--compress-pos=no");
    strings_add(words, pool_printf("--callgrind-out-file=%s", run->out));
    if (run->tool == NULL) {
        strings_add(words, "--trace-children=yes");
        strings_add(words, "/usr/bin/env");
        strings_add(words, "-i");
        strings_append(words, *environment);
        launch->environment = outside;
    } else { /* without it the tool believes that it was started by mistake */
        strings_add(environment, pool_printf("VALGRIND_LAUNCHER=%s", run->program));
        launch->environment = (char *const *)environment->items;
    }
    strings_add(words, launch->program);
    launch->arguments = (char *const *)words->items;
    launch->program = run->tool != NULL ? run->tool : run->program;
}

/* Puts an inherited descriptor under its fixed number. */
static void place_fd(int fd, int number)
{
    if (fd >= 0)
        dup2(fd, number);
    else
        close(number);
}

static _Noreturn void become_trial(const struct launch *launch)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != launch->parent)
        _exit(1);
    setpgid(0, 0);
    volunteer_for_oom();
    /* Out of the way of the fixed numbers first. */
    int shared = fcntl(launch->shared_fd, F_DUPFD, 10);
    int output = fcntl(launch->output_fd, F_DUPFD, 10);
    int signals = fcntl(launch->signal_fd, F_DUPFD, 10);
    int input = launch->input_fd >= 0 ? fcntl(launch->input_fd, F_DUPFD, 10) : -1;
    int listener = launch->listener_fd >= 0 ? fcntl(launch->listener_fd, F_DUPFD, 10) : -1;
    place_fd(open("/dev/null", O_RDONLY), STDIN_FILENO);
    place_fd(output, STDOUT_FILENO);
    place_fd(output, STDERR_FILENO);
    place_fd(shared, TRIAL_SHARED_FD);
    place_fd(input, TRIAL_INPUT_FD);
    place_fd(signals, TRIAL_SIGNAL_FD);
    place_fd(listener, TRIAL_LISTENER_FD);
    close_range(TRIAL_LISTENER_FD + 1, UINT_MAX, 0);
    signal(SIGINT, SIG_IGN); /* the parent decides */
    execve(launch->program, launch->arguments, launch->environment);
    dprintf(STDERR_FILENO, "cannot execute '%s': %s\n", launch->program, errno_text(errno));
    _exit(127);
}

/* ---- starting -------------------------------------------------------------------------------- */

static int prepare_shared(struct seat *seat, const struct trial_request *request)
{
    struct trial_spec *spec = &seat->shared->spec;
    size_t bytes = trial_shared_bytes(spec);
    spec->shared_bytes = (uint32_t)bytes;
    spec->allocator_dev = request->contender->dev;
    spec->allocator_ino = request->contender->ino;
    spec->is_callgrind = request->callgrind != NULL;
    spec->has_exact_peak = request->has_exact_peak;
    /* Cut off and grown again, what lies behind the result reads as 0. */
    if (ftruncate(seat->fd, sizeof *seat->shared) == 0 && ftruncate(seat->fd, (off_t)bytes) == 0)
        return 0;
    int error = errno;
    say_error("cannot make shared memory for a trial: %s", errno_text(error));
    return -error;
}

static int fork_trial(const struct launch *launch, struct child *child)
{
    fflush(NULL);
    child->pid = fork();
    if (child->pid == 0)
        become_trial(launch);
    int error = errno;
    if (child->pid > 0 && (child->pid_fd = pidfd_open(child->pid, 0)) >= 0)
        return 0;
    say_error("cannot start a trial: %s", errno_text(child->pid < 0 ? error : errno));
    if (child->pid > 0) {
        kill(child->pid, SIGKILL);
        waitpid(child->pid, NULL, 0);
    }
    return -EAGAIN;
}

/* By which the child's output and the listener of an exact peak come: 0 or -errno, said. */
static int open_channels(const struct trial_request *request, unsigned threads, int output[2],
                         struct peak_watch *peak, int *listener)
{
    if (pipe2(output, O_CLOEXEC | O_NONBLOCK) != 0) {
        int error = errno;
        say_error("cannot make a pipe for a trial: %s", errno_text(error));
        return -error;
    }
    if (!request->has_exact_peak || (*listener = peak_open(peak, threads)) >= 0)
        return 0;
    say_error("cannot make a socket for a trial: %s", errno_text(-*listener));
    close(output[0]);
    close(output[1]);
    return *listener;
}

/* By which the child tells that it finished a turn: a descriptor or -errno, said. */
static int open_signal(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd >= 0)
        return fd;
    int error = errno;
    say_error("cannot make an event for a trial: %s", errno_text(error));
    return -error;
}

static void close_channels(struct child *child)
{
    close(child->output_fd);
    close(child->signal_fd);
    peak_close(&child->peak);
}

int child_start(struct spawner *s, uint32_t seat, const struct trial_request *request,
                struct child *child)
{
    static char name[] = "heapmark-trial";
    static char *const plain[] = {name, NULL};
    struct strings environment = {0}, command = {0};
    int output[2], listener = -1, error = prepare_shared(&s->seats[seat], request);
    struct peak_watch peak = {.fd = -1};
    int signal_fd = error == 0 ? open_signal() : error;
    if (signal_fd < 0)
        return signal_fd;
    error = open_channels(request, s->seats[seat].shared->spec.threads, output, &peak, &listener);
    if (error != 0) {
        close(signal_fd);
        return error;
    }
    *child = (struct child){.request = request,
                            .shared = s->seats[seat].shared,
                            .output_fd = output[0],
                            .signal_fd = signal_fd,
                            .peak = peak,
                            .oom_kills_before = kernel_oom_kills()};
    fill_environment(request, &environment);
    struct launch launch = {.program = s->program,
                            .arguments = plain,
                            .environment = (char *const *)environment.items,
                            .shared_fd = s->seats[seat].fd,
                            .input_fd = request->input_fd,
                            .output_fd = output[1],
                            .signal_fd = child->signal_fd,
                            .listener_fd = listener,
                            .parent = getpid()};
    if (request->callgrind != NULL)
        put_under_callgrind(request->callgrind, &launch, &command, &environment);
    error = fork_trial(&launch, child);
    close(output[1]);
    if (listener >= 0)
        close(listener);
    if (error != 0)
        close_channels(child);
    return error;
}

/* ---- watching -------------------------------------------------------------------------------- */

/* Keeps the end of what the child prints. */
static void drain_output(struct child *child)
{
    char piece[4096];
    ssize_t got;
    while ((got = read(child->output_fd, piece, sizeof piece)) > 0) {
        size_t length = (size_t)got, keep = child->output_length;
        if (keep + length > sizeof child->output - 1) {
            keep = sizeof child->output - 1 - length;
            memmove(child->output, child->output + child->output_length - keep, keep);
        }
        memcpy(child->output + keep, piece, length);
        child->output_length = keep + length;
    }
    child->output[child->output_length] = '\0';
}

static enum child_news kill_for(struct child *child, enum trial_status reason)
{
    child->killed_for = reason;
    child_kill(child);
    return CHILD_ENDED;
}

/* Whether it passed a limit by now. Memory is not looked at after each of many short turns. */
static bool is_over_limit(struct child *child, uint64_t now, enum trial_status *reason)
{
    const uint64_t check_ns = POLL_MS * 1000000u;
    *reason = child->used_ns > child->request->timeout_ns ? TRIAL_TIMEOUT : TRIAL_RUNNING;
    if (*reason == TRIAL_RUNNING && now - child->checked_ns >= check_ns) {
        child->checked_ns = now;
        if (memory_rss_bytes_quick(child->pid) > child->request->memory_limit_bytes)
            *reason = TRIAL_OOM;
    }
    return *reason != TRIAL_RUNNING;
}

/* What comes before or after, such as purging, is no part of the peak. */
static bool is_measuring(const struct child *child)
{
    uint32_t stage = child->shared->result.stage;
    return stage == STAGE_WARMUP || stage == STAGE_MEASURED;
}

/* As long as nothing has to be looked at. */
static int wait_ms(const struct child *child)
{
    uint64_t timeout_ns = child->request->timeout_ns;
    uint64_t left_ns = timeout_ns > child->used_ns ? timeout_ns - child->used_ns : 0;
    return left_ns < POLL_MS * 1000000u ? (int)(left_ns / 1000000) + 1 : POLL_MS;
}

enum child_news child_watch(struct child *child)
{
    uint64_t before = clock_gettime_ns(CLOCK_MONOTONIC), count;
    for (;;) {
        enum trial_status reason;
        struct pollfd fds[] = {{.fd = child->pid_fd, .events = POLLIN},
                               {.fd = child->output_fd, .events = POLLIN},
                               {.fd = child->signal_fd, .events = POLLIN},
                               {.fd = child->peak.fd, .events = POLLIN}};
        int ready = poll(fds, sizeof fds / sizeof *fds, wait_ms(child));
        uint64_t now = clock_gettime_ns(CLOCK_MONOTONIC);
        child->used_ns += now - before;
        before = now;
        if (ready > 0 && (fds[1].revents & POLLIN))
            drain_output(child);
        if (ready > 0 && fds[3].revents & POLLIN)
            peak_serve(&child->peak, child->pid, is_measuring(child));
        else if (ready > 0 && fds[3].revents != 0)
            peak_close(&child->peak); /* nobody is left at the other end */
        child->has_ended = ready > 0 && fds[0].revents != 0;
        if (spawner_interrupted)
            return CHILD_INTERRUPTED;
        if (child->has_ended)
            return CHILD_ENDED;
        if (is_over_limit(child, now, &reason))
            return kill_for(child, reason);
        if (ready > 0 && fds[2].revents != 0 &&
            read(child->signal_fd, &count, sizeof count) == sizeof count)
            return CHILD_WAITS;
    }
}

void child_release(struct child *child)
{
    _Atomic uint32_t *word = &child->shared->gate.released;
    atomic_fetch_add(word, 1);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void child_kill(struct child *child)
{
    kill(-child->pid, SIGKILL);
    kill(child->pid, SIGKILL);
    child->has_ended = true;
}

/* The trial has told what was resident at its end. */
static void set_exact_peak(struct child *child)
{
    struct trial_result *result = &child->shared->result;
    if (child->peak.has_failed)
        result->rss_bytes_peak = 0;
    else if (result->rss_bytes_peak < child->peak.rss_bytes)
        result->rss_bytes_peak = child->peak.rss_bytes;
}

void child_end(struct child *child, struct trial_outcome *outcome)
{
    int wait_status = 0;
    if (!child->has_ended)
        child_kill(child);
    while (waitpid(child->pid, &wait_status, 0) < 0 && errno == EINTR)
        ;
    drain_output(child);
    close(child->pid_fd);
    close_channels(child);
    if (child->request->has_exact_peak)
        set_exact_peak(child);
    if (outcome == NULL)
        return;
    outcome->shared = child->shared;
    child_judge(child, wait_status, outcome);
}
