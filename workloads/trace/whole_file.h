/*
 * A file that appears under its name when it is whole. Until then it has no name at all where the
 * file system can keep such a file (O_TMPFILE), so that whoever is killed midway leaves nothing
 * behind; elsewhere it is called .heapmark-part-PID-N, in the same directory.
 *
 * None of this is thread-safe for one struct; different ones are independent.
 */
#ifndef HEAPMARK_TRACE_WHOLE_FILE_H
#define HEAPMARK_TRACE_WHOLE_FILE_H

#include <limits.h>

struct whole_file {
    int fd; /* to read and write, close-on-exec; whoever wants other permissions sets them */
    char path[PATH_MAX]; /* where it will be: no symbolic link */
    char part[PATH_MAX]; /* its name for the time being; "": none */
};

/*
 * Opens a new file that will be `path`, or what this leads to if it is a symbolic link. Permissions are
 * those of any new file. 0, or -errno; then there is nothing to drop.
 */
int whole_file_open(struct whole_file *file, const char *path);

/*
 * Gives it its name, in one step, instead of what was there, and closes it; before, what it holds is
 * brought to the disk, as some file systems find out only then that it is full. 0, or -errno: then it
 * is dropped, and what was there is what it was. Only where something was there the file has the other
 * name for a moment.
 */
int whole_file_publish(struct whole_file *file);

/* Closes it and leaves nothing. */
void whole_file_drop(struct whole_file *file);

#endif
