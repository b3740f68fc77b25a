#include "tools.h"

#include <fcntl.h>
#include <unistd.h>

struct events events_read(const char *path)
{
    struct trace_reader *reader;
    struct events events = {0};
    char error[512];
    enum trace_next next;
    assert_int_equal(trace_reader_open(&reader, path, error, sizeof error), 0);
    size_t capacity = 200000;
    events.list = calloc(capacity, sizeof *events.list);
    events.live_bytes = calloc(capacity, sizeof *events.live_bytes);
    while ((next = trace_reader_next(reader, &events.list[events.count])) == TRACE_EVENT) {
        events.live_bytes[events.count++] = trace_reader_rules(reader)->live_bytes;
        assert_true(events.count < capacity);
    }
    assert_int_equal(next, TRACE_END);
    events.header = *trace_reader_header(reader);
    trace_reader_close(reader);
    return events;
}

void events_release(struct events *events)
{
    free(events->list);
    free(events->live_bytes);
}

/* Text in, path of a trace out; NULL and the message in `error` when it is refused. */
static char *import(const void *text, size_t bytes, enum trace_source source,
                    struct import_result *result, char *error, size_t error_bytes)
{
    char *path = fixture_path();
    int fd = open(path, O_RDWR | O_CLOEXEC);
    FILE *in = fmemopen((void *)text, bytes, "r");
    int failed = trace_import(in, "x", source, fd, result, error, error_bytes);
    fclose(in);
    close(fd);
    if (failed == 0)
        return path;
    fixture_remove(path);
    return NULL;
}

char *import_good(const char *text, enum trace_source source, struct import_result *result)
{
    char error[512] = "";
    char *path = import(text, strlen(text), source, result, error, sizeof error);
    assert_string_equal(error, "");
    return path;
}

struct events import_events(const char *text, enum trace_source source,
                            struct import_result *result)
{
    char *path = import_good(text, source, result);
    struct events events = events_read(path);
    fixture_remove(path);
    return events;
}

void import_refused(const char *text, enum trace_source source, const char *expected)
{
    char error[512] = "";
    struct import_result result;
    assert_null(import(text, strlen(text), source, &result, error, sizeof error));
    if (strstr(error, expected) == NULL)
        fail_msg("'%s' does not say '%s'", error, expected);
}
