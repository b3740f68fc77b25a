/* A loaded trace, replayed: the same calls, the same waits, whatever order the threads run in. */
#include "fixture.h"
#include "mock_trial.h"
#include "simulate.h"

#include "workloads/replay/player.h"
#include "workloads/trace/info.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPENDENCY, PACED, SERIAL };

static const struct trace_load_options in_memory = {.memory_bytes = SIZE_MAX};

static struct trace_input load(const char *path, const struct trace_load_options *options)
{
    char error[512];
    struct trace_input input;
    if (trace_load(path, options, &input, error, sizeof error) != 0)
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

static void replay_as(const char *path, const struct trace_load_options *options,
                      struct mock_run run)
{
    struct trace_input input = load(path, options);
    struct mock_result result;
    run.input = &input;
    run.params.speed = 100;
    assert_int_equal(mock_replay(&run, &result), 0);
    assert_int_equal(result.ops, run.passes * calls_of(path));
    assert_int_equal(result.live_bytes_peak, input.live_bytes_peak);
    trace_input_release(&input);
    assert_int_equal(input.fd, -1);
}

static void replay(const char *path, uint64_t passes, bool timed, uint64_t seed)
{
    replay_as(path, &in_memory, (struct mock_run){.passes = passes, .timed = timed, .seed = seed});
}

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
    replay_as(path, &in_memory, (struct mock_run){.passes = 2, .shares_cpus = true});
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
    struct trace_input input = load(path, &in_memory);
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

static uint64_t resident_bytes(void)
{
    uint64_t pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    assert_int_equal(fscanf(statm, "%*u %lu", &pages), 1);
    fclose(statm);
    return pages * 4096;
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
    struct trace_input input = load(path, &in_memory);
    struct mock_run run = {.input = &input, .passes = 300, .params = {.speed = 100}};
    struct mock_result result;
    uint64_t before = resident_bytes();
    assert_int_equal(mock_replay(&run, &result), 0);
    assert_int_equal(result.ops, 300 * (5 + 2));
    assert_true(resident_bytes() < before + (UINT64_C(600) << 20));
    trace_input_release(&input);
    fixture_remove(path);
}

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
        struct trace_input input = load(path, &in_memory);
        trace_input_release(&input);
        input = load(path, &others[seed % 3]);
        trace_input_release(&input);
        fixture_remove(path);
    }
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
    struct trace_input input = load(path, &in_memory);
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
    struct trace_input input = load(path, &in_memory);
    assert_int_equal(input.players, THREADS);
    trace_input_release(&input);
    replay_as(path, &in_memory, (struct mock_run){.passes = 2, .shares_cpus = true});
    fixture_remove(path);
}

/* ---- serial ---------------------------------------------------------------------------------- */

static size_t watched_calls(const char *path, struct mock_call *calls, size_t calls_max)
{
    const struct trace_load_options serial = {.memory_bytes = SIZE_MAX, .is_serial = true};
    struct trace_input input = load(path, &serial);
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
    assert_int_equal(count, calls_of(path));
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

/* ---- paced ----------------------------------------------------------------------------------- */

/* Pairs of calls, 1 ms apart, in two threads. */
static char *slow_trace(uint32_t pairs)
{
    struct trace_event *events = calloc(2 * pairs, sizeof *events);
    for (uint32_t i = 0; i < pairs; i++) {
        events[2 * i] = (struct trace_event){.op = TRACE_MALLOC,
                                             .thread = i % 2,
                                             .size = 64,
                                             .time = 1000000ull * i};
        events[2 * i + 1] = (struct trace_event){.op = TRACE_FREE,
                                                 .thread = i % 2,
                                                 .time = 1000000ull * i + 500000};
    }
    char *path = fixture_trace(events, 2 * pairs, 2);
    free(events);
    return path;
}

static void paced_run(const char *path, struct mock_run run, struct mock_run *ran,
                      struct mock_result *result)
{
    const struct trace_load_options paced = {.memory_bytes = SIZE_MAX, .is_paced = true};
    struct trace_input input = load(path, &paced);
    run.input = &input;
    run.params.mode = PACED;
    run.passes = 1;
    assert_int_equal(mock_replay(&run, result), 0);
    assert_true(result->figures_known >> FIGURE_LATE_NS & 1);
    trace_input_release(&input);
    if (ran != NULL)
        *ran = run;
}

static void paced_takes_the_recorded_time(void **state)
{
    (void)state;
    char *path = slow_trace(40); /* the last event stands at 39.5 ms */
    struct mock_result result;
    paced_run(path, (struct mock_run){.params = {.speed = 100}}, NULL, &result);
    assert_true(result.wall_ns >= 39500000);
    assert_true(result.figures[FIGURE_WAIT_PPM] > 500000);
    paced_run(path, (struct mock_run){.params = {.speed = 50}}, NULL, &result);
    assert_true(result.wall_ns >= 79000000);
    paced_run(path, (struct mock_run){.params = {.speed = 200}}, NULL, &result);
    assert_true(result.wall_ns >= 19750000);
    fixture_remove(path);
}

/* One call takes 30 ms: those that should have begun meanwhile say so, though each is quick. */
static void a_stall_is_not_hidden(void **state)
{
    (void)state;
    enum { STALL_NS = 30000000 };
    char *path = slow_trace(60);
    struct mock_result result;
    struct mock_run ran;
    paced_run(path,
              (struct mock_run){.params = {.speed = 100}, .timed = true, .stall_ns = STALL_NS},
              &ran, &result);
    assert_true(ran.samples > 0);
    assert_true(ran.late_ns_max >= STALL_NS / 2);
    fixture_remove(path);
}

/* ---- touching -------------------------------------------------------------------------------- */

static void every_way_of_touching(void **state)
{
    (void)state;
    char *alone = fixture_random_trace(41, 3000, 1), *crossing = fixture_random_trace(42, 3000, 4);
    for (uint64_t touch = TOUCH_PAGES; touch <= TOUCH_NONE; touch++) {
        struct mock_run run = {.passes = 2, .params = {.touch = touch}};
        replay_as(alone, &in_memory, run);
        replay_as(crossing, &in_memory, run);
        run.timed = true;
        replay_as(crossing, &in_memory, run);
    }
    fixture_remove(alone);
    fixture_remove(crossing);
}

/* Resident bytes that one object of 64 MiB adds. */
static uint64_t touched_bytes(const char *path, enum touch touch)
{
    struct trace_input input = load(path, &in_memory);
    struct mock_run run = {.input = &input,
                           .passes = 1,
                           .params = {.speed = 100, .touch = touch},
                           .timed = true};
    struct mock_result result;
    uint64_t peak_kib = 0;
    FILE *clear = fopen("/proc/self/clear_refs", "we");
    assert_non_null(clear);
    fputs("5", clear);
    fclose(clear);
    uint64_t before = resident_bytes();
    assert_int_equal(mock_replay(&run, &result), 0);
    char line[128];
    FILE *status = fopen("/proc/self/status", "re");
    while (fgets(line, sizeof line, status) != NULL)
        sscanf(line, "VmHWM: %lu", &peak_kib);
    fclose(status);
    trace_input_release(&input);
    return peak_kib * 1024 > before ? peak_kib * 1024 - before : 0;
}

static void touching_is_what_it_says(void **state)
{
    (void)state;
    enum { SIZE = 64 << 20, LITTLE = 16 << 20 };
    const struct trace_event events[] = {{.op = TRACE_MALLOC, .size = SIZE}, {.op = TRACE_FREE}};
    char *path = fixture_trace(events, 2, 1);
    assert_true(touched_bytes(path, TOUCH_NONE) < LITTLE);
    assert_true(touched_bytes(path, TOUCH_FIRST) < LITTLE);
    assert_true(touched_bytes(path, TOUCH_PAGES) > SIZE - LITTLE);
    assert_true(touched_bytes(path, TOUCH_ALL) > SIZE - LITTLE);
    fixture_remove(path);
}

/* ---- fidelity -------------------------------------------------------------------------------- */

/* Two players with three marks each, recorded in turn; the times are those of the replay. */
static void measure(const uint64_t first[3], const uint64_t second[3], struct mock_result *result)
{
    struct {
        struct program_header header;
        struct program_player players[2];
        struct program_mark marks[6];
    } program = {
        .header = {.players = 2, .marks = 6, .live_bytes_peak = 1000},
        .players = {{.marks = 3}, {.marks = 3}},
        .marks = {{0, 500}, {2, 1000}, {4, 0}, {1, -500}, {3, -1000}, {5, 0}},
    };
    uint64_t times[2][3];
    memcpy(times[0], first, sizeof times[0]);
    memcpy(times[1], second, sizeof times[1]);
    struct player players[2];
    for (int i = 0; i < 2; i++)
        players[i] = (struct player){.program = &program.header,
                                     .part = &program.players[i],
                                     .mark_ns = times[i],
                                     .wait_ns = 100,
                                     .idle_ns = 200,
                                     .active_ns = 1000};
    mock_fidelity(&program.header, players, result);
}

static void figures_are_those_defined(void **state)
{
    (void)state;
    struct mock_result result;
    measure((uint64_t[]){10, 30, 50}, (uint64_t[]){20, 40, 60}, &result); /* as recorded */
    assert_int_equal(result.figures[FIGURE_ORDER_DRIFT_PPM], 0);
    assert_int_equal(result.figures[FIGURE_LIVE_DRIFT_PPM], 0);
    assert_int_equal(result.figures[FIGURE_WAIT_PPM], 125000); /* 200 of 1600 */
    assert_false(result.figures_known >> FIGURE_READ_PPM & 1); /* nothing was streamed, */
    assert_false(result.figures_known >> FIGURE_LATE_NS & 1);  /* and nothing paced */
    measure((uint64_t[]){10, 10, 10}, (uint64_t[]){10, 10, 10}, &result); /* nobody can tell */
    assert_int_equal(result.figures[FIGURE_ORDER_DRIFT_PPM], 0);
    /*
     * The first player runs ahead of the second: 3 of 9 pairs have changed places. Live bytes after
     * each mark: recorded 500 0 500 0 -1000 0, now 500 1000 0 -500 -1000 0.
     */
    measure((uint64_t[]){10, 11, 12}, (uint64_t[]){20, 21, 22}, &result);
    assert_int_equal(result.figures[FIGURE_ORDER_DRIFT_PPM], 333333);
    assert_int_equal(result.figures[FIGURE_LIVE_DRIFT_PPM], 1000000);
    /* The second one first: 6 of 9. Now -500 -1000 0 500 1000 0. */
    measure((uint64_t[]){20, 21, 22}, (uint64_t[]){10, 11, 12}, &result);
    assert_int_equal(result.figures[FIGURE_ORDER_DRIFT_PPM], 666667);
    assert_int_equal(result.figures[FIGURE_LIVE_DRIFT_PPM], 2000000);
}

/* A single thread has no choice. */
static void one_thread_never_strays(void **state)
{
    (void)state;
    char *path = fixture_random_trace(51, 20000, 1);
    struct trace_input input = load(path, &in_memory);
    struct mock_run run = {.input = &input, .passes = 1, .params = {.speed = 100}};
    struct mock_result result;
    assert_int_equal(mock_replay(&run, &result), 0);
    assert_int_equal(result.figures[FIGURE_LIVE_DRIFT_PPM], 0);
    assert_int_equal(result.figures[FIGURE_WAIT_PPM], 0);
    assert_false(result.figures_known >> FIGURE_ORDER_DRIFT_PPM & 1);
    trace_input_release(&input);
    fixture_remove(path);
}

/* ---- loading --------------------------------------------------------------------------------- */

static void loaded_facts(void **state)
{
    (void)state;
    char *path = fixture_random_trace(21, 5000, 3);
    struct trace_input input = load(path, &in_memory);
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
    struct trace_input input = load(path, &small);
    struct stat file;
    assert_int_equal(fstat(input.fd, &file), 0);
    assert_int_equal(file.st_nlink, 0); /* gone with its descriptor */
    assert_true(input.bytes < 16384 && file.st_size > 60000 * 8);
    struct mock_run run = {.input = &input, .passes = 2, .params = {.speed = 100}};
    struct mock_result result;
    assert_int_equal(mock_replay(&run, &result), 0);
    assert_int_equal(result.ops, 2 * calls_of(path));
    assert_true(result.figures_known >> FIGURE_READ_PPM & 1);
    trace_input_release(&input);
    fixture_remove(path);
}

static void bad_files(void **state)
{
    (void)state;
    char error[512];
    struct trace_input input;
    assert_true(trace_load("/nonexistent/x.hmt", &in_memory, &input, error, sizeof error) ==
                -ENOENT);
    assert_int_equal(input.fd, -1);
    char *path = fixture_random_trace(22, 5000, 3);
    size_t bytes;
    unsigned char *content = fixture_read(path, &bytes);
    fixture_write(path, content, bytes / 2);
    assert_true(trace_load(path, &in_memory, &input, error, sizeof error) == -EINVAL);
    assert_non_null(strstr(error, "is cut off at byte"));
    free(content);
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
        cmocka_unit_test(programs_are_sound),
        cmocka_unit_test(leftovers_are_freed),
        cmocka_unit_test(threads_one_after_another_share_a_player),
        cmocka_unit_test(threads_at_one_time_have_players_of_their_own),
        cmocka_unit_test(serial_is_always_the_same),
        cmocka_unit_test(paced_takes_the_recorded_time),
        cmocka_unit_test(a_stall_is_not_hidden),
        cmocka_unit_test(every_way_of_touching),
        cmocka_unit_test(touching_is_what_it_says),
        cmocka_unit_test(figures_are_those_defined),
        cmocka_unit_test(one_thread_never_strays),
        cmocka_unit_test(loaded_facts),
        cmocka_unit_test(streamed),
        cmocka_unit_test(bad_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
