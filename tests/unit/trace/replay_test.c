/* A loaded trace, replayed: the same calls, the same waits, whatever order the threads run in. */
#include "fixture.h"
#include "mock_trial.h"
#include "simulate.h"

#include "workloads/trace/info.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct trace_input load(const char *path)
{
    char error[512];
    struct trace_input input;
    if (trace_load(path, &input, error, sizeof error) != 0)
        fail_msg("%s", error);
    const char *fault = simulate(&input);
    if (fault != NULL)
        fail_msg("%s", fault);
    return input;
}

/* The allocator calls of one pass: each event is one, and so is each leftover's free. */
static uint64_t calls_of(const char *path)
{
    char error[512];
    struct trace_info *info = malloc(sizeof *info);
    assert_int_equal(trace_info_read(info, path, error, sizeof error), 0);
    uint64_t calls = info->header.events - info->ops[TRACE_SPAWN] - info->ops[TRACE_JOIN] +
                     info->live_objects_end;
    free(info);
    return calls;
}

static void replay(const char *path, uint64_t passes, bool timed, uint64_t seed)
{
    struct trace_input input = load(path);
    struct mock_result result;
    assert_int_equal(mock_replay(&input, passes, timed, seed, &result), 0);
    assert_int_equal(result.ops, passes * calls_of(path));
    assert_int_equal(result.live_bytes_peak, input.live_bytes_peak);
    trace_input_release(&input);
    assert_int_equal(input.fd, -1);
}

static void one_thread(void **state)
{
    (void)state;
    char *path = fixture_random_trace(11, 20000, 1);
    replay(path, 3, false, 0);
    replay(path, 1, true, 1);
    fixture_remove(path);
}

/* Most objects of these traces are made in one thread and ended in another. */
static void many_threads(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        char *path = fixture_random_trace(seed, 4000, 2 + (uint32_t)seed % 7);
        replay(path, 3, false, 0);
        replay(path, 2, true, seed);
        fixture_remove(path);
    }
}

/* Back and forth: each thread ends what the other one has just made. */
static void ping_pong(void **state)
{
    (void)state;
    enum { ROUNDS = 2000 };
    static struct trace_event events[2 * ROUNDS];
    for (uint32_t i = 0; i < ROUNDS; i++) {
        events[2 * i] = (struct trace_event){.op = TRACE_MALLOC, .thread = i % 2, .size = 40};
        events[2 * i + 1] = (struct trace_event){.op = TRACE_FREE, .thread = 1 - i % 2};
    }
    char *path = fixture_trace(events, 2 * ROUNDS, 2);
    replay(path, 5, false, 0);
    replay(path, 2, true, 3);
    fixture_remove(path);
}

/* Sizes at the limit of a word and above it, in all operations, local and shared. */
static void wide_sizes(void **state)
{
    (void)state;
    enum { LIMIT = (1 << 28) - 1 };
    const struct trace_event events[] = {
        {.op = TRACE_CALLOC, .size = LIMIT - 1},
        {.op = TRACE_REALLOC, .size = LIMIT},
        {.op = TRACE_REALLOC, .size = LIMIT + 1, .thread = 1},
        {.op = TRACE_REALLOC, .size = 5},
        {.op = TRACE_FREE},
        {.op = TRACE_ALIGNED, .alignment_log2 = 21, .size = LIMIT + 1},
        {.op = TRACE_FREE, .thread = 1},
        {.op = TRACE_MALLOC, .size = LIMIT + 1, .thread = 1}, /* left over */
    };
    char *path = fixture_trace(events, sizeof events / sizeof *events, 2);
    replay(path, 1, false, 0);
    fixture_remove(path);
}

static uint64_t resident_bytes(void)
{
    uint64_t pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    assert_int_equal(fscanf(statm, "%*u %lu", &pages), 1);
    fclose(statm);
    return pages * 4096;
}

/* What one pass leaves is freed before the next one: a leak would add up to 1.2 GiB (a sanitizer keeps 256 MiB). */
static void leftovers_are_freed(void **state)
{
    (void)state;
    const struct trace_event events[] = {
        {.op = TRACE_MALLOC, .size = 1 << 20},
        {.op = TRACE_MALLOC, .size = 1 << 20, .thread = 1},
        {.op = TRACE_REALLOC, .slot = 0, .size = 1 << 20, .thread = 1},
    };
    char *path = fixture_trace(events, 3, 2);
    struct trace_input input = load(path);
    struct mock_result result;
    uint64_t before = resident_bytes();
    assert_int_equal(mock_replay(&input, 300, false, 0, &result), 0);
    assert_int_equal(result.ops, 300 * (3 + 2));
    assert_true(resident_bytes() < before + (UINT64_C(600) << 20));
    trace_input_release(&input);
    fixture_remove(path);
}

/* Many programs, without running them on an allocator. */
static void programs_are_sound(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 200; seed++) {
        char *path = fixture_random_trace(seed, 1000, 1 + (uint32_t)seed % 9);
        struct trace_input input = load(path);
        trace_input_release(&input);
        fixture_remove(path);
    }
}

/* ---- loading --------------------------------------------------------------------------------- */

static void loaded_facts(void **state)
{
    (void)state;
    char *path = fixture_random_trace(21, 5000, 3);
    struct trace_input input = load(path);
    struct stat file;
    assert_int_equal(input.threads, 3);
    assert_int_equal(input.events, 5000);
    assert_int_equal(fstat(input.fd, &file), 0);
    assert_int_equal(file.st_size, input.bytes);
    assert_true(write(input.fd, "x", 1) < 0); /* sealed */
    assert_int_equal(fcntl(input.fd, F_GET_SEALS) & F_SEAL_WRITE, F_SEAL_WRITE);
    assert_true(input.bytes < 5000 * 24);
    trace_input_release(&input);
    fixture_remove(path);
}

static void bad_files(void **state)
{
    (void)state;
    char error[512];
    struct trace_input input;
    assert_true(trace_load("/nonexistent/x.hmt", &input, error, sizeof error) == -ENOENT);
    assert_int_equal(input.fd, -1);
    char *path = fixture_random_trace(22, 5000, 3);
    size_t bytes;
    unsigned char *content = fixture_read(path, &bytes);
    fixture_write(path, content, bytes / 2);
    assert_true(trace_load(path, &input, error, sizeof error) == -EINVAL);
    assert_non_null(strstr(error, "is cut off at byte"));
    free(content);
    fixture_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread),         cmocka_unit_test(many_threads),
        cmocka_unit_test(ping_pong),          cmocka_unit_test(wide_sizes),
        cmocka_unit_test(programs_are_sound), cmocka_unit_test(leftovers_are_freed),
        cmocka_unit_test(loaded_facts),       cmocka_unit_test(bad_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
