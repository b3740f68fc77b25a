/* Clocks that were read early: the order is put right, and no free is missed for it. */
#include "raw_image.h"

enum { A = 0x1000, B = 0x2000, C = 0x3000 };

static void assert_none_missed(struct trace_file_header header)
{
    assert_int_equal(header.unknown_frees, 0);
    assert_int_equal(header.lost_frees, 0);
}

/* By little: the thread waits for what the other one did. */
static void by_some_ticks(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(2);
    raw_image_add(image, 0, 1632, RAW_MALLOC, A, 10);
    raw_image_add(image, 1, 1600, RAW_FREE, A, 0); /* "before" it was made */
    raw_image_add(image, 1, 16000, RAW_MALLOC, B, 20);
    raw_image_add(image, 1, 32032, RAW_FREE, B, 0);
    raw_image_add(image, 0, 32000, RAW_MALLOC, B, 30); /* "before" thread 1 freed it */
    assert_none_missed(CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 32}, {TRACE_FREE, 1, 0, 0, 32},
                               {TRACE_MALLOC, 1, 0, 20, 14400}, {TRACE_FREE, 1, 0, 0, 30432},
                               {TRACE_MALLOC, 0, 0, 30, 30432}));
}

/* By much: the thread goes on, and the object is freed when it has come. Of the address it is known that it was free. */
static void by_microseconds(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(2);
    raw_image_add(image, 0, 1600, RAW_MALLOC, A, 5);
    raw_image_add(image, 0, 1760, RAW_FREE, A, 0);
    raw_image_add(image, 1, 3200, RAW_FREE, A, 0);
    raw_image_add(image, 1, 3360, RAW_MALLOC, B, 10);
    raw_image_add(image, 0, 41600, RAW_MALLOC, A, 20);
    raw_image_add(image, 1, 90400, RAW_MALLOC, C, 30);
    raw_image_add(image, 1, 161600, RAW_FREE, C, 0);
    assert_none_missed(CONVERT(image, {TRACE_MALLOC, 0, 0, 5, 0}, {TRACE_FREE, 0, 0, 0, 160},
                               {TRACE_MALLOC, 1, 0, 10, 1760}, {TRACE_MALLOC, 0, 1, 20, 40000},
                               {TRACE_MALLOC, 1, 2, 30, 88800}, {TRACE_FREE, 1, 1, 0, 88800},
                               {TRACE_FREE, 1, 2, 0, 160000}));
}

/* Nothing comes after it. */
static void at_the_end(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(2);
    raw_image_add(image, 0, 1600, RAW_MALLOC, A, 5);
    raw_image_add(image, 0, 1760, RAW_FREE, A, 0);
    raw_image_add(image, 1, 3200, RAW_FREE, A, 0);
    raw_image_add(image, 1, 3360, RAW_MALLOC, B, 10);
    raw_image_add(image, 0, 41600, RAW_MALLOC, A, 20);
    assert_none_missed(CONVERT(image, {TRACE_MALLOC, 0, 0, 5, 0}, {TRACE_FREE, 0, 0, 0, 160},
                               {TRACE_MALLOC, 1, 0, 10, 1760}, {TRACE_MALLOC, 0, 1, 20, 40000},
                               {TRACE_FREE, 1, 1, 0, 40000}));
}

/* The object that it seems to free is an earlier one at the address, whose own free then has none. */
static void of_another_object(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(3);
    raw_image_add(image, 0, 1600, RAW_MALLOC, A, 10);
    raw_image_add(image, 2, 1760, RAW_FREE, A, 0); /* of size 30, in truth */
    raw_image_add(image, 0, 11200, RAW_FREE, A, 0);
    raw_image_add(image, 1, 21600, RAW_MALLOC, A, 20);
    raw_image_add(image, 1, 31200, RAW_FREE, A, 0);
    raw_image_add(image, 0, 41600, RAW_MALLOC, A, 30);
    raw_image_add(image, 1, 161600, RAW_MALLOC, A, 40);
    assert_none_missed(CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 0}, {TRACE_FREE, 2, 0, 0, 160},
                               {TRACE_MALLOC, 1, 0, 20, 20000}, {TRACE_FREE, 1, 0, 0, 29600},
                               {TRACE_MALLOC, 0, 0, 30, 40000}, {TRACE_FREE, 2, 0, 0, 40000},
                               {TRACE_MALLOC, 1, 0, 40, 160000}));
}

/* An address is handed out long before its free reads: that ends nothing any more. */
static void of_an_allocation(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(2);
    raw_image_add(image, 0, 1600, RAW_MALLOC, A, 10);
    raw_image_add(image, 1, 11200, RAW_MALLOC, A, 20);
    raw_image_add(image, 0, 41600, RAW_FREE, A, 0); /* of the first */
    raw_image_add(image, 1, 51200, RAW_FREE, A, 0);
    assert_none_missed(CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 0}, {TRACE_FREE, 1, 0, 0, 9600},
                               {TRACE_MALLOC, 1, 0, 20, 9600}, {TRACE_FREE, 1, 0, 0, 49600}));
}

/* An object from before was freed, and its thread got the address again: that one lives. */
static void no_clock_but_an_unknown_object(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(2);
    raw_image_add(image, 0, 1600, RAW_FREE, A, 0);
    raw_image_add(image, 0, 1760, RAW_MALLOC, A, 10);
    raw_image_add(image, 1, 11200, RAW_MALLOC, B, 20);
    raw_image_add(image, 1, 161600, RAW_MALLOC, C, 30);
    raw_image_add(image, 0, 163200, RAW_FREE, A, 0);
    struct trace_file_header header =
        CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 160}, {TRACE_MALLOC, 1, 1, 20, 9600},
                {TRACE_MALLOC, 1, 2, 30, 160000}, {TRACE_FREE, 0, 0, 0, 161600});
    assert_int_equal(header.unknown_frees, 1);
    assert_int_equal(header.lost_frees, 0);
}

/* The same where another thread got the address: nothing tells of an order that is wrong. */
static void no_clock_but_an_unknown_object_elsewhere(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(2);
    raw_image_add(image, 0, 1600, RAW_FREE, A, 0);
    raw_image_add(image, 1, 3200, RAW_MALLOC, A, 10);
    raw_image_add(image, 0, 161600, RAW_MALLOC, B, 20);
    raw_image_add(image, 1, 163200, RAW_FREE, A, 0);
    struct trace_file_header header =
        CONVERT(image, {TRACE_MALLOC, 1, 0, 10, 1600}, {TRACE_MALLOC, 0, 1, 20, 160000},
                {TRACE_FREE, 1, 0, 0, 161600});
    assert_int_equal(header.unknown_frees, 1);
    assert_int_equal(header.lost_frees, 0);
}

/* The object that may have been the one was freed by its own thread: the next one is another. */
static void of_an_object_that_ended(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(2);
    raw_image_add(image, 0, 1600, RAW_MALLOC, A, 5);
    raw_image_add(image, 0, 1760, RAW_FREE, A, 0);
    raw_image_add(image, 0, 3200, RAW_FREE, A, 0); /* what it frees was not recorded */
    raw_image_add(image, 1, 21600, RAW_MALLOC, A, 10);
    raw_image_add(image, 1, 31200, RAW_FREE, A, 0);
    raw_image_add(image, 0, 161600, RAW_MALLOC, A, 20);
    struct trace_file_header header =
        CONVERT(image, {TRACE_MALLOC, 0, 0, 5, 0}, {TRACE_FREE, 0, 0, 0, 160},
                {TRACE_MALLOC, 1, 0, 10, 20000}, {TRACE_FREE, 1, 0, 0, 29600},
                {TRACE_MALLOC, 0, 0, 20, 160000});
    assert_int_equal(header.unknown_frees, 1);
    assert_int_equal(header.lost_frees, 0);
}

/* Frees that were never recorded stay missed, and those of objects that were not. */
static void no_clock_but_missed_calls(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(2);
    raw_image_add(image, 0, 1600, RAW_MALLOC, A, 10);
    raw_image_add(image, 1, 11200, RAW_MALLOC, A, 20); /* the first one's free is lost */
    raw_image_add(image, 1, 21600, RAW_FREE, B, 0);
    raw_image_add(image, 1, 31200, RAW_FREE, B, 0);
    raw_image_add(image, 0, 161600, RAW_MALLOC, B, 30);
    raw_image_add(image, 1, 171200, RAW_FREE, A, 0);
    struct trace_file_header header =
        CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 0}, {TRACE_FREE, 1, 0, 0, 9600},
                {TRACE_MALLOC, 1, 0, 20, 9600}, {TRACE_MALLOC, 0, 1, 30, 160000},
                {TRACE_FREE, 1, 0, 0, 169600});
    assert_int_equal(header.unknown_frees, 2);
    assert_int_equal(header.lost_frees, 1);
}

/* However many there are at one time. */
static void more_than_are_kept(void **state)
{
    enum { FREES = 10000 };
    (void)state;
    struct raw_image *image = raw_image_of(2);
    image->segment_bytes = RAW_SEGMENT_BYTES_LARGE;
    for (uint32_t i = 0; i < FREES; i++) {
        raw_image_go_on(image, 1);
        raw_image_add(image, 1, 1600, RAW_FREE, B + 16 * i, 0);
    }
    raw_image_add(image, 0, 1600, RAW_MALLOC, A, 10);
    struct trace_file_header header = CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 0});
    assert_int_equal(header.unknown_frees, FREES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_some_ticks),
        cmocka_unit_test(by_microseconds),
        cmocka_unit_test(at_the_end),
        cmocka_unit_test(of_another_object),
        cmocka_unit_test(of_an_allocation),
        cmocka_unit_test(no_clock_but_an_unknown_object),
        cmocka_unit_test(no_clock_but_an_unknown_object_elsewhere),
        cmocka_unit_test(of_an_object_that_ended),
        cmocka_unit_test(no_clock_but_missed_calls),
        cmocka_unit_test(more_than_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
