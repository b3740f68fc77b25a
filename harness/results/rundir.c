#include "results/rundir.h"

#include "results/csv_read.h"
#include "trial/clock.h"
#include "util/errno_text.h"
#include "util/pool.h"
#include "util/say.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char latency_header[] = "trial,op,low_ns,high_ns,count\r\n";

struct rundir {
    char path[PATH_MAX];
    const char *name;
    bool is_begun; /* its first files are whole, so that it can be resumed */
    int dir_fd, trials_fd, latency_fd;
    int side_fd[SIDE_COUNT]; /* -1: not open */
    char *text;              /* the row being written */
};

/* ---- opening --------------------------------------------------------------------------------- */

static int make_directories(const char *path)
{
    char partial[PATH_MAX];
    if ((size_t)snprintf(partial, sizeof partial, "%s", path) >= sizeof partial)
        return -ENAMETOOLONG;
    for (char *slash = partial + 1; *slash; slash++) {
        if (*slash != '/')
            continue;
        *slash = '\0';
        if (mkdir(partial, 0777) != 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return mkdir(partial, 0777) != 0 && errno != EEXIST ? -errno : 0;
}

static int open_directory(const char *path, struct rundir **result)
{
    struct rundir *dir = calloc(1, sizeof *dir);
    if (dir == NULL)
        return -ENOMEM;
    dir->trials_fd = dir->latency_fd = -1;
    for (int i = 0; i < SIDE_COUNT; i++)
        dir->side_fd[i] = -1;
    dir->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->dir_fd < 0 || realpath(path, dir->path) == NULL) {
        int error = errno;
        rundir_close(dir);
        return -error;
    }
    dir->name = strrchr(dir->path, '/') + 1;
    *result = dir;
    return 0;
}

static int open_file(struct rundir *dir, const char *name, int flags)
{
    int fd = openat(dir->dir_fd, name, flags | O_CLOEXEC, 0666);
    return fd >= 0 ? fd : -errno;
}

/*
 * Two processes that write one run's rows would spoil it. Held as long as trials.csv is open, which
 * is opened nowhere else: closing another descriptor of it would give the lock up. Children do not
 * inherit it.
 */
static int lock_run(const struct rundir *dir, const char *path)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(dir->trials_fd, F_SETLK, &whole) == 0 || (errno != EACCES && errno != EAGAIN))
        return 0; /* ours, or this file system has no locks */
    bool is_known = fcntl(dir->trials_fd, F_GETLK, &whole) == 0 && whole.l_pid > 0;
    say_error("'%s' is being run by %s; wait for it or end it", path,
              is_known ? pool_printf("process %d", (int)whole.l_pid) : "another process");
    return -EBUSY;
}

void rundir_close(struct rundir *dir)
{
    if (dir == NULL)
        return;
    if (dir->trials_fd >= 0)
        close(dir->trials_fd);
    if (dir->latency_fd >= 0)
        close(dir->latency_fd);
    for (int i = 0; i < SIDE_COUNT; i++)
        if (dir->side_fd[i] >= 0)
            close(dir->side_fd[i]);
    if (dir->dir_fd >= 0)
        close(dir->dir_fd);
    free(dir->text);
    free(dir);
}

const char *rundir_path(const struct rundir *dir)
{
    return dir->path;
}

const char *rundir_name(const struct rundir *dir)
{
    return dir->name;
}

void rundir_set_name(struct rundir *dir, const char *name)
{
    dir->name = pool_strdup(name);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* All of it, or nothing: what a full disk leaves of a row is cut off again. */
static int append(struct rundir *dir, int fd, const char *name, const char *text, size_t length)
{
    off_t before = lseek(fd, 0, SEEK_END);
    size_t written = 0;
    while (written < length) {
        ssize_t n = write(fd, text + written, length - written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int error = n < 0 ? errno : ENOSPC;
            if (before >= 0 && ftruncate(fd, before) != 0)
                say_error("cannot take back half a row of '%s/%s': %s", dir->path, name,
                          errno_text(errno));
            const char *remedy =
                dir->is_begun
                    ? pool_printf("; finished rows are kept, go on with --resume='%s' when there "
                                  "is room",
                                  dir->path)
                    : "; --out=DIR names another directory";
            say_error("cannot write '%s/%s': %s%s", dir->path, name, errno_text(error), remedy);
            return -error;
        }
        written += (size_t)n;
    }
    return 0;
}

int rundir_write_file(struct rundir *dir, const char *name, const char *text, size_t length)
{
    char temporary[NAME_MAX];
    snprintf(temporary, sizeof temporary, ".%s.new", name);
    int fd = open_file(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC);
    int result = fd < 0 ? fd : 0;
    if (fd >= 0) {
        result = append(dir, fd, name, text, length);
        close(fd);
        if (result != 0) {
            unlinkat(dir->dir_fd, temporary, 0);
            return result;
        }
        if (renameat(dir->dir_fd, temporary, dir->dir_fd, name) != 0)
            result = -errno;
    }
    if (result != 0)
        say_error("cannot write '%s/%s': %s", dir->path, name, errno_text(-result));
    return result;
}

static void say_taken(const struct rundir *dir, const char *path)
{
    if (faccessat(dir->dir_fd, "job.ini", F_OK, 0) == 0)
        say_error("'%s' holds a run already; go on with --resume='%s' or name another with --out",
                  path, path);
    else
        say_error("'%s' holds a trials.csv without its job.ini, from which no run goes on; remove "
                  "it or name another directory with --out",
                  path);
}

/* The files with which a run begins, trials.csv being open. 0 or -errno, said. */
static int write_first_files(struct rundir *dir, const char *job)
{
    dir->latency_fd = open_file(dir, "latency.csv", O_RDWR | O_CREAT | O_TRUNC | O_APPEND);
    if (dir->latency_fd < 0) {
        say_error("cannot write '%s/latency.csv': %s", dir->path, errno_text(-dir->latency_fd));
        return dir->latency_fd;
    }
    long length = record_header(&dir->text);
    int error = length < 0 ? (int)length
                           : append(dir, dir->trials_fd, "trials.csv", dir->text, (size_t)length);
    if (error == 0)
        error = append(dir, dir->latency_fd, "latency.csv", latency_header, strlen(latency_header));
    return error != 0 ? error : rundir_write_file(dir, "job.ini", job, strlen(job));
}

int rundir_create(const char *path, const char *job, struct rundir **result)
{
    struct rundir *dir = NULL;
    int error = make_directories(path);
    if (error == 0)
        error = open_directory(path, &dir);
    if (error != 0) {
        say_error("cannot make run directory '%s': %s; --out=DIR names another", path,
                  errno_text(-error));
        return error;
    }
    dir->trials_fd = open_file(dir, "trials.csv", O_RDWR | O_CREAT | O_EXCL | O_APPEND);
    if (dir->trials_fd == -EEXIST)
        say_taken(dir, path);
    else if (dir->trials_fd < 0)
        say_error("cannot write to run directory '%s': %s; --out=DIR names another", path,
                  errno_text(-dir->trials_fd));
    error = dir->trials_fd < 0 ? dir->trials_fd : lock_run(dir, path);
    if (error == 0)
        error = write_first_files(dir, job);
    if (error != 0 && dir->trials_fd >= 0) { /* the next try shall not meet half a run */
        unlinkat(dir->dir_fd, "latency.csv", 0);
        unlinkat(dir->dir_fd, "trials.csv", 0);
    }
    if (error != 0) {
        rundir_close(dir);
        return error;
    }
    dir->is_begun = true;
    *result = dir;
    return 0;
}

int rundir_add_record(struct rundir *dir, const struct record *record)
{
    long length = record_row(record, &dir->text);
    if (length < 0)
        return (int)length;
    int result = append(dir, dir->trials_fd, "trials.csv", dir->text, (size_t)length);
    if (result == 0)
        fdatasync(dir->trials_fd);
    return result;
}

int rundir_add_latency(struct rundir *dir, uint64_t trial, const char *op,
                       const struct histogram *histogram)
{
    size_t length;
    free(dir->text);
    FILE *stream = open_memstream(&dir->text, &length);
    if (stream == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        if (histogram->buckets[i] != 0)
            fprintf(stream, "%" PRIu64 ",%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\r\n", trial, op,
                    clock_ns(histogram_bucket_low(i)), clock_ns(histogram_bucket_high(i)),
                    histogram->buckets[i]);
    if (fclose(stream) != 0)
        return -ENOMEM;
    return append(dir, dir->latency_fd, "latency.csv", dir->text, length);
}

static int open_side(struct rundir *dir, enum side_file file)
{
    const char *name = side_files[file].name;
    int fd = open_file(dir, name, O_RDWR | O_CREAT | O_APPEND);
    if (fd < 0)
        say_error("cannot write '%s/%s': %s", dir->path, name, errno_text(-fd));
    dir->side_fd[file] = fd;
    return fd < 0 ? fd : 0;
}

int rundir_add_side(struct rundir *dir, enum side_file file, const void *rows, size_t count)
{
    const struct side_info *info = &side_files[file];
    size_t length;
    int error = dir->side_fd[file] >= 0 ? 0 : open_side(dir, file);
    if (error != 0)
        return error;
    free(dir->text);
    FILE *stream = open_memstream(&dir->text, &length);
    if (stream == NULL)
        return -ENOMEM;
    if (lseek(dir->side_fd[file], 0, SEEK_END) == 0)
        side_header(file, stream);
    for (size_t i = 0; i < count; i++)
        side_row(file, (const char *)rows + i * info->row_bytes, stream);
    if (fclose(stream) != 0)
        return -ENOMEM;
    return append(dir, dir->side_fd[file], info->name, dir->text, length);
}

/* ---- resuming -------------------------------------------------------------------------------- */

static char *read_whole(int fd, size_t *length)
{
    struct stat file;
    if (fstat(fd, &file) != 0)
        return NULL;
    char *text = malloc((size_t)file.st_size + 1);
    *length = 0;
    while (text != NULL && *length < (size_t)file.st_size) {
        ssize_t n = pread(fd, text + *length, (size_t)file.st_size - *length, (off_t)*length);
        if (n <= 0)
            break;
        *length += (size_t)n;
    }
    return text;
}

/* The whole rows of a trials.csv: where each ends, and which trial it is of. */
struct found_rows {
    struct found_row {
        size_t end;
        uint64_t trial;
    } * rows;
    size_t count, capacity;
};

static int add_found(struct found_rows *found, uint64_t trial, size_t end)
{
    if (found->count == found->capacity) {
        size_t capacity = found->capacity > 0 ? 2 * found->capacity : 1024;
        struct found_row *grown = realloc(found->rows, capacity * sizeof *grown);
        if (grown == NULL)
            return -ENOMEM;
        found->rows = grown;
        found->capacity = capacity;
    }
    found->rows[found->count++] = (struct found_row){.end = end, .trial = trial};
    return 0;
}

static bool is_unit_whole(const uint32_t *unit, const bool *done, size_t trial_count,
                          uint64_t trial)
{
    for (size_t i = unit[trial]; i < trial_count && unit[i] == unit[trial]; i++)
        if (!done[i])
            return false;
    return true;
}

/* Trials run in order, so that only the last unit can be cut short; its rows go. */
static void drop_torn_unit(struct found_rows *found, const uint32_t *unit, bool *done,
                           size_t trial_count)
{
    if (found->count == 0)
        return;
    uint64_t last = found->rows[found->count - 1].trial;
    if (last >= trial_count || is_unit_whole(unit, done, trial_count, last))
        return;
    while (found->count > 0) {
        uint64_t trial = found->rows[found->count - 1].trial;
        if (trial >= trial_count || unit[trial] != unit[last])
            return;
        done[trial] = false;
        found->count--;
    }
}

/* Marks the trials that have a whole row, and cuts the file off behind the last one. */
static int mend_trials(struct rundir *dir, const uint32_t *unit, bool *done, size_t trial_count)
{
    size_t length;
    char *fields[COLUMN_LAST], *text = read_whole(dir->trials_fd, &length), *next = text;
    if (text == NULL)
        return -ENOMEM;
    char *header = NULL;
    long header_length = record_header(&header);
    struct found_rows found = {0};
    int result = 0;
    if (header_length < 0 || length < (size_t)header_length ||
        memcmp(text, header, (size_t)header_length) != 0) {
        say_error("'%s/trials.csv' has other columns than this heapmark writes; finish the run "
                  "with the "
                  "version that began it",
                  dir->path);
        result = -EINVAL;
    } else {
        char *at = text + header_length, *end = text + length;
        for (; result == 0 && csv_record(at, end, fields, COLUMN_LAST, &next) == COLUMN_LAST;
             at = next) {
            uint64_t trial = strtoull(fields[COLUMN_trial], NULL, 10);
            if (trial < trial_count)
                done[trial] = true;
            result = add_found(&found, trial, (size_t)(next - text));
        }
        drop_torn_unit(&found, unit, done, trial_count);
        size_t keep = found.count > 0 ? found.rows[found.count - 1].end : (size_t)header_length;
        if (result == 0 && ftruncate(dir->trials_fd, (off_t)keep) != 0)
            result = -errno;
    }
    free(found.rows);
    free(header);
    free(text);
    return result;
}

static void write_fields(FILE *stream, char *const *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            fputc(',', stream);
        csv_write(stream, fields[i]);
    }
    fputs("\r\n", stream);
}

/*
 * Keeps the rows of finished trials only: the rest will be measured again. `column` of `columns`
 * holds the trial. The file at *fd is replaced by a mended one, and *fd with it.
 */
static int mend_rows(struct rundir *dir, int *fd, const char *name, size_t columns, size_t column,
                     const bool *done, size_t trial_count)
{
    enum { COLUMNS_MAX = 16 };
    size_t length, kept_length;
    char *fields[COLUMNS_MAX], *text = read_whole(*fd, &length), *kept = NULL;
    FILE *stream = text ? open_memstream(&kept, &kept_length) : NULL;
    if (stream == NULL) {
        free(text);
        return -ENOMEM;
    }
    char *at = text, *end = text + length, *next;
    if (csv_record(at, end, fields, COLUMNS_MAX, &at) == columns) /* the header */
        write_fields(stream, fields, columns);
    for (; csv_record(at, end, fields, COLUMNS_MAX, &next) == columns; at = next) {
        uint64_t trial = strtoull(fields[column], NULL, 10);
        if (trial < trial_count && done[trial])
            write_fields(stream, fields, columns);
    }
    int result = fclose(stream) != 0 ? -ENOMEM : 0;
    if (result == 0)
        result = rundir_write_file(dir, name, kept, kept_length);
    if (result == 0) {
        close(*fd);
        *fd = open_file(dir, name, O_RDWR | O_APPEND);
        result = *fd < 0 ? *fd : 0;
    }
    free(kept);
    free(text);
    return result;
}

/* A side file is there only if it was written. */
static int mend_sides(struct rundir *dir, const bool *done, size_t trial_count)
{
    int result = 0;
    for (int i = 0; i < SIDE_COUNT && result == 0; i++) {
        const struct side_info *info = &side_files[i];
        int fd = open_file(dir, info->name, O_RDWR | O_APPEND);
        if (fd == -ENOENT)
            continue;
        dir->side_fd[i] = fd;
        result = fd < 0 ? fd
                        : mend_rows(dir, &dir->side_fd[i], info->name, info->column_count,
                                    info->trial_column, done, trial_count);
    }
    return result;
}

int rundir_resume(const char *path, const uint32_t *unit, bool *done, size_t trial_count,
                  struct rundir **result)
{
    enum { LATENCY_COLUMNS = 5, LATENCY_TRIAL = 0 };
    struct rundir *dir = NULL;
    int error = open_directory(path, &dir);
    if (error == 0 && (dir->trials_fd = open_file(dir, "trials.csv", O_RDWR | O_APPEND)) < 0)
        error = dir->trials_fd;
    bool is_busy = error == 0 && lock_run(dir, path) != 0;
    if (error == 0 && !is_busy &&
        (dir->latency_fd = open_file(dir, "latency.csv", O_RDWR | O_CREAT | O_APPEND)) < 0)
        error = dir->latency_fd;
    if (error != 0)
        say_error("cannot resume '%s': %s; mend that, or begin a new run", path,
                  errno_text(-error));
    if (error != 0 || is_busy) {
        rundir_close(dir);
        return is_busy ? -EBUSY : error;
    }
    dir->is_begun = true;
    error = mend_trials(dir, unit, done, trial_count);
    if (error == 0)
        error = mend_rows(dir, &dir->latency_fd, "latency.csv", LATENCY_COLUMNS, LATENCY_TRIAL,
                          done, trial_count);
    if (error == 0 && lseek(dir->latency_fd, 0, SEEK_END) == 0) /* killed before its header */
        error = append(dir, dir->latency_fd, "latency.csv", latency_header, strlen(latency_header));
    if (error == 0)
        error = mend_sides(dir, done, trial_count);
    if (error != 0)
        rundir_close(dir);
    else
        *result = dir;
    return error;
}
