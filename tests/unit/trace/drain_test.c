/* From hand-made raw recordings to traces: order, address reuse, and all that can go missing. */
#include "fixture.h"

#include "workloads/trace/drain.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    IMAGE_PAGES = 2048,
    SLACK = 2000,
    SMALL_RECORDS =
        (RAW_SEGMENT_BYTES_SMALL - sizeof(struct raw_segment)) / sizeof(struct raw_record),
};

/* With no time between its two clock readings, the recording's clock counts nanoseconds. */
struct image {
    unsigned char *bytes;
    struct raw_segment *segments[8];
    struct raw_record *cursors[8];
    char *path;
};

static struct raw_header *header_of(struct image *image)
{
    return (struct raw_header *)image->bytes;
}

static struct image *image_new(void)
{
    struct image *image = calloc(1, sizeof *image);
    image->bytes = mmap(NULL, IMAGE_PAGES * RAW_PAGE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(image->bytes, MAP_FAILED);
    *header_of(image) = (struct raw_header){.magic = RAW_MAGIC,
                                            .version = RAW_VERSION,
                                            .file_bytes = IMAGE_PAGES * RAW_PAGE_BYTES,
                                            .sample = 1,
                                            .processes = 1,
                                            .next = RAW_FIRST_SEGMENT};
    *raw_process(header_of(image), 0) = (struct raw_process){.pid = 1};
    return image;
}

static void add_record(struct image *image, uint32_t thread, enum raw_op op, uint64_t address,
                       uint64_t payload)
{
    struct raw_record *record = image->cursors[thread]++;
    record->payload = payload;
    record->head = op == RAW_NONE ? 0 : address << 16 | image->segments[thread]->lap << 8 | op;
}

static void add_segment_of(struct image *image, uint32_t thread, uint64_t self, uint32_t sequence,
                           uint32_t parent)
{
    struct raw_header *header = header_of(image);
    struct raw_segment *segment = (struct raw_segment *)(image->bytes + header->next);
    header->next += RAW_SEGMENT_BYTES_SMALL;
    if (raw_process(header, 0)->threads <= thread)
        raw_process(header, 0)->threads = thread + 1;
    *segment = (struct raw_segment){.state = RAW_SEGMENT_USED,
                                    .bytes = RAW_SEGMENT_BYTES_SMALL,
                                    .lap = 7,
                                    .thread = thread,
                                    .self = self,
                                    .parent = parent,
                                    .sequence = sequence};
    image->segments[thread] = segment;
    image->cursors[thread] = raw_records(segment);
    add_record(image, thread, RAW_EPOCH, 0, 0);
}

static void add_segment(struct image *image, uint32_t thread, uint64_t self, uint32_t sequence)
{
    add_segment_of(image, thread, self, sequence, RAW_NOBODY);
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

enum { SHIFT = 4, TICK = 1 << SHIFT }; /* a clock of 1 GHz becomes one of 62.5 MHz */

/* Reads the trace and compares; returns its header. */
static struct trace_file_header check_events(const char *path, const struct expected *expected,
                                             size_t count)
{
    char error[512];
    struct trace_reader *reader;
    if (trace_reader_open(&reader, path, error, sizeof error) != 0)
        fail_msg("%s", error);
    struct trace_event event;
    for (size_t i = 0; i < count; i++) {
        if (trace_reader_next(reader, &event) != TRACE_EVENT)
            fail_msg("event %zu is missing: %s", i, trace_reader_error(reader));
        bool threads = event.op == TRACE_SPAWN || event.op == TRACE_JOIN;
        uint32_t other = threads ? event.other : event.slot;
        if (event.op != expected[i].op || event.thread != expected[i].thread ||
            other != expected[i].slot_or_other || event.size != expected[i].size ||
            event.time != expected[i].time / TICK)
            fail_msg("event %zu is op %d, thread %u, slot %u, size %lu, time %lu", i, event.op,
                     event.thread, other, event.size, event.time * TICK);
    }
    if (trace_reader_next(reader, &event) != TRACE_END)
        fail_msg("it does not end: %s", trace_reader_error(reader));
    struct trace_file_header header = *trace_reader_header(reader);
    trace_reader_close(reader);
    return header;
}

static int make_file(void *context, uint32_t process, bool again)
{
    (void)process;
    return open(((struct image *)context)->path, again ? O_RDWR : O_RDWR | O_TRUNC);
}

static struct drain *open_drain(struct image *image)
{
    struct drain *drain;
    if (image->path == NULL)
        image->path = fixture_path();
    assert_int_equal(drain_open(&drain, header_of(image), (struct drain_hooks){make_file, image}),
                     0);
    return drain;
}

static void finish(struct image *image, struct drain *drain)
{
    uint64_t bytes, events;
    assert_int_equal(drain_finish(drain, 0, 0, &bytes, &events), 0);
    drain_release(drain);
    (void)image;
}

static void image_release(struct image *image)
{
    fixture_remove(image->path);
    munmap(image->bytes, IMAGE_PAGES * RAW_PAGE_BYTES);
    free(image);
}

static struct trace_file_header convert(struct image *image, const struct expected *expected,
                                        size_t count)
{
    finish(image, open_drain(image));
    struct trace_file_header header = check_events(image->path, expected, count);
    image_release(image);
    return header;
}

#define CONVERT(image, ...)                                \
    convert(image, (const struct expected[]){__VA_ARGS__}, \
            sizeof((const struct expected[]){__VA_ARGS__}) / sizeof(struct expected))

static void all_calls(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add(image, 0, 1000, RAW_MALLOC, 0x1000, 10);
    add(image, 0, 1160, RAW_CALLOC, 0x2008, 20); /* no multiple of 16 */
    add(image, 0, 1320, RAW_ALIGNED + 6, 0x3000, 30);
    add(image, 0, 1480, RAW_REALLOC_BEGIN, 0x1000, 0); /* moves */
    add(image, 0, 1496, RAW_REALLOC_END, 0x4000, 40);
    add(image, 0, 1640, RAW_REALLOC_BEGIN, 0x2008, 0); /* stays */
    add(image, 0, 1656, RAW_REALLOC_END, 0x2008, 50);
    add(image, 0, 1800, RAW_REALLOC_BEGIN, 0x2008, 0); /* fails */
    add(image, 0, 1816, RAW_REALLOC_END, 0, 60);
    add(image, 0, 1960, RAW_FREE, 0x4000, 0);
    add(image, 0, 2120, RAW_FREE, 0x2008, 0);
    add(image, 0, 2280, RAW_FREE, 0x3000, 0);
    struct trace_file_header header =
        CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 0}, {TRACE_CALLOC, 0, 1, 20, 160},
                {TRACE_ALIGNED, 0, 2, 30, 320}, {TRACE_REALLOC, 0, 0, 40, 496},
                {TRACE_REALLOC, 0, 1, 50, 656}, {TRACE_FREE, 0, 0, 0, 960},
                {TRACE_FREE, 0, 1, 0, 1120}, {TRACE_FREE, 0, 2, 0, 1280});
    assert_int_equal(header.unknown_frees, 0);
    assert_int_equal(header.lost_frees, 0);
    assert_int_equal(header.events, 8);
    assert_int_equal(header.slots, 3);
}

/* Thread 0 frees an address, thread 1 gets it, and thread 0 frees it again. */
static void address_reused_by_another_thread(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add_segment(image, 1, 2, 0);
    add(image, 0, 1600, RAW_MALLOC, 0x1000, 10);
    add(image, 0, 3200, RAW_FREE, 0x1000, 0);
    add(image, 1, 3360, RAW_MALLOC, 0x1000, 20);
    add(image, 0, 4800, RAW_FREE, 0x1000, 0);
    add(image, 1, 4960, RAW_MALLOC, 0x1000, 30);
    CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 0}, {TRACE_FREE, 0, 0, 0, 1600},
            {TRACE_MALLOC, 1, 0, 20, 1760}, {TRACE_FREE, 0, 0, 0, 3200},
            {TRACE_MALLOC, 1, 0, 30, 3360});
}

/* While a realloc moves a block, another thread may get its old address before it is over. */
static void address_reused_during_realloc(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add_segment(image, 1, 2, 0);
    add(image, 0, 1600, RAW_MALLOC, 0x1000, 10);
    add(image, 0, 3200, RAW_REALLOC_BEGIN, 0x1000, 0);
    add(image, 1, 3360, RAW_MALLOC, 0x1000, 20);
    add(image, 0, 3520, RAW_REALLOC_END, 0x2000, 99);
    add(image, 0, 3680, RAW_FREE, 0x1000, 0);
    add(image, 1, 3840, RAW_FREE, 0x2000, 0);
    struct trace_file_header header =
        CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 0}, {TRACE_MALLOC, 1, 1, 20, 1760},
                {TRACE_REALLOC, 0, 0, 99, 1920}, {TRACE_FREE, 0, 1, 0, 2080},
                {TRACE_FREE, 1, 0, 0, 2240});
    assert_int_equal(header.lost_frees, 0);
}

/* Clocks that were read a few ticks early: the order is put right. */
static void early_clocks(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add_segment(image, 1, 2, 0);
    add(image, 0, 1632, RAW_MALLOC, 0x1000, 10);
    add(image, 1, 1600, RAW_FREE, 0x1000, 0); /* of thread 0's block: "before" it was made */
    add(image, 1, 16000, RAW_MALLOC, 0x2000, 20);
    add(image, 1, 32032, RAW_FREE, 0x2000, 0);
    add(image, 0, 32000, RAW_MALLOC, 0x2000, 30); /* "before" thread 1 freed it */
    struct trace_file_header header =
        CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 32}, {TRACE_FREE, 1, 0, 0, SLACK},
                {TRACE_MALLOC, 1, 0, 20, 14400}, {TRACE_FREE, 1, 0, 0, 30432},
                {TRACE_MALLOC, 0, 0, 30, 30400 + SLACK});
    assert_int_equal(header.unknown_frees, 0);
    assert_int_equal(header.lost_frees, 0);
}

static void unseen_calls(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add(image, 0, 1600, RAW_FREE, 0x9000, 0); /* of a block from before */
    add(image, 0, 3200, RAW_MALLOC, 0x1000, 10);
    add(image, 0, 4800, RAW_MALLOC, 0x1000, 20);       /* its free was never seen */
    add(image, 0, 6400, RAW_REALLOC_BEGIN, 0x8000, 0); /* of a block from before */
    add(image, 0, 8000, RAW_REALLOC_END, 0x7000, 30);
    struct trace_file_header header =
        CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 1600}, {TRACE_FREE, 0, 0, 0, 3200},
                {TRACE_MALLOC, 0, 0, 20, 3200}, {TRACE_MALLOC, 0, 1, 30, 6400});
    assert_int_equal(header.unknown_frees, 1);
    assert_int_equal(header.lost_frees, 1);
}

/* A thread killed anywhere leaves its last record empty, or a realloc without an end. */
static void killed(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add(image, 0, 1600, RAW_MALLOC, 0x1000, 10);
    add_record(image, 0, RAW_NONE, 0, 0);
    add(image, 0, 1760, RAW_MALLOC, 0x2000, 20);
    add(image, 0, 1920, RAW_REALLOC_BEGIN, 0x3000, 0);
    header_of(image)->next += 3 * RAW_PAGE_BYTES; /* carved off, never begun */
    add_segment(image, 1, 2, 0);
    add(image, 1, 2080, RAW_FREE, 0x1000, 0);
    CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 0}, {TRACE_MALLOC, 0, 1, 20, 160},
            {TRACE_FREE, 1, 0, 0, 480});
}

/* A record that a signal handler never came back to does not hold up what follows. */
static void hole_in_a_full_segment(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add_record(image, 0, RAW_NONE, 0, 0);
    add(image, 0, 1600, RAW_MALLOC, 0x1000, 10);
    add_record(image, 0, RAW_NONE, 0, 0);
    struct drain *drain = open_drain(image);
    assert_int_equal(drain_round(drain), 0); /* it may still come */
    image->segments[0]->state = RAW_SEGMENT_FULL;
    assert_int_equal(drain_round(drain), 1);
    finish(image, drain);
    (void)check_events(image->path, (const struct expected[]){{TRACE_MALLOC, 0, 0, 10, 0}}, 1);
    image_release(image);
}

/* A segment that was read to its end before its thread went on to the next one. */
static void read_to_the_end_of_a_segment(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    for (uint32_t i = 1; i < SMALL_RECORDS; i++)
        add(image, 0, i * 160, RAW_MALLOC, i * 16, 1);
    struct drain *drain = open_drain(image);
    assert_int_equal(drain_round(drain), SMALL_RECORDS - 1);
    image->segments[0]->state = RAW_SEGMENT_FULL;
    add_segment(image, 0, 1, 1);
    add(image, 0, SMALL_RECORDS * 160, RAW_FREE, 16, 0);
    header_of(image)->ready = header_of(image)->next - RAW_FIRST_SEGMENT;
    assert_int_equal(drain_round(drain), 1);
    finish(image, drain);
    image_release(image);
}

/* What is left from a segment's lap before is not read again. */
static void laps(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add(image, 0, 1600, RAW_MALLOC, 0x1000, 10);
    image->segments[0]->lap--;
    add(image, 0, 1700, RAW_MALLOC, 0x2000, 20);
    image->segments[0]->lap++;
    CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 0});
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
    add(image, 0, 3200, RAW_FREE, 0x1000, 0);
    add_segment(image, 0, 1, 0);
    add(image, 0, 1600, RAW_MALLOC, 0x1000, 10);
    CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 0}, {TRACE_FREE, 0, 0, 0, 1600});
}

/* Two threads with the same pthread_t, one after the other; and one that never calls. */
static void threads_come_and_go(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add_segment_of(image, 1, 77, 0, 0);
    add(image, 0, 1600, RAW_MALLOC, 0x3000, 5);
    add(image, 1, 2400, RAW_MALLOC, 0x1000, 10);
    add(image, 0, 3200, RAW_JOIN, 77, 0);
    add(image, 0, 3360, RAW_JOIN, 88, 0); /* called nothing */
    struct drain *drain = open_drain(image);
    header_of(image)->is_tsc = 1; /* all of it is long ago */
    assert_true(drain_round(drain) >= 3);
    header_of(image)->is_tsc = 0;
    add_segment_of(image, 2, 77, 0, 0);
    add(image, 2, 5600, RAW_FREE, 0x1000, 0);
    add(image, 0, 6400, RAW_JOIN, 77, 0);
    add(image, 0, 8000, RAW_MALLOC, 0x2000, 20);
    finish(image, drain);
    const struct expected expected[] = {
        {TRACE_MALLOC, 0, 0, 5, 0},  {TRACE_SPAWN, 0, 1, 0, 800},    {TRACE_MALLOC, 1, 1, 10, 800},
        {TRACE_JOIN, 0, 1, 0, 1600}, {TRACE_SPAWN, 0, 2, 0, 4000},   {TRACE_FREE, 2, 1, 0, 4000},
        {TRACE_JOIN, 0, 2, 0, 4800}, {TRACE_MALLOC, 0, 1, 20, 6400},
    };
    (void)check_events(image->path, expected, sizeof expected / sizeof *expected);
    image_release(image);
}

/* The same, but the drain sees all of them at once: each join finds its own thread. */
static void threads_come_and_go_in_one_round(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add(image, 0, 0, RAW_MALLOC, 0x9000, 5);
    for (uint32_t i = 1; i <= 3; i++) {
        add_segment_of(image, i, 77, 0, 0);
        add(image, i, 1600 * i, RAW_MALLOC, 0x1000 * i, 10 * i);
        add(image, 0, 1600 * i + 160, RAW_JOIN, 77, 0);
    }
    CONVERT(image, {TRACE_MALLOC, 0, 0, 5, 0}, {TRACE_SPAWN, 0, 1, 0, 1600},
            {TRACE_MALLOC, 1, 1, 10, 1600}, {TRACE_JOIN, 0, 1, 0, 1760},
            {TRACE_SPAWN, 0, 2, 0, 3200}, {TRACE_MALLOC, 2, 2, 20, 3200},
            {TRACE_JOIN, 0, 2, 0, 3360}, {TRACE_SPAWN, 0, 3, 0, 4800},
            {TRACE_MALLOC, 3, 3, 30, 4800}, {TRACE_JOIN, 0, 3, 0, 4960});
}

/* A block that is above the limit ends the recording; that is no error of the round's. */
static void limit_reached_in_a_round(void **state)
{
    (void)state;
    enum { SEGMENTS = 200, EACH = SMALL_RECORDS - 1 }; /* and the epoch */
    struct image *image = image_new();
    struct raw_header *header = header_of(image);
    header->size_max = 1;
    header->level = RAW_ALL;
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        add_segment(image, 0, 1, i);
        for (uint64_t k = 0; k < EACH; k++)
            add(image, 0, (i * EACH + k) * 160, RAW_MALLOC, (i * EACH + k + 1) * 16, 1);
        image->segments[0]->state = RAW_SEGMENT_FULL;
    }
    struct drain *drain = open_drain(image);
    assert_int_equal(drain_round(drain), SEGMENTS * EACH);
    assert_int_equal(header->level, RAW_OFF);
    assert_true(raw_process(header, 0)->flags & RAW_SIZE_LIMIT);
    uint64_t bytes, events;
    assert_int_equal(drain_finish(drain, 0, 0, &bytes, &events), 0);
    assert_int_equal(events, 0);
    drain_release(drain);
    image_release(image);
}

/* More than a round takes: the rest comes with the next one, and the milliseconds go on meanwhile. */
static void a_round_ends(void **state)
{
    (void)state;
    enum { EACH = SMALL_RECORDS - 1, SEGMENTS = DRAIN_ROUND_EVENTS / EACH + 200 };
    struct image *image = image_new();
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        add_segment(image, 0, 1, i);
        for (uint64_t k = 0; k < EACH; k++)
            add(image, 0, (i * EACH + k) * 16, RAW_MALLOC, (i * EACH + k + 1) * 16, 1);
        image->segments[0]->state = RAW_SEGMENT_FULL;
    }
    struct drain *drain = open_drain(image);
    int64_t first = drain_round(drain);
    assert_in_range(first, DRAIN_ROUND_EVENTS, SEGMENTS * EACH - 1);
    assert_true(header_of(image)->coarse > 1);
    assert_int_equal(drain_round(drain), SEGMENTS * EACH - first);
    finish(image, drain);
    image_release(image);
}

/* Places in a segment that were reserved and then not needed: no events, nothing is held up. */
static void reserved_for_nothing(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add_record(image, 0, RAW_NOTHING, 0, 0);
    add(image, 0, 1600, RAW_MALLOC, 0x1000, 10);
    add_record(image, 0, RAW_WIDE_SIZE, 0, 0x123456789a);
    add_record(image, 0, RAW_NOTHING, 0, 0);
    add(image, 0, 3200, RAW_MALLOC, 0x2000, RAW_WIDE);
    for (uint32_t i = 6; i < SMALL_RECORDS; i++)
        add_record(image, 0, RAW_NOTHING, 0, 0);
    image->segments[0]->state = RAW_SEGMENT_FULL;
    add_segment(image, 0, 1, 1);
    add(image, 0, 4800, RAW_FREE, 0x1000, 0);
    struct drain *drain = open_drain(image);
    header_of(image)->ready = header_of(image)->next - RAW_FIRST_SEGMENT;
    assert_int_equal(drain_round(drain), 3);
    finish(image, drain);
    const struct expected expected[] = {{TRACE_MALLOC, 0, 0, 10, 0},
                                        {TRACE_MALLOC, 0, 1, 0x123456789a, 1600},
                                        {TRACE_FREE, 0, 0, 0, 3200}};
    (void)check_events(image->path, expected, sizeof expected / sizeof *expected);
    image_release(image);
}

/* A drain that died: another one goes on where its last block ended. */
static void drained_twice(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    uint64_t bytes, events;
    for (uint32_t i = 0; i < 100; i++)
        add(image, 0, 1600 + 160 * i, RAW_MALLOC, 0x1000 + 64 * i, 10 + i);
    struct drain *first = open_drain(image);
    assert_int_equal(drain_finish(first, 0, 0, &bytes, &events), 0);
    assert_int_equal(events, 100);
    drain_release(first);
    /* as it is when the block was written and the process had gone on */
    raw_process(header_of(image), 0)->finished = 0;
    image->segments[0]->state = RAW_SEGMENT_USED;
    image->segments[0]->consumed = 101;
    for (uint32_t i = 0; i < 100; i++)
        add(image, 0, 17600 + 160 * i, RAW_FREE, 0x1000 + 64 * i, 0);
    struct drain *second = open_drain(image);
    assert_int_equal(drain_finish(second, 0, 0, &bytes, &events), 0);
    assert_int_equal(events, 200);
    drain_release(second);
    struct expected expected[200];
    for (uint32_t i = 0; i < 100; i++) {
        expected[i] = (struct expected){TRACE_MALLOC, 0, i, 10 + i, 160 * i};
        expected[100 + i] = (struct expected){TRACE_FREE, 0, i, 0, 16000 + 160 * i};
    }
    struct trace_file_header header = check_events(image->path, expected, 200);
    assert_int_equal(header.unknown_frees, 0);
    image_release(image);
}

/* Much was left by a drain that died long before the program did: it makes many blocks. */
static void much_to_recover(void **state)
{
    (void)state;
    enum { FIRST = 100, SEGMENTS = 500, EACH = SMALL_RECORDS - 1 };
    char error[512];
    size_t bytes;
    struct image *image = image_new();
    for (uint32_t i = 0; i < SEGMENTS; i++) { /* those before FIRST stand in the trace already */
        add_segment(image, 0, 1, FIRST + i);
        for (uint64_t k = 0; k < EACH; k++)
            add(image, 0, (i * EACH + k) * 160, k == 3 ? RAW_NONE : RAW_MALLOC,
                (i * EACH + k + 1) * 16, 1);
        image->segments[0]->state = RAW_SEGMENT_FULL;
        image->segments[0]->seen = 1;
    }
    finish(image, open_drain(image));
    unsigned char *content = fixture_read(image->path, &bytes);
    size_t at = ((struct trace_file_header *)content)->header_bytes;
    uint64_t entries = 0;
    for (struct trace_block_header block = {.events = 1}; block.events > 0;) {
        memcpy(&block, content + at, sizeof block);
        at += sizeof block + block.packed_bytes;
        entries += block.events;
        assert_true(block.events <= TRACE_BLOCK_EVENTS_MAX);
    }
    free(content);
    assert_int_equal(entries, SEGMENTS * (EACH - 1));
    assert_int_equal(fixture_read_all(image->path, error, sizeof error), TRACE_END);
    image_release(image);
}

/* Segments that were read come back to the list; nothing is taken twice. */
static void segments_go_round(void **state)
{
    (void)state;
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add(image, 0, 1600, RAW_MALLOC, 0x1000, 10);
    struct raw_header *header = header_of(image);
    assert_null(raw_take(header, RAW_SEGMENT_BYTES_SMALL, header->file_bytes));
    finish(image, open_drain(image));
    assert_ptr_equal(raw_take(header, RAW_SEGMENT_BYTES_SMALL, header->file_bytes),
                     image->segments[0]);
    assert_null(raw_take(header, RAW_SEGMENT_BYTES_SMALL, header->file_bytes));
    raw_give(header, image->segments[0]);
    assert_null(raw_take(header, RAW_SEGMENT_BYTES_SMALL, RAW_FIRST_SEGMENT)); /* not mapped */
    assert_null(raw_take(header, RAW_SEGMENT_BYTES_LARGE, header->file_bytes));
    image_release(image);
}

/* CPUs and return addresses stand with the event that follows them. */
static void descriptions(void **state)
{
    (void)state;
    char error[512];
    struct image *image = image_new();
    add_segment(image, 0, 1, 0);
    add_record(image, 0, RAW_CPU, 0, UINT64_C(1) << 32 | 5);
    add_record(image, 0, RAW_STACK, 0x401000, 0x402000);
    add_record(image, 0, RAW_STACK, 0x403000, 0);
    add(image, 0, 1600, RAW_MALLOC, 0x1000, 10);
    add(image, 0, 1760, RAW_FREE, 0x1000, 0);
    finish(image, open_drain(image));
    struct trace_reader *reader;
    struct trace_event event;
    assert_int_equal(trace_reader_open(&reader, image->path, error, sizeof error), 0);
    assert_int_equal(trace_reader_next(reader, &event), TRACE_EVENT);
    assert_true(event.on_new_cpu);
    assert_int_equal(event.cpu, 5);
    assert_int_equal(event.node, 1);
    assert_int_equal(event.stack_depth, 3);
    assert_int_equal(event.stack[0], 0x401000);
    assert_int_equal(event.stack[2], 0x403000);
    assert_int_equal(trace_reader_next(reader, &event), TRACE_EVENT);
    assert_false(event.on_new_cpu);
    assert_int_equal(event.stack_depth, 0);
    assert_int_equal(trace_reader_next(reader, &event), TRACE_END);
    trace_reader_close(reader);
    image_release(image);
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
        cmocka_unit_test(hole_in_a_full_segment),
        cmocka_unit_test(read_to_the_end_of_a_segment),
        cmocka_unit_test(laps),
        cmocka_unit_test(wide_sizes_and_epochs),
        cmocka_unit_test(segments_out_of_place),
        cmocka_unit_test(threads_come_and_go),
        cmocka_unit_test(threads_come_and_go_in_one_round),
        cmocka_unit_test(limit_reached_in_a_round),
        cmocka_unit_test(a_round_ends),
        cmocka_unit_test(reserved_for_nothing),
        cmocka_unit_test(drained_twice),
        cmocka_unit_test(much_to_recover),
        cmocka_unit_test(segments_go_round),
        cmocka_unit_test(descriptions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
