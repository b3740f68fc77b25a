#include "workloads/trace/recording_files.h"

#include "workloads/trace/format.h"
#include "workloads/trace/output_path.h"
#include "workloads/trace/recording_processes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define RAW_FILE_BYTES     (UINT64_C(1) << 38) /* sparse: room for 17,000 million events */
#define RAW_FILE_BYTES_MIN (UINT64_C(1) << 26)

static const char suffix[] = ".hmt", raw_suffix[] = ".raw";

/* Of all that stands beside the trace the longest, behind its name; ".raw.8191.maps.new" is shorter. */
static const char longest_suffix[] = ".4194304.8191.hmt.maps";

int recording_fail(struct recording *r, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->error, r->error_bytes, format, arguments);
    va_end(arguments);
    return error;
}

/* ---- the traces' files ----------------------------------------------------------------------- */

static void part_path(const struct recording *r, uint32_t process, char path[PATH_MAX + 32])
{
    snprintf(path, PATH_MAX + 32, "%s.%" PRIu32 ".part", r->output, process);
}

static void maps_path(const struct recording *r, uint32_t process, char path[PATH_MAX + 32])
{
    snprintf(path, PATH_MAX + 32, "%s.%" PRIu32 "%s", r->raw_path, process, RAW_MAPS_SUFFIX);
}

static bool is_raw_name(const char *path)
{
    size_t length = strlen(path), tail = strlen(raw_suffix);
    return length > tail && length < PATH_MAX - 32 && strcmp(path + length - tail, raw_suffix) == 0;
}

static void name_files(struct recording *r, const char *raw_path)
{
    snprintf(r->raw_path, sizeof r->raw_path, "%s", raw_path);
    snprintf(r->output, sizeof r->output, "%.*s", (int)(strlen(raw_path) - strlen(raw_suffix)),
             raw_path);
}

/* The program may rename the directory: then the traces go where the raw file is, if it is anywhere. */
static void follow_raw(struct recording *r)
{
    struct stat ours, there;
    char link[64], path[PATH_MAX];
    if (r->raw_fd < 0 || fstat(r->raw_fd, &ours) != 0 ||
        (stat(r->raw_path, &there) == 0 && there.st_ino == ours.st_ino))
        return;
    r->raw_away = true;
    snprintf(link, sizeof link, "/proc/self/fd/%d", r->raw_fd);
    ssize_t length = ours.st_nlink > 0 ? readlink(link, path, sizeof path - 1) : -1;
    path[length > 0 ? length : 0] = '\0';
    if (is_raw_name(path))
        name_files(r, path);
}

static int open_part(void *context, uint32_t process, bool again)
{
    char path[PATH_MAX + 32];
    follow_raw(context);
    part_path(context, process, path);
    int fd = open(path, O_RDWR | O_CLOEXEC | (again ? 0 : O_CREAT | O_TRUNC), 0666);
    return fd >= 0 ? fd : -errno;
}

/* Images that the same process ran before this one and that left a trace of this kind of name. */
static unsigned count_earlier(const struct recording *r, uint32_t pid)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < r->trace_count; i++)
        count += r->traces[i].pid == pid && strcmp(r->traces[i].path, r->output) != 0;
    return count;
}

/* The first image of the first process. */
static bool is_first_image(const struct recording *r, uint32_t process)
{
    for (uint32_t i = 0; i < process; i++)
        if (process_is_first(r, i))
            return false;
    return process_is_first(r, process);
}

static void trace_path(const struct recording *r, uint32_t process, char path[PATH_MAX])
{
    uint32_t pid = raw_process(r->raw, process)->pid;
    unsigned earlier = count_earlier(r, pid);
    size_t stem = strlen(r->output);
    if (stem > strlen(suffix) && strcmp(r->output + stem - strlen(suffix), suffix) == 0)
        stem -= strlen(suffix);
    int room = PATH_MAX - 32; /* checked at the beginning */
    if (is_first_image(r, process))
        snprintf(path, PATH_MAX, "%s", r->output);
    else if (earlier == 0)
        snprintf(path, PATH_MAX, "%.*s.%" PRIu32 "%s", (int)stem < room ? (int)stem : room,
                 r->output, pid, suffix);
    else
        snprintf(path, PATH_MAX, "%.*s.%" PRIu32 ".%u%s", (int)stem < room ? (int)stem : room,
                 r->output, pid, earlier + 1, suffix);
}

/*
 * The list of modules goes with the trace; an older one must not stay beside a new trace. But where the
 * trace has its place already, so may the list.
 */
static void place_modules(const struct recording *r, uint32_t process, const char *trace,
                          bool is_placed)
{
    char from[PATH_MAX + 32], to[PATH_MAX + 32];
    maps_path(r, process, from);
    snprintf(to, sizeof to, "%s%s", trace, RAW_MAPS_SUFFIX);
    if (rename(from, to) != 0 && !is_placed)
        unlink(to);
}

static struct recording_trace *new_trace(struct recording *r)
{
    struct recording_trace *traces = realloc(r->traces, (r->trace_count + 1) * sizeof *r->traces);
    if (traces == NULL)
        return NULL;
    r->traces = traces;
    return &traces[r->trace_count];
}

/* What the trace's header says of it. */
static uint32_t read_flags(const char *path)
{
    struct trace_file_header header = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, &header, sizeof header) : -1;
    if (fd >= 0)
        close(fd);
    return got == sizeof header ? header.flags : 0;
}

static int cannot_place(struct recording *r, const char *trace, int error)
{
    if (error == -ENOENT && r->raw_away)
        return recording_fail(r, error,
                              "cannot write '%s': '%s' and what belongs to it was deleted while it "
                              "was written; choose another place with -o",
                              trace, r->raw_path);
    return recording_fail(r, error, "cannot write '%s': %s", trace, strerrordesc_np(-error));
}

/* An existing trace stays whole until the new one is. */
int recording_files_finish(struct recording *r, uint32_t process, int status)
{
    char part[PATH_MAX + 32];
    uint64_t bytes, events;
    struct recording_trace *trace = new_trace(r);
    bool was_finished = raw_process(r->raw, process)->finished; /* by who was killed then */
    int error = trace == NULL ? -ENOMEM : drain_finish(r->drain, process, status, &bytes, &events);
    follow_raw(r);
    part_path(r, process, part);
    if (error != 0)
        return recording_fail(r, error, "cannot write '%s': %s", r->output,
                              strerrordesc_np(-error));
    if (bytes == 0) {
        r->without_trace++;
        unlink(part);
        return 0;
    }
    *trace = (struct recording_trace){.pid = raw_process(r->raw, process)->pid,
                                      .events = events,
                                      .bytes = bytes};
    trace_path(r, process, trace->path);
    trace->failure = drain_failure(r->drain, process);
    trace->at_limit = (raw_process(r->raw, process)->flags & RAW_SIZE_LIMIT) != 0;
    bool is_placed = rename(part, trace->path) != 0;
    if (is_placed && !(was_finished && errno == ENOENT))
        return cannot_place(r, trace->path, -errno);
    place_modules(r, process, trace->path, is_placed);
    trace->flags = read_flags(trace->path);
    r->trace_count++;
    return 0;
}

/* ---- the raw file ---------------------------------------------------------------------------- */

/* A time-stamp counter that runs at one rate on all processors and never stops. */
static bool tsc_is_invariant(void)
{
#if defined(__x86_64__)
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) && (edx & (1u << 8));
#else
    return false;
#endif
}

/* As large as the file system and our own limits allow: the mapping is address space only. */
static int stretch(struct recording *r)
{
    for (uint64_t bytes = RAW_FILE_BYTES; bytes >= RAW_FILE_BYTES_MIN; bytes /= 2) {
        if (ftruncate(r->raw_fd, (off_t)bytes) != 0)
            continue;
        r->raw =
            mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, r->raw_fd, 0);
        if (r->raw == MAP_FAILED)
            continue;
        raw_advise(r->raw, bytes);
        r->raw->file_bytes = bytes;
        return 0;
    }
    int error = -errno;
    r->raw = NULL;
    return recording_fail(r, error,
                          "cannot make a file of %" PRIu64 " MiB beside '%s': %s; choose "
                          "another place with -o, or raise a limit for files (ulimit -f)",
                          RAW_FILE_BYTES_MIN >> 20, r->output, strerrordesc_np(-error));
}

/* False where it does not fit. */
static bool put_word(struct raw_header *header, const char *word)
{
    size_t length = strlen(word) + 1;
    if (header->command_bytes + length > sizeof header->command)
        return false;
    memcpy(header->command + header->command_bytes, word, length);
    header->command_bytes += (uint32_t)length;
    return true;
}

/* A part of a command line means something else: of one that does not fit, the program alone. */
static void put_command(struct raw_header *header, char *const arguments[])
{
    char *const *word = arguments;
    while (*word != NULL && put_word(header, *word))
        word++;
    if (*word == NULL)
        return;
    header->command_bytes = 0;
    memset(header->command, 0, sizeof header->command);
    put_word(header, "");
    put_word(header, arguments[0]);
}

/* What fallocate() does, where the file system knows no such thing (ramfs, ext3, NFS before 4.2): 0 or -1. */
static int write_zeros(int fd, uint64_t from, uint64_t to)
{
    static const char zeros[1 << 16];
    while (from < to) {
        size_t bytes = to - from < sizeof zeros ? to - from : sizeof zeros;
        ssize_t written = pwrite(fd, zeros, bytes, (off_t)from);
        if (written <= 0)
            return -1;
        from += (uint64_t)written;
    }
    return 0;
}

/*
 * The header and the table must exist before they are written through the mapping: the disk may be
 * full. The table's later pages are made as processes come.
 */
static int take_space(int fd, const struct raw_header *header)
{
    if (pwrite(fd, header, sizeof *header, 0) != sizeof *header)
        return -1;
    int result = fallocate(fd, 0, 0, RAW_FIRST_SEGMENT);
    return result != 0 && errno == EOPNOTSUPP ? write_zeros(fd, sizeof *header, RAW_FIRST_SEGMENT)
                                              : result;
}

static int fill_header(struct recording *r, char *const arguments[])
{
    const struct recording_options *options = &r->options;
    struct raw_header header = {
        .magic = RAW_MAGIC,
        .version = RAW_VERSION,
        .is_tsc = !options->plain_clock && tsc_is_invariant(),
        .options = (options->cpus ? RAW_CPUS : 0) | (options->only_first ? 0 : RAW_FOLLOW) |
                   (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0 ? RAW_CONFINED : 0),
        .sample = options->sample > 1 ? options->sample : 1,
        .stack_depth = options->stack_depth,
        .size_max = options->size_max,
        .started_at = time(NULL),
        .next = RAW_FIRST_SEGMENT,
    };
    put_command(&header, arguments);
    if (take_space(r->raw_fd, &header) != 0)
        return recording_fail(r, -errno,
                              "cannot write '%s': %s; choose another place with -o, or raise a "
                              "limit "
                              "for files (ulimit -f)",
                              r->output, strerrordesc_np(errno));
    space_begin(&r->space, r->raw_fd, header.size_max);
    return stretch(r);
}

/* Found out now: not when the program has run, and its trace gets its place. */
static int check_name_length(struct recording *r)
{
    char *name = strrchr(r->output, '/') + 1, first = *name;
    *name = '\0';
    long most = pathconf(r->output, _PC_NAME_MAX) - (long)(sizeof longest_suffix - 1);
    *name = first;
    if (most < 0 || strlen(name) <= (size_t)most)
        return 0; /* or there is no such directory, which is told when it is written into */
    return recording_fail(r, -ENAMETOOLONG,
                          "cannot write '%s': the name is too long; what is made beside the trace "
                          "has longer ones, so choose one of at most %ld bytes with -o",
                          name, most);
}

static int check_output(struct recording *r, const char *output)
{
    struct stat file;
    char target[PATH_MAX], here[PATH_MAX] = "";
    if (output[0] == '\0')
        return recording_fail(r, -EINVAL,
                              "cannot write '': a trace needs a name; choose one with -o, such as "
                              "app.hmt");
    if (stat(output, &file) == 0 && !S_ISREG(file.st_mode))
        return recording_fail(r, -EINVAL, "cannot write '%s': it is not a regular file", output);
    int error = output_path(output, target);
    if (error != 0)
        return recording_fail(r, error, "cannot write '%s': %s", output, strerrordesc_np(-error));
    if (target[0] != '/' && getcwd(here, sizeof here) == NULL)
        return recording_fail(r, -errno, "cannot write '%s': %s%s", output, strerrordesc_np(errno),
                              errno == ENOENT ? "; the working directory was removed: change to "
                                                "another one, or give a path from / with -o"
                                              : "");
    /* the program gets the path, and may look at it from elsewhere */
    int length = snprintf(r->output, sizeof r->output, "%s%s%s", here, here[0] ? "/" : "", target);
    if (length >= PATH_MAX - 32)
        return recording_fail(r, -ENAMETOOLONG, "cannot write '%s': the name is too long", output);
    error = check_name_length(r);
    if (error == 0)
        snprintf(r->raw_path, sizeof r->raw_path, "%.*s%s", PATH_MAX - 32, r->output, raw_suffix);
    return error;
}

/* The lock goes with the last process that has the file open, which is this one. */
static int make_raw(struct recording *r)
{
    r->raw_fd = open(r->raw_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (r->raw_fd >= 0)
        return flock(r->raw_fd, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
    int error = errno;
    char raw_path[PATH_MAX];
    snprintf(raw_path, sizeof raw_path, "%s", r->raw_path);
    r->raw_path[0] = '\0'; /* not ours to remove */
    if (error != EEXIST)
        return recording_fail(r, -error, "cannot write '%s': %s; choose another place with -o",
                              r->output, strerrordesc_np(error));
    int fd = open(raw_path, O_RDWR | O_CLOEXEC);
    bool busy = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0;
    if (fd >= 0)
        close(fd);
    if (busy)
        return recording_fail(r, -EBUSY,
                              "cannot record to '%s': another 'heapmark record' is writing it; "
                              "choose another name with -o",
                              r->output);
    return recording_fail(r, -EEXIST,
                          "cannot record to '%s': a recording to it was cut off; finish it with "
                          "'heapmark trace recover %s', or remove that file",
                          r->output, raw_path);
}

static int open_drain(struct recording *r)
{
    int error = drain_open(&r->drain, r->raw, (struct drain_hooks){open_part, r});
    return error == 0 ? 0 : recording_fail(r, error, "there is not enough memory to record");
}

/*
 * A file that grows beyond the limit (ulimit -f) is an error like a full disk, and not our end; nor is it that
 * nobody reads what we say.
 */
static void begin(struct recording *r, char *error, size_t error_bytes)
{
    struct rlimit more;
    struct sigaction ignored = {.sa_handler = SIG_IGN};
    identity_settle_clock();
    *r = (struct recording){.raw_fd = -1, .error = error, .error_bytes = error_bytes};
    sigaction(SIGXFSZ, &ignored, &r->inherited_size_limit);
    sigaction(SIGPIPE, &ignored, &r->inherited_pipe_end);
    getrlimit(RLIMIT_NOFILE, &r->inherited_descriptors); /* two for each process that runs */
    more = r->inherited_descriptors;
    more.rlim_cur = more.rlim_max;
    setrlimit(RLIMIT_NOFILE, &more);
    if (error_bytes > 0)
        error[0] = '\0';
}

int recording_begin(struct recording *r, const char *output, char *const arguments[],
                    const struct recording_options *options, char *error, size_t error_bytes)
{
    begin(r, error, error_bytes);
    r->options = *options;
    int result = check_output(r, output);
    if (result == 0)
        result = make_raw(r);
    if (result == 0)
        result = fill_header(r, arguments);
    return result != 0 ? result : open_drain(r);
}

/* ---- one that was left behind ---------------------------------------------------------------- */

static bool is_raw(int fd)
{
    char magic[sizeof(((struct raw_header *)0)->magic)];
    return pread(fd, magic, sizeof magic, 0) == sizeof magic &&
           memcmp(magic, RAW_MAGIC, sizeof magic) == 0;
}

static int open_left(struct recording *r, const char *raw_path)
{
    struct stat file;
    if (!is_raw_name(raw_path))
        return recording_fail(r, -EINVAL,
                              "'%s' is not what a recording leaves behind: its name ends in '%s'",
                              raw_path, raw_suffix);
    name_files(r, raw_path);
    r->raw_fd = open(raw_path, O_RDWR | O_CLOEXEC);
    if (r->raw_fd < 0 || fstat(r->raw_fd, &file) != 0)
        return recording_fail(r, -errno,
                              "cannot open '%s': %s; a recording that was killed leaves it beside "
                              "its trace",
                              raw_path, strerrordesc_np(errno));
    if (!is_raw(r->raw_fd))
        return recording_fail(r, -EINVAL,
                              "'%s' is no raw file of a recording, which 'heapmark record' leaves "
                              "beside the trace when it is killed",
                              raw_path);
    if (flock(r->raw_fd, LOCK_EX | LOCK_NB) != 0)
        return recording_fail(r, -EBUSY,
                              "cannot recover '%s': 'heapmark record' is still writing it",
                              raw_path);
    if (file.st_size < (off_t)RAW_FIRST_SEGMENT)
        return recording_fail(r, -EINVAL, "'%s' is cut off: it ends in its header", raw_path);
    r->raw = mmap(NULL, (size_t)file.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                  r->raw_fd, 0);
    if (r->raw == MAP_FAILED) {
        r->raw = NULL;
        return recording_fail(r, -errno, "cannot map '%s': %s", raw_path, strerrordesc_np(errno));
    }
    struct raw_header *header = r->raw;
    if (header->version == RAW_VERSION && header->file_bytes == (uint64_t)file.st_size &&
        header->command_bytes <= sizeof header->command && header->next >= RAW_FIRST_SEGMENT)
        return 0;
    munmap(header, (size_t)file.st_size);
    r->raw = NULL;
    return recording_fail(r, -EINVAL, "'%s' was not left by this version of 'heapmark record'",
                          raw_path);
}

int recording_files_reopen(struct recording *r, const char *raw_path, char *error,
                           size_t error_bytes)
{
    begin(r, error, error_bytes);
    int result = open_left(r, raw_path);
    return result != 0 ? result : open_drain(r);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void remove_files(const struct recording *r)
{
    char part[PATH_MAX + 32 + sizeof RAW_MAPS_NEW];
    unlink(r->raw_path);
    for (uint32_t i = 0; r->raw != NULL && i < r->raw->processes && i < RAW_PROCESSES_MAX; i++) {
        part_path(r, i, part);
        unlink(part);
        maps_path(r, i, part);
        unlink(part);
        strcat(part, RAW_MAPS_NEW);
        unlink(part);
    }
}

void recording_files_release(struct recording *r)
{
    if (r->drain != NULL)
        drain_release(r->drain);
    if (r->raw_path[0] != '\0')
        remove_files(r);
    if (r->raw != NULL)
        munmap(r->raw, r->raw->file_bytes);
    if (r->raw_fd >= 0)
        close(r->raw_fd);
    free(r->traces);
    sigaction(SIGXFSZ, &r->inherited_size_limit, NULL);
    sigaction(SIGPIPE, &r->inherited_pipe_end, NULL);
    setrlimit(RLIMIT_NOFILE, &r->inherited_descriptors);
}
