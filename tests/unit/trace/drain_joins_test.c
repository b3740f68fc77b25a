/*
 * Threads that were joined: which one it was, and that all that they wrote is in the trace, however late
 * the drain comes to it, before their last segment is given to others.
 */
#include "raw_image.h"

enum {
    EACH = SMALL_RECORDS - 1, /* of a segment's records; the first one is the epoch */
    BLOCK = 200 * EACH,       /* more than a block waits for */
    STEP = 160,
};

/* Thread 0 has called pthread_join() at a time, and writes it down at a later one. */
static void join(struct raw_image *image, uint64_t self, uint64_t called, uint64_t written)
{
    raw_image_put(image, 0, RAW_WIDE_SIZE, 0, called);
    raw_image_add(image, 0, written, RAW_JOIN, self, RAW_WIDE);
}

/* Thread 0 goes on with so many allocations, one every STEP from `begin`. */
static void go_on(struct raw_image *image, uint64_t begin, uint64_t count)
{
    raw_image_allocate(image, 0, begin, STEP, count);
}

/* The trace holds so many events, none of which is lost or unknown, and so many of one thread. */
static void check_events(struct raw_image *image, uint64_t events, uint32_t thread, uint64_t its)
{
    char error[512];
    struct trace_reader *reader;
    struct trace_event event;
    enum trace_next result;
    uint64_t found = 0;
    assert_int_equal(trace_reader_open(&reader, image->path, error, sizeof error), 0);
    while ((result = trace_reader_next(reader, &event)) == TRACE_EVENT)
        found += event.thread == thread;
    if (result != TRACE_END)
        fail_msg("%s", trace_reader_error(reader));
    assert_int_equal(trace_reader_header(reader)->events, events);
    assert_int_equal(trace_reader_header(reader)->unknown_frees, 0);
    assert_int_equal(found, its);
    trace_reader_close(reader);
}

/*
 * While one thread is on its way out of pthread_join(), another one has started a thread that got the
 * same pthread_t and has called already. It lives on: its segment must stay its own.
 */
static void pthread_t_comes_again_before_the_join_is_written(void **state)
{
    (void)state;
    const uint64_t called = 640000, written = 1600000;
    struct raw_image *image = raw_image_of(1);
    raw_image_add(image, 0, 0, RAW_MALLOC, 0x10, 1);
    raw_image_begin_of(image, 1, 77, 0, 0);
    image->segments[1]->created = 160000;
    image->segments[1]->started = 200000;
    raw_image_add(image, 1, 320000, RAW_MALLOC, 0x20, 1);
    raw_image_begin_of(image, 2, 77, 0, 0);
    image->segments[2]->created = 1120000;
    image->segments[2]->started = 1200000;
    raw_image_add(image, 2, 1280000, RAW_MALLOC, 0x30, 1);
    join(image, 77, called, written);
    go_on(image, written + STEP, BLOCK);
    struct drain *drain = raw_image_drain(image);
    assert_int_equal(drain_round(drain), BLOCK + 4);
    assert_int_equal(image->segments[1]->state, RAW_SEGMENT_FREE);
    assert_int_equal(image->segments[2]->state, RAW_SEGMENT_USED);
    raw_image_add(image, 2, written + BLOCK * STEP + 160000, RAW_FREE, 0x30, 0);
    raw_image_finish(drain);
    check_events(image, BLOCK + 4 + 2 + 1, 2, 2); /* two starts, and the free */
    raw_image_release(image);
}

/*
 * A thread may also have been started by somebody who was not watched: then its first call must do to tell
 * of the join, but it may be another thread that lives, and its segment stays its own.
 */
static void start_is_not_known(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(2);
    raw_image_add(image, 0, 0, RAW_MALLOC, 0x10, 1);
    raw_image_add(image, 1, 1600, RAW_MALLOC, 0x20, 1);
    join(image, 2, 4000, 16000);
    go_on(image, 16160, BLOCK);
    struct drain *drain = raw_image_drain(image);
    assert_int_equal(drain_round(drain), BLOCK + 3);
    assert_int_equal(image->segments[1]->state, RAW_SEGMENT_USED);
    raw_image_finish(drain);
    check_events(image, BLOCK + 3, 1, 1);
    raw_image_release(image);
}

/* Two clocks differ a little: one that seems to have run just before the join began may have run after it. */
static void start_is_too_near_to_the_join(void **state)
{
    (void)state;
    const uint64_t called = 640000, written = 1600000;
    struct raw_image *image = raw_image_of(2);
    raw_image_add(image, 0, 0, RAW_MALLOC, 0x10, 1);
    image->segments[1]->created = called - SLACK;
    image->segments[1]->started = called - SLACK / 2;
    raw_image_add(image, 1, 800000, RAW_MALLOC, 0x20, 1);
    join(image, 2, called, written);
    go_on(image, written + STEP, BLOCK);
    struct drain *drain = raw_image_drain(image);
    assert_int_equal(drain_round(drain), BLOCK + 3);
    assert_int_equal(image->segments[1]->state, RAW_SEGMENT_USED);
    raw_image_finish(drain);
    raw_image_release(image);
}

/*
 * A thread was about to be started when the join began, and ran only after it, with the joined one's
 * pthread_t. Its first segment is full and gone; what it writes to the next one must not be lost.
 */
static void started_while_the_join_waits(void **state)
{
    (void)state;
    const uint64_t called = 640000, written = 1600000;
    struct raw_image *image = raw_image_of(2);
    raw_image_add(image, 0, 0, RAW_MALLOC, 0x10, 1);
    image->segments[1]->created = 600000;
    image->segments[1]->started = 700000;
    for (uint64_t i = 0; i < EACH; i++)
        raw_image_add(image, 1, 800000 + STEP * i, RAW_MALLOC, 0x1000 + 16 * i, 1);
    image->segments[1]->state = RAW_SEGMENT_FULL;
    join(image, 2, called, written);
    go_on(image, written + STEP, BLOCK);
    struct drain *drain = raw_image_drain(image);
    assert_int_equal(drain_round(drain), 1 + EACH + 1 + BLOCK);
    raw_image_begin(image, 1, 2, 1);
    image->segments[1]->created = 600000;
    image->segments[1]->started = 700000;
    raw_image_add(image, 1, written + (BLOCK + 1) * STEP, RAW_FREE, 0x1000, 0);
    go_on(image, written + (BLOCK + 2) * STEP, BLOCK);
    assert_int_equal(drain_round(drain), 1 + BLOCK);
    assert_int_equal(image->segments[1]->state, RAW_SEGMENT_USED);
    raw_image_add(image, 1, written + 2 * (BLOCK + 2) * STEP, RAW_FREE, 0x1010, 0);
    assert_int_equal(raw_image_finish(drain), 1 + EACH + 1 + BLOCK + 1 + BLOCK + 1);
    raw_image_release(image);
}

/*
 * Two clocks differ a little, so the joined thread's last record is later than the join, and a block ends
 * between the two: what was not read yet is not given back. A block ends where the first of two threads
 * has half of what a block should hold; JOIN is that thread's last record before.
 */
static void last_record_is_later_than_the_join(void **state)
{
    (void)state;
    enum {
        HALF = TRACE_BLOCK_EVENTS_MAX / 4,
        FULL = HALF / SMALL_RECORDS,
        LAST = HALF % SMALL_RECORDS
    };
    const uint64_t before =
        FULL * EACH + LAST - 3; /* of an epoch and the two records of the join */
    struct raw_image *image = raw_image_of(2);
    go_on(image, 0, before);
    join(image, 2, before * STEP, before * STEP);
    raw_image_add(image, 1, 0, RAW_MALLOC, 0x20, 1);
    raw_image_add(image, 1, before * STEP + SLACK / 2, RAW_FREE, 0x20, 0);
    go_on(image, (before + 1) * STEP, BLOCK);
    struct drain *drain = raw_image_drain(image);
    assert_int_equal(drain_round(drain), before + 1 + 2 + BLOCK);
    raw_image_finish(drain);
    check_events(image, before + 1 + 2 + BLOCK, 1, 2);
    raw_image_release(image);
}

/*
 * A signal handler that never returned has left a record in the joined thread's last segment that was
 * reserved and will never be written: what follows it is read all the same.
 */
static void unfinished_record_in_the_last_segment(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(2);
    raw_image_add(image, 0, 0, RAW_MALLOC, 0x10, 1);
    raw_image_add(image, 1, 1600, RAW_MALLOC, 0x20, 1);
    raw_image_put(image, 1, RAW_NONE, 0, 0);
    image->segments[1]->started = 1;
    raw_image_add(image, 1, 3200, RAW_FREE, 0x20, 0);
    join(image, 2, 8000, 16000);
    go_on(image, 32000, BLOCK);
    struct drain *drain = raw_image_drain(image);
    assert_int_equal(drain_round(drain), BLOCK + 4);
    assert_int_equal(image->segments[1]->state, RAW_SEGMENT_FREE);
    raw_image_finish(drain);
    check_events(image, BLOCK + 4, 1, 2);
    raw_image_release(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pthread_t_comes_again_before_the_join_is_written),
        cmocka_unit_test(start_is_not_known),
        cmocka_unit_test(started_while_the_join_waits),
        cmocka_unit_test(last_record_is_later_than_the_join),
        cmocka_unit_test(start_is_too_near_to_the_join),
        cmocka_unit_test(unfinished_record_in_the_last_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
