/* Replays at the recorded pace: calls are made when they are due, and what is late says so. */
#include "replays.h"

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
    struct trace_input input = replay_load(path, &paced);
    run.input = &input;
    run.params.mode = PACED;
    run.passes = run.passes > 0 ? run.passes : 1;
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

/*
 * One call takes 30 ms, and what should have been done meanwhile says so, though each call is quick:
 * those of the same thread, and those of another one that had to wait for what this one makes. The
 * first free is the slow call: by then both threads have begun, so that a busy machine only makes
 * more calls late.
 */
static void a_stall_is_not_hidden(void **state)
{
    (void)state;
    enum { STALL_MS = 30, LATE_MS = 7, ROUNDS = 59, DUE = STALL_MS - LATE_MS - 1, EACH = 3 };
    static const enum trace_op makes[] = {TRACE_MALLOC, TRACE_CALLOC, TRACE_ALIGNED};
    static struct trace_event events[2 + EACH * ROUNDS];
    events[0] = (struct trace_event){.op = TRACE_MALLOC, .thread = 1, .size = 64};
    events[1] = (struct trace_event){.op = TRACE_FREE};
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        struct trace_event *e = &events[2 + EACH * (i - 1)];
        uint64_t time = 1000000ull * i;
        e[0] = (struct trace_event){.op = makes[i % 3], .size = 64, .time = time};
        e[1] = (struct trace_event){.op = TRACE_REALLOC,
                                    .thread = 1,
                                    .size = 128,
                                    .time = time + 250000};
        e[2] = (struct trace_event){.op = TRACE_FREE, .thread = 1, .time = time + 500000};
    }
    char *path = fixture_trace(events, sizeof events / sizeof *events, 2);
    struct mock_result result;
    struct mock_call none;
    struct mock_run ran;
    paced_run(path,
              (struct mock_run){.params = {.speed = 100},
                                .timed = true,
                                .stall_ns = STALL_MS * 1000000ull,
                                .late_ns = LATE_MS * 1000000ull,
                                .calls = &none},
              &ran, &result);
    assert_int_equal(ran.samples, 2 * (sizeof events / sizeof *events)); /* in both parts, each */
    assert_true(ran.late_samples >= 2 * EACH * DUE);
    assert_true(result.figures[FIGURE_LATE_NS] >= (STALL_MS - 1) * 1000000ull); /* due after 1 ms */
    fixture_remove(path);
}

/*
 * What stands at time 0 is due when the pass begins. What the recording left has no time at all: its
 * frees, which wait for the last thread, are no late calls.
 */
static void only_recorded_calls_are_late(void **state)
{
    (void)state;
    const struct trace_event events[] = {
        {.op = TRACE_MALLOC, .size = 64},
        {.op = TRACE_MALLOC, .size = 64},
        {.op = TRACE_MALLOC, .thread = 1, .size = 64},
        {.op = TRACE_FREE, .thread = 1, .slot = 2, .time = 1000000},
    };
    char *path = fixture_trace(events, sizeof events / sizeof *events, 2);
    struct mock_result result;
    struct mock_call none;
    struct mock_run ran;
    uint64_t begin_ns = worker_now_ns();
    paced_run(path,
              (struct mock_run){.params = {.speed = 100},
                                .timed = true,
                                .calls = &none,
                                .passes = 3},
              &ran, &result);
    assert_true(ran.late_ns_max <= worker_now_ns() - begin_ns);
    assert_int_equal(ran.samples, 2 * 3 * (sizeof events / sizeof *events));
    assert_int_equal(result.ops, 3 * (sizeof events / sizeof *events + 2));
    fixture_remove(path);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paced_takes_the_recorded_time),
        cmocka_unit_test(a_stall_is_not_hidden),
        cmocka_unit_test(only_recorded_calls_are_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
