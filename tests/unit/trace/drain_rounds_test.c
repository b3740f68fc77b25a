/* Rounds of the drain: how far one goes, limits, and another drain that goes on. */
#include "raw_image.h"

#include "workloads/trace/commit.h"

enum { EACH = SMALL_RECORDS - 1 }; /* of a segment's records; the first one is the epoch */

/* One thread's full segments of allocations, `step` apart in time. */
static void fill_segments(struct raw_image *image, uint32_t segments, uint64_t step)
{
    raw_image_begin(image, 0, 1, 0);
    raw_image_allocate(image, 0, 0, step, segments * EACH);
    image->segments[0]->state = RAW_SEGMENT_FULL;
}

/* A segment that was read to its end before its thread went on to the next one. */
static void read_to_the_end_of_a_segment(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(1);
    for (uint32_t i = 1; i < SMALL_RECORDS; i++)
        raw_image_add(image, 0, i * 160, RAW_MALLOC, i * 16, 1);
    struct drain *drain = raw_image_drain(image);
    assert_int_equal(drain_round(drain), SMALL_RECORDS - 1);
    image->segments[0]->state = RAW_SEGMENT_FULL;
    raw_image_begin(image, 0, 1, 1);
    raw_image_add(image, 0, SMALL_RECORDS * 160, RAW_FREE, 16, 0);
    assert_int_equal(drain_round(drain), 1);
    raw_image_finish(drain);
    raw_image_release(image);
}

/*
 * A thread is at carving off a segment, or was killed meanwhile. What another one has carved off behind it is
 * read all the same: an object that was made there is freed in the same round.
 */
static void while_a_segment_is_carved_off(void **state)
{
    (void)state;
    enum { SEGMENTS = 200 };
    struct raw_image *image = raw_image_of(2);
    image->segments[1]->state = RAW_SEGMENT_FULL;
    raw_image_add(image, 0, 16000, RAW_FREE, 0x1000, 0);
    raw_image_allocate(image, 0, 32000, 160, SEGMENTS * EACH);
    struct drain *drain = raw_image_drain(image);
    raw_image_header(image)->next += RAW_SEGMENT_BYTES_LARGE;
    raw_image_begin(image, 1, 2, 1);
    raw_image_add(image, 1, 0, RAW_MALLOC, 0x1000, 1);
    assert_int_equal(drain_round(drain), 2 + SEGMENTS * EACH);
    assert_int_equal(raw_image_finish(drain), 2 + SEGMENTS * EACH);
    const struct expected first[] = {{TRACE_MALLOC, 1, 0, 1, 0}, {TRACE_FREE, 0, 0, 0, 16000}};
    raw_image_check_first(image->path, first, 2);
    raw_image_release(image);
}

/* A block that is above the limit ends the recording; that is no error of the round's. */
static void limit_reached_in_a_round(void **state)
{
    (void)state;
    enum { SEGMENTS = 200 };
    struct raw_image *image = raw_image_new();
    struct raw_header *header = raw_image_header(image);
    header->size_max = 1;
    header->level = RAW_ALL;
    fill_segments(image, SEGMENTS, 160);
    struct drain *drain = raw_image_drain(image);
    assert_int_equal(drain_round(drain), SEGMENTS * EACH);
    assert_int_equal(header->level, RAW_OFF);
    assert_true(raw_process(header, 0)->flags & RAW_SIZE_LIMIT);
    assert_int_equal(raw_image_finish(drain), 0);
    raw_image_release(image);
}

/* More than a round takes: the rest comes with the next one, and the milliseconds go on meanwhile. */
static void a_round_ends(void **state)
{
    (void)state;
    enum { SEGMENTS = DRAIN_ROUND_EVENTS / EACH + 200 };
    struct raw_image *image = raw_image_new();
    fill_segments(image, SEGMENTS, 16);
    struct drain *drain = raw_image_drain(image);
    int64_t first = drain_round(drain);
    assert_in_range(first, DRAIN_ROUND_EVENTS, SEGMENTS * EACH - 1);
    assert_true(raw_image_header(image)->coarse > 1);
    assert_int_equal(drain_round(drain), SEGMENTS * EACH - first);
    raw_image_finish(drain);
    raw_image_release(image);
}

/*
 * A drain had read all and died before it was sure: what it has marked does not come to hold with another
 * drain's commit, which is of less.
 */
static void marked_by_a_drain_that_died(void **state)
{
    (void)state;
    enum { SEGMENTS = 200 };
    struct raw_image *image = raw_image_new();
    fill_segments(image, SEGMENTS, 160);
    image->segments[0]->marks[1] = (struct raw_mark){.commit = 1, .consumed = RAW_CONSUMED};
    struct drain *second = raw_image_drain(image);
    assert_int_equal(drain_round(second), SEGMENTS * EACH);
    assert_int_equal(raw_process(raw_image_header(image), 0)->commits, 1);
    assert_int_equal(image->segments[0]->state, RAW_SEGMENT_FULL); /* waits for the next block */
    drain_release(second);
    assert_int_equal(raw_image_finish(raw_image_drain(image)), SEGMENTS * EACH);
    raw_image_release(image);
}

/*
 * Threads: what the first drain has brought into the trace of each is not told again.
 * Thread 1 calls only under the second one, thread 2, which it started, is joined under the first.
 */
static void threads_drained_twice(void **state)
{
    (void)state;
    enum { SEGMENTS = 200, THREADS = 4 };
    struct raw_image *image = raw_image_new();
    const struct raw_process *process = raw_process(raw_image_header(image), 0);
    raw_image_begin_of(image, 1, 71, 0, 0);
    raw_image_begin_of(image, 2, 72, 0, 1);
    image->segments[2]->started = 12000;
    raw_image_add(image, 2, 16000, RAW_MALLOC, 0x10, 1);
    raw_image_begin_of(image, 3, 73, 0, 0);
    raw_image_add(image, 3, 16000, RAW_MALLOC, 0x20, 1);
    raw_image_begin(image, 0, 70, 0);
    raw_image_add(image, 0, 0, RAW_MALLOC, 0x30, 1);
    raw_image_put(image, 0, RAW_WIDE_SIZE, 0, 20000);
    raw_image_add(image, 0, 32000, RAW_JOIN, 72, RAW_WIDE);
    raw_image_allocate(image, 0, 48000, 160, SEGMENTS * EACH);
    struct drain *first = raw_image_drain(image);
    assert_true(drain_round(first) > SEGMENTS * EACH);
    assert_true(commit_tally(process)->entries > SEGMENTS * EACH / 2);
    assert_int_equal(image->segments[2]->state, RAW_SEGMENT_FREE);
    drain_release(first);
    const uint64_t later = 48000 + SEGMENTS * EACH * 160;
    raw_image_add(image, 1, later, RAW_FREE, 0x10, 0);
    raw_image_add(image, 3, later, RAW_FREE, 0x20, 0);
    uint64_t told = raw_image_finish(raw_image_drain(image));
    assert_int_equal(told, 3 + 1 + SEGMENTS * EACH + 2 + 2); /* the last 2: starts of 2 and 3 */
    char error[512];
    struct trace_reader *reader;
    struct trace_event event;
    assert_int_equal(trace_reader_open(&reader, image->path, error, sizeof error), 0);
    while (trace_reader_next(reader, &event) == TRACE_EVENT)
        continue;
    assert_int_equal(trace_reader_header(reader)->threads, THREADS);
    raw_image_check_told(told, trace_reader_header(reader));
    trace_reader_close(reader);
    raw_image_release(image);
}

/* One thread calls all the time and others now and then: rounds, and so blocks, are no smaller for that. */
static void one_busy_thread_of_many(void **state)
{
    (void)state;
    enum { THREADS = 8, SEGMENTS = 300, OF_OTHERS = 40, STEP = 16 };
    const uint64_t events = SEGMENTS * EACH + (THREADS - 1) * OF_OTHERS;
    struct raw_image *image = raw_image_of(THREADS);
    const struct raw_process *process = raw_process(raw_image_header(image), 0);
    for (uint32_t thread = 1; thread < THREADS; thread++)
        for (uint64_t k = 0; k < OF_OTHERS; k++)
            raw_image_add(image, thread, k * SEGMENTS * EACH * STEP / OF_OTHERS, RAW_MALLOC,
                          (thread * OF_OTHERS + k) * 16, 1);
    raw_image_allocate(image, 0, 0, STEP, SEGMENTS * EACH);
    struct drain *drain = raw_image_drain(image);
    assert_int_equal(drain_round(drain), events);
    assert_in_range(process->commits, 1, events / (TRACE_BLOCK_EVENTS_MAX / 2));
    raw_image_finish(drain);
    assert_in_range(process->commits, 2, events / (TRACE_BLOCK_EVENTS_MAX / 2) + 1);
    raw_image_release(image);
}

/* Nothing but a realloc that failed: a trace without events is a trace, and not nothing. */
static void no_events(void **state)
{
    (void)state;
    uint64_t bytes, events;
    struct raw_image *image = raw_image_of(1);
    raw_image_add(image, 0, 1600, RAW_REALLOC_BEGIN, 0x1000, 0);
    raw_image_add(image, 0, 1600, RAW_REALLOC_END, 0, 5);
    struct drain *drain = raw_image_drain(image);
    assert_int_equal(drain_finish(drain, 0, 0, &bytes, &events), 0);
    assert_true(bytes > 0);
    assert_int_equal(events, 0);
    drain_release(drain);
    struct trace_file_header header = raw_image_check(image->path, NULL, 0);
    raw_image_check_told(events, &header);
    raw_image_release(image);
}

/* A thread's first time is its latest, and there is more than a block holds: it comes to an end. */
static void time_that_goes_back(void **state)
{
    (void)state;
    enum { SEGMENTS = 200 };
    struct raw_image *image = raw_image_new();
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        raw_image_begin(image, 0, 1, i);
        for (uint64_t k = 0; k < EACH; k++)
            raw_image_add(image, 0, i + k == 0 ? UINT32_MAX : 1600 + i, RAW_MALLOC,
                          (i * EACH + k + 1) * 16, 1);
        image->segments[0]->state = RAW_SEGMENT_FULL;
    }
    assert_int_equal(raw_image_finish(raw_image_drain(image)), SEGMENTS * EACH);
    raw_image_release(image);
}

/* Much was left by a drain that died long before the program did: it makes many blocks. */
static void much_to_recover(void **state)
{
    (void)state;
    enum { FIRST = 100, SEGMENTS = 500 };
    char error[512];
    size_t bytes;
    struct raw_image *image = raw_image_new();
    for (uint32_t i = 0; i < SEGMENTS; i++) { /* those before FIRST stand in the trace already */
        raw_image_begin(image, 0, 1, FIRST + i);
        for (uint64_t k = 0; k < EACH; k++)
            raw_image_add(image, 0, (i * EACH + k) * 160, k == 3 ? RAW_NONE : RAW_MALLOC,
                          (i * EACH + k + 1) * 16, 1);
        image->segments[0]->state = RAW_SEGMENT_FULL;
        image->segments[0]->seen = 1;
    }
    raw_image_finish(raw_image_drain(image));
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
    raw_image_release(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_to_the_end_of_a_segment),
        cmocka_unit_test(while_a_segment_is_carved_off),
        cmocka_unit_test(limit_reached_in_a_round),
        cmocka_unit_test(a_round_ends),
        cmocka_unit_test(marked_by_a_drain_that_died),
        cmocka_unit_test(threads_drained_twice),
        cmocka_unit_test(one_busy_thread_of_many),
        cmocka_unit_test(no_events),
        cmocka_unit_test(time_that_goes_back),
        cmocka_unit_test(much_to_recover),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
