#include "fixture.h"

#include "include/workload.h"

#include <unistd.h>

char *fixture_path(void)
{
    char *path = strdup("/tmp/heapmark-test-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return path;
}

void fixture_remove(char *path)
{
    unlink(path);
    free(path);
}

static struct trace_writer *open_writer(const char *path, uint32_t threads, FILE **file)
{
    static const char command[] = "a\0test";
    struct trace_writer *writer;
    *file = fopen(path, "w+be");
    assert_non_null(*file);
    assert_int_equal(trace_writer_open(&writer, fileno(*file), threads, command, sizeof command),
                     0);
    return writer;
}

static void close_writer(struct trace_writer *writer, FILE *file)
{
    struct trace_file_header facts = {.ticks_hz = 1000000000,
                                      .null_frees = 7,
                                      .flags = TRACE_FORKED};
    assert_int_equal(trace_writer_finish(writer, &facts), 0);
    trace_writer_release(writer);
    fclose(file);
}

char *fixture_trace(const struct trace_event *events, size_t count, uint32_t threads)
{
    FILE *file;
    char *path = fixture_path();
    struct trace_writer *writer = open_writer(path, threads, &file);
    for (size_t i = 0; i < count; i++) {
        struct trace_event event = events[i];
        assert_int_equal(trace_writer_add(writer, &event), 0);
    }
    close_writer(writer, file);
    return path;
}

/* Mostly small, up to 16 KiB. */
static uint64_t random_size(uint64_t *rng)
{
    return rng_below(rng, (UINT64_C(1) << rng_below(rng, 15)) + 1);
}

static struct trace_event random_event(uint64_t *rng, const struct trace_rules *rules,
                                       uint32_t threads)
{
    struct trace_event event = {.thread = (uint32_t)rng_below(rng, threads),
                                .size = random_size(rng),
                                .time = rules->time + rng_below(rng, 300)};
    uint64_t draw = rng_below(rng, 100);
    event.slot = (uint32_t)rng_below(rng, rules->slot_count + 1);
    event.other = (uint32_t)rng_below(rng, threads);
    event.alignment_log2 = (uint32_t)rng_below(rng, 13);
    if (draw < 30)
        event.op = TRACE_MALLOC;
    else if (draw < 36)
        event.op = TRACE_CALLOC;
    else if (draw < 42)
        event.op = TRACE_ALIGNED;
    else if (draw < 52)
        event.op = TRACE_REALLOC;
    else if (draw < 99)
        event.op = TRACE_FREE;
    else
        event.op = rng_below(rng, 20) != 0 ? TRACE_SPAWN : TRACE_JOIN;
    event.moved = event.op == TRACE_REALLOC && draw % 2 == 0;
    return event;
}

/* Draws that break a rule are drawn again. */
char *fixture_random_trace(uint64_t seed, size_t count, uint32_t threads)
{
    FILE *file;
    char *path = fixture_path();
    struct trace_writer *writer = open_writer(path, threads, &file);
    while (trace_writer_rules(writer)->events < count) {
        struct trace_event event = random_event(&seed, trace_writer_rules(writer), threads);
        trace_writer_add(writer, &event);
    }
    close_writer(writer, file);
    return path;
}

unsigned char *fixture_read(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rbe");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *bytes = (size_t)ftell(file);
    rewind(file);
    unsigned char *content = malloc(*bytes + 1);
    assert_int_equal(fread(content, 1, *bytes, file), *bytes);
    fclose(file);
    return content;
}

void fixture_write(const char *path, const void *bytes, size_t count)
{
    FILE *file = fopen(path, "wbe");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

enum trace_next fixture_read_all(const char *path, char *error, size_t error_bytes)
{
    struct trace_reader *reader;
    struct trace_event event;
    enum trace_next next;
    if (trace_reader_open(&reader, path, error, error_bytes) != 0)
        return TRACE_ERROR;
    while ((next = trace_reader_next(reader, &event)) == TRACE_EVENT)
        continue;
    snprintf(error, error_bytes, "%s", trace_reader_error(reader));
    trace_reader_close(reader);
    return next;
}
