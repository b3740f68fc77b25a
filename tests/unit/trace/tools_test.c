/* The trace tools: text and back, cuts, curves, call sites, imports. */
#include "fixture.h"

#include "include/workload.h"
#include "workloads/trace/cut.h"
#include "workloads/trace/export.h"
#include "workloads/trace/histogram.h"
#include "workloads/trace/import.h"
#include "workloads/trace/sites.h"

#include <fcntl.h>
#include <unistd.h>

/* ---- helpers --------------------------------------------------------------------------------- */

struct events {
    struct trace_event *list;
    uint64_t *live_bytes; /* after each */
    size_t count;
    struct trace_file_header header;
};

static struct events read_events(const char *path)
{
    struct trace_reader *reader;
    struct events events = {0};
    char error[512];
    enum trace_next next;
    assert_int_equal(trace_reader_open(&reader, path, error, sizeof error), 0);
    size_t capacity = 200000;
    events.list = calloc(capacity, sizeof *events.list);
    events.live_bytes = calloc(capacity, sizeof *events.live_bytes);
    while ((next = trace_reader_next(reader, &events.list[events.count])) == TRACE_EVENT) {
        events.live_bytes[events.count++] = trace_reader_rules(reader)->live_bytes;
        assert_true(events.count < capacity);
    }
    assert_int_equal(next, TRACE_END);
    events.header = *trace_reader_header(reader);
    trace_reader_close(reader);
    return events;
}

static void release_events(struct events *events)
{
    free(events->list);
    free(events->live_bytes);
}

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

/* Text in, path of a trace out; NULL and the message in `error` when it is refused. */
static char *import(const void *text, size_t bytes, enum trace_source source,
                    struct import_result *result, char *error, size_t error_bytes)
{
    char *path = fixture_path();
    int fd = open(path, O_RDWR | O_CLOEXEC);
    FILE *in = fmemopen((void *)text, bytes, "r");
    int failed = trace_import(in, "x", source, fd, result, error, error_bytes);
    fclose(in);
    close(fd);
    if (failed == 0)
        return path;
    fixture_remove(path);
    return NULL;
}

static char *import_good(const char *text, enum trace_source source, struct import_result *result)
{
    char error[512] = "";
    char *path = import(text, strlen(text), source, result, error, sizeof error);
    assert_string_equal(error, "");
    return path;
}

static void assert_refused(const char *text, enum trace_source source, const char *expected)
{
    char error[512] = "";
    struct import_result result;
    assert_null(import(text, strlen(text), source, &result, error, sizeof error));
    if (strstr(error, expected) == NULL)
        fail_msg("'%s' does not say '%s'", error, expected);
}

/* ---- text ------------------------------------------------------------------------------------ */

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
    struct events a = read_events(path), b = read_events(back);
    assert_int_equal(a.count, b.count);
    for (size_t i = 0; i < a.count; i++)
        assert_same_event(&a.list[i], &b.list[i]);
    assert_int_equal(a.header.null_frees, b.header.null_frees);
    assert_int_equal(a.header.flags, b.header.flags);
    assert_int_equal(a.header.ticks_hz, b.header.ticks_hz);
    assert_int_equal(a.header.command_bytes, b.header.command_bytes);
    release_events(&a);
    release_events(&b);
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
    char *path = import_good("heapmark trace text 1\n# a comment\n\n0 0 malloc 7 0x40\n"
                             "+5 1 free 7\n= 1 malloc 7 1\nend\n",
                             TRACE_SOURCE_NONE, &result);
    struct events events = read_events(path);
    assert_int_equal(events.count, 3);
    assert_int_equal(events.list[0].size, 64);
    assert_int_equal(events.list[1].time, 5);
    assert_int_equal(events.list[1].ended_owner, 0);
    assert_int_equal(events.list[2].time, 5);
    assert_int_equal(events.header.source, TRACE_SOURCE_TEXT);
    assert_int_equal(events.header.ticks_hz, 1000000000);
    release_events(&events);
    fixture_remove(path);
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
        assert_refused(text, TRACE_SOURCE_NONE, mistakes[i].expected);
    }
    assert_refused("heapmark trace text 2\n", TRACE_SOURCE_NONE, "line 1");
    assert_refused("", TRACE_SOURCE_TEXT, "it is empty");
    assert_refused("heapmark trace text 1\nend\n", TRACE_SOURCE_TEXT, "no allocation");
}

static void test_csv(void **state)
{
    static const struct trace_event events[] = {
        {.op = TRACE_MALLOC, .size = 10, .time = 1},
        {.op = TRACE_SPAWN, .other = 1, .time = 2},
        {.op = TRACE_REALLOC, .thread = 1, .size = 20, .moved = true, .time = 3},
        {.op = TRACE_FREE, .thread = 1, .time = 4},
    };
    size_t bytes;
    (void)state;
    char *path = fixture_trace(events, sizeof events / sizeof *events, 2);
    char *text = export(path, EXPORT_CSV, &bytes);
    assert_string_equal(strchr(text, '\n') + 1, "1,0,malloc,1,10,,,,,,,,,\r\n"
                                                "2,0,spawn,,,,,,,,1,,,\r\n"
                                                "3,1,realloc,2,20,,1,10,0,1,,,,\r\n"
                                                "4,1,free,,,,2,20,1,,,,,\r\n");
    free(text);
    fixture_remove(path);
}

/* ---- cuts ------------------------------------------------------------------------------------ */

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
        struct events whole = read_events(path);
        uint64_t end = whole.header.duration_ticks;
        const uint64_t spans[][2] = {{0, end / 2},
                                     {end / 3, end / 2},
                                     {end / 2, UINT64_MAX},
                                     {end - 10, UINT64_MAX}};
        for (size_t i = 0; i < 4; i++) {
            struct cut_request request = {spans[i][0], spans[i][1], CUT_ALL_THREADS, false};
            struct cut_result result;
            char *out = cut(path, &request, &result);
            struct events part = read_events(out);
            assert_span(&whole, &part, spans[i][0], spans[i][1]);
            assert_int_equal(result.front_events, part.header.front_events);
            assert_int_equal(result.all_events, whole.count);
            release_events(&part);
            fixture_remove(out);
        }
        release_events(&whole);
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
    struct events part = read_events(out);
    assert_int_equal(part.count, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < part.count; i++) {
        assert_int_equal(part.list[i].op, expected[i].op);
        assert_int_equal(part.list[i].thread, expected[i].thread);
        assert_int_equal(part.list[i].other, expected[i].other);
        assert_int_equal(part.list[i].size, expected[i].size);
        assert_int_equal(part.list[i].time, expected[i].time);
    }
    release_events(&part);
    fixture_remove(path);
    fixture_remove(out);
}

static void test_cut_by_thread_at_random(void **state)
{
    (void)state;
    for (int thread = 0; thread < 5; thread++) {
        struct cut_result result;
        char *path = fixture_random_trace(77, 20000, 5);
        struct events whole = read_events(path);
        uint64_t own = 0, kept = 0;
        for (size_t i = 0; i < whole.count; i++)
            own += whole.list[i].thread == (uint32_t)thread && whole.list[i].op <= TRACE_FREE;
        char *out = cut(path, &(struct cut_request){0, UINT64_MAX, thread, false}, &result);
        struct events part = read_events(out);
        kept = part.count;
        assert_true(kept >= own && kept < whole.count);
        release_events(&part);
        release_events(&whole);
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
                   "has no thread 1; its threads are 0 to 0");
    fixture_remove(path);
}

/* ---- curves, histograms, call sites ---------------------------------------------------------- */

static void test_curve(void **state)
{
    (void)state;
    static struct trace_curve curve;
    curve_begin(&curve);
    /* 100 bytes up to position 50,000, 300 up to 99,999 */
    curve_add(&curve, 0, 0, 100);
    curve_add(&curve, 50000, 50000, 300);
    curve_add(&curve, 60000, 60000, 700);
    curve_add(&curve, 60001, 60001, 300);
    curve_add(&curve, 99999, 99999, 0);
    uint64_t events = 0, most = 0;
    for (uint32_t i = 0; i < curve.count; i++) {
        events += curve.bins[i].events;
        most = curve.bins[i].bytes_max > most ? curve.bins[i].bytes_max : most;
    }
    assert_true(curve.count > CURVE_BINS / 2 && curve.count <= CURVE_BINS);
    assert_int_equal(events, 5);
    assert_int_equal(most, 700);
    assert_true(curve_mean(&curve, 0, 1) == 100);
    assert_true(curve_mean(&curve, 380, 381) == 300);
    double mean = curve_mean(&curve, 0, curve.count);
    assert_true(mean > 199 && mean < 201);
}

static void test_histogram_range(void **state)
{
    static struct trace_histogram histogram;
    uint64_t objects, bytes, sum = 0;
    (void)state;
    for (uint64_t value = 0; value < 100000; value++)
        trace_histogram_add(&histogram, value, 2);
    for (unsigned log2 = 0; log2 < 17; log2++) {
        uint64_t low = log2 == 0 ? 0 : UINT64_C(1) << log2, end = UINT64_C(2) << log2;
        trace_histogram_range(&histogram, low, end, &objects, &bytes);
        assert_int_equal(objects, (end < 100000 ? end : 100000) - low);
        assert_int_equal(bytes, 2 * objects);
        sum += objects;
    }
    assert_int_equal(sum, 100000);
}

static void test_sites(void **state)
{
    struct trace_sites sites = {0};
    uint32_t site, again;
    (void)state;
    for (uint64_t i = 0; i < 5000; i++) {
        uint64_t stack[] = {i / 2, 7, i % 2};
        assert_int_equal(trace_sites_find(&sites, stack, 3, &site), 0);
        assert_int_equal(site, i);
        sites.sites[site].bytes = i;
    }
    for (uint64_t i = 0; i < 5000; i++) {
        uint64_t stack[] = {i / 2, 7, i % 2};
        assert_int_equal(trace_sites_find(&sites, stack, 3, &again), 0);
        assert_int_equal(again, i);
    }
    trace_sites_sort(&sites);
    assert_int_equal(sites.count, 5000);
    assert_int_equal(sites.sites[0].bytes, 4999);
    assert_int_equal(sites.sites[4999].bytes, 0);
    trace_sites_release(&sites);
}

/* ---- imports --------------------------------------------------------------------------------- */

static void test_import_mtrace(void **state)
{
    struct import_result result;
    (void)state;
    char *path = import_good("= Start\n"
                             "@ ./a:[0x1] + 0x10 0x20\n"
                             "@ ./a:(f+1)[0x2] < 0x10\n"
                             "@ ./a:(f+1)[0x2] > 0x50 0x30\n"
                             "@ ./a:[0x1] + (nil) 0xffff\n"
                             "@ ./a:[0x1] ! 0x50 0xffff\n"
                             "- 0x77\n"
                             "@ ./a:[0x1] + 0x50 0x8\n"
                             "hello world\n"
                             "@ ./a:[0x1] - 0x50\n"
                             "@ ./a:[0x1] + 0x60 0x1",
                             TRACE_SOURCE_NONE, &result);
    struct events events = read_events(path);
    assert_int_equal(events.count, 5);
    assert_int_equal(events.list[1].op, TRACE_REALLOC);
    assert_true(events.list[1].moved);
    assert_int_equal(events.list[1].size, 0x30);
    assert_int_equal(events.list[2].op, TRACE_FREE); /* lost */
    assert_int_equal(events.list[4].ended_size, 8);
    assert_int_equal(events.header.failed_calls, 2);
    assert_int_equal(events.header.unknown_frees, 1);
    assert_int_equal(events.header.lost_frees, 1);
    assert_int_equal(events.header.skipped_lines, 2);
    assert_int_equal(result.first_skipped, 9);
    assert_true(events.header.lacks & TRACE_LACKS_TIMES &&
                events.header.lacks & TRACE_LACKS_THREADS);
    release_events(&events);
    fixture_remove(path);
}

static void test_import_ltrace(void **state)
{
    struct import_result result;
    (void)state;
    char *path = import_good("[pid 7] 12:00:00.000001 app->malloc(64) = 0x10\n"
                             "[pid 7] 12:00:00.000002 app->malloc(65 <unfinished ...>\n"
                             "[pid 8] 12:00:00.000003 app->free(0x10 <unfinished ...>\n"
                             "[pid 7] 12:00:00.000004 <... malloc resumed> ) = 0x10\n"
                             "[pid 8] 12:00:00.000005 <... free resumed> ) = <void>\n"
                             "[pid 8] 12:00:00.000006 app->calloc(3, 5) = 0x20\n"
                             "[pid 8] 12:00:00.000007 app->realloc(0x20, 0) = 0\n"
                             "[pid 8] 12:00:00.000008 app->memalign(64, 7) = 0x40\n"
                             "[pid 8] 12:00:00.000009 app->strlen(\"x) = y\") = 1\n"
                             "[pid 8] 12:00:00.000010 libc.so.6->calloc(0, 7) = 0x99\n"
                             "[pid 8] 12:00:00.000009 app->malloc(nonsense) = 0x99\n"
                             "[pid 8] 12:00:00.000009 --- SIGCHLD ---\n",
                             TRACE_SOURCE_NONE, &result);
    struct events events = read_events(path);
    assert_int_equal(events.count, 6);
    assert_int_equal(events.list[1].op, TRACE_FREE); /* where it begins: the address comes again */
    assert_int_equal(events.list[1].thread, 1);
    assert_int_equal(events.list[2].size, 65);
    assert_int_equal(events.list[2].time, 3000);
    assert_int_equal(events.list[3].op, TRACE_CALLOC);
    assert_int_equal(events.list[3].size, 15);
    assert_int_equal(events.list[4].op, TRACE_FREE);
    assert_int_equal(events.list[5].alignment_log2, 6);
    assert_int_equal(events.header.lost_frees, 0);
    assert_int_equal(events.header.skipped_lines, 2);
    assert_int_equal(events.header.lacks, 0);
    release_events(&events);
    fixture_remove(path);
}

static void test_import_heaptrack(void **state)
{
    struct import_result result;
    (void)state;
    char *path = import_good("v 10400 3\nX a b\na 10 1\na 20 2\nc a\n+ 0\n+ 0\n+ 1\nc b\n- 0\n- 1\n"
                             "- 1\n- 7\n+ zz\nq 1\n",
                             TRACE_SOURCE_NONE, &result);
    struct events events = read_events(path);
    assert_int_equal(events.count, 5);
    assert_int_equal(events.list[3].ended_object, 1); /* the youngest of the two */
    assert_int_equal(events.list[3].time, 1000000);
    assert_int_equal(events.list[4].ended_size, 0x20);
    assert_int_equal(events.header.unknown_frees, 1);
    assert_int_equal(events.header.skipped_lines, 3);
    assert_true(events.header.lacks & TRACE_LACKS_IDENTITY);
    assert_int_equal(events.header.command_bytes, 4);
    release_events(&events);
    fixture_remove(path);
}

static void test_import_kmem(void **state)
{
    struct import_result result;
    (void)state;
    char *path =
        import_good("# tracer: nop\n#\n"
                    "CPU:1 [LOST 12 EVENTS]\n"
                    " a [9] b-7 [001] d..1. 1.5: kmalloc: call_site=f ptr=01 bytes_req=7 "
                    "bytes_alloc=8 "
                    "gfp_flags=GFP_KERNEL|__GFP_ZERO node=-1 accounted=false\n"
                    " b-7 [000] 1.6: kmem_cache_free: call_site=a ptr=01 name=x\n"
                    " b-7 [000] ..... 1.5: kmem_cache_alloc: call_site=f ptr=02 name=x bytes_req=9 "
                    "bytes_alloc=16 gfp_flags=GFP_KERNEL node=-1\n"
                    " b-7 [000] ..... 1.7: kfree: call_site=f ptr=(null)\n"
                    " b-7 [000] ..... 1.7: mm_page_alloc: page=1 pfn=1 order=0\n"
                    " b-7 [000] ..... 1.7: kfree: call_site=f ptr=03\n"
                    " b-7 [000] ..... 1.7: kmalloc: call_site=f ptr=03\n"
                    " b-7 [000] ..... 1.7: kmalloc: call_site=f ptr=03 bytes_r",
                    TRACE_SOURCE_NONE, &result);
    struct events events = read_events(path);
    assert_int_equal(events.count, 3);
    assert_int_equal(events.list[0].op, TRACE_CALLOC);
    assert_int_equal(events.list[0].size, 7);
    assert_int_equal(events.list[1].thread, 1);
    assert_int_equal(events.list[1].ended_owner, 0);
    assert_int_equal(events.list[1].time, 100000000);
    assert_int_equal(events.list[2].time, 100000000); /* its time is taken to be that of the last */
    assert_int_equal(result.late_times, 1);
    assert_int_equal(result.lost, 12);
    assert_int_equal(events.header.null_frees, 1);
    assert_int_equal(events.header.unknown_frees, 1);
    assert_int_equal(events.header.skipped_lines, 2);
    release_events(&events);
    fixture_remove(path);
}

static void test_import_refuses(void **state)
{
    (void)state;
    assert_refused("hello world\n", TRACE_SOURCE_NONE, "line 1 ('hello world') is not how");
    assert_refused("\x28\xb5\x2f\xfd..", TRACE_SOURCE_NONE, "unpack it first");
    assert_refused("hello world\n+ 0x1 0x2\nmore\n", TRACE_SOURCE_MTRACE,
                   "line 1 is the first of 2 that are not of what glibc's mtrace() writes");
    assert_refused("v 10400 9\n+ 1\n", TRACE_SOURCE_HEAPTRACK, "format is not 1 to 3");
    assert_refused("= Start\n- 0x1\n= End\n", TRACE_SOURCE_NONE, "tell of no allocation");
    assert_refused("# tracer: nop\nx\ny\n", TRACE_SOURCE_NONE, "line 2 is the first of 2");
    char *many = malloc(5000 * 6 + 1);
    for (int i = 0; i < 5000; i++)
        memcpy(many + 6 * i, "hello\n", 7);
    assert_refused(many, TRACE_SOURCE_LTRACE, "line 1 is not of what ltrace prints");
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_round_trip),
        cmocka_unit_test(test_text_round_trip_with_cpus_and_stacks),
        cmocka_unit_test(test_text_by_hand),
        cmocka_unit_test(test_text_mistakes),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_cut_by_time),
        cmocka_unit_test(test_cut_of_a_cut),
        cmocka_unit_test(test_cut_by_thread),
        cmocka_unit_test(test_cut_by_thread_at_random),
        cmocka_unit_test(test_cut_steady),
        cmocka_unit_test(test_cut_nothing),
        cmocka_unit_test(test_curve),
        cmocka_unit_test(test_histogram_range),
        cmocka_unit_test(test_sites),
        cmocka_unit_test(test_import_mtrace),
        cmocka_unit_test(test_import_ltrace),
        cmocka_unit_test(test_import_heaptrack),
        cmocka_unit_test(test_import_kmem),
        cmocka_unit_test(test_import_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
