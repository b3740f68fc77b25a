/* Traces become programs: sound ones, sealed in memory or streamed from a file without a name. */
#include "replays.h"

#include "workloads/trace/program.h"
#include "workloads/trace/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Many programs, without running them on an allocator. */
static void programs_are_sound(void **state)
{
    (void)state;
    const struct trace_load_options others[] = {
        {.memory_bytes = 0},
        {.memory_bytes = SIZE_MAX, .is_serial = true},
        {.memory_bytes = SIZE_MAX, .is_paced = true},
    };
    for (uint64_t seed = 100; seed < 200; seed++) {
        char *path = fixture_random_trace(seed, 1000, 1 + (uint32_t)seed % 9);
        struct trace_input input = replay_load(path, &replay_in_memory);
        trace_input_release(&input);
        input = replay_load(path, &others[seed % 3]);
        trace_input_release(&input);
        fixture_remove(path);
    }
}

static void loaded_facts(void **state)
{
    (void)state;
    char *path = fixture_random_trace(21, 5000, 3);
    struct trace_input input = replay_load(path, &replay_in_memory);
    struct stat file;
    assert_int_equal(input.threads, 3);
    assert_int_equal(input.events, 5000);
    assert_int_equal(fstat(input.fd, &file), 0);
    assert_int_equal(file.st_size, input.bytes);
    assert_true(write(input.fd, "x", 1) < 0); /* sealed */
    assert_int_equal(fcntl(input.fd, F_GET_SEALS) & F_SEAL_WRITE, F_SEAL_WRITE);
    assert_true(input.bytes < 5000 * 16 + input.players * PROGRAM_CHUNK_BYTES + 65536);
    trace_input_release(&input);
    fixture_remove(path);
}

/* Only the head is mapped, the rest is read chunk by chunk; and the calls are the same. */
static void streamed(void **state)
{
    (void)state;
    const struct trace_load_options small = {.memory_bytes = 4096};
    char *path = fixture_random_trace(23, 60000, 4);
    struct trace_input input = replay_load(path, &small);
    struct stat file;
    assert_int_equal(fstat(input.fd, &file), 0);
    assert_int_equal(file.st_nlink, 0); /* gone with its descriptor */
    assert_true(input.bytes < 16384 && file.st_size > 60000 * 8);
    struct mock_run run = {.input = &input, .passes = 2, .params = {.speed = 100}};
    struct mock_result result;
    assert_int_equal(mock_replay(&run, &result), 0);
    assert_int_equal(result.ops, 2 * replay_calls(path));
    assert_true(result.figures_known >> FIGURE_READ_PPM & 1);
    trace_input_release(&input);
    fixture_remove(path);
}

/* In ns, whatever the trace's ticks are. */
static void recorded_times(void **state)
{
    (void)state;
    char *path = fixture_random_trace(21, 5000, 3);
    char error[512];
    struct trace_reader *reader;
    struct trace_event event;
    uint64_t last = 0;
    assert_int_equal(trace_reader_open(&reader, path, error, sizeof error), 0);
    while (trace_reader_next(reader, &event) == TRACE_EVENT)
        last = event.time;
    double ns = (double)last * 1e9 / (double)trace_reader_header(reader)->ticks_hz;
    trace_reader_close(reader);
    struct trace_input input = replay_load(path, &replay_in_memory);
    assert_in_range(input.recorded_ns, (uint64_t)ns - 1, (uint64_t)ns + 1);
    trace_input_release(&input);
    fixture_remove(path);
}

static void bad_files(void **state)
{
    (void)state;
    char error[512];
    struct trace_input input;
    assert_true(trace_load("/nonexistent/x.hmt", &replay_in_memory, &input, error, sizeof error) ==
                -ENOENT);
    assert_int_equal(input.fd, -1);
    char *path = fixture_random_trace(22, 5000, 3);
    size_t bytes;
    unsigned char *content = fixture_read(path, &bytes);
    fixture_write(path, content, bytes / 2);
    assert_true(trace_load(path, &replay_in_memory, &input, error, sizeof error) == -EINVAL);
    assert_non_null(strstr(error, "is cut off at byte"));
    free(content);
    fixture_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_are_sound), cmocka_unit_test(loaded_facts),
        cmocka_unit_test(streamed),           cmocka_unit_test(recorded_times),
        cmocka_unit_test(bad_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
