/* A loaded trace, replayed: the same calls, the same waits, whatever order the threads run in. */
#include "replays.h"

#include "workloads/trace/program.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- dependency ------------------------------------------------------------------------------ */

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

/* Far more threads than CPUs, all of which wait for one another: nobody spins. */
static void threads_that_share_cpus(void **state)
{
    (void)state;
    char *path = fixture_random_trace(5, 20000, 100);
    replay_as(path, &replay_in_memory, (struct mock_run){.passes = 2, .shares_cpus = true});
    fixture_remove(path);
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

/* More hand-overs than there are slots for: makers have to wait for slots to be emptied. */
static void slots_are_used_again(void **state)
{
    (void)state;
    enum { ROUNDS = 200000, SLOTS_MAX = 70000 };
    struct trace_event *events = calloc(2 * ROUNDS, sizeof *events);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        events[2 * i] = (struct trace_event){.op = TRACE_MALLOC, .size = 24};
        events[2 * i + 1] = (struct trace_event){.op = TRACE_FREE, .thread = 1};
    }
    char *path = fixture_trace(events, 2 * ROUNDS, 2);
    struct trace_input input = replay_load(path, &replay_in_memory);
    const struct program_header *program =
        mmap(NULL, input.bytes, PROT_READ, MAP_SHARED, input.fd, 0);
    assert_true(program->shared_slots < SLOTS_MAX);
    munmap((void *)program, input.bytes);
    trace_input_release(&input);
    replay(path, 2, false, 0);
    free(events);
    fixture_remove(path);
}

/* Sizes at the limits of what a word holds and of what its op promises, in all operations, local
 * and shared. */
static void wide_sizes(void **state)
{
    (void)state;
    enum { LIMIT = PROGRAM_SIZE_MAX, PLAIN = 2 * STAMP_PAGE_BYTES };
    const struct trace_event events[] = {
        {.op = TRACE_CALLOC, .size = LIMIT - 1},
        {.op = TRACE_REALLOC, .size = LIMIT},
        {.op = TRACE_REALLOC, .size = LIMIT + 1, .thread = 1},
        {.op = TRACE_REALLOC, .size = 5},
        {.op = TRACE_FREE},
        {.op = TRACE_ALIGNED, .alignment_log2 = 21, .size = LIMIT + 1},
        {.op = TRACE_FREE, .thread = 1},
        {.op = TRACE_MALLOC, .size = LIMIT},
        {.op = TRACE_FREE},
        {.op = TRACE_MALLOC, .size = 7},
        {.op = TRACE_FREE},
        {.op = TRACE_MALLOC, .size = 8},
        {.op = TRACE_FREE},
        {.op = TRACE_MALLOC, .size = PLAIN - 1},
        {.op = TRACE_FREE},
        {.op = TRACE_MALLOC, .size = PLAIN},
        {.op = TRACE_FREE},
        {.op = TRACE_MALLOC},
        {.op = TRACE_FREE},
        {.op = TRACE_MALLOC, .size = LIMIT + 1, .thread = 1}, /* left over */
    };
    char *path = fixture_trace(events, sizeof events / sizeof *events, 2);
    replay(path, 1, false, 0);
    fixture_remove(path);
}

/* What one pass leaves is freed before the next one: a leak would add up to 1.2 GiB (a sanitizer
 * keeps 256 MiB). */
static void leftovers_are_freed(void **state)
{
    (void)state;
    const struct trace_event events[] = {
        {.op = TRACE_MALLOC, .size = 1 << 20},
        {.op = TRACE_MALLOC, .size = 1 << 20, .thread = 1},
        {.op = TRACE_REALLOC, .slot = 0, .size = 1 << 20, .thread = 1},
        {.op = TRACE_MALLOC, .size = 8},
        {.op = TRACE_FREE, .slot = 2},
    };
    char *path = fixture_trace(events, 5, 2);
    struct trace_input input = replay_load(path, &replay_in_memory);
    struct mock_run run = {.input = &input, .passes = 300, .params = {.speed = 100}};
    struct mock_result result;
    uint64_t before = replay_resident_bytes();
    assert_int_equal(mock_replay(&run, &result), 0);
    assert_int_equal(result.ops, 300 * (5 + 2));
    assert_true(replay_resident_bytes() < before + (UINT64_C(600) << 20));
    trace_input_release(&input);
    fixture_remove(path);
}

/* ---- players --------------------------------------------------------------------------------- */

/* A main thread that starts and joins one worker after the other, each of which frees what the main
 * thread made and leaves something that the next one frees. */
static void threads_one_after_another_share_a_player(void **state)
{
    (void)state;
    enum { WORKERS = 300, EVENTS = 6 };
    static struct trace_event events[EVENTS * WORKERS];
    for (uint32_t i = 0; i < WORKERS; i++) {
        uint32_t self = i + 1, kept = i % 2 + 1; /* slots 1 and 2 in turn hold what is left */
        struct trace_event *e = &events[EVENTS * i];
        e[0] = (struct trace_event){.op = TRACE_MALLOC, .size = 100};
        e[1] = (struct trace_event){.op = TRACE_SPAWN, .other = self};
        e[2] = (struct trace_event){.op = TRACE_FREE, .thread = self, .slot = i == 0 ? 0 : kept};
        e[3] = (struct trace_event){.op = TRACE_MALLOC, .thread = self, .size = 50};
        e[4] = (struct trace_event){.op = TRACE_FREE, .thread = self, .slot = 0};
        e[5] = (struct trace_event){.op = TRACE_JOIN, .other = self};
        if (i == 0) /* there is no earlier one's */
            e[4] = (struct trace_event){.op = TRACE_MALLOC, .thread = self, .size = 50};
    }
    struct trace_writer *writer;
    char *path = fixture_path();
    int fd = open(path, O_RDWR);
    assert_int_equal(trace_writer_open(&writer, fd, WORKERS + 1, "", 0), 0);
    for (uint32_t i = 0; i < EVENTS * WORKERS; i++) {
        events[i].time = i;
        trace_writer_add(writer, &events[i]); /* one that breaks a rule is left out */
    }
    struct trace_file_header facts = {.ticks_hz = 1000000000};
    assert_int_equal(trace_writer_finish(writer, &facts), 0);
    trace_writer_release(writer);
    close(fd);
    struct trace_input input = replay_load(path, &replay_in_memory);
    assert_int_equal(input.threads, WORKERS + 1);
    assert_int_equal(input.players, 2);
    trace_input_release(&input);
    replay(path, 3, false, 0);
    replay(path, 1, true, 2);
    fixture_remove(path);
}

/* Threads that lived at the same time never do, whatever they did in between. */
static void threads_at_one_time_have_players_of_their_own(void **state)
{
    (void)state;
    enum { THREADS = 200 };
    static struct trace_event events[2 * THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        events[i] = (struct trace_event){.op = TRACE_MALLOC, .thread = i, .size = 10};
        events[THREADS + i] =
            (struct trace_event){.op = TRACE_FREE, .thread = THREADS - 1 - i, .slot = i};
    }
    char *path = fixture_trace(events, 2 * THREADS, THREADS);
    struct trace_input input = replay_load(path, &replay_in_memory);
    assert_int_equal(input.players, THREADS);
    trace_input_release(&input);
    replay_as(path, &replay_in_memory, (struct mock_run){.passes = 2, .shares_cpus = true});
    fixture_remove(path);
}

/* ---- waits ----------------------------------------------------------------------------------- */

/* A thread's first call lasts until another one waits; then all is let go. */
static struct mock_result waits_of(const struct trace_event *events, size_t count, uint32_t held)
{
    char *path = fixture_trace(events, count, 2);
    struct trace_input input = replay_load(path, &replay_in_memory);
    struct mock_run run = {.input = &input,
                           .passes = 1,
                           .params = {.speed = 100},
                           .timed = true,
                           .holds = true,
                           .held_worker = held};
    struct mock_result result;
    assert_int_equal(input.players, 2);
    assert_int_equal(mock_replay(&run, &result), 0);
    trace_input_release(&input);
    fixture_remove(path);
    return result;
}

/* A thread that is started late was not there in the recording either. */
static void waiting_to_be_started_is_idle(void **state)
{
    (void)state;
    const struct trace_event events[] = {
        {.op = TRACE_MALLOC, .size = 40},
        {.op = TRACE_SPAWN, .other = 1},
        {.op = TRACE_MALLOC, .thread = 1, .size = 40},
        {.op = TRACE_FREE, .slot = 0},
    };
    struct mock_result result = waits_of(events, 4, 0);
    assert_int_equal(result.wait_ns, 0);
    assert_true(result.idle_ns > 0);
    assert_true(result.figures_known >> FIGURE_WAIT_PPM & 1);
    assert_int_equal(result.figures[FIGURE_WAIT_PPM], 0);
}

static void other_waits_count(void **state)
{
    (void)state;
    const struct trace_event foreign[] = {
        {.op = TRACE_MALLOC, .size = 40},
        {.op = TRACE_FREE, .thread = 1},
        {.op = TRACE_MALLOC, .size = 40},
    };
    struct mock_result result = waits_of(foreign, 3, 0);
    assert_true(result.wait_ns > 0);
    assert_int_equal(result.idle_ns, 0);
    const struct trace_event joined[] = {
        {.op = TRACE_MALLOC, .size = 40},
        {.op = TRACE_MALLOC, .thread = 1, .size = 40},
        {.op = TRACE_JOIN, .other = 1},
        {.op = TRACE_FREE, .slot = 0},
    };
    result = waits_of(joined, 4, 1);
    assert_true(result.wait_ns > 0);
    assert_int_equal(result.idle_ns, 0);
}

/* ---- serial ---------------------------------------------------------------------------------- */

static size_t watched_calls(const char *path, struct mock_call *calls, size_t calls_max)
{
    const struct trace_load_options serial = {.memory_bytes = SIZE_MAX, .is_serial = true};
    struct trace_input input = replay_load(path, &serial);
    struct mock_result result;
    struct mock_run run = {.input = &input,
                           .params = {.mode = SERIAL, .speed = 100},
                           .passes = 1,
                           .timed = true,
                           .seed = 7,
                           .calls = calls,
                           .calls_max = calls_max};
    assert_int_equal(input.players, 1);
    assert_int_equal(mock_replay(&run, &result), 0);
    assert_false(result.figures_known >> FIGURE_ORDER_DRIFT_PPM & 1);
    trace_input_release(&input);
    return run.call_count;
}

static void expect_event(const struct mock_call *call, const struct trace_event *event)
{
    static const enum op ops[] = {[TRACE_MALLOC] = OP_MALLOC,
                                  [TRACE_CALLOC] = OP_CALLOC,
                                  [TRACE_ALIGNED] = OP_MALLOC,
                                  [TRACE_REALLOC] = OP_REALLOC,
                                  [TRACE_FREE] = OP_FREE};
    assert_int_equal(call->op, ops[event->op]);
    assert_int_equal(call->size, event->op == TRACE_FREE ? 0 : event->size);
    assert_int_equal(call->worker, 0);
}

/* Every run makes the calls of the recording, in its order. */
static void serial_is_always_the_same(void **state)
{
    (void)state;
    enum { CALLS_MAX = 20000 };
    char error[512], *path = fixture_random_trace(31, 8000, 7);
    struct mock_call *calls = calloc(CALLS_MAX, sizeof *calls),
                     *again = calloc(CALLS_MAX, sizeof *again);
    size_t count = watched_calls(path, calls, CALLS_MAX), at = 0;
    assert_int_equal(count, replay_calls(path));
    assert_int_equal(watched_calls(path, again, CALLS_MAX), count);
    assert_memory_equal(calls, again, count * sizeof *calls);
    struct trace_reader *reader;
    struct trace_event event;
    assert_int_equal(trace_reader_open(&reader, path, error, sizeof error), 0);
    while (trace_reader_next(reader, &event) == TRACE_EVENT)
        if (event.op != TRACE_SPAWN && event.op != TRACE_JOIN)
            expect_event(&calls[at++], &event);
    trace_reader_close(reader);
    for (; at < count; at++)
        assert_int_equal(calls[at].op, OP_FREE); /* of what was left */
    free(calls);
    free(again);
    fixture_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread),
        cmocka_unit_test(many_threads),
        cmocka_unit_test(threads_that_share_cpus),
        cmocka_unit_test(ping_pong),
        cmocka_unit_test(slots_are_used_again),
        cmocka_unit_test(wide_sizes),
        cmocka_unit_test(leftovers_are_freed),
        cmocka_unit_test(threads_one_after_another_share_a_player),
        cmocka_unit_test(threads_at_one_time_have_players_of_their_own),
        cmocka_unit_test(waiting_to_be_started_is_idle),
        cmocka_unit_test(other_waits_count),
        cmocka_unit_test(serial_is_always_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
