/* How far a round of the drain goes, with hundreds of streams. */
#include "workloads/trace/round_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    STREAMS = 400,
    SEGMENTS = 80, /* of the stream that has most */
    LAP = 1,
    RECORDS = (RAW_SEGMENT_BYTES_SMALL - sizeof(struct raw_segment)) / sizeof(struct raw_record),
    EACH = RECORDS - 1, /* the first one is the epoch */
    MOST = SEGMENTS * EACH,
};

static struct stream streams[STREAMS];

static void put(struct raw_segment *segment, uint32_t at, enum raw_op op, uint64_t payload)
{
    raw_records(segment)[at] = (struct raw_record){.payload = payload, .head = LAP << 8 | op};
}

static void add_segment(struct stream *stream, uint32_t sequence)
{
    struct raw_segment *segment = calloc(1, RAW_SEGMENT_BYTES_SMALL);
    assert_non_null(segment);
    segment->bytes = RAW_SEGMENT_BYTES_SMALL;
    segment->lap = LAP;
    segment->sequence = sequence;
    segment->state = RAW_SEGMENT_USED;
    assert_int_equal(stream_add(stream, segment, 0), 0);
}

/* So many allocations, one every `step` from `time` on. */
static void allocate(struct stream *stream, uint32_t count, uint64_t time, uint64_t step)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i % EACH == 0) {
            if (i > 0)
                add_segment(stream, i / EACH);
            put(stream->pieces[i / EACH].segment, 0, RAW_EPOCH, 0);
        }
        put(stream->pieces[i / EACH].segment, 1 + i % EACH, RAW_MALLOC, time + i * step);
    }
}

static int make_streams(void **state)
{
    (void)state;
    memset(streams, 0, sizeof streams);
    for (uint32_t i = 0; i < STREAMS; i++)
        add_segment(&streams[i], 0);
    return 0;
}

static int release_streams(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < STREAMS; i++) {
        for (uint32_t p = 0; p < streams[i].count; p++)
            free(streams[i].pieces[p].segment);
        stream_release(&streams[i]);
    }
    return 0;
}

static uint64_t records_before(uint64_t limit)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < STREAMS; i++)
        for (uint32_t p = 0; p < streams[i].count; p++)
            for (uint32_t r = 1; r < RECORDS; r++) {
                const struct raw_record *record = &raw_records(streams[i].pieces[p].segment)[r];
                n += record->head != 0 && (uint32_t)record->payload < limit;
            }
    return n;
}

static uint64_t limit_of(uint64_t begin, uint64_t end)
{
    uint64_t limit = 0;
    assert_int_equal(round_limit(streams, STREAMS, begin, end, &limit), 0);
    return limit;
}

/* One stream has nearly all, and its share alone would end the round after a hundredth of it. */
static void test_one_busy(void **state)
{
    (void)state;
    allocate(&streams[0], MOST, 10, 10);
    for (uint32_t i = 1; i < STREAMS; i++)
        allocate(&streams[i], 20, 10 + i, MOST / 20 * 10);
    assert_in_range(records_before(limit_of(10, UINT32_MAX)), ROUND_RECORDS / 2, 2 * ROUND_RECORDS);
}

static void test_all_alike(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < STREAMS; i++)
        allocate(&streams[i], EACH, 10 + i, 1000);
    assert_in_range(records_before(limit_of(10, UINT32_MAX)), ROUND_RECORDS / 2, 2 * ROUND_RECORDS);
}

static void test_fewer_than_a_round(void **state)
{
    (void)state;
    assert_int_equal(limit_of(1, 5000), 5000);
    allocate(&streams[3], EACH, 10, 10);
    allocate(&streams[7], 1, 10, 10);
    assert_int_equal(limit_of(10, 5000), 5000);
    allocate(&streams[9], MOST, 10, 10); /* and one that has more, but of later */
    assert_int_equal(limit_of(10, 500), 500);
}

/* Whatever the times are, the first record is in the round. */
static void test_times_that_go_back(void **state)
{
    (void)state;
    allocate(&streams[0], MOST, 1000, 0);
    assert_int_equal(limit_of(2000, UINT32_MAX), 2001);
}

static uint32_t burst;

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);

/* Threads write on while the drain looks: so many of those that had nothing have a segment's records now. */
void *__wrap_malloc(size_t bytes)
{
    uint32_t count = burst;
    burst = 0;
    for (uint32_t i = STREAMS - count; i < STREAMS; i++)
        allocate(&streams[i], EACH, 10 + i, 1000);
    return __real_malloc(bytes);
}

static void test_threads_write_meanwhile(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < STREAMS / 5; i++)
        allocate(&streams[i], EACH, 10 + i, 1000);
    burst = STREAMS - STREAMS / 5;
    assert_in_range(limit_of(10, UINT32_MAX), 11, UINT32_MAX);
    assert_int_equal(burst, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_streams, release_streams)
    const struct CMUnitTest tests[] = {
        TEST(test_one_busy),
        TEST(test_all_alike),
        TEST(test_fewer_than_a_round),
        TEST(test_times_that_go_back),
        TEST(test_threads_write_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
