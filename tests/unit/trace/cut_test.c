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

/* An event at `from` is in the part, one at `to` is not. */
static void test_cut_at_the_ends(void **state)
{
    static const struct trace_event events[] = {
        {.op = TRACE_MALLOC, .size = 1, .time = 0},
        {.op = TRACE_MALLOC, .size = 2, .time = 10},
        {.op = TRACE_MALLOC, .size = 3, .time = 20},
        {.op = TRACE_MALLOC, .size = 4, .time = 30},
    };
    struct cut_result result;
    (void)state;
    char *path = fixture_trace(events, sizeof events / sizeof *events, 1);
    char *out = cut(path, &(struct cut_request){10, 30, CUT_ALL_THREADS, false}, &result);
    struct events part = events_read(out);
    assert_int_equal(part.count, 1 + 2);
    assert_int_equal(part.header.front_events, 1);
    assert_int_equal(part.list[1].size, 2);
    assert_int_equal(part.list[2].size, 3);
    events_release(&part);
    fixture_remove(path);
    fixture_remove(out);
}

static void assert_events(const struct events *part, const struct trace_event *expected,
                          size_t count)
{
    assert_int_equal(part->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(part->list[i].op, expected[i].op);
        assert_int_equal(part->list[i].thread, expected[i].thread);
        assert_int_equal(part->list[i].other, expected[i].other);
        assert_int_equal(part->list[i].size, expected[i].size);
        assert_int_equal(part->list[i].alignment_log2, expected[i].alignment_log2);
        assert_int_equal(part->list[i].moved, expected[i].moved);
        assert_int_equal(part->list[i].stack_depth, expected[i].stack_depth);
        assert_int_equal(part->list[i].time, expected[i].time);
    }
}

/* Made again as it was made, and in the order in which it was, whatever slots it lies in. */
static void test_cut_front(void **state)
{
    static const struct trace_event events[] = {
        {.op = TRACE_CALLOC, .thread = 2, .size = 10, .time = 1},
        {.op = TRACE_ALIGNED, .thread = 0, .size = 20, .alignment_log2 = 6, .time = 2},
        {.op = TRACE_FREE, .thread = 0, .slot = 0, .time = 3},
        {.op = TRACE_MALLOC, .thread = 1, .size = 30, .time = 4}, /* in the first one's slot */
        {.op = TRACE_CALLOC, .thread = 2, .size = 40, .time = 5},
        {.op = TRACE_REALLOC, .thread = 1, .slot = 0, .size = 50, .moved = true, .time = 6},
        {.op = TRACE_FREE, .thread = 1, .slot = 1, .time = 10},
    };
    static const struct trace_event expected[] = {
        {.op = TRACE_ALIGNED, .thread = 0, .size = 20, .alignment_log2 = 6},
        {.op = TRACE_CALLOC, .thread = 1, .size = 40},
        {.op = TRACE_MALLOC, .thread = 2, .size = 50},
        {.op = TRACE_FREE, .thread = 2},
    };
    struct cut_result result;
    (void)state;
    char *path = fixture_trace(events, sizeof events / sizeof *events, 3);
    char *out = cut(path, &(struct cut_request){10, UINT64_MAX, CUT_ALL_THREADS, false}, &result);
    struct events part = events_read(out);
    assert_events(&part, expected, sizeof expected / sizeof *expected);
    assert_int_equal(part.list[3].ended_size, 20);
    assert_int_equal(result.front_events, 3);
    assert_int_equal(result.front_bytes, 20 + 40 + 50);
    assert_int_equal(result.threads, 3);
    events_release(&part);
    fixture_remove(path);
    fixture_remove(out);
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
    static const uint64_t stack[] = {0x401234};
    static const struct trace_event events[] = {
        {.op = TRACE_MALLOC, .thread = 0, .size = 1, .time = 1}, /* ended by 1 */
        {.op = TRACE_MALLOC, .thread = 0, .size = 2, .time = 2}, /* nobody's business */
        {.op = TRACE_SPAWN, .thread = 0, .other = 1, .time = 3},
        {.op = TRACE_SPAWN, .thread = 0, .other = 2, .time = 3},
        {.op = TRACE_REALLOC, .thread = 0, .slot = 1, .size = 20, .time = 4}, /* 1 ends this one */
        {.op = TRACE_FREE, .thread = 1, .slot = 0, .time = 5},
        {.op = TRACE_FREE, .thread = 1, .slot = 1, .time = 6},
        {.op = TRACE_MALLOC, .thread = 1, .size = 3, .time = 7},
        {.op = TRACE_REALLOC,
         .thread = 0,
         .slot = 1,
         .size = 30,
         .moved = true,
         .stack = stack,
         .stack_depth = 1,
         .time = 8},
        {.op = TRACE_FREE, .thread = 0, .slot = 1, .time = 9}, /* of what it made itself */
        {.op = TRACE_MALLOC, .thread = 2, .size = 4, .time = 10},
        {.op = TRACE_JOIN, .thread = 0, .other = 1, .time = 11},
        {.op = TRACE_FREE, .thread = 0, .slot = 1, .time = 12}, /* of what 2 made */
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
    static const struct trace_event expected_of_2[] = {
        {.op = TRACE_SPAWN, .thread = 0, .other = 1, .time = 3},
        {.op = TRACE_MALLOC, .thread = 1, .size = 4, .time = 10},
        {.op = TRACE_FREE, .thread = 0, .time = 12},
    };
    struct cut_result result;
    (void)state;
    char *path = fixture_trace(events, sizeof events / sizeof *events, 3);
    char *out = cut(path, &(struct cut_request){0, UINT64_MAX, 1, false}, &result);
    struct events part = events_read(out);
    assert_events(&part, expected, sizeof expected / sizeof *expected);
    events_release(&part);
    fixture_remove(out);
    out = cut(path, &(struct cut_request){0, UINT64_MAX, 2, false}, &result);
    part = events_read(out);
    assert_events(&part, expected_of_2, sizeof expected_of_2 / sizeof *expected_of_2);
    assert_int_equal(result.threads, 2);
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
    struct events part = events_read(out);
    assert_int_equal(part.count - part.header.front_events, result.window.events);
    events_release(&part);
    fixture_remove(path);
    fixture_remove(out);
}

static void assert_cpu(const struct trace_event *event, bool on_new_cpu, uint32_t cpu,
                       uint32_t node)
{
    assert_int_equal(event->on_new_cpu, on_new_cpu);
    assert_int_equal(event->cpu, cpu);
    assert_int_equal(event->node, node);
}

/* Where a thread was last seen before the cut, its first event in it says, and says it once. */
static void test_cut_keeps_cpus(void **state)
{
    static const struct trace_event events[] = {
        {.op = TRACE_MALLOC, .size = 1, .on_new_cpu = true, .cpu = 1, .node = 1, .time = 1},
        {.op = TRACE_MALLOC, .size = 2, .on_new_cpu = true, .cpu = 2, .node = 3, .time = 2},
        {.op = TRACE_MALLOC, .thread = 1, .size = 3, .on_new_cpu = true, .cpu = 4, .time = 3},
        {.op = TRACE_MALLOC, .thread = 2, .size = 4, .time = 4}, /* nobody knows where */
        {.op = TRACE_FREE, .slot = 0, .time = 10},               /* the cut begins */
        {.op = TRACE_MALLOC, .size = 5, .time = 11},
        {.op = TRACE_MALLOC, .size = 6, .on_new_cpu = true, .cpu = 7, .time = 11},
        {.op = TRACE_FREE, .thread = 1, .slot = 2, .on_new_cpu = true, .cpu = 6, .time = 12},
        {.op = TRACE_FREE, .slot = 3, .time = 13}, /* thread 2's */
        {.op = TRACE_MALLOC, .thread = 2, .size = 7, .time = 14},
        {.op = TRACE_MALLOC, .size = 8, .on_new_cpu = true, .cpu = 8, .time = 15},
        {.op = TRACE_FREE, .slot = 3, .time = 16}, /* thread 2's */
    };
    enum { FRONT = 4 };
    struct cut_result result;
    (void)state;
    char *path = fixture_trace(events, sizeof events / sizeof *events, 3);
    char *out = cut(path, &(struct cut_request){10, UINT64_MAX, CUT_ALL_THREADS, false}, &result);
    struct events part = events_read(out);
    assert_int_equal(part.count, FRONT + 8);
    for (size_t i = 0; i < FRONT; i++)
        assert_cpu(&part.list[i], false, 0, 0);
    assert_cpu(&part.list[FRONT], true, 2, 3);
    assert_cpu(&part.list[FRONT + 1], false, 0, 0);
    assert_cpu(&part.list[FRONT + 2], true, 7, 0);
    assert_cpu(&part.list[FRONT + 3], true, 6, 0);
    assert_cpu(&part.list[FRONT + 4], false, 0, 0);
    assert_cpu(&part.list[FRONT + 5], false, 0, 0);
    assert_cpu(&part.list[FRONT + 6], true, 8, 0);
    assert_cpu(&part.list[FRONT + 7], false, 0, 0);
    events_release(&part);
    fixture_remove(out);
    /* The same of events that are left out since they are not the chosen thread's business. */
    out = cut(path, &(struct cut_request){0, UINT64_MAX, 2, false}, &result);
    part = events_read(out);
    assert_int_equal(part.count, 4);
    assert_cpu(&part.list[0], false, 0, 0);
    assert_cpu(&part.list[1], true, 7, 0);
    assert_cpu(&part.list[2], false, 0, 0);
    assert_cpu(&part.list[3], true, 8, 0);
    events_release(&part);
    fixture_remove(path);
    fixture_remove(out);
}

/* What is no event has no time: nobody knows how much of it fell into the part. */
static void test_cut_facts(void **state)
{
    struct import_result imported;
    struct cut_result result;
    (void)state;
    char *path = import_good("heapmark trace text 1\ncommand a b\nfact ticks_hz 1000000\n"
                             "fact null_frees 2\nfact failed_calls 3\nfact unknown_frees 4\n"
                             "fact lost_frees 5\nfact flags 1\nfact pid 6\nfact start_ns "
                             "7000\nfact sample 8\n"
                             "fact exit_status 9\nfact skipped_lines 10\n"
                             "0 0 malloc 1 16\n10 0 free 1\n20 0 malloc 2 32\nend\n",
                             TRACE_SOURCE_TEXT, &imported);
    const struct {
        uint64_t from_ns, to_ns, start_ns, front_events;
        uint32_t flags;
    } parts[] = {
        {5000, 15000, 12000, 1, TRACE_FORKED | TRACE_PARTIAL | TRACE_STATUS_UNKNOWN},
        {20000, UINT64_MAX, 27000, 0, TRACE_FORKED | TRACE_PARTIAL},
    };
    for (size_t i = 0; i < 2; i++) {
        const struct cut_request request = {parts[i].from_ns, parts[i].to_ns, CUT_ALL_THREADS, 0};
        char *out = cut(path, &request, &result);
        struct events part = events_read(out);
        const struct trace_file_header *header = &part.header;
        assert_int_equal(header->null_frees, 0);
        assert_int_equal(header->failed_calls, 0);
        assert_int_equal(header->unknown_frees, 0);
        assert_int_equal(header->lost_frees, 0);
        assert_int_equal(header->ticks_hz, 1000000);
        assert_int_equal(header->pid, 6);
        assert_int_equal(header->start_ns, parts[i].start_ns);
        assert_int_equal(header->sample, 8);
        assert_int_equal(header->exit_status, 9);
        assert_int_equal(header->skipped_lines, 10);
        assert_int_equal(header->source, TRACE_SOURCE_TEXT);
        assert_int_equal(header->command_bytes, sizeof "a b");
        assert_int_equal(header->front_events, parts[i].front_events);
        assert_int_equal(header->flags & ~(uint32_t)TRACE_RECORDED, parts[i].flags);
        events_release(&part);
        fixture_remove(out);
    }
    fixture_remove(path);
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
                   "nowhere steady: in the flattest tenth of its events, live bytes vary by 10.2 "
                   "%,");
    assert_not_cut(path, &(struct cut_request){5000, UINT64_MAX, CUT_ALL_THREADS, false},
                   "nothing happens in that part");
    assert_not_cut(path, &(struct cut_request){0, UINT64_MAX, 1, false},
                   "has no thread 1; its only one is 0");
    fixture_remove(path);
}

/* Where live bytes are steady the other thread has nothing to do, though some of what it made lives. */
static void test_cut_of_an_idle_thread(void **state)
{
    enum { MADE = 100, STEADY = 1000 };
    struct trace_event events[MADE + 2 * STEADY] = {0};
    (void)state;
    for (size_t i = 0; i < MADE; i++)
        events[i] = (struct trace_event){.op = TRACE_MALLOC,
                                         .size = 100,
                                         .thread = i < MADE / 2,
                                         .time = i};
    for (size_t i = 0; i < STEADY; i++) {
        size_t at = MADE + 2 * i;
        events[at] = (struct trace_event){.op = TRACE_MALLOC, .size = 1, .time = at};
        events[at + 1] = (struct trace_event){.op = TRACE_FREE, .slot = MADE, .time = at + 1};
    }
    char *path = fixture_trace(events, sizeof events / sizeof *events, 2);
    assert_not_cut(path, &(struct cut_request){0, UINT64_MAX, 1, true},
                   "thread 1 does nothing in its steady part");
    assert_not_cut(path, &(struct cut_request){MADE, UINT64_MAX, 1, false},
                   "nothing happens in that part");
    fixture_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_by_time),
        cmocka_unit_test(test_cut_at_the_ends),
        cmocka_unit_test(test_cut_front),
        cmocka_unit_test(test_cut_of_a_cut),
        cmocka_unit_test(test_cut_by_thread),
        cmocka_unit_test(test_cut_by_thread_at_random),
        cmocka_unit_test(test_cut_steady),
        cmocka_unit_test(test_cut_keeps_cpus),
        cmocka_unit_test(test_cut_facts),
        cmocka_unit_test(test_cut_nothing),
        cmocka_unit_test(test_cut_of_an_idle_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
