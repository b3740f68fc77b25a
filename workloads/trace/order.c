#include "workloads/trace/order.h"

#include "util/errno_text.h"
#include "workloads/trace/reader.h"
#include "workloads/trace/whole_file.h"
#include "workloads/trace/writer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct ordering {
    const char *path;
    char *error;
    size_t error_bytes;
};

static int fail(const struct ordering *o, int error, const char *what)
{
    snprintf(o->error, o->error_bytes, "cannot write '%s' again: %s", o->path, what);
    return error;
}

static int copy_events(const struct ordering *o, struct trace_reader *reader,
                       struct trace_writer *writer)
{
    struct trace_event event;
    enum trace_next next;
    while ((next = trace_reader_next(reader, &event)) == TRACE_EVENT) {
        int error = trace_writer_add(writer, &event);
        if (error == -EINVAL)
            return fail(o, error, trace_writer_reason(writer));
        if (error != 0)
            return fail(o, error, errno_text(-error));
    }
    if (next == TRACE_END)
        return 0;
    snprintf(o->error, o->error_bytes, "%s", trace_reader_error(reader));
    return -EINVAL;
}

static int copy(const struct ordering *o, struct trace_reader *reader, int fd)
{
    const struct trace_file_header *header = trace_reader_header(reader);
    struct trace_writer *writer;
    int error = trace_writer_open(&writer, fd, header->threads, trace_reader_command(reader),
                                  header->command_bytes);
    if (error != 0)
        return fail(o, error, errno_text(-error));
    error = copy_events(o, reader, writer);
    struct trace_file_header facts = *header;
    if (error == 0) {
        error = trace_writer_finish(writer, &facts);
        if (error != 0)
            fail(o, error, errno_text(-error));
    }
    trace_writer_release(writer);
    return error;
}

static int copy_to(const struct ordering *o, struct trace_reader *reader, struct whole_file *file)
{
    struct stat old;
    /* Nobody else reads the copy of what may be private. */
    int error = fchmod(file->fd, 0600) == 0 ? 0 : fail(o, -errno, errno_text(errno));
    if (error == 0)
        error = copy(o, reader, file->fd);
    if (error == 0 && (stat(o->path, &old) != 0 || fchmod(file->fd, old.st_mode & 0777) != 0))
        error = fail(o, -errno, errno_text(errno));
    if (error != 0) {
        whole_file_drop(file);
        return error;
    }
    error = whole_file_publish(file);
    return error != 0 ? fail(o, error, errno_text(-error)) : 0;
}

int trace_order(const char *path, char *error, size_t error_bytes)
{
    struct ordering o = {path, error, error_bytes};
    struct trace_reader *reader;
    struct whole_file file;
    int result = trace_reader_open(&reader, path, error, error_bytes);
    if (result != 0)
        return result;
    result = whole_file_open(&file, path);
    result = result != 0 ? fail(&o, result, errno_text(-result)) : copy_to(&o, reader, &file);
    trace_reader_close(reader);
    return result;
}
