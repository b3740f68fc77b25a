#include "workloads/trace/recording.h"

#include "workloads/trace/convert.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define RAW_FILE_BYTES     (UINT64_C(1) << 38) /* sparse: room for 16 milliard events */
#define RAW_FILE_BYTES_MIN (UINT64_C(1) << 26)
#define CALIBRATION_NS     10000000u /* shortest span over which the clock's rate is taken */
#define RESERVE_BYTES \
    (256 << 10)            /* for the trace's beginning, should the recording fill the disk */
#define SLACK_NS     2000u /* see raw_streams.h: far more than a processor can read its clock early */
#define TICKS_HZ_MIN 40000000u /* the trace's clock is at least this fine: 25 ns */

static int fail(struct recording *r, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct recording *r, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->error, r->error_bytes, format, arguments);
    va_end(arguments);
    return error;
}

/* ---- the clock ------------------------------------------------------------------------------- */

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

static void read_clocks(const struct recording *r, uint64_t *ticks, uint64_t *ns)
{
    *ns = raw_now(false);
    *ticks = raw_now(r->raw->is_tsc != 0);
}

/* After very short programs it waits a little, so that the rate is known to some parts per million. */
static void read_end_clocks(struct recording *r)
{
    uint64_t elapsed = raw_now(false) - r->start_ns;
    if (elapsed < CALIBRATION_NS)
        usleep((unsigned)((CALIBRATION_NS - elapsed) / 1000 + 1));
    read_clocks(r, &r->end_ticks, &r->end_ns);
}

static uint64_t ticks_hz(const struct recording *r)
{
    if (!r->raw->is_tsc)
        return 1000000000u;
    double seconds = (double)(r->end_ns - r->start_ns) / 1e9;
    return (uint64_t)((double)(r->end_ticks - r->start_ticks) / seconds);
}

/* ---- files ----------------------------------------------------------------------------------- */

static int make_file(struct recording *r, char path[PATH_MAX], const char *suffix)
{
    if (snprintf(path, PATH_MAX, "%s.%s-XXXXXX", r->output, suffix) >= PATH_MAX)
        return fail(r, -ENAMETOOLONG, "cannot write '%s': the name is too long", r->output);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        return fd;
    int error = -errno;
    path[0] = '\0';
    return fail(r, error, "cannot write '%s': %s; choose another place with -o", r->output,
                strerrordesc_np(-error));
}

/* As large as the file system allows. */
static int stretch(struct recording *r)
{
    uint64_t bytes = RAW_FILE_BYTES;
    while (ftruncate(r->raw_fd, (off_t)bytes) != 0) {
        bytes /= 2;
        if (bytes < RAW_FILE_BYTES_MIN)
            return fail(r, -errno,
                        "cannot make a file of %" PRIu64 " MiB beside '%s': %s; choose "
                        "another place with -o",
                        bytes >> 20, r->output, strerrordesc_np(errno));
    }
    r->raw = mmap(NULL, RAW_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r->raw_fd, 0);
    if (r->raw == MAP_FAILED)
        return fail(r, -errno, "cannot map '%s': %s", r->raw_path, strerrordesc_np(errno));
    r->raw->file_bytes = bytes;
    return 0;
}

/* Its first block must exist before it is written through the mapping: the disk may be full. */
static int fill_header(struct recording *r)
{
    struct raw_header header = {
        .magic = RAW_MAGIC,
        .version = RAW_VERSION,
        .is_tsc = tsc_is_invariant(),
        .next = RAW_PAGE_BYTES,
    };
    if (pwrite(r->raw_fd, &header, sizeof header, 0) != sizeof header)
        return fail(r, -errno, "cannot write '%s': %s", r->output, strerrordesc_np(errno));
    return stretch(r);
}

static int check_output(struct recording *r, const char *output)
{
    struct stat file;
    if (stat(output, &file) == 0 && !S_ISREG(file.st_mode))
        return fail(r, -EINVAL, "cannot write '%s': it is not a regular file", output);
    if (output[0] == '/')
        snprintf(r->output, sizeof r->output, "%s", output);
    else { /* the program gets the path, and may look at it from elsewhere */
        char here[PATH_MAX];
        if (getcwd(here, sizeof here) == NULL ||
            snprintf(r->output, sizeof r->output, "%s/%s", here, output) >= PATH_MAX)
            return fail(r, -ENAMETOOLONG, "cannot write '%s': the name is too long", output);
    }
    return 0;
}

int recording_begin(struct recording *r, const char *output, char *error, size_t error_bytes)
{
    memset(r, 0, sizeof *r);
    r->raw_fd = r->part_fd = -1;
    r->error = error;
    r->error_bytes = error_bytes;
    int result = check_output(r, output);
    if (result != 0)
        return result;
    r->part_fd = make_file(r, r->part_path, "part");
    if (r->part_fd < 0)
        return r->part_fd;
    if (fallocate(r->part_fd, FALLOC_FL_KEEP_SIZE, 0, RESERVE_BYTES) != 0 && errno == ENOSPC)
        return fail(r, -ENOSPC, "cannot write '%s': no space left; choose another place with -o",
                    output);
    r->raw_fd = make_file(r, r->raw_path, "raw");
    return r->raw_fd < 0 ? r->raw_fd : fill_header(r);
}

void recording_release(struct recording *r)
{
    if (r->raw != NULL && r->raw != MAP_FAILED)
        munmap(r->raw, RAW_PAGE_BYTES);
    if (r->raw_path[0] != '\0')
        unlink(r->raw_path);
    if (r->part_path[0] != '\0')
        unlink(r->part_path);
    if (r->raw_fd >= 0)
        close(r->raw_fd);
    if (r->part_fd >= 0)
        close(r->part_fd);
}

/* ---- the program ----------------------------------------------------------------------------- */

static volatile sig_atomic_t child;

static void pass_on(int signal)
{
    if (child > 0)
        kill((pid_t)child, signal);
}

static void set_handler(int signal, void (*handler)(int), struct sigaction *saved)
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(signal, &action, saved);
}

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
    if (preload(library, r->raw_path))
        execv(path, arguments);
    int error = errno;
    ssize_t ignored = write(status_fd, &error, sizeof error);
    (void)ignored;
    _exit(127);
}

static int wait_for_program(struct recording *r, int status_fd, const char *path)
{
    int error = 0;
    ssize_t got;
    while ((got = read(status_fd, &error, sizeof error)) < 0 && errno == EINTR)
        continue;
    while (waitpid((pid_t)child, &r->exit_status, 0) < 0 && errno == EINTR)
        continue;
    if (got == sizeof error)
        return fail(r, -error, "cannot run '%s': %s", path, strerrordesc_np(error));
    return 0;
}

int recording_run(struct recording *r, const char *path, char *const arguments[],
                  const char *library)
{
    int status[2];
    if (pipe2(status, O_CLOEXEC) != 0)
        return fail(r, -errno, "cannot run '%s': %s", path, strerrordesc_np(errno));
    r->started_at = time(NULL);
    read_clocks(r, &r->start_ticks, &r->start_ns);
    child = fork();
    if (child == 0)
        run_program(r, path, arguments, library, status[1]);
    close(status[1]);
    if (child < 0) {
        close(status[0]);
        return fail(r, -errno, "cannot run '%s': %s", path, strerrordesc_np(errno));
    }
    struct sigaction saved[4];
    set_handler(SIGINT, SIG_IGN, &saved[0]); /* a terminal sends them to the program as well */
    set_handler(SIGQUIT, SIG_IGN, &saved[1]);
    set_handler(SIGTERM, pass_on, &saved[2]);
    set_handler(SIGHUP, pass_on, &saved[3]);
    int error = wait_for_program(r, status[0], path);
    child = 0;
    sigaction(SIGINT, &saved[0], NULL);
    sigaction(SIGQUIT, &saved[1], NULL);
    sigaction(SIGTERM, &saved[2], NULL);
    sigaction(SIGHUP, &saved[3], NULL);
    close(status[0]);
    read_end_clocks(r);
    return error;
}

/* ---- the trace ------------------------------------------------------------------------------- */

static size_t join_arguments(char *const arguments[], char command[TRACE_COMMAND_BYTES_MAX])
{
    size_t used = 0;
    for (; *arguments != NULL; arguments++) {
        size_t length = strlen(*arguments) + 1;
        if (used + length > TRACE_COMMAND_BYTES_MAX)
            break;
        memcpy(command + used, *arguments, length);
        used += length;
    }
    return used;
}

static uint32_t trace_flags(const struct recording *r)
{
    uint32_t raw = r->raw->flags, flags = 0;
    if (raw & RAW_FORKED)
        flags |= TRACE_FORKED;
    if (raw & RAW_REPLACED)
        flags |= TRACE_REPLACED;
    if (raw & (RAW_NO_SPACE | RAW_TOO_LONG))
        flags |= TRACE_TRUNCATED;
    if (WIFSIGNALED(r->exit_status))
        flags |= TRACE_CRASHED;
    return flags;
}

static int check_recorded(struct recording *r, const char *path)
{
    if (r->raw->flags & RAW_OLD_KERNEL)
        return fail(r, -ENOSYS, "recording needs Linux 5.14 or newer");
    if (r->raw->claimed == 0)
        return fail(r, -ENODATA,
                    "nothing was recorded: '%s' made no call to malloc that a preloaded "
                    "library sees; it may bring its own allocator inside",
                    path);
    if (r->raw->threads == 0 && (r->raw->flags & RAW_NO_SPACE))
        return fail(r, -ENOSPC,
                    "nothing was recorded: no space left beside '%s'; choose another "
                    "place with -o",
                    r->output);
    return 0;
}

static unsigned time_shift(uint64_t hz)
{
    unsigned shift = 0;
    while (hz >> (shift + 1) >= TICKS_HZ_MIN)
        shift++;
    return shift;
}

static int write_trace(struct recording *r, struct raw_streams *streams,
                       struct trace_writer *writer, struct trace_file_header *header,
                       void (*progress)(uint64_t))
{
    uint64_t hz = ticks_hz(r);
    struct trace_conversion conversion = {.time_shift = time_shift(hz), .progress = progress};
    int error = trace_convert(&conversion, streams, writer);
    if (error == -EINVAL)
        return fail(r, error, "cannot write '%s': %s", r->output, trace_writer_reason(writer));
    *header = (struct trace_file_header){
        .flags = trace_flags(r),
        .ticks_hz = hz >> conversion.time_shift,
        .recorded_at = r->started_at,
        .failed_calls = streams->failed_calls,
        .null_frees = streams->null_frees,
        .unknown_frees = conversion.unknown_frees,
        .lost_frees = conversion.lost_frees,
        .exit_status = r->exit_status,
    };
    if (error == 0)
        error = trace_writer_finish(writer, header);
    return error == 0 ? 0
                      : fail(r, error, "cannot write '%s': %s", r->output, strerrordesc_np(-error));
}

static int convert(struct recording *r, struct raw_streams *streams, char *const arguments[],
                   struct trace_file_header *header, void (*progress)(uint64_t))
{
    char command[TRACE_COMMAND_BYTES_MAX];
    struct trace_writer *writer;
    uint32_t threads = streams->count < TRACE_THREADS_MAX ? streams->count : TRACE_THREADS_MAX;
    int error = trace_writer_open(&writer, r->part_fd, threads > 0 ? threads : 1, command,
                                  join_arguments(arguments, command));
    if (error != 0)
        return fail(r, error, "cannot write '%s': %s", r->output, strerrordesc_np(-error));
    error = write_trace(r, streams, writer, header, progress);
    trace_writer_release(writer);
    if (error == 0 && header->events == 0)
        return fail(r, -ENODATA, "nothing was recorded: the program never allocated");
    return error;
}

static int read_raw(struct recording *r, char *const arguments[], struct trace_file_header *header,
                    void (*progress)(uint64_t))
{
    uint64_t bytes = r->raw->next < r->raw->file_bytes ? r->raw->next : r->raw->file_bytes;
    void *file = mmap(NULL, bytes, PROT_READ, MAP_SHARED, r->raw_fd, 0);
    if (file == MAP_FAILED)
        return fail(r, -errno, "cannot map '%s': %s", r->raw_path, strerrordesc_np(errno));
    madvise(file, bytes, MADV_SEQUENTIAL);
    struct raw_streams streams;
    uint64_t slack = ticks_hz(r) / 1000000 * SLACK_NS / 1000;
    int error = raw_streams_open(&streams, file, bytes, r->raw_fd, slack);
    if (error == 0) {
        error = convert(r, &streams, arguments, header, progress);
        raw_streams_release(&streams);
    } else
        fail(r, error, "cannot read '%s': %s", r->raw_path, strerrordesc_np(-error));
    munmap(file, bytes);
    return error;
}

/* An existing trace stays whole until the new one is. */
static int put_in_place(struct recording *r, uint64_t *bytes)
{
    struct stat file;
    mode_t mask = umask(0);
    umask(mask);
    if (fchmod(r->part_fd, 0666 & ~mask) != 0 || fstat(r->part_fd, &file) != 0 ||
        ftruncate(r->part_fd, file.st_size) != 0 || /* gives back what was reserved */
        rename(r->part_path, r->output) != 0)
        return fail(r, -errno, "cannot write '%s': %s", r->output, strerrordesc_np(errno));
    r->part_path[0] = '\0';
    *bytes = (uint64_t)file.st_size;
    return 0;
}

int recording_finish(struct recording *r, char *const arguments[], struct trace_file_header *header,
                     uint64_t *bytes, void (*progress)(uint64_t events))
{
    int error = check_recorded(r, arguments[0]);
    if (error == 0)
        error = read_raw(r, arguments, header, progress);
    return error != 0 ? error : put_in_place(r, bytes);
}
