/* What each trace says its process was started as. */
#include "raw_image.h"

#define FIRST       "sh\0-c\0make\0"
#define SECOND      "cc1\0-quiet\0x.c\0"
#define WORDS(text) text, sizeof text - 1

/* One thread of the process with an event; the image is of process 0. */
static struct raw_image *image_of(uint32_t process)
{
    struct raw_image *image = raw_image_new();
    struct raw_header *header = raw_image_header(image);
    header->processes = process + 1;
    header->command_bytes = sizeof FIRST - 1;
    memcpy(header->command, FIRST, sizeof FIRST - 1);
    header->first = (struct identity){.pid = 1, .birth = 10, .space = 20};
    *raw_process(header, process) = (struct raw_process){.pid = process + 1, .threads = 1};
    raw_image_begin(image, 0, 1, 0);
    image->segments[0]->process = process;
    raw_image_add(image, 0, 1000, RAW_MALLOC, 0x1000, 10);
    return image;
}

/* As the recorder leaves it. */
static struct raw_segment *leave(struct raw_image *image, uint32_t process, const char *words,
                                 size_t bytes)
{
    struct raw_header *header = raw_image_header(image);
    struct raw_segment *segment = (struct raw_segment *)(image->bytes + header->next);
    header->next += RAW_SEGMENT_BYTES_SMALL;
    *segment = (struct raw_segment){.state = RAW_SEGMENT_FULL,
                                    .bytes = RAW_SEGMENT_BYTES_SMALL,
                                    .process = process,
                                    .thread = RAW_NOBODY};
    raw_command(segment)->bytes = (uint32_t)bytes;
    memcpy(raw_command(segment)->words, words, bytes);
    raw_announce(header, segment);
    return segment;
}

static void finish(struct drain *drain, uint32_t process)
{
    uint64_t bytes, events;
    assert_int_equal(drain_finish(drain, process, 0, &bytes, &events), 0);
    assert_int_equal(events, 1);
}

static void expect_command(const char *path, const char *words, size_t bytes)
{
    char error[512];
    struct trace_reader *reader;
    assert_int_equal(trace_reader_open(&reader, path, error, sizeof error), 0);
    assert_int_equal(trace_reader_header(reader)->threads, 1);
    assert_int_equal(trace_reader_header(reader)->command_bytes, bytes);
    assert_memory_equal(trace_reader_command(reader), words, bytes);
    trace_reader_close(reader);
}

static void convert(struct raw_image *image, uint32_t process, const char *words, size_t bytes)
{
    struct drain *drain = raw_image_drain(image);
    finish(drain, process);
    drain_release(drain);
    expect_command(image->path, words, bytes);
    raw_image_release(image);
}

static void the_first_has_the_recordings(void **state)
{
    (void)state;
    convert(image_of(0), 0, WORDS(FIRST));
}

/* Not what it is called now: a wrapper's command is the one to run again. */
static void so_has_what_the_first_becomes(void **state)
{
    (void)state;
    struct raw_image *image = image_of(1);
    struct raw_process *process = raw_process(raw_image_header(image), 1);
    *process =
        (struct raw_process){.pid = 1, .birth = 10, .space = 20, .identified = 1, .threads = 1};
    leave(image, 1, WORDS(SECOND));
    convert(image, 1, WORDS(FIRST));
}

/* As in a namespace of its own. */
static void another_of_that_pid_does_not(void **state)
{
    (void)state;
    struct raw_image *image = image_of(1);
    struct raw_process *process = raw_process(raw_image_header(image), 1);
    *process =
        (struct raw_process){.pid = 1, .birth = 10, .space = 21, .identified = 1, .threads = 1};
    leave(image, 1, WORDS(SECOND));
    convert(image, 1, WORDS(SECOND));
}

/* It is no thread of its own, and what stood there is no record of who gets the segment next. */
static void others_have_their_own(void **state)
{
    (void)state;
    struct raw_image *image = image_of(1);
    struct raw_segment *segment = leave(image, 1, WORDS(SECOND));
    struct drain *drain = raw_image_drain(image);
    assert_int_equal(drain_round(drain), 1);
    finish(drain, 1);
    drain_release(drain);
    expect_command(image->path, WORDS(SECOND));
    assert_int_equal(segment->state, RAW_SEGMENT_FREE);
    for (uint32_t i = 0; i < raw_record_count(segment); i++)
        assert_int_equal(raw_records(segment)[i].head, 0);
    raw_image_release(image);
}

/* The header that the first one wrote has room for exactly these words. */
static void another_drain_goes_on_with_it(void **state)
{
    (void)state;
    struct raw_image *image = image_of(1);
    leave(image, 1, WORDS(SECOND));
    image->segment_bytes = RAW_SEGMENT_BYTES_LARGE;
    const uint64_t events = 200000; /* more than a block */
    struct raw_header *header = raw_image_header(image);
    for (uint64_t n = 0; n < events; n++) {
        raw_image_go_on(image, 0);
        image->segments[0]->process = 1;
        raw_image_add(image, 0, 1016 + 16 * n, n % 2 == 0 ? RAW_FREE : RAW_MALLOC, 0x1000, 10);
    }
    raw_process(header, 1)->threads = 1;
    struct drain *drain = raw_image_drain(image);
    assert_int_equal(drain_round(drain), events + 1);
    drain_release(drain); /* killed */
    expect_command(image->path, WORDS(SECOND));
    drain = raw_image_drain(image);
    uint64_t bytes, told;
    assert_int_equal(drain_finish(drain, 1, 0, &bytes, &told), 0);
    assert_int_equal(told, events + 1);
    drain_release(drain);
    expect_command(image->path, WORDS(SECOND));
    raw_image_release(image);
}

static void none_or_a_damaged_one(void **state)
{
    (void)state;
    convert(image_of(1), 1, "", 0);
    struct raw_image *image = image_of(1);
    leave(image, 1, "cc1", 3);
    convert(image, 1, "", 0);
    image = image_of(1);
    raw_command(leave(image, 1, WORDS(SECOND)))->bytes = UINT32_MAX;
    convert(image, 1, "", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_has_the_recordings),
        cmocka_unit_test(so_has_what_the_first_becomes),
        cmocka_unit_test(another_of_that_pid_does_not),
        cmocka_unit_test(others_have_their_own),
        cmocka_unit_test(another_drain_goes_on_with_it),
        cmocka_unit_test(none_or_a_damaged_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
