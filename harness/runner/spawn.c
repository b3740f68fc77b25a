#include "runner/spawn.h"

#include "util/paths.h"
#include "util/parse.h"
#include "util/say.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT_BYTES = 8192, POLL_MS = 50 };

struct spawner {
    int shared_fd;
    struct trial_shared *shared;
    char program[PATH_MAX];
};

/* A running child and what is known of it. */
struct child {
    pid_t pid;
    int pid_fd, output_fd;
    char output[OUTPUT_BYTES]; /* the end of what it printed */
    size_t output_length;
    enum trial_status killed_for; /* TRIAL_RUNNING: not by us */
    uint64_t oom_kills_before;
};

volatile int spawner_interrupted;

static void on_interrupt(int signal)
{
    (void)signal;
    spawner_interrupted = 1;
}

const char *trial_status_name(enum trial_status status)
{
    static const char *const names[] = {[TRIAL_RUNNING] = "running",
#define X(NAME, text) [TRIAL_##NAME] = text,
                                        TRIAL_STATUSES(X)
#undef X
    };
    return names[status];
}

int spawner_open(struct spawner **result)
{
    struct spawner *s = calloc(1, sizeof *s);
    if (s == NULL)
        return -ENOMEM;
    s->shared_fd = memfd_create("heapmark-trial", MFD_CLOEXEC);
    if (s->shared_fd < 0 || ftruncate(s->shared_fd, sizeof *s->shared) != 0 ||
        (s->shared = mmap(NULL, sizeof *s->shared, PROT_READ | PROT_WRITE, MAP_SHARED, s->shared_fd,
                          0)) == MAP_FAILED) {
        int error = errno;
        say_error("cannot make shared memory for trials: %s", strerror(error));
        if (s->shared_fd >= 0)
            close(s->shared_fd);
        free(s);
        return -error;
    }
    if (paths_trial(s->program, sizeof s->program) != 0) {
        say_error(
            "'heapmark-trial' is not beside heapmark nor in its libexec; build or install again");
        spawner_close(s);
        return -ENOENT;
    }
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    *result = s;
    return 0;
}

void spawner_close(struct spawner *s)
{
    if (s == NULL)
        return;
    munmap(s->shared, sizeof *s->shared);
    close(s->shared_fd);
    free(s);
}

struct trial_spec *spawner_spec(struct spawner *s, struct clock_scale clock)
{
    memset(s->shared, 0, sizeof *s->shared);
    s->shared->spec.magic = TRIAL_MAGIC;
    s->shared->spec.version = TRIAL_VERSION;
    s->shared->spec.shared_bytes = sizeof *s->shared;
    s->shared->spec.clock = clock;
    return &s->shared->spec;
}

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

static _Noreturn void become_trial(const struct spawner *s, const struct trial_request *request,
                                   int output_fd, char *const *environment, pid_t parent)
{
    char name[] = "heapmark-trial";
    char *const arguments[] = {name, NULL};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    setpgid(0, 0);
    volunteer_for_oom();
    /* Out of the way of the fixed numbers first. */
    int shared = fcntl(s->shared_fd, F_DUPFD, 10), output = fcntl(output_fd, F_DUPFD, 10);
    int input = request->input_fd >= 0 ? fcntl(request->input_fd, F_DUPFD, 10) : -1;
    int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    dup2(shared, TRIAL_SHARED_FD);
    if (input >= 0)
        dup2(input, TRIAL_INPUT_FD);
    int first_unused = input >= 0 ? TRIAL_INPUT_FD + 1 : TRIAL_SHARED_FD + 1;
    close_range((unsigned)first_unused, UINT_MAX, 0);
    signal(SIGINT, SIG_IGN); /* the parent decides */
    execve(s->program, arguments, environment);
    dprintf(STDERR_FILENO, "cannot execute '%s': %s\n", s->program, strerrordesc_np(errno));
    _exit(127);
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

static uint64_t read_number_after(const char *path, const char *key)
{
    char line[256];
    uint64_t value = 0;
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            value = strtoull(line + strlen(key), NULL, 10);
    if (file != NULL)
        fclose(file);
    return value;
}

static uint64_t kernel_oom_kills(void)
{
    return read_number_after("/proc/vmstat", "oom_kill ");
}

static uint64_t resident_bytes(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    unsigned long pages = 0, ignored;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%lu %lu", &ignored, &pages) != 2)
        pages = 0;
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void kill_child(struct child *child, enum trial_status reason)
{
    child->killed_for = reason;
    kill(-child->pid, SIGKILL);
    kill(child->pid, SIGKILL);
}

/* Waits until the child ends, by itself or because it passed a limit. -EINTR: interrupted. */
static int watch(struct child *child, const struct trial_request *request)
{
    uint64_t deadline = clock_gettime_ns(CLOCK_MONOTONIC) + request->timeout_ns;
    for (;;) {
        struct pollfd fds[] = {{.fd = child->pid_fd, .events = POLLIN},
                               {.fd = child->output_fd, .events = POLLIN}};
        if (poll(fds, 2, POLL_MS) > 0 && (fds[1].revents & POLLIN))
            drain_output(child);
        if (fds[0].revents != 0)
            return spawner_interrupted ? -EINTR : 0;
        if (spawner_interrupted) {
            kill_child(child, TRIAL_CRASHED);
            return -EINTR;
        }
        if (clock_gettime_ns(CLOCK_MONOTONIC) > deadline)
            return kill_child(child, TRIAL_TIMEOUT), 0;
        if (resident_bytes(child->pid) > request->memory_limit_bytes)
            return kill_child(child, TRIAL_OOM), 0;
    }
}

/* ---- judging --------------------------------------------------------------------------------- */

static const char *stage_name(uint32_t stage)
{
    static const char *const names[] = {"at the start",        "in set-up",
                                        "in warm-up",          "in the measured part",
                                        "in the sampled part", "at the end"};
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

static void set_outcome(struct trial_outcome *outcome, enum trial_status status, const char *detail)
{
    outcome->status = status;
    snprintf(outcome->detail, sizeof outcome->detail, "%s", detail);
}

static void judge_killed(struct child *child, const struct trial_request *request,
                         const char *stage, struct trial_outcome *outcome)
{
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

static void judge(struct child *child, const struct trial_request *request, int wait_status,
                  const struct trial_result *result, struct trial_outcome *outcome)
{
    const char *stage = stage_name(result->stage);
    uint32_t status = result->status;
    if (status == TRIAL_OK && WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0)
        set_outcome(outcome, TRIAL_OK, "");
    else if (status > TRIAL_OK && status < TRIAL_STATUS_COUNT && WIFEXITED(wait_status))
        set_outcome(outcome, status, result->detail);
    else if (child->killed_for != TRIAL_RUNNING)
        judge_killed(child, request, stage, outcome);
    else
        judge_crashed(child, wait_status, stage, outcome);
    if (outcome->status == TRIAL_PRELOAD_FAILED) {
        const char *line = last_line(child);
        set_outcome(outcome, TRIAL_PRELOAD_FAILED,
                    pool_printf("%s, not from '%s'%s%s", result->detail, request->contender->path,
                                *line ? ": " : "", line));
    }
}

int spawner_run(struct spawner *s, const struct trial_request *request,
                struct trial_outcome *outcome)
{
    int output[2];
    if (pipe2(output, O_CLOEXEC | O_NONBLOCK) != 0) {
        say_error("cannot make a pipe for a trial: %s", strerror(errno));
        return -errno;
    }
    struct strings environment = {0};
    struct trial_spec *spec = &s->shared->spec;
    spec->allocator_dev = request->contender->dev;
    spec->allocator_ino = request->contender->ino;
    fill_environment(request, &environment);
    struct child child = {.output_fd = output[0], .oom_kills_before = kernel_oom_kills()};

    pid_t parent = getpid();
    fflush(NULL);
    child.pid = fork();
    if (child.pid == 0)
        become_trial(s, request, output[1], (char *const *)environment.items, parent);
    close(output[1]);
    int error = errno;
    if (child.pid < 0 || (child.pid_fd = pidfd_open(child.pid, 0)) < 0) {
        say_error("cannot start a trial: %s", strerror(child.pid < 0 ? error : errno));
        if (child.pid > 0) {
            kill(child.pid, SIGKILL);
            waitpid(child.pid, NULL, 0);
        }
        close(output[0]);
        return -EAGAIN;
    }
    int result = watch(&child, request), wait_status = 0;
    while (waitpid(child.pid, &wait_status, 0) < 0 && errno == EINTR)
        ;
    drain_output(&child);
    close(child.pid_fd);
    close(child.output_fd);
    outcome->result = &s->shared->result;
    if (result == 0)
        judge(&child, request, wait_status, outcome->result, outcome);
    return result;
}
