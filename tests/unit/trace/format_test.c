/* The trace file: what is written comes back, and whatever is wrong is said with its place. */
#include "fixture.h"

#include "workloads/trace/info.h"
#include "workloads/trace/varint.h"

#include <unistd.h>
#include <zstd.h>

static const struct trace_event all_ops[] = {
    {.op = TRACE_MALLOC, .size = 100, .time = 0},
    {.op = TRACE_CALLOC, .size = 5000000000u, .time = 5},
    {.op = TRACE_SPAWN, .other = 1, .time = 6},
    {.op = TRACE_ALIGNED, .size = 64, .alignment_log2 = 12, .thread = 1, .time = 6},
    {.op = TRACE_REALLOC, .slot = 0, .size = 200, .thread = 1, .moved = true, .time = 700000},
    {.op = TRACE_FREE, .slot = 1, .time = 700001},
    {.op = TRACE_MALLOC, .size = 0, .time = 700002},
    {.op = TRACE_FREE, .slot = 2, .thread = 1, .time = UINT64_C(1) << 40},
    {.op = TRACE_JOIN, .other = 1, .time = (UINT64_C(1) << 40) + 1},
};
enum { ALL_OPS = sizeof all_ops / sizeof *all_ops };

static void comes_back(void **state)
{
    (void)state;
    char error[512];
    char *path = fixture_trace(all_ops, ALL_OPS, 2);
    struct trace_reader *reader;
    assert_int_equal(trace_reader_open(&reader, path, error, sizeof error), 0);
    const struct trace_file_header *header = trace_reader_header(reader);
    assert_int_equal(header->events, ALL_OPS);
    assert_int_equal(header->threads, 2);
    assert_int_equal(header->objects, 5);
    assert_int_equal(header->slots, 3);
    assert_int_equal(header->live_bytes_peak, 200 + 5000000000u + 64);
    assert_int_equal(header->live_bytes_end, 200);
    assert_int_equal(header->null_frees, 7);
    assert_int_equal(header->flags, TRACE_FORKED);
    assert_memory_equal(trace_reader_command(reader), "a\0test", header->command_bytes);
    for (int i = 0; i < ALL_OPS; i++) {
        struct trace_event event;
        assert_int_equal(trace_reader_next(reader, &event), TRACE_EVENT);
        assert_int_equal(event.op, all_ops[i].op);
        assert_int_equal(event.thread, all_ops[i].thread);
        assert_int_equal(event.time, all_ops[i].time);
        assert_int_equal(event.moved, all_ops[i].moved);
        if (trace_allocates(event.op))
            assert_int_equal(event.size, all_ops[i].size);
        if (event.op == TRACE_ALIGNED)
            assert_int_equal(event.alignment_log2, all_ops[i].alignment_log2);
        if (trace_ends(event.op))
            assert_int_equal(event.slot, all_ops[i].slot);
        if (i == 4) { /* the realloc in thread 1 of thread 0's first object */
            assert_int_equal(event.ended_size, 100);
            assert_int_equal(event.ended_owner, 0);
            assert_int_equal(event.ended_object, 0);
            assert_int_equal(event.object, 3);
        }
        if (i == 6)
            assert_int_equal(event.slot, 1); /* the slot given up last */
    }
    struct trace_event event;
    assert_int_equal(trace_reader_next(reader, &event), TRACE_END);
    trace_reader_close(reader);
    fixture_remove(path);
}

static void many_blocks_come_back(void **state)
{
    (void)state;
    char error[512];
    char *path = fixture_random_trace(1, 3 * TRACE_BLOCK_EVENTS_MAX, 5);
    assert_int_equal(fixture_read_all(path, error, sizeof error), TRACE_END);
    fixture_remove(path);
}

static void counts_for_info(void **state)
{
    (void)state;
    char error[512];
    char *path = fixture_trace(all_ops, ALL_OPS, 2);
    struct trace_info *info = malloc(sizeof *info);
    assert_int_equal(trace_info_read(info, path, error, sizeof error), 0);
    assert_int_equal(info->ops[TRACE_MALLOC], 2);
    assert_int_equal(info->ops[TRACE_FREE], 2);
    assert_int_equal(info->moved, 1);
    assert_int_equal(info->foreign_ends, 1);
    assert_int_equal(info->live_objects_end, 2);
    assert_int_equal(info->size_largest, 5000000000u);
    assert_int_equal(trace_info_size_quantile(info, 0.2), 0);
    assert_int_equal(trace_info_size_quantile(info, 0.5), 100);
    assert_int_equal(trace_info_size_quantile(info, 1), 5000000000u);
    free(info);
    fixture_remove(path);
}

/* Objects and bytes of the histogram's buckets that lie between two values. */
static void assert_within(const struct trace_histogram *histogram, uint64_t low, uint64_t high,
                          uint64_t objects, uint64_t bytes)
{
    for (unsigned i = 0; i < TRACE_BUCKETS; i++) {
        if (trace_bucket_high(i) < low || trace_bucket_low(i) > high)
            continue;
        objects -= histogram->objects[i];
        bytes -= histogram->bytes[i];
    }
    assert_int_equal(objects, 0);
    assert_int_equal(bytes, 0);
}

static void histograms_for_info(void **state)
{
    (void)state;
    char error[512];
    char *path = fixture_trace(all_ops, ALL_OPS, 2);
    struct trace_info *info = malloc(sizeof *info);
    assert_int_equal(trace_info_read(info, path, error, sizeof error), 0);
    assert_within(&info->sizes, 0, UINT64_MAX, 5, 100 + 5000000000u + 64 + 200);
    assert_within(&info->sizes, 100, 200, 2, 300);
    assert_within(&info->lifetimes, 0, UINT64_MAX, 3, 100 + 5000000000u + 64);
    /* The realloc ended the first object and the free the second; the third lived for 2^40 - 6. */
    assert_within(&info->lifetimes, 699996, 700000, 2, 100 + 5000000000u);
    assert_within(&info->lifetimes, (UINT64_C(1) << 40) - 6, (UINT64_C(1) << 40) - 6, 1, 64);
    free(info);
    fixture_remove(path);
}

static void buckets_leave_no_gap(void **state)
{
    (void)state;
    assert_int_equal(trace_bucket_low(0), 0);
    assert_int_equal(trace_bucket_high(1023), 1023);
    assert_int_equal(trace_bucket_low(1024), 1024);
    assert_int_equal(trace_bucket_high(1024), 1055);
    assert_int_equal(trace_bucket_low(1024 + 32), 2048);
    assert_int_equal(trace_bucket_high(TRACE_BUCKETS - 2) + 1, trace_bucket_low(TRACE_BUCKETS - 1));
    assert_true(trace_bucket_high(TRACE_BUCKETS - 1) == UINT64_MAX);
}

/* ---- what is wrong is said ------------------------------------------------------------------- */

static void cut_anywhere(void **state)
{
    (void)state;
    char error[512], expected[64];
    char *path = fixture_random_trace(2, 300, 3);
    size_t bytes;
    unsigned char *content = fixture_read(path, &bytes);
    for (size_t length = 0; length < bytes; length++) {
        fixture_write(path, content, length);
        assert_int_equal(fixture_read_all(path, error, sizeof error), TRACE_ERROR);
        snprintf(expected, sizeof expected, "is cut off at byte %zu", length);
        if (length == 0)
            assert_non_null(strstr(error, "is empty"));
        else if (strstr(error, expected) == NULL)
            fail_msg("cut at %zu: '%s'", length, error);
    }
    free(content);
    fixture_remove(path);
}

static void damaged_anywhere(void **state)
{
    (void)state;
    char error[512];
    char *path = fixture_random_trace(3, 300, 3);
    size_t bytes;
    unsigned char *content = fixture_read(path, &bytes);
    for (size_t at = 0; at < bytes; at++) {
        content[at] ^= (unsigned char)(1 << at % 8);
        fixture_write(path, content, bytes);
        content[at] ^= (unsigned char)(1 << at % 8);
        if (fixture_read_all(path, error, sizeof error) != TRACE_ERROR)
            fail_msg("byte %zu of %zu is damaged, and nothing is said", at, bytes);
        if (strstr(error, "byte ") == NULL)
            fail_msg("byte %zu: no place in '%s'", at, error);
    }
    free(content);
    fixture_remove(path);
}

static void expect_error(const void *bytes, size_t count, const char *expected)
{
    char error[512];
    char *path = fixture_path();
    fixture_write(path, bytes, count);
    assert_int_equal(fixture_read_all(path, error, sizeof error), TRACE_ERROR);
    if (strstr(error, expected) == NULL)
        fail_msg("'%s' does not say '%s'", error, expected);
    fixture_remove(path);
}

static void foreign_files(void **state)
{
    (void)state;
    static const char text[] = "#!/bin/sh\necho this is no trace at all, whatever its name says\n";
    static const char newer[] = TRACE_MAGIC "\3\0\0\0 and a header of another shape";
    expect_error(text, sizeof text, "is not a heapmark trace");
    expect_error("\x89HMT\n", 5, "is not a heapmark trace");
    expect_error(newer, sizeof newer,
                 "was written by a newer heapmark (version 3 at byte 8; this one reads up to 2)");
    expect_error(TRACE_MAGIC "\0\0\0\0", 12, "never finished");
}

static void missing_file(void **state)
{
    (void)state;
    char error[512];
    struct trace_reader *reader;
    assert_int_not_equal(trace_reader_open(&reader, "/nonexistent/x.hmt", error, sizeof error), 0);
    assert_string_equal(error, "cannot open '/nonexistent/x.hmt': no such file or directory; "
                               "'heapmark list traces' shows those that are shipped");
    assert_int_not_equal(trace_reader_open(&reader, "/", error, sizeof error), 0);
    assert_non_null(strstr(error, "is a directory"));
}

static void something_follows(void **state)
{
    (void)state;
    char *path = fixture_trace(all_ops, ALL_OPS, 2);
    size_t bytes;
    unsigned char *content = fixture_read(path, &bytes);
    content[bytes] = 'x';
    expect_error(content, bytes + 1, "something follows the end");
    free(content);
    fixture_remove(path);
}

/* ---- a file made by an enemy: the framing is right, the content is not ----------------------- */

struct forged {
    struct trace_file_header header;
    const char *columns[TRACE_COLUMNS];
    uint32_t column_bytes[TRACE_COLUMNS];
    uint32_t events;
};

static void expect_forged(struct forged forged, const char *expected)
{
    unsigned char file[8192], content[1024];
    size_t used = 0, bytes = 0;
    struct trace_file_header *header = &forged.header;
    struct trace_block_header block = {.magic = TRACE_BLOCK_MAGIC, .events = forged.events};
    memcpy(header->magic, TRACE_MAGIC, sizeof header->magic);
    header->version = TRACE_VERSION;
    header->header_bytes = sizeof *header + sizeof(uint64_t);
    header->ticks_hz = header->ticks_hz ? header->ticks_hz : 1;
    uint64_t sum = trace_fnv(TRACE_FNV_BASIS, header, sizeof *header);
    for (int i = 0; i < TRACE_COLUMNS; i++) {
        memcpy(content + bytes, forged.columns[i] ? forged.columns[i] : "", forged.column_bytes[i]);
        bytes += block.column_bytes[i] = forged.column_bytes[i];
    }
    memcpy(file, header, sizeof *header);
    memcpy(file + sizeof *header, &sum, sizeof sum);
    used = sizeof *header + sizeof sum;
    unsigned char *packed = file + used + sizeof block;
    block.packed_bytes = (uint32_t)ZSTD_compress(packed, 1024, content, bytes, 1);
    block.frame_sum = trace_frame_sum(packed, block.packed_bytes);
    block.time_end = UINT64_MAX;
    block.checksum = trace_block_checksum(&block);
    memcpy(file + used, &block, sizeof block);
    used += sizeof block + block.packed_bytes;
    block = (struct trace_block_header){.magic = TRACE_BLOCK_MAGIC};
    block.checksum = trace_block_checksum(&block);
    memcpy(file + used, &block, sizeof block);
    expect_error(file, used + sizeof block, expected);
}

static size_t block_bytes(const unsigned char *at)
{
    struct trace_block_header block;
    memcpy(&block, at, sizeof block);
    return sizeof block + block.packed_bytes;
}

/* Two good blocks that have changed places. */
static void blocks_out_of_order(void **state)
{
    enum { EVENTS = 2 * TRACE_BLOCK_EVENTS_MAX };
    struct trace_event *events = calloc(EVENTS, sizeof *events);
    struct trace_file_header header;
    size_t bytes;
    (void)state;
    for (size_t i = 0; i < EVENTS; i++)
        events[i] = (struct trace_event){.op = TRACE_MALLOC, .size = 1, .time = i};
    char *path = fixture_trace(events, EVENTS, 1);
    unsigned char *content = fixture_read(path, &bytes), *swapped = malloc(bytes);
    memcpy(swapped, content, bytes);
    memcpy(&header, content, sizeof header);
    const unsigned char *first = content + header.header_bytes;
    size_t first_bytes = block_bytes(first), second_bytes = block_bytes(first + first_bytes);
    memcpy(swapped + header.header_bytes, first + first_bytes, second_bytes);
    memcpy(swapped + header.header_bytes + second_bytes, first, first_bytes);
    expect_error(swapped, bytes, "the block begins before the one before has ended");
    free(swapped);
    free(content);
    free(events);
    fixture_remove(path);
}

#define COLUMNS(op, time, size, object)  \
    .columns = {op, time, size, object}, \
    .column_bytes = {sizeof op - 1, sizeof time - 1, sizeof size - 1, sizeof object - 1}

static const struct {
    struct forged forged;
    const char *expected;
} broken[] = {
    {{.header = {.threads = 0}, .events = 1, COLUMNS("\1", "\0", "\1", "")},
     "the number of threads"},
    {{.header = {.threads = 70000}, .events = 1, COLUMNS("\1", "\0", "\1", "")},
     "the number of threads"},
    {{.header = {.threads = 1, .flags = 256}, .events = 1, COLUMNS("\1", "\0", "\1", "")},
     "at byte 16: flags is 256, and 0 to 255 was expected"},
    {{.header = {.threads = 1, .exit_status = -1}, .events = 1, COLUMNS("\1", "\0", "\1", "")},
     "at byte 120: exit_status is -1, and 0 to 65535 was expected"},
    {{.header = {.threads = 1, .sample = 1000001}, .events = 1, COLUMNS("\1", "\0", "\1", "")},
     "at byte 128: sample is 1000001, and 0 to 1000000 was expected"},
    {{.header = {.threads = 1, .stack_depth = 63}, .events = 1, COLUMNS("\1", "\0", "\1", "")},
     "at byte 132: stack_depth is 63, and 0 to 62 was expected"},
    {{.header = {.threads = 1, .ticks_hz = 2000, .slack_ticks = 3},
      .events = 1,
      COLUMNS("\1", "\0", "\1", "")},
     "at byte 152: slack_ticks is 3, and at most a millisecond, 2, was expected"},
    {{.header = {.threads = 1, .source = 77}, .events = 1, COLUMNS("\1", "\0", "\1", "")},
     "at byte 160: source is 77, and 0 to 6 was expected"},
    {{.header = {.threads = 1, .lacks = 64}, .events = 1, COLUMNS("\1", "\0", "\1", "")},
     "at byte 164: lacks is 64, and 0 to 63 was expected"},
    {{.header = {.threads = 1,
                 .events = 1,
                 .objects = 1,
                 .slots = 1,
                 .live_bytes_peak = 1,
                 .live_bytes_end = 1,
                 .front_events = UINT64_C(1) << 63},
      .events = 1,
      COLUMNS("\1", "\0", "\1", "")},
     "at byte 168: front_events is 9223372036854775808, and at most the number of events, 1, was"},
    {{.header = {.threads = 1, .reserved = 1}, .events = 1, COLUMNS("\1", "\0", "\1", "")},
     "at byte 184: what is reserved is in use"},
    {{.header = {.threads = 1, .flags = TRACE_RECORDED, .slots = 1}, .events = 1},
     "at byte 56: it has a total, and 0 was expected in a recorded trace"},
    {{.header = {.threads = 2}, .events = 1, COLUMNS("\0", "\0", "", "")},
     "(event 0): an operation is unknown"},
    {{.header = {.threads = 2}, .events = 1, COLUMNS("\x0f", "\0", "", "")},
     "an operation is unknown"},
    {{.header = {.threads = 2}, .events = 1, COLUMNS("\x81\2", "\0", "\1", "")},
     "not encoded as an event"},
    {{.header = {.threads = 2}, .events = 1, COLUMNS("\1", "\0", "", "")},
     "not encoded as an event"},
    {{.header = {.threads = 2}, .events = 1, COLUMNS("\1", "\0", "\1\1", "")},
     "holds more than its events"},
    {{.header = {.threads = 2}, .events = 1, COLUMNS("\x11\2", "\0", "\1", "")},
     "a thread number is out of range"},
    {{.header = {.threads = 2}, .events = 1, COLUMNS("\5", "\0", "", "\0")},
     "a double free, or never allocated"},
    {{.header = {.threads = 2}, .events = 3, COLUMNS("\1\5\5", "\0\0\0", "\1", "\0\0")},
     "(event 2): an object is ended that does not live"},
    {{.header = {.threads = 2}, .events = 3, COLUMNS("\1\5\4", "\0\0\0", "\1\1", "\0\0")},
     "(event 2): an object is ended that does not live"},
    {{.header = {.threads = 2}, .events = 2, COLUMNS("\1\4", "\0\0", "\1\0", "\0")},
     "a realloc has size 0"},
    {{.header = {.threads = 2},
      .events = 1,
      COLUMNS("\1", "\0", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", "")},
     "a size is above 2^57"},
    {{.header = {.threads = 2},
      .events = 2,
      COLUMNS("\1\1", "\0\0", "\x80\x80\x80\x80\x80\x80\x80\x80\2\1", "")},
     "the live bytes exceed"},
    {{.header = {.threads = 2},
      .events = 1,
      COLUMNS("\1", "\0", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\2", "")},
     "not encoded as an event"},
    {{.header = {.threads = 2}, .events = 1, COLUMNS("\3", "\0", "\1\x30", "")},
     "an alignment is above"},
    {{.header = {.threads = 2}, .events = 1, COLUMNS("\6", "\0", "", "\0")},
     "a thread starts or joins itself"},
    {{.header = {.threads = 2}, .events = 2, COLUMNS("\6\6", "\0\0", "", "\1\1")},
     "a thread is started that is already running"},
    {{.header = {.threads = 2}, .events = 2, COLUMNS("\x11\1\x16\0", "\0\0", "\1", "\1")},
     "a thread is started that is already running"},
    {{.header = {.threads = 2}, .events = 2, COLUMNS("\7\x11\1", "\0\0", "\1", "\1")},
     "a thread goes on after it was joined"},
    {{.header = {.threads = 2}, .events = 2, COLUMNS("\7\7", "\0\0", "", "\1\1")},
     "a thread goes on after it was joined"},
    {{.header = {.threads = 2},
      .events = 2,
      COLUMNS("\1\1", "\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", "\1\1", "")},
     "not encoded as an event"},
    {{.header = {.threads = 1,
                 .events = 2,
                 .objects = 1,
                 .slots = 1,
                 .live_bytes_peak = 1,
                 .live_bytes_end = 1},
      .events = 1,
      COLUMNS("\1", "\0", "\1", "")},
     "totals are not those of the events"},
    {{.header = {.threads = 2},
      .events = TRACE_BLOCK_EVENTS_MAX + 1,
      COLUMNS("\1", "\0", "\1", "")},
     "sizes are impossible"},
};

static void broken_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        expect_forged(broken[i].forged, broken[i].expected);
}

/* Around each power of two; a number that is cut off is none. */
static void numbers_come_back(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++)
        for (int more = -1; more <= 1; more++) {
            uint64_t value = (UINT64_C(1) << bit) + (uint64_t)more, got;
            unsigned char plain[VARINT_BYTES_MAX] = {0};
            size_t used = (size_t)(varint_put(plain, value) - plain);
            struct varint_span whole = {plain, plain + used}, part = {plain, plain + used - 1};
            assert_true(varint_get(&whole, &got) && whole.at == whole.end);
            assert_int_equal(got, value);
            assert_false(varint_get(&part, &got));
        }
}

/* What the writer refuses is what the reader refuses: they share the rules. */
static void writer_refuses(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    struct trace_writer *writer;
    assert_int_equal(trace_writer_open(&writer, fileno(file), 1, "", 0), 0);
    struct trace_event bad = {.op = TRACE_FREE, .slot = 3};
    assert_true(trace_writer_add(writer, &bad) < 0);
    assert_non_null(strstr(trace_writer_reason(writer), "double free"));
    struct trace_event late = {.op = TRACE_MALLOC, .size = 1, .time = 10};
    struct trace_event early = {.op = TRACE_MALLOC, .size = 1, .time = 9};
    assert_int_equal(trace_writer_add(writer, &late), 0);
    assert_true(trace_writer_add(writer, &early) < 0);
    assert_string_equal(trace_writer_reason(writer), "time runs backwards");
    assert_int_equal(trace_writer_rules(writer)->events, 1);
    trace_writer_release(writer);
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back),           cmocka_unit_test(many_blocks_come_back),
        cmocka_unit_test(counts_for_info),      cmocka_unit_test(histograms_for_info),
        cmocka_unit_test(buckets_leave_no_gap), cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(damaged_anywhere),     cmocka_unit_test(foreign_files),
        cmocka_unit_test(missing_file),         cmocka_unit_test(something_follows),
        cmocka_unit_test(broken_rules),         cmocka_unit_test(writer_refuses),
        cmocka_unit_test(blocks_out_of_order),  cmocka_unit_test(numbers_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
