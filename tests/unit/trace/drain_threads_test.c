/* Threads that come and go: starts, joins, segments of one thread after the other. */
#include "raw_image.h"

/* A thread makes a block in its first segment and frees it in its second one. */
static void convert_two_segments(uint64_t self, const uint32_t sequences[2])
{
    struct raw_image *image = raw_image_new();
    for (int i = 0; i < 2; i++) {
        raw_image_begin(image, 0, self, sequences[i]);
        if (sequences[i] == 0)
            raw_image_add(image, 0, 1600, RAW_MALLOC, 0x1000, 10);
        else
            raw_image_add(image, 0, 3200, RAW_FREE, 0x1000, 0);
    }
    CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 0}, {TRACE_FREE, 0, 0, 0, 1600});
}

/* Segments of a thread may lie anywhere; their numbers give the order. */
static void segments_out_of_place(void **state)
{
    (void)state;
    convert_two_segments(1, (const uint32_t[]){1, 0});
}

/* In a raw file that was damaged; all that the thread's segments hold is still there. */
static void thread_without_a_pthread_t(void **state)
{
    (void)state;
    convert_two_segments(0, (const uint32_t[]){0, 1});
}

/* Two threads with the same pthread_t, one after the other; and one that never calls. */
static void threads_come_and_go(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(1);
    raw_image_begin_of(image, 1, 77, 0, 0);
    raw_image_add(image, 0, 1600, RAW_MALLOC, 0x3000, 5);
    raw_image_add(image, 1, 2400, RAW_MALLOC, 0x1000, 10);
    raw_image_add(image, 0, 3200, RAW_JOIN, 77, 0);
    raw_image_add(image, 0, 3360, RAW_JOIN, 88, 0); /* called nothing */
    struct drain *drain = raw_image_drain(image);
    raw_image_header(image)->is_tsc = 1; /* all of it is long ago */
    assert_true(drain_round(drain) >= 3);
    raw_image_header(image)->is_tsc = 0;
    raw_image_begin_of(image, 2, 77, 0, 0);
    raw_image_add(image, 2, 5600, RAW_FREE, 0x1000, 0);
    raw_image_add(image, 0, 6400, RAW_JOIN, 77, 0);
    raw_image_add(image, 0, 8000, RAW_MALLOC, 0x2000, 20);
    uint64_t told = raw_image_finish(drain);
    const struct expected expected[] = {
        {TRACE_MALLOC, 0, 0, 5, 0},  {TRACE_SPAWN, 0, 1, 0, 800},    {TRACE_MALLOC, 1, 1, 10, 800},
        {TRACE_JOIN, 0, 1, 0, 1600}, {TRACE_SPAWN, 0, 2, 0, 4000},   {TRACE_FREE, 2, 1, 0, 4000},
        {TRACE_JOIN, 0, 2, 0, 4800}, {TRACE_MALLOC, 0, 1, 20, 6400},
    };
    struct trace_file_header header =
        raw_image_check(image->path, expected, sizeof expected / sizeof *expected);
    raw_image_check_told(told, &header);
    raw_image_release(image);
}

/* A thread whose parent was joined before its first call has no start, and none is told. */
static void parent_joined_before_the_first_call(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(1);
    raw_image_begin_of(image, 1, 77, 0, 0);
    raw_image_begin_of(image, 2, 88, 0, 1);
    raw_image_add(image, 0, 0, RAW_MALLOC, 0x3000, 5);
    raw_image_add(image, 1, 16000, RAW_MALLOC, 0x1000, 10);
    raw_image_add(image, 0, 32000, RAW_JOIN, 77, 0);
    raw_image_add(image, 2, 48000, RAW_MALLOC, 0x2000, 20);
    CONVERT(image, {TRACE_MALLOC, 0, 0, 5, 0}, {TRACE_SPAWN, 0, 1, 0, 16000},
            {TRACE_MALLOC, 1, 1, 10, 16000}, {TRACE_JOIN, 0, 1, 0, 32000},
            {TRACE_MALLOC, 2, 2, 20, 48000});
}

/* Nor has a thread one whose own first call comes after that of a thread that it started. */
static void child_that_calls_before_its_parent(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(1);
    raw_image_begin_of(image, 1, 77, 0, 0);
    raw_image_begin_of(image, 2, 88, 0, 1);
    raw_image_add(image, 0, 0, RAW_MALLOC, 0x3000, 5);
    raw_image_add(image, 2, 16000, RAW_MALLOC, 0x2000, 20);
    raw_image_add(image, 1, 32000, RAW_MALLOC, 0x1000, 10);
    CONVERT(image, {TRACE_MALLOC, 0, 0, 5, 0}, {TRACE_SPAWN, 1, 2, 0, 16000},
            {TRACE_MALLOC, 2, 1, 20, 16000}, {TRACE_MALLOC, 1, 2, 10, 32000});
}

/* The same, but the drain sees all of them at once: each join finds its own thread. */
static void threads_come_and_go_in_one_round(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(1);
    raw_image_add(image, 0, 0, RAW_MALLOC, 0x9000, 5);
    for (uint32_t i = 1; i <= 3; i++) {
        raw_image_begin_of(image, i, 77, 0, 0);
        raw_image_add(image, i, 1600 * i, RAW_MALLOC, 0x1000 * i, 10 * i);
        raw_image_add(image, 0, 1600 * i + 160, RAW_JOIN, 77, 0);
    }
    CONVERT(image, {TRACE_MALLOC, 0, 0, 5, 0}, {TRACE_SPAWN, 0, 1, 0, 1600},
            {TRACE_MALLOC, 1, 1, 10, 1600}, {TRACE_JOIN, 0, 1, 0, 1760},
            {TRACE_SPAWN, 0, 2, 0, 3200}, {TRACE_MALLOC, 2, 2, 20, 3200},
            {TRACE_JOIN, 0, 2, 0, 3360}, {TRACE_SPAWN, 0, 3, 0, 4800},
            {TRACE_MALLOC, 3, 3, 30, 4800}, {TRACE_JOIN, 0, 3, 0, 4960});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_out_of_place),
        cmocka_unit_test(thread_without_a_pthread_t),
        cmocka_unit_test(threads_come_and_go),
        cmocka_unit_test(threads_come_and_go_in_one_round),
        cmocka_unit_test(parent_joined_before_the_first_call),
        cmocka_unit_test(child_that_calls_before_its_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
