#include "workloads/trace/kernel_events.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define TRACEFS_MAGIC 0x74726163

/* Buffers of all CPUs together; an event takes some 60 bytes of them. */
enum { BUFFER_KIB = 128 << 10, BUFFER_KIB_CPU_MIN = 1 << 10, BUFFER_KIB_CPU_MAX = 32 << 10 };

enum { WAIT_MS = 20, NAMES = 100 };

#define NAME_FRONT "heapmark-"

struct kernel_events {
    int instances; /* directory of tracefs in which `name` lies */
    char name[64];
    int instance, pipe;
    FILE *file;
    char note[64]; /* the line to read next, instead of events */
    size_t note_read;
    atomic_bool stopped, early;
};

/* Older kernels have names of their own for calls with a node. */
static const struct {
    const char *names[6];
    const char *suffix; /* of the instance */
} kinds[KERNEL_KINDS] = {
    [KERNEL_SLAB] = {{"kmalloc", "kfree", "kmem_cache_alloc", "kmem_cache_free", "kmalloc_node",
                      "kmem_cache_alloc_node"},
                     "slab"},
    [KERNEL_PAGES] = {{"mm_page_alloc", "mm_page_free"}, "pages"},
};

/* ---- files of tracefs ------------------------------------------------------------------------ */

static int write_text(int dir, const char *path, const char *text, int flags)
{
    int fd = openat(dir, path, O_WRONLY | O_CLOEXEC | flags);
    if (fd < 0)
        return -errno;
    int error = write(fd, text, strlen(text)) < 0 ? -errno : 0;
    close(fd);
    return error;
}

static int open_mounted(const char *path)
{
    struct statfs fs;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == TRACEFS_MAGIC)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* A mount that has no place in any tree of files, and is gone with its last descriptor. */
static int mount_for_us(void)
{
    int dir = -1, error, fs = fsopen("tracefs", FSOPEN_CLOEXEC);
    if (fs < 0)
        return -errno;
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        dir = fsmount(fs, FSMOUNT_CLOEXEC, 0);
    error = -errno;
    close(fs);
    return dir >= 0 ? dir : error;
}

static int open_tracefs(void)
{
    int dir = open_mounted("/sys/kernel/tracing");
    if (dir < 0)
        dir = open_mounted("/sys/kernel/debug/tracing");
    return dir >= 0 ? dir : mount_for_us();
}

/* ---- instances ------------------------------------------------------------------------------- */

/*
 * Those that a killed process left: their memory would stay taken until the machine starts anew. The system does not
 * remove one whose trace_pipe is open.
 */
static void remove_abandoned(int instances)
{
    int fd = openat(instances, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    if (dir == NULL && fd >= 0)
        close(fd);
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (strncmp(entry->d_name, NAME_FRONT, strlen(NAME_FRONT)) == 0)
            unlinkat(instances, entry->d_name, AT_REMOVEDIR);
    if (dir != NULL)
        closedir(dir);
}

static int set_size(int instance)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    long kib = BUFFER_KIB / (cpus > 0 ? cpus : 1);
    char text[32];
    kib = kib < BUFFER_KIB_CPU_MIN ? BUFFER_KIB_CPU_MIN : kib;
    kib = kib > BUFFER_KIB_CPU_MAX ? BUFFER_KIB_CPU_MAX : kib;
    snprintf(text, sizeof text, "%ld", kib);
    return write_text(instance, "buffer_size_kb", text, 0);
}

/* Those with a node in their names may be missing. */
static int enable(int instance, enum kernel_kind kind)
{
    size_t count = sizeof kinds[kind].names / sizeof *kinds[kind].names;
    for (size_t i = 0; i < count && kinds[kind].names[i] != NULL; i++) {
        char path[96];
        bool is_old = strstr(kinds[kind].names[i], "_node") != NULL;
        snprintf(path, sizeof path, "events/kmem/%s/enable", kinds[kind].names[i]);
        int error = write_text(instance, path, "1", 0);
        if (error != 0 && !(is_old && error == -ENOENT))
            return error;
    }
    return 0;
}

static int set_up(struct kernel_events *events, enum kernel_kind kind)
{
    int error = write_text(events->instance, "tracing_on", "0", 0);
    if (error == 0)
        error = set_size(events->instance);
    if (error == 0)
        error = write_text(events->instance, "trace_clock", "mono", 0);
    /* Where it cannot be had, addresses are hashes of 32 bits, of which a few will be equal. */
    write_text(events->instance, "options/hash-ptr", "0", 0);
    if (error == 0)
        error = enable(events->instance, kind);
    return error;
}

/* Until its pipe is open, somebody else may take the new directory for one that was left. */
static int make_instance(struct kernel_events *events)
{
    if (mkdirat(events->instances, events->name, 0700) != 0)
        return -errno;
    events->instance = openat(events->instances, events->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (events->instance >= 0)
        events->pipe = openat(events->instance, "trace_pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (events->pipe >= 0)
        return 0;
    int error = -errno;
    if (events->instance >= 0)
        close(events->instance);
    events->instance = -1;
    unlinkat(events->instances, events->name, AT_REMOVEDIR);
    return error;
}

/* A process of the same number, in another namespace, may have the same name. */
static int find_name(struct kernel_events *events, enum kernel_kind kind)
{
    int error = -EEXIST;
    for (int i = 0; i < NAMES && (error == -EEXIST || error == -ENOENT); i++) {
        snprintf(events->name, sizeof events->name, NAME_FRONT "%d-%s-%d", (int)getpid(),
                 kinds[kind].suffix, i);
        error = make_instance(events);
    }
    if (error != 0)
        events->name[0] = '\0';
    return error;
}

static int make(struct kernel_events *events, enum kernel_kind kind, int tracefs)
{
    events->instances = openat(tracefs, "instances", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (events->instances < 0)
        return -errno;
    remove_abandoned(events->instances);
    int error = find_name(events, kind);
    return error == 0 ? set_up(events, kind) : error;
}

/* ---- reading --------------------------------------------------------------------------------- */

static ssize_t read_note(struct kernel_events *events, char *text, size_t bytes)
{
    size_t left = strlen(events->note) - events->note_read;
    bytes = left < bytes ? left : bytes;
    memcpy(text, events->note + events->note_read, bytes);
    events->note_read += bytes;
    return (ssize_t)bytes;
}

static ssize_t read_end(struct kernel_events *events, char *text, size_t bytes)
{
    if (atomic_exchange(&events->early, false)) {
        snprintf(events->note, sizeof events->note, KERNEL_NOTE_ENDED_EARLY "\n");
        events->note_read = 0;
    }
    return read_note(events, text, bytes);
}

static ssize_t read_events(void *cookie, char *text, size_t bytes)
{
    struct kernel_events *events = cookie;
    if (events->note[events->note_read] != '\0')
        return read_note(events, text, bytes);
    for (;;) {
        bool is_last = atomic_load(&events->stopped);
        ssize_t got = read(events->pipe, text, bytes);
        if (got > 0)
            return got;
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return -1;
        if (is_last)
            return read_end(events, text, bytes);
        poll(NULL, 0, WAIT_MS);
    }
}

FILE *kernel_events_file(struct kernel_events *events)
{
    return events->file;
}

void kernel_events_ignore_me(struct kernel_events *events)
{
    char text[32];
    snprintf(text, sizeof text, "%d", (int)gettid());
    write_text(events->instance, "set_event_notrace_pid", text, O_APPEND);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int refuse(int failure, char *error, size_t error_bytes)
{
    if (failure == -EPERM || failure == -EACCES)
        snprintf(error, error_bytes,
                 "cannot record the kernel: its events may be read by root alone, and not where "
                 "the "
                 "kernel is locked down; run heapmark with sudo");
    else if (failure == -ENODEV || failure == -ENOENT)
        snprintf(error, error_bytes,
                 "cannot record the kernel: it has no tracefs with instances and kmem events; "
                 "Linux 4.1 on has, if built with CONFIG_FTRACE");
    else
        snprintf(error, error_bytes, "cannot record the kernel: its trace buffer: %s",
                 strerrordesc_np(-failure));
    return failure;
}

int kernel_events_open(struct kernel_events **events, enum kernel_kind kind, char *error,
                       size_t error_bytes)
{
    struct kernel_events *made = calloc(1, sizeof *made);
    const cookie_io_functions_t functions = {.read = read_events};
    int tracefs, failure;
    *events = NULL;
    if (made == NULL)
        return refuse(-ENOMEM, error, error_bytes);
    made->instances = made->instance = made->pipe = -1;
    snprintf(made->note, sizeof made->note, KERNEL_NOTE_RECORDED_AT "%lld\n",
             (long long)time(NULL));
    tracefs = failure = open_tracefs();
    if (tracefs >= 0) {
        failure = make(made, kind, tracefs);
        close(tracefs);
    }
    if (failure == 0 && (made->file = fopencookie(made, "r", functions)) == NULL)
        failure = -ENOMEM;
    if (failure != 0) {
        kernel_events_close(made);
        return refuse(failure, error, error_bytes);
    }
    *events = made;
    return 0;
}

int kernel_events_start(struct kernel_events *events)
{
    return write_text(events->instance, "tracing_on", "1", 0);
}

void kernel_events_stop(struct kernel_events *events, bool early)
{
    write_text(events->instance, "tracing_on", "0", 0);
    atomic_store(&events->early, early);
    atomic_store(&events->stopped, true);
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

void kernel_events_close(struct kernel_events *events)
{
    if (events == NULL)
        return;
    if (events->file != NULL)
        fclose(events->file);
    close_if_open(events->pipe);
    close_if_open(events->instance);
    if (events->name[0] != '\0')
        unlinkat(events->instances, events->name, AT_REMOVEDIR);
    close_if_open(events->instances);
    free(events);
}
