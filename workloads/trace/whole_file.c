#include "workloads/trace/whole_file.h"

#include "workloads/trace/output_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The same process's others, and what a killed one with its number has left. */
enum { PART_NAMES = 100 };

/* How much of the path names the directory, its last slash included. */
static int directory_length(const struct whole_file *file)
{
    const char *slash = strrchr(file->path, '/');
    return slash != NULL ? (int)(slash - file->path) + 1 : 0;
}

/* Not made from the file's own name, which may be as long as names can be. */
static bool name_part(struct whole_file *file, int number)
{
    int length = snprintf(file->part, sizeof file->part, "%.*s.heapmark-part-%ld-%d",
                          directory_length(file), file->path, (long)getpid(), number);
    return length < (int)sizeof file->part;
}

/* Tries names with `give` until one is free. 0, or -errno; then it has none. */
static int take_part(struct whole_file *file, int give(struct whole_file *file))
{
    int error = -ENAMETOOLONG;
    for (int number = 0; number < PART_NAMES && name_part(file, number); number++) {
        error = give(file);
        if (error != -EEXIST)
            break;
    }
    if (error != 0)
        file->part[0] = '\0';
    return error;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Where /proc shows it, which is how it is given its name: see link_to(). */
static void proc_path(const struct whole_file *file, char path[32])
{
    snprintf(path, 32, "/proc/self/fd/%d", file->fd);
}

static bool open_nameless(struct whole_file *file)
{
    char directory[PATH_MAX], shown[32];
    size_t length = (size_t)directory_length(file);
    if (length >= sizeof directory - 1)
        return false;
    memcpy(directory, file->path, length);
    strcpy(directory + length, "."); /* "dir/." and "." */
    file->fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    if (file->fd < 0)
        return false;
    proc_path(file, shown);
    if (access(shown, F_OK) == 0)
        return true;
    close(file->fd);
    return false;
}

static int create_part(struct whole_file *file)
{
    file->fd = open(file->part, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
    return file->fd < 0 ? -errno : 0;
}

int whole_file_open(struct whole_file *file, const char *path)
{
    int error = output_path(path, file->path);
    file->part[0] = '\0';
    if (error != 0)
        return error;
    if (access(file->path, F_OK) != 0 && errno != ENOENT)
        return -errno; /* a name that cannot be had is told before the work */
    return open_nameless(file) ? 0 : take_part(file, create_part);
}

/* ---- its end --------------------------------------------------------------------------------- */

/* By way of /proc: to link a descriptor as such takes a privilege. */
static int link_to(const struct whole_file *file, const char *name)
{
    char shown[32];
    proc_path(file, shown);
    return linkat(AT_FDCWD, shown, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : -errno;
}

static int link_part(struct whole_file *file)
{
    return link_to(file, file->part);
}

/* A link replaces nothing, a rename does. */
static int replace(struct whole_file *file)
{
    int error = file->part[0] == '\0' ? take_part(file, link_part) : 0;
    if (error == 0 && rename(file->part, file->path) != 0)
        error = -errno;
    if (error == 0)
        file->part[0] = '\0';
    return error;
}

/* A file system that cannot do it (EINVAL) keeps nothing back either. */
static int bring_to_disk(const struct whole_file *file)
{
    return fsync(file->fd) == 0 || errno == EINVAL ? 0 : -errno;
}

int whole_file_publish(struct whole_file *file)
{
    int error = bring_to_disk(file);
    if (error == 0)
        error = file->part[0] == '\0' ? link_to(file, file->path) : -EEXIST;
    if (error == -EEXIST)
        error = replace(file);
    whole_file_drop(file);
    return error;
}

void whole_file_drop(struct whole_file *file)
{
    if (file->part[0] != '\0')
        unlink(file->part);
    close(file->fd);
}
