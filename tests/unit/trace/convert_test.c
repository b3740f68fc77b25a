/* From hand-made raw recordings to traces: order, address reuse, and all that can go missing. */
#include "fixture.h"

#include "workloads/trace/convert.h"

enum { IMAGE_PAGES = 64, SLACK = 1000 };

struct image {
    _Alignas(8) unsigned char bytes[IMAGE_PAGES * RAW_PAGE_BYTES];
    struct raw_segment *segments[8];
    struct raw_record *cursors[8];
};

static struct raw_header *header_of(struct image *image)
{
    return (struct raw_header *)image->bytes;
}

static struct image *image_new(void)
{
    struct image *image = calloc(1, sizeof *image);
    *header_of(image) = (struct raw_header){.magic = RAW_MAGIC,
                                            .version = RAW_VERSION,
                                            .is_tsc = 1,
                                            .next = RAW_PAGE_BYTES};
    return image;
}

static void add_record(struct image *image, uint32_t thread, enum raw_op op, uint64_t address,
                       uint64_t payload)
{
    struct raw_record *record = image->cursors[thread]++;
    record->payload = payload;
    record->head = address << 8 | op;
}

static void add_segment(struct image *image, uint32_t thread, uint64_t self, uint32_t sequence)
{
    struct raw_header *header = header_of(image);
    struct raw_segment *segment = (struct raw_segment *)(image->bytes + header->next);
    header->next += RAW_PAGE_BYTES;
    if (header->threads <= thread)
        header->threads = thread + 1;
    *segment = (struct raw_segment){.magic = RAW_SEGMENT_MAGIC,
                                    .bytes = RAW_PAGE_BYTES,
                                    .thread = thread,
                                    .self = self,
                                    .sequence = sequence};
    image->segments[thread] = segment;
    image->cursors[thread] = (struct raw_record *)(segment + 1);
    add_record(image, thread, RAW_EPOCH, 0, 0);
}

static void add(struct image *image, uint32_t thread, uint64_t time, enum raw_op op,
                uint64_t address, uint64_t size)
{
    add_record(image, thread, op, address, size << 32 | (uint32_t)time);
}

struct expected {
    enum trace_op op;
    uint32_t thread, slot_or_other;
    uint64_t size, time;
};

static void check_events(const char *path, const struct expected *expected, size_t count)
{
    char error[512];
    struct trace_reader *reader;
    assert_int_equal(trace_reader_open(&reader, path, error, sizeof error), 0);
    for (size_t i = 0; i < count; i++) {
        struct trace_event event;
        if (trace_reader_next(reader, &event) != TRACE_EVENT)
            fail_msg("event %zu is missing: %s", i, trace_reader_error(reader));
        bool threads = event.op == TRACE_SPAWN || event.op == TRACE_JOIN;
        uint32_t other = threads ? event.other : event.slot;
        if (event.op != expected[i].op || event.thread != expected[i].thread ||
            other != expected[i].slot_or_other || event.size != expected[i].size ||
            event.time != expected[i].time)
            fail_msg("event %zu is op %d, thread %u, slot %u, size %lu, time %lu", i, event.op,
                     event.thread, other, event.size, event.time);
    }
    struct trace_event event;
    assert_int_equal(trace_reader_next(reader, &event), TRACE_END);
    trace_reader_close(reader);
}

static struct trace_conversion convert(struct image *image, const struct expected *expected,
                                       size_t count)
{
    struct trace_conversion conversion = {.time_shift = 0};
    struct raw_streams streams;
    struct trace_writer *writer;
    char *path = fixture_path();
    FILE *file = fopen(path, "w+be");
    assert_int_equal(raw_streams_open(&streams, image->bytes, sizeof image->bytes, -1, SLACK), 0);
    assert_int_equal(trace_writer_open(&writer, fileno(file), 8, "", 0), 0);
    assert_int_equal(trace_convert(&conversion, &streams, writer), 0);
    struct trace_file_header facts = {.ticks_hz = 1};
    assert_int_equal(trace_writer_finish(writer, &facts), 0);
    trace_writer_release(writer);
    raw_streams_release(&streams);
    fclose(file);
    check_events(path, expected, count);
    fixture_remove(path);
    free(image);
    return conversion;
}

#define CONVERT(image, ...)                                \
    convert(image, (const struct expected[]){__VA_ARGS__}, \
            sizeof((const struct expected[]){__VA_ARGS__}) / sizeof(struct expected))

static void all_calls(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add(image, 0, 100, RAW_MALLOC, 0x1000, 10);
    add(image, 0, 110, RAW_CALLOC, 0x2000, 20);
    add(image, 0, 120, RAW_ALIGNED + 6, 0x3000, 30);
    add(image, 0, 130, RAW_REALLOC_BEGIN, 0x1000, 40); /* moves */
    add(image, 0, 135, RAW_REALLOC_END, 0x4000, 40);
    add(image, 0, 140, RAW_REALLOC_BEGIN, 0x2000, 50); /* stays */
    add(image, 0, 145, RAW_REALLOC_END, 0x2000, 50);
    add(image, 0, 150, RAW_REALLOC_BEGIN, 0x2000, 60); /* fails */
    add(image, 0, 155, RAW_REALLOC_END, 0, 60);
    add(image, 0, 160, RAW_FREE, 0x4000, 0);
    add(image, 0, 170, RAW_FREE, 0x2000, 0);
    add(image, 0, 180, RAW_FREE, 0x3000, 0);
    struct trace_conversion conversion =
        CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 0}, {TRACE_CALLOC, 0, 1, 20, 10},
                {TRACE_ALIGNED, 0, 2, 30, 20}, {TRACE_REALLOC, 0, 0, 40, 30},
                {TRACE_REALLOC, 0, 1, 50, 40}, {TRACE_FREE, 0, 0, 0, 60}, {TRACE_FREE, 0, 1, 0, 70},
                {TRACE_FREE, 0, 2, 0, 80});
    assert_int_equal(conversion.unknown_frees, 0);
    assert_int_equal(conversion.lost_frees, 0);
}

/* Thread 0 frees an address, thread 1 gets it, and thread 0 frees it again. */
static void address_reused_by_another_thread(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add_segment(image, 1, 2, 0);
    add(image, 0, 100, RAW_MALLOC, 0x1000, 10);
    add(image, 0, 200, RAW_FREE, 0x1000, 0);
    add(image, 1, 210, RAW_MALLOC, 0x1000, 20);
    add(image, 0, 300, RAW_FREE, 0x1000, 0);
    add(image, 1, 310, RAW_MALLOC, 0x1000, 30);
    CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 0}, {TRACE_FREE, 0, 0, 0, 100},
            {TRACE_MALLOC, 1, 0, 20, 110}, {TRACE_FREE, 0, 0, 0, 200},
            {TRACE_MALLOC, 1, 0, 30, 210});
}

/* While a realloc moves a block, another thread may get its old address before it is over. */
static void address_reused_during_realloc(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add_segment(image, 1, 2, 0);
    add(image, 0, 100, RAW_MALLOC, 0x1000, 10);
    add(image, 0, 200, RAW_REALLOC_BEGIN, 0x1000, 99);
    add(image, 1, 210, RAW_MALLOC, 0x1000, 20);
    add(image, 0, 220, RAW_REALLOC_END, 0x2000, 99);
    add(image, 0, 230, RAW_FREE, 0x1000, 0);
    add(image, 1, 240, RAW_FREE, 0x2000, 0);
    struct trace_conversion conversion =
        CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 0}, {TRACE_REALLOC, 0, 0, 99, 100},
                {TRACE_MALLOC, 1, 1, 20, 110}, {TRACE_FREE, 0, 1, 0, 130},
                {TRACE_FREE, 1, 0, 0, 140});
    assert_int_equal(conversion.lost_frees, 0);
}

/* Clocks that were read a few ticks early: the order is put right. */
static void early_clocks(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add_segment(image, 1, 2, 0);
    add(image, 0, 105, RAW_MALLOC, 0x1000, 10);
    add(image, 1, 103, RAW_FREE, 0x1000, 0); /* of thread 0's block: "before" it was made */
    add(image, 1, 5000, RAW_MALLOC, 0x2000, 20);
    add(image, 1, 9005, RAW_FREE, 0x2000, 0);
    add(image, 0, 9000, RAW_MALLOC, 0x2000, 30); /* "before" thread 1 freed it */
    struct trace_conversion conversion =
        CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 2}, {TRACE_FREE, 1, 0, 0, SLACK},
                {TRACE_MALLOC, 1, 0, 20, 4897}, {TRACE_FREE, 1, 0, 0, 8902},
                {TRACE_MALLOC, 0, 0, 30, 8897 + SLACK});
    assert_int_equal(conversion.unknown_frees, 0);
    assert_int_equal(conversion.lost_frees, 0);
}

static void unseen_calls(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add(image, 0, 100, RAW_FREE, 0x9000, 0); /* of a block from before */
    add(image, 0, 3000, RAW_MALLOC, 0x1000, 10);
    add(image, 0, 6000, RAW_MALLOC, 0x1000, 20);        /* its free was never seen */
    add(image, 0, 9000, RAW_REALLOC_BEGIN, 0x8000, 30); /* of a block from before */
    add(image, 0, 11000, RAW_REALLOC_END, 0x7000, 30);
    struct trace_conversion conversion =
        CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 2900}, {TRACE_FREE, 0, 0, 0, 5900},
                {TRACE_MALLOC, 0, 0, 20, 5900}, {TRACE_MALLOC, 0, 1, 30, 10900});
    assert_int_equal(conversion.unknown_frees, 1);
    assert_int_equal(conversion.lost_frees, 1);
}

/* A thread killed anywhere leaves its last record empty, or a realloc without an end. */
static void killed(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add(image, 0, 100, RAW_MALLOC, 0x1000, 10);
    add_record(image, 0, RAW_NONE, 0, 0);
    add(image, 0, 110, RAW_MALLOC, 0x2000, 20);
    add(image, 0, 120, RAW_REALLOC_BEGIN, 0x1000, 99);
    header_of(image)->next += 3 * RAW_PAGE_BYTES; /* carved off, never begun */
    add_segment(image, 1, 2, 0);
    add(image, 1, 130, RAW_FREE, 0x1000, 0);
    CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 0}, {TRACE_MALLOC, 0, 1, 20, 10},
            {TRACE_FREE, 1, 0, 0, 30});
}

static void wide_sizes_and_epochs(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add_record(image, 0, RAW_WIDE_SIZE, 0, 0x123456789a);
    add(image, 0, 0xffffff00, RAW_MALLOC, 0x1000, RAW_WIDE);
    add_record(image, 0, RAW_EPOCH, 0, 1);
    add(image, 0, 0x10, RAW_FREE, 0x1000, 0);
    CONVERT(image, {TRACE_MALLOC, 0, 0, 0x123456789a, 0}, {TRACE_FREE, 0, 0, 0, 0x110});
}

/* Segments of a thread may lie anywhere; their numbers give the order. */
static void segments_out_of_place(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 1);
    add(image, 0, 200, RAW_FREE, 0x1000, 0);
    add_segment(image, 0, 1, 0);
    add(image, 0, 100, RAW_MALLOC, 0x1000, 10);
    CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 0}, {TRACE_FREE, 0, 0, 0, 100});
}

/* Two threads with the same pthread_t, one after the other; a third that never calls. */
static void threads_come_and_go(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add_segment(image, 1, 77, 0);
    add_segment(image, 2, 77, 0);
    add(image, 0, 100, RAW_SPAWN, 77, 0);
    add(image, 1, 150, RAW_MALLOC, 0x1000, 10);
    add(image, 0, 200, RAW_JOIN, 77, 0);
    add(image, 0, 210, RAW_SPAWN, 0, 0); /* could not start */
    add(image, 0, 220, RAW_SPAWN, 88, 0);
    add(image, 0, 230, RAW_JOIN, 88, 0);
    add(image, 0, 300, RAW_SPAWN, 77, 0);
    add(image, 2, 350, RAW_FREE, 0x1000, 0);
    add(image, 0, 400, RAW_JOIN, 77, 0);
    add(image, 0, 500, RAW_MALLOC, 0x2000, 20);
    CONVERT(image, {TRACE_SPAWN, 0, 1, 0, 0}, {TRACE_MALLOC, 1, 0, 10, 50},
            {TRACE_JOIN, 0, 1, 0, 100}, {TRACE_SPAWN, 0, 2, 0, 200}, {TRACE_FREE, 2, 0, 0, 250},
            {TRACE_JOIN, 0, 2, 0, 300}, {TRACE_MALLOC, 0, 0, 20, 400});
}

static void no_raw_file(void **state)
{
    (void)state;
    struct raw_streams streams;
    struct image *image = image_new();
    header_of(image)->version++;
    assert_true(raw_streams_open(&streams, image->bytes, sizeof image->bytes, -1, SLACK) < 0);
    header_of(image)->version--;
    header_of(image)->magic[0] = 'x';
    assert_true(raw_streams_open(&streams, image->bytes, sizeof image->bytes, -1, SLACK) < 0);
    assert_true(raw_streams_open(&streams, image->bytes, 100, -1, SLACK) < 0);
    free(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_calls),
        cmocka_unit_test(address_reused_by_another_thread),
        cmocka_unit_test(address_reused_during_realloc),
        cmocka_unit_test(early_clocks),
        cmocka_unit_test(unseen_calls),
        cmocka_unit_test(killed),
        cmocka_unit_test(wide_sizes_and_epochs),
        cmocka_unit_test(segments_out_of_place),
        cmocka_unit_test(threads_come_and_go),
        cmocka_unit_test(no_raw_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
