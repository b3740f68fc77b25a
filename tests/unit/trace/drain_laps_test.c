/* What is missing in a segment or left in it, how segments go round, and entries of processes. */
#include "raw_image.h"

/* A thread killed anywhere leaves its last record empty, or a realloc without an end. */
static void killed(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(1);
    raw_image_add(image, 0, 1600, RAW_MALLOC, 0x1000, 10);
    raw_image_put(image, 0, RAW_NONE, 0, 0);
    raw_image_add(image, 0, 1760, RAW_MALLOC, 0x2000, 20);
    raw_image_add(image, 0, 1920, RAW_REALLOC_BEGIN, 0x3000, 0);
    raw_image_header(image)->next += 3 * RAW_PAGE_BYTES; /* carved off, never begun */
    raw_image_begin(image, 1, 2, 0);
    raw_image_add(image, 1, 2080, RAW_FREE, 0x1000, 0);
    CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 0}, {TRACE_MALLOC, 0, 1, 20, 160},
            {TRACE_FREE, 1, 0, 0, 480});
}

/* A record that a signal handler never came back to does not hold up what follows. */
static void hole_in_a_full_segment(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(1);
    raw_image_put(image, 0, RAW_NONE, 0, 0);
    raw_image_add(image, 0, 1600, RAW_MALLOC, 0x1000, 10);
    raw_image_put(image, 0, RAW_NONE, 0, 0);
    struct drain *drain = raw_image_drain(image);
    assert_int_equal(drain_round(drain), 0); /* it may still come */
    image->segments[0]->state = RAW_SEGMENT_FULL;
    assert_int_equal(drain_round(drain), 1);
    raw_image_finish(drain);
    (void)raw_image_check(image->path, (const struct expected[]){{TRACE_MALLOC, 0, 0, 10, 0}}, 1);
    raw_image_release(image);
}

/* What is left from a segment's lap before is not read again. */
static void laps(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(1);
    raw_image_add(image, 0, 1600, RAW_MALLOC, 0x1000, 10);
    image->segments[0]->lap--;
    raw_image_add(image, 0, 1700, RAW_MALLOC, 0x2000, 20);
    image->segments[0]->lap++;
    CONVERT(image, {TRACE_MALLOC, 0, 0, 10, 0});
}

/* Places in a segment that were reserved and then not needed: no events, nothing is held up. */
static void reserved_for_nothing(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(1);
    raw_image_put(image, 0, RAW_NOTHING, 0, 0);
    raw_image_add(image, 0, 1600, RAW_MALLOC, 0x1000, 10);
    raw_image_put(image, 0, RAW_WIDE_SIZE, 0, 0x123456789a);
    raw_image_put(image, 0, RAW_NOTHING, 0, 0);
    raw_image_add(image, 0, 3200, RAW_MALLOC, 0x2000, RAW_WIDE);
    for (uint32_t i = 6; i < SMALL_RECORDS; i++)
        raw_image_put(image, 0, RAW_NOTHING, 0, 0);
    image->segments[0]->state = RAW_SEGMENT_FULL;
    raw_image_begin(image, 0, 1, 1);
    raw_image_add(image, 0, 4800, RAW_FREE, 0x1000, 0);
    struct drain *drain = raw_image_drain(image);
    assert_int_equal(drain_round(drain), 3);
    raw_image_finish(drain);
    const struct expected expected[] = {{TRACE_MALLOC, 0, 0, 10, 0},
                                        {TRACE_MALLOC, 0, 1, 0x123456789a, 1600},
                                        {TRACE_FREE, 0, 0, 0, 3200}};
    (void)raw_image_check(image->path, expected, sizeof expected / sizeof *expected);
    raw_image_release(image);
}

/* Segments that were read come back to the list; nothing is taken twice. */
static void segments_go_round(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(1);
    raw_image_add(image, 0, 1600, RAW_MALLOC, 0x1000, 10);
    struct raw_header *header = raw_image_header(image);
    assert_null(raw_take(header, RAW_SEGMENT_BYTES_SMALL, header->file_bytes));
    raw_image_finish(raw_image_drain(image));
    assert_ptr_equal(raw_take(header, RAW_SEGMENT_BYTES_SMALL, header->file_bytes),
                     image->segments[0]);
    assert_null(raw_take(header, RAW_SEGMENT_BYTES_SMALL, header->file_bytes));
    raw_give(header, image->segments[0]);
    assert_null(raw_take(header, RAW_SEGMENT_BYTES_SMALL, RAW_FIRST_SEGMENT)); /* not mapped */
    assert_null(raw_take(header, RAW_SEGMENT_BYTES_LARGE, header->file_bytes));
    raw_image_release(image);
}

/* A process that is killed as it takes its entry hides none that comes later. */
static void entries_of_processes(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_new();
    struct raw_header *header = raw_image_header(image);
    assert_ptr_equal(raw_enter(header, 2), raw_process(header, 1));
    assert_int_equal(header->processes, 2);
    raw_process(header, 2)->pid = 3; /* killed before it was counted */
    assert_ptr_equal(raw_enter(header, 4), raw_process(header, 3));
    assert_int_equal(header->processes, 4);
    for (uint32_t i = 0; i < header->processes; i++)
        assert_int_equal(raw_process(header, i)->pid, i + 1);
    header->processes = RAW_PROCESSES_MAX;
    assert_null(raw_enter(header, 5));
    raw_image_finish(raw_image_drain(image));
    raw_image_release(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed),
        cmocka_unit_test(hole_in_a_full_segment),
        cmocka_unit_test(laps),
        cmocka_unit_test(reserved_for_nothing),
        cmocka_unit_test(segments_go_round),
        cmocka_unit_test(entries_of_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
