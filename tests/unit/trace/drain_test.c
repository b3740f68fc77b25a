/* From what one thread or several wrote to events: all calls, their order, address reuse. */
#include "raw_image.h"

static void all_calls(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(1);
    raw_image_add(image, 0, 1000, RAW_MALLOC, 0x1000, 10);
    raw_image_add(image, 0, 1160, RAW_CALLOC, 0x2008, 20); /* no multiple of 16 */
    raw_image_add(image, 0, 1320, RAW_ALIGNED + 6, 0x3000, 30);
    raw_image_add(image, 0, 1480, RAW_REALLOC_BEGIN, 0x1000, 0); /* moves */
    raw_image_add(image, 0, 1496, RAW_REALLOC_END, 0x4000, 40);
    raw_image_add(image, 0, 1640, RAW_REALLOC_BEGIN, 0x2008, 0); /* stays */
    raw_image_add(image, 0, 1656, RAW_REALLOC_END, 0x2008, 50);
    raw_image_add(image, 0, 1800, RAW_REALLOC_BEGIN, 0x2008, 0); /* fails */
    raw_image_add(image, 0, 1816, RAW_REALLOC_END, 0, 60);
    raw_image_add(image, 0, 1960, RAW_FREE, 0x4000, 0);
    raw_image_add(image, 0, 2120, RAW_FREE, 0x2008, 0);
    raw_image_add(image, 0, 2280, RAW_FREE, 0x3000, 0);
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
    struct raw_image *image = raw_image_of(2);
    raw_image_add(image, 0, 1600, RAW_MALLOC, 0x1000, 10);
    raw_image_add(image, 0, 3200, RAW_FREE, 0x1000, 0);
    raw_image_add(image, 1, 3360, RAW_MALLOC, 0x1000, 20);
    raw_image_add(image, 0, 4800, RAW_FREE, 0x1000, 0);
    raw_image_add(image, 1, 4960, RAW_MALLOC, 0x1000, 30);
    CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 0}, {TRACE_FREE, 0, 0, 0, 1600},
            {TRACE_MALLOC, 1, 0, 20, 1760}, {TRACE_FREE, 0, 0, 0, 3200},
            {TRACE_MALLOC, 1, 0, 30, 3360});
}

/* While a realloc moves a block, another thread may get its old address before it is over. */
static void address_reused_during_realloc(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(2);
    raw_image_add(image, 0, 1600, RAW_MALLOC, 0x1000, 10);
    raw_image_add(image, 0, 3200, RAW_REALLOC_BEGIN, 0x1000, 0);
    raw_image_add(image, 1, 3360, RAW_MALLOC, 0x1000, 20);
    raw_image_add(image, 0, 3520, RAW_REALLOC_END, 0x2000, 99);
    raw_image_add(image, 0, 3680, RAW_FREE, 0x1000, 0);
    raw_image_add(image, 1, 3840, RAW_FREE, 0x2000, 0);
    struct trace_file_header header =
        CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 0}, {TRACE_MALLOC, 1, 1, 20, 1760},
                {TRACE_REALLOC, 0, 0, 99, 1920}, {TRACE_FREE, 0, 1, 0, 2080},
                {TRACE_FREE, 1, 0, 0, 2240});
    assert_int_equal(header.lost_frees, 0);
}

static void unseen_calls(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(1);
    raw_image_add(image, 0, 1600, RAW_FREE, 0x9000, 0); /* of a block from before */
    raw_image_add(image, 0, 3200, RAW_MALLOC, 0x1000, 10);
    raw_image_add(image, 0, 4800, RAW_MALLOC, 0x1000, 20);       /* its free was never seen */
    raw_image_add(image, 0, 6400, RAW_REALLOC_BEGIN, 0x8000, 0); /* of a block from before */
    raw_image_add(image, 0, 8000, RAW_REALLOC_END, 0x7000, 30);
    struct trace_file_header header =
        CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 1600}, {TRACE_FREE, 0, 0, 0, 3200},
                {TRACE_MALLOC, 0, 0, 20, 3200}, {TRACE_MALLOC, 0, 1, 30, 6400});
    assert_int_equal(header.unknown_frees, 1);
    assert_int_equal(header.lost_frees, 1);
}

static void wide_sizes_and_epochs(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(1);
    raw_image_put(image, 0, RAW_WIDE_SIZE, 0, 0x123456789a);
    raw_image_add(image, 0, 0xffffff00, RAW_MALLOC, 0x1000, RAW_WIDE);
    raw_image_put(image, 0, RAW_EPOCH, 0, 1);
    raw_image_add(image, 0, 0x10, RAW_FREE, 0x1000, 0);
    CONVERT(image, {TRACE_MALLOC, 0, 0, 0x123456789a, 0}, {TRACE_FREE, 0, 0, 0, 0x110});
}

/* CPUs and return addresses stand with the event that follows them. */
static void descriptions(void **state)
{
    (void)state;
    char error[512];
    struct raw_image *image = raw_image_of(1);
    raw_image_put(image, 0, RAW_CPU, 0, UINT64_C(1) << 32 | 5);
    raw_image_put(image, 0, RAW_STACK, 0x401000, 0x402000);
    raw_image_put(image, 0, RAW_STACK, 0x403000, 0);
    raw_image_add(image, 0, 1600, RAW_MALLOC, 0x1000, 10);
    raw_image_add(image, 0, 1760, RAW_FREE, 0x1000, 0);
    raw_image_finish(raw_image_drain(image));
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
    raw_image_release(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_calls),
        cmocka_unit_test(address_reused_by_another_thread),
        cmocka_unit_test(address_reused_during_realloc),
        cmocka_unit_test(unseen_calls),
        cmocka_unit_test(wide_sizes_and_epochs),
        cmocka_unit_test(descriptions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
