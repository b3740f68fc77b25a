/* How true a replay was: the figures are those that docs/replay.md defines. */
#include "replays.h"

#include "workloads/replay/player.h"

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
    struct trace_input input = replay_load(path, &replay_in_memory);
    struct mock_run run = {.input = &input, .passes = 1, .params = {.speed = 100}};
    struct mock_result result;
    assert_int_equal(mock_replay(&run, &result), 0);
    assert_int_equal(result.figures[FIGURE_LIVE_DRIFT_PPM], 0);
    assert_int_equal(result.figures[FIGURE_WAIT_PPM], 0);
    assert_false(result.figures_known >> FIGURE_ORDER_DRIFT_PPM & 1);
    trace_input_release(&input);
    fixture_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_those_defined),
        cmocka_unit_test(one_thread_never_strays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
