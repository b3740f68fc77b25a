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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paced_takes_the_recorded_time),
        cmocka_unit_test(a_stall_is_not_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
