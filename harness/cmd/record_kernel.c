#include "cmd/record_kernel.h"

#include "cmd/cmd.h"
#include "cmd/trace.h"
#include "util/errno_text.h"
#include "util/say.h"
#include "workloads/trace/import.h"
#include "workloads/trace/kernel_events.h"
#include "workloads/trace/whole_file.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 100 };

/* Recording ends while there is still room for what lies in the buffers. */
#define DISK_LEFT_MIN (UINT64_C(32) << 20)

/* One kind of traffic on its way into its trace. */
struct part {
    enum kernel_kind kind;
    const char *path;
    struct kernel_events *events;
    struct whole_file file;
    pthread_t thread;
    atomic_bool is_over; /* the import, well or not */
    int failed;
    struct import_result result;
    char error[1024];
};

struct session {
    const struct record_kernel_request *request;
    struct part parts[KERNEL_KINDS];
    int count;   /* of parts */
    int started; /* of their threads */
    char pages_path[PATH_MAX];
    sigset_t inherited_mask, watched;
    sigset_t defaults; /* signals that are ignored here, and were not */
    pid_t child;       /* 0: none, or it has ended */
    int child_status;
    const char *early; /* why recording ended before it should; NULL: it did not */
};

/* ---- parts ----------------------------------------------------------------------------------- */

/* "kernel.hmt" gives "kernel.pages.hmt". */
static void name_pages(const char *output, char path[PATH_MAX])
{
    size_t length = strlen(output), suffix = strlen(".hmt");
    bool is_usual = length > suffix && strcmp(output + length - suffix, ".hmt") == 0;
    snprintf(path, PATH_MAX, "%.*s.pages.hmt", (int)(is_usual ? length - suffix : length), output);
}

static bool open_part(struct session *s, enum kernel_kind kind, const char *path)
{
    struct part *part = &s->parts[s->count];
    char error[512];
    *part = (struct part){.kind = kind, .path = path};
    if (kernel_events_open(&part->events, kind, error, sizeof error) != 0) {
        say_error("%s", error);
        return false;
    }
    if (!trace_output_open(&part->file, path, NULL)) {
        kernel_events_close(part->events);
        return false;
    }
    s->count++;
    return true;
}

static bool open_parts(struct session *s)
{
    const struct record_kernel_request *request = s->request;
    const char *output = request->output ? request->output : "kernel.hmt";
    const char *pages = output;
    if (request->slab || request->output == NULL) {
        name_pages(output, s->pages_path);
        pages = s->pages_path;
    }
    return (!request->slab || open_part(s, KERNEL_SLAB, output)) &&
           (!request->pages || open_part(s, KERNEL_PAGES, pages));
}

/* What this command does itself is no traffic that anybody asked for. */
static void ignore_me(const struct session *s)
{
    for (int i = 0; i < s->count; i++)
        kernel_events_ignore_me(s->parts[i].events);
}

struct import_task {
    struct session *session;
    struct part *part;
};

static void *import(void *argument)
{
    struct import_task task = *(struct import_task *)argument;
    struct part *part = task.part;
    enum trace_source source =
        part->kind == KERNEL_SLAB ? TRACE_SOURCE_KMEM : TRACE_SOURCE_KMEM_PAGES;
    ignore_me(task.session);
    part->failed = trace_import(kernel_events_file(part->events), "the running kernel", source,
                                part->file.fd, &part->result, part->error, sizeof part->error);
    atomic_store(&part->is_over, true);
    return NULL;
}

static void stop(struct session *s)
{
    for (int i = 0; i < s->count; i++)
        kernel_events_stop(s->parts[i].events, s->early != NULL);
}

/* ---- until the end --------------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool is_disk_full(int fd)
{
    struct statvfs fs;
    return fstatvfs(fd, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < DISK_LEFT_MIN;
}

static const char *limit_reached(const struct session *s)
{
    uint64_t bytes = 0;
    struct stat file;
    for (int i = 0; i < s->count; i++) {
        if (atomic_load(&s->parts[i].is_over))
            return "a trace could not be written";
        if (is_disk_full(s->parts[i].file.fd))
            return "its disk is nearly full";
        if (fstat(s->parts[i].file.fd, &file) == 0)
            bytes += (uint64_t)file.st_size;
    }
    return s->request->size_max != 0 && bytes >= s->request->size_max ? "--max-size was reached"
                                                                      : NULL;
}

static bool has_ended(struct session *s)
{
    if (s->child > 0 && waitpid(s->child, &s->child_status, WNOHANG) == s->child)
        s->child = 0;
    return s->request->command != NULL && s->child == 0;
}

/* One from the terminal has reached the program, too. True: that was the end. */
static bool heed_signal(struct session *s, int signal, const siginfo_t *info)
{
    if (signal <= 0 || signal == SIGCHLD)
        return false;
    if (s->child == 0)
        return true;
    if (info->si_code <= 0)
        kill(s->child, signal);
    return false;
}

static void follow(struct session *s)
{
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000};
    uint64_t limit = s->request->stop_after_ns, began = now_ns();
    siginfo_t info;
    while (!has_ended(s) && !heed_signal(s, sigtimedwait(&s->watched, &info, &pause), &info)) {
        if (limit != 0 && now_ns() - began >= limit)
            return;
        s->early = limit_reached(s);
        if (s->early != NULL)
            return;
    }
}

/* The program goes on when recording is over before it. */
static void await_child(struct session *s)
{
    siginfo_t info;
    if (s->child > 0)
        say_note("recording has ended; '%s' goes on", s->request->command[0]);
    while (s->child > 0 && !has_ended(s))
        heed_signal(s, sigwaitinfo(&s->watched, &info), &info);
}

extern char **environ;

static int start_program(struct session *s)
{
    char *const *command = s->request->command;
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &s->inherited_mask);
    posix_spawnattr_setsigdefault(&attributes, &s->defaults);
    int error = posix_spawnp(&s->child, command[0], NULL, &attributes, command, environ);
    posix_spawnattr_destroy(&attributes);
    if (error != 0) {
        s->child = 0;
        say_error("cannot start '%s': %s", command[0], errno_text(error));
    }
    return -error;
}

static int run(struct session *s)
{
    for (int i = 0; i < s->count; i++) {
        int error = kernel_events_start(s->parts[i].events);
        if (error != 0) {
            say_error("cannot record the kernel: %s", errno_text(-error));
            return error;
        }
    }
    if (s->request->command != NULL) {
        int error = start_program(s);
        if (error != 0)
            return error;
    } else
        say_note("recording the kernel%s; Ctrl-C ends it",
                 s->request->stop_after_ns != 0 ? " until --stop-after" : "");
    follow(s);
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void watch_signals(struct session *s)
{
    const int watched[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGCHLD};
    sigemptyset(&s->watched);
    for (size_t i = 0; i < sizeof watched / sizeof *watched; i++)
        sigaddset(&s->watched, watched[i]);
    pthread_sigmask(SIG_BLOCK, &s->watched, &s->inherited_mask);
}

/* A file that may not grow, and messages that nobody reads, are errors, and no reason to leave the kernel tracing. */
static void ignore_signals(struct session *s)
{
    const int ignored[] = {SIGXFSZ, SIGPIPE};
    sigemptyset(&s->defaults);
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        if (signal(ignored[i], SIG_IGN) == SIG_DFL)
            sigaddset(&s->defaults, ignored[i]);
}

/* The program's own end, as an exit code of ours. */
static int tell_ending(const struct session *s)
{
    if (s->request->command == NULL || s->child_status == 0)
        return EXIT_OK;
    if (WIFSIGNALED(s->child_status))
        say_error("'%s' was ended by signal %d (%s)", s->request->command[0],
                  WTERMSIG(s->child_status), sigdescr_np(WTERMSIG(s->child_status)));
    else
        say_error("'%s' ended with status %d", s->request->command[0],
                  WEXITSTATUS(s->child_status));
    return EXIT_FAILED;
}

static const char *what(const struct part *part)
{
    return part->kind == KERNEL_SLAB ? "slabs" : "pages";
}

/* A kernel that had nothing to do meanwhile is no failure. */
static bool is_empty(const struct part *part)
{
    return part->failed == -EINVAL && part->result.header.skipped_lines == 0;
}

/* `recorded` counts those of which there is a trace. */
static int close_part(const struct session *s, struct part *part, int failed, int *recorded)
{
    bool empty = failed == 0 && is_empty(part);
    if (empty)
        say_note("nothing was recorded of the kernel's %s: it took none in that time", what(part));
    else if (failed == 0 && part->failed != 0)
        say_error("%s", part->error);
    int code = trace_output_close(&part->file, failed != 0 ? failed : part->failed);
    kernel_events_close(part->events);
    if (code != EXIT_OK)
        return empty ? EXIT_OK : code;
    ++*recorded;
    trace_tell_import(say_note, part->path, &part->result);
    if (s->early != NULL)
        say_note("'%s' ends early: %s", part->path, s->early);
    return EXIT_OK;
}

int record_kernel(const struct record_kernel_request *request)
{
    struct session s = {.request = request};
    struct import_task tasks[KERNEL_KINDS];
    ignore_signals(&s);
    int failed = open_parts(&s) ? 0 : -EINVAL;
    watch_signals(&s);
    for (; failed == 0 && s.started < s.count; s.started++) {
        tasks[s.started] = (struct import_task){&s, &s.parts[s.started]};
        failed = -pthread_create(&s.parts[s.started].thread, NULL, import, &tasks[s.started]);
        if (failed != 0)
            say_error("cannot record the kernel: no thread: %s", errno_text(-failed));
    }
    ignore_me(&s);
    if (failed == 0)
        failed = run(&s);
    stop(&s);
    for (int i = 0; i < s.started; i++)
        pthread_join(s.parts[i].thread, NULL);
    await_child(&s);
    int code = failed != 0 ? EXIT_USAGE : tell_ending(&s);
    int recorded = 0;
    for (int i = 0; i < s.count; i++) {
        int part_code = close_part(&s, &s.parts[i], failed, &recorded);
        code = part_code > code ? part_code : code;
    }
    return recorded > 0 ? code : EXIT_USAGE;
}
