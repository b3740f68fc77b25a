/* How much of each block a replay uses, with every kind of word. */
#include "replays.h"

#include "workloads/replay/player.h"

static void every_way_of_touching(void **state)
{
    (void)state;
    char *alone = fixture_random_trace(41, 3000, 1), *crossing = fixture_random_trace(42, 3000, 4);
    for (uint64_t touch = TOUCH_PAGES; touch <= TOUCH_NONE; touch++) {
        struct mock_run run = {.passes = 2, .params = {.touch = touch}};
        replay_as(alone, &replay_in_memory, run);
        replay_as(crossing, &replay_in_memory, run);
        run.timed = true;
        replay_as(crossing, &replay_in_memory, run);
    }
    fixture_remove(alone);
    fixture_remove(crossing);
}

/* Resident bytes that one object of 64 MiB adds. */
static uint64_t touched_bytes(const char *path, enum touch touch)
{
    struct trace_input input = replay_load(path, &replay_in_memory);
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
    uint64_t before = replay_resident_bytes();
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
    for (int i = 0; i < 4; i++) /* a sanitizer keeps 256 MiB, and marks what is new to it */
        touched_bytes(path, TOUCH_NONE);
    assert_true(touched_bytes(path, TOUCH_NONE) < LITTLE);
    assert_true(touched_bytes(path, TOUCH_FIRST) < LITTLE);
    assert_true(touched_bytes(path, TOUCH_PAGES) > SIZE - LITTLE);
    assert_true(touched_bytes(path, TOUCH_ALL) > SIZE - LITTLE);
    fixture_remove(path);
}

/* Stamps are wiped, so that a second owner finds none; `all` writes what lies between as well. */
static void contents_when_freed(void **state)
{
    (void)state;
    static const struct trace_event events[] = {{.op = TRACE_MALLOC, .size = 24},
                                                {.op = TRACE_FREE}};
    const unsigned char wiped[8] = {0},
                        filled[8] = {0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a};
    char *path = fixture_trace(events, 2, 1);
    struct trace_input input = replay_load(path, &replay_in_memory);
    for (enum touch touch = TOUCH_PAGES; touch < TOUCH_NONE; touch++) {
        unsigned char front[16] = {1};
        struct mock_call none;
        struct mock_run run = {.input = &input,
                               .passes = 1,
                               .params = {.speed = 100, .touch = touch},
                               .timed = true,
                               .calls = &none,
                               .freed = front};
        struct mock_result result;
        assert_int_equal(mock_replay(&run, &result), 0);
        assert_memory_equal(front, wiped, sizeof wiped);
        if (touch == TOUCH_ALL)
            assert_memory_equal(front + sizeof wiped, filled, sizeof filled);
    }
    trace_input_release(&input);
    fixture_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_of_touching),
        cmocka_unit_test(touching_is_what_it_says),
        cmocka_unit_test(contents_when_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
