/* Cuts by time, by thread and where a trace is steady. */
#include "tools.h"

#include "include/workload.h"
#include "workloads/trace/cut.h"

#include <fcntl.h>
#include <unistd.h>

static char *cut(const char *path, const struct cut_request *request, struct cut_result *result)
{
    char error[512] = "";
    char *out = fixture_path();
    int fd = open(out, O_RDWR | O_CLOEXEC);
    int failed = trace_cut(path, request, fd, result, error, sizeof error);
    close(fd);
    assert_string_equal(error, "");
    assert_int_equal(failed, 0);
    return out;
}

/* Everything in the span is there, over the same live bytes; the front makes what lived before. */
static void assert_span(const struct events *whole, const struct events *part, uint64_t from,
                        uint64_t to)
{
    size_t first = 0, at = part->header.front_events;
    while (first < whole->count && whole->list[first].time < from)
        first++;
    if (at > 0)
        assert_int_equal(part->live_bytes[at - 1], whole->live_bytes[first - 1]);
    for (size_t i = 0; i < at; i++) {
        assert_true(trace_allocates(part->list[i].op) && part->list[i].op != TRACE_REALLOC);
        assert_int_equal(part->list[i].time, 0);
    }
    for (; first < whole->count && whole->list[first].time < to; first++, at++) {
        assert_true(at < part->count);
        assert_int_equal(part->list[at].op, whole->list[first].op);
        assert_int_equal(part->list[at].size, whole->list[first].size);
        assert_int_equal(part->list[at].ended_size, whole->list[first].ended_size);
        assert_int_equal(part->list[at].time, whole->list[first].time - from);
        assert_int_equal(part->live_bytes[at], whole->live_bytes[first]);
        if (trace_ends(part->list[at].op))
            assert_int_equal(part->list[at].thread == part->list[at].ended_owner,
                             whole->list[first].thread == whole->list[first].ended_owner);
    }
    assert_int_equal(at, part->count);
}

static void test_cut_by_time(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        char *path = fixture_random_trace(seed, 20000, 5);
        struct events whole = events_read(path);
        uint64_t end = whole.header.duration_ticks;
        const uint64_t spans[][2] = {{0, end / 2},
                                     {end / 3, end / 2},
                                     {end / 2, UINT64_MAX},
                                     {end - 10, UINT64_MAX}};
        for (size_t i = 0; i < 4; i++) {
            struct cut_request request = {spans[i][0], spans[i][1], CUT_ALL_THREADS, false};
            struct cut_result result;
            char *out = cut(path, &request, &result);
            struct events part = events_read(out);
            assert_span(&whole, &part, spans[i][0], spans[i][1]);
            assert_int_equal(result.front_events, part.header.front_events);
            assert_int_equal(result.all_events, whole.count);
            events_release(&part);
            fixture_remove(out);
        }
        events_release(&whole);
        fixture_remove(path);
    }
}

/* A cut of a cut knows what of the first front is left in it. */
static void test_cut_of_a_cut(void **state)
{
    struct cut_result first, second;
    (void)state;
    char *path = fixture_random_trace(9, 20000, 3);
    char *once =
        cut(path, &(struct cut_request){1500000, UINT64_MAX, CUT_ALL_THREADS, false}, &first);
    char *twice = cut(once, &(struct cut_request){0, 100000, CUT_ALL_THREADS, false}, &second);
    assert_true(first.front_events > 0);
    assert_int_equal(first.front_events, second.front_events);
    assert_int_equal(first.front_bytes, second.front_bytes);
    fixture_remove(path);
    fixture_remove(once);
    fixture_remove(twice);
}

/* What thread 1 did is there; all other events are of objects that it made or ended. */
static void test_cut_by_thread(void **state)
{
    static const struct trace_event events[] = {
        {.op = TRACE_MALLOC, .thread = 0, .size = 1, .time = 1}, /* ended by 1 */
        {.op = TRACE_MALLOC, .thread = 0, .size = 2, .time = 2}, /* nobody's business */
        {.op = TRACE_SPAWN, .thread = 0, .other = 1, .time = 3},
        {.op = TRACE_SPAWN, .thread = 0, .other = 2, .time = 3},
        {.op = TRACE_REALLOC, .thread = 0, .slot = 1, .size = 20, .time = 4}, /* 1 ends this one */
        {.op = TRACE_FREE, .thread = 1, .slot = 0, .time = 5},
        {.op = TRACE_FREE, .thread = 1, .slot = 1, .time = 6},
        {.op = TRACE_MALLOC, .thread = 1, .size = 3, .time = 7},
        {.op = TRACE_REALLOC, .thread = 0, .slot = 1, .size = 30, .moved = true, .time = 8},
        {.op = TRACE_FREE, .thread = 0, .slot = 1, .time = 9}, /* of what it made itself */
        {.op = TRACE_MALLOC, .thread = 2, .size = 4, .time = 10},
        {.op = TRACE_JOIN, .thread = 0, .other = 1, .time = 11},
    };
    static const struct trace_event expected[] = {
        {.op = TRACE_MALLOC, .thread = 0, .size = 1, .time = 1},
        {.op = TRACE_SPAWN, .thread = 0, .other = 1, .time = 3},
        {.op = TRACE_MALLOC, .thread = 0, .size = 20, .time = 4},
        {.op = TRACE_FREE, .thread = 1, .time = 5},
        {.op = TRACE_FREE, .thread = 1, .time = 6},
        {.op = TRACE_MALLOC, .thread = 1, .size = 3, .time = 7},
        {.op = TRACE_FREE, .thread = 0, .time = 8},
        {.op = TRACE_JOIN, .thread = 0, .other = 1, .time = 11},
    };
    struct cut_result result;
    (void)state;
    char *path = fixture_trace(events, sizeof events / sizeof *events, 3);
    char *out = cut(path, &(struct cut_request){0, UINT64_MAX, 1, false}, &result);
    struct events part = events_read(out);
    assert_int_equal(part.count, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < part.count; i++) {
        assert_int_equal(part.list[i].op, expected[i].op);
        assert_int_equal(part.list[i].thread, expected[i].thread);
        assert_int_equal(part.list[i].other, expected[i].other);
        assert_int_equal(part.list[i].size, expected[i].size);
        assert_int_equal(part.list[i].time, expected[i].time);
    }
    events_release(&part);
    fixture_remove(path);
    fixture_remove(out);
}

static void test_cut_by_thread_at_random(void **state)
{
    (void)state;
    for (int thread = 0; thread < 5; thread++) {
        struct cut_result result;
        char *path = fixture_random_trace(77, 20000, 5);
        struct events whole = events_read(path);
        uint64_t own = 0, kept = 0;
        for (size_t i = 0; i < whole.count; i++)
            own += whole.list[i].thread == (uint32_t)thread && whole.list[i].op <= TRACE_FREE;
        char *out = cut(path, &(struct cut_request){0, UINT64_MAX, thread, false}, &result);
        struct events part = events_read(out);
        kept = part.count;
        assert_true(kept >= own && kept < whole.count);
        events_release(&part);
        events_release(&whole);
        fixture_remove(path);
        fixture_remove(out);
    }
}

/* A trace that grows, stays level over a known part, and falls. */
static char *plateau(size_t growing, size_t level, size_t falling)
{
    size_t count = growing + 2 * level + falling;
    struct trace_event *events = calloc(count, sizeof *events);
    size_t at = 0;
    for (size_t i = 0; i < growing; i++, at++)
        events[at] = (struct trace_event){.op = TRACE_MALLOC, .size = 100, .time = at};
    for (size_t i = 0; i < level; i++, at += 2) {
        events[at] = (struct trace_event){.op = TRACE_FREE, .slot = (uint32_t)i % 100, .time = at};
        events[at + 1] = (struct trace_event){.op = TRACE_MALLOC, .size = 100, .time = at + 1};
    }
    for (size_t i = 0; i < falling; i++, at++)
        events[at] = (struct trace_event){.op = TRACE_FREE, .slot = (uint32_t)i, .time = at};
    char *path = fixture_trace(events, count, 1);
    free(events);
    return path;
}

static void test_cut_steady(void **state)
{
    struct cut_result result;
    (void)state;
    char *path = plateau(1000, 2000, 1000);
    char *out = cut(path, &(struct cut_request){0, UINT64_MAX, CUT_ALL_THREADS, true}, &result);
    assert_true(result.window.spread <= CUT_STEADY_SPREAD);
    assert_in_range(result.from_ns, 850, 1010); /* where live bytes come within a tenth */
    assert_in_range(result.to_ns, 4990, 5150);
    assert_in_range(result.front_events, 850, 1000);
    fixture_remove(path);
    fixture_remove(out);
}

static void assert_not_cut(const char *path, const struct cut_request *request,
                           const char *expected)
{
    char error[512] = "";
    struct cut_result result;
    char *out = fixture_path();
    int fd = open(out, O_RDWR | O_CLOEXEC);
    assert_true(trace_cut(path, request, fd, &result, error, sizeof error) != 0);
    if (strstr(error, expected) == NULL)
        fail_msg("'%s' does not say '%s'", error, expected);
    close(fd);
    fixture_remove(out);
}

static void test_cut_nothing(void **state)
{
    (void)state;
    char *path = plateau(1000, 0, 1000);
    assert_not_cut(path, &(struct cut_request){0, UINT64_MAX, CUT_ALL_THREADS, true},
                   "nowhere steady");
    assert_not_cut(path, &(struct cut_request){5000, UINT64_MAX, CUT_ALL_THREADS, false},
                   "nothing happens in that part");
    assert_not_cut(path, &(struct cut_request){0, UINT64_MAX, 1, false},
                   "has no thread 1; its only one is 0");
    fixture_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_by_time),   cmocka_unit_test(test_cut_of_a_cut),
        cmocka_unit_test(test_cut_by_thread), cmocka_unit_test(test_cut_by_thread_at_random),
        cmocka_unit_test(test_cut_steady),    cmocka_unit_test(test_cut_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
