/* Traces as text and back again, and as CSV. */
#include "tools.h"

#include "include/workload.h"
#include "workloads/trace/export.h"

static void assert_same_event(const struct trace_event *a, const struct trace_event *b)
{
    assert_int_equal(a->op, b->op);
    assert_int_equal(a->thread, b->thread);
    assert_int_equal(a->other, b->other);
    assert_int_equal(a->slot, b->slot);
    assert_int_equal(a->alignment_log2, b->alignment_log2);
    assert_int_equal(a->moved, b->moved);
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->time, b->time);
    assert_int_equal(a->on_new_cpu, b->on_new_cpu);
    assert_int_equal(a->cpu, b->cpu);
    assert_int_equal(a->node, b->node);
    assert_int_equal(a->stack_depth, b->stack_depth);
    assert_int_equal(a->object, b->object);
}

static char *export(const char *path, enum export_format format, size_t *bytes)
{
    char *text = NULL, error[512];
    FILE *out = open_memstream(&text, bytes);
    assert_int_equal(trace_export(path, format, out, error, sizeof error), 0);
    fclose(out);
    return text;
}

static void assert_round_trip(const char *path)
{
    size_t bytes, again_bytes;
    struct import_result result;
    char *text = export(path, EXPORT_TEXT, &bytes);
    char *back = import_good(text, TRACE_SOURCE_NONE, &result);
    char *again = export(back, EXPORT_TEXT, &again_bytes);
    assert_string_equal(text, again);
    struct events a = events_read(path), b = events_read(back);
    assert_int_equal(a.count, b.count);
    for (size_t i = 0; i < a.count; i++)
        assert_same_event(&a.list[i], &b.list[i]);
    assert_int_equal(a.header.null_frees, b.header.null_frees);
    assert_int_equal(a.header.flags, b.header.flags);
    assert_int_equal(a.header.ticks_hz, b.header.ticks_hz);
    assert_int_equal(a.header.command_bytes, b.header.command_bytes);
    events_release(&a);
    events_release(&b);
    free(text);
    free(again);
    fixture_remove(back);
}

static void test_text_round_trip(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        char *path = fixture_random_trace(seed, 20000, 7);
        assert_round_trip(path);
        fixture_remove(path);
    }
}

static void test_text_round_trip_with_cpus_and_stacks(void **state)
{
    (void)state;
    const uint64_t stack[] = {0x401234, UINT64_MAX, 1};
    const struct trace_event events[] = {
        {.op = TRACE_MALLOC, .size = 1, .stack = stack, .stack_depth = 3},
        {.op = TRACE_CALLOC, .size = 2, .on_new_cpu = true, .cpu = 3, .node = 1, .time = 5},
        {.op = TRACE_ALIGNED, .alignment_log2 = 47, .size = TRACE_SIZE_MAX - 10, .time = 5},
        {.op = TRACE_REALLOC,
         .slot = 1,
         .size = 1,
         .moved = true,
         .on_new_cpu = true,
         .stack = stack,
         .stack_depth = 1,
         .time = UINT64_MAX},
    };
    char *path = fixture_trace(events, sizeof events / sizeof *events, 1);
    assert_round_trip(path);
    fixture_remove(path);
}

static void test_text_by_hand(void **state)
{
    struct import_result result;
    (void)state;
    struct events events = import_events("heapmark trace text 1\n# a comment\n\n0 0 malloc 7 0x40\n"
                                         "+5 1 free 7\n= 1 malloc 7 1\nend\n",
                                         TRACE_SOURCE_NONE, &result);
    assert_int_equal(events.count, 3);
    assert_int_equal(events.list[0].size, 64);
    assert_int_equal(events.list[1].time, 5);
    assert_int_equal(events.list[1].ended_owner, 0);
    assert_int_equal(events.list[2].time, 5);
    assert_int_equal(events.header.source, TRACE_SOURCE_TEXT);
    assert_int_equal(events.header.ticks_hz, 1000000000);
    events_release(&events);
}

static size_t command_bytes_of(const char *program, size_t argument_bytes)
{
    struct import_result result;
    char *argument = calloc(1, argument_bytes + 1), *text;
    memset(argument, 'a', argument_bytes);
    assert_true(asprintf(&text, "heapmark trace text 1\ncommand %s %s\n1 0 malloc 1 1\nend\n",
                         program, argument) > 0);
    struct events events = import_events(text, TRACE_SOURCE_NONE, &result);
    size_t bytes = events.header.command_bytes;
    events_release(&events);
    free(argument);
    free(text);
    return bytes;
}

/* A part of a command line would be another command: of one that does not fit, the program behind an empty word. */
static void test_text_of_a_long_command(void **state)
{
    (void)state;
    assert_int_equal(command_bytes_of("app", TRACE_COMMAND_BYTES_MAX - 5), TRACE_COMMAND_BYTES_MAX);
    assert_int_equal(command_bytes_of("app", TRACE_COMMAND_BYTES_MAX - 4), 1 + sizeof "app");
}

static void test_text_mistakes(void **state)
{
    static const struct {
        const char *line, *expected;
    } mistakes[] = {
        {"x 0 malloc 1 1", "line 3 ('x 0 malloc 1 1'): a time was expected"},
        {"5 0 malloc 1", "a size in bytes was expected"},
        {"5 0 maloc 1 1", "malloc, calloc, aligned, realloc, free, spawn or join"},
        {"5 65535 malloc 1 1", "a thread number is out of range"},
        {"5 0 free 1", "no object of that ID lives"},
        {"5 0 malloc 9 1", "an object of that ID lives already"},
        {"5 0 malloc 0 1", "0 is no ID"},
        {"1 0 malloc 1 1", "time runs backwards"},
        {"5 0 malloc 1 1 moved", "behind the event may stand"},
        {"5 0 aligned 1 1 3", "a power of 2"},
        {"5 0 realloc 9", "the IDs of the old and of the new object"},
        {"5 0 realloc 9 9 0", "a realloc has size 0"},
        {"5 0 malloc 1 18446744073709551616", "a size in bytes"},
        {"5 0 spawn 0", "starts or joins itself"},
        {"fact nonsense 1", "no such fact"},
        {"fact pid 4294967296", "no number, or too large"},
        {"fact flags 256", "line 3 ('fact flags 256'): flags is 256, and 0 to 255 was expected"},
        {"fact exit_status -1", "exit_status is -1, and 0 to 65535 was expected"},
        {"fact sample 1000001", "sample is 1000001, and 0 to 1000000 was expected"},
        {"fact stack_depth 63", "stack_depth is 63, and 0 to 62 was expected"},
        {"fact source 77", "source is 77, and 0 to 6 was expected"},
        {"fact lacks 64", "lacks is 64, and 0 to 63 was expected"},
        {"fact front_events 2\nend",
         "line 4 ('end'): in line 3, front_events is 2, and at most the "
         "number of events, 1, was expected"},
        {"fact slack_ticks 11\nfact ticks_hz 10000\nend",
         "in line 3, slack_ticks is 11, and at most a millisecond, 10, was expected"},
        {"command a", "in front of the events"},
        {"end 7", "the number of events is another one"},
        {"end\n5 0 malloc 1 1", "follows the line 'end'"},
        {"5 0 malloc 1 1", "the line 'end' is missing"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        char text[256];
        snprintf(text, sizeof text, "heapmark trace text 1\n2 0 malloc 9 1\n%s\n",
                 mistakes[i].line);
        import_refused(text, TRACE_SOURCE_NONE, mistakes[i].expected);
    }
    import_refused("heapmark trace text 2\n", TRACE_SOURCE_NONE, "line 1");
    import_refused("", TRACE_SOURCE_TEXT, "it is empty");
    import_refused("heapmark trace text 1\nend\n", TRACE_SOURCE_TEXT, "no allocation");
}

static void test_csv(void **state)
{
    static const uint64_t stack[] = {0x40, 0x50};
    static const struct trace_event events[] = {
        {.op = TRACE_MALLOC,
         .size = 10,
         .on_new_cpu = true,
         .cpu = 3,
         .node = 1,
         .stack = stack,
         .stack_depth = 2,
         .time = 1},
        {.op = TRACE_SPAWN, .other = 1, .time = 2},
        {.op = TRACE_REALLOC, .thread = 1, .size = 20, .moved = true, .time = 3},
        {.op = TRACE_FREE, .thread = 1, .time = 4},
    };
    size_t bytes;
    (void)state;
    char *path = fixture_trace(events, sizeof events / sizeof *events, 2);
    char *text = export(path, EXPORT_CSV, &bytes);
    assert_string_equal(strchr(text, '\n') + 1, "1,0,malloc,1,10,,,,,,,3,1,0x40 0x50\r\n"
                                                "2,0,spawn,,,,,,,,1,3,1,\r\n"
                                                "3,1,realloc,2,20,,1,10,0,1,,,,\r\n"
                                                "4,1,free,,,,2,20,1,,,,,\r\n");
    free(text);
    fixture_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_round_trip),
        cmocka_unit_test(test_text_round_trip_with_cpus_and_stacks),
        cmocka_unit_test(test_text_by_hand),
        cmocka_unit_test(test_text_of_a_long_command),
        cmocka_unit_test(test_text_mistakes),
        cmocka_unit_test(test_csv),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
