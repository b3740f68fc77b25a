/* Another drain goes on with what one has left that was killed, or with a raw file that a full disk cut short. */
#include "raw_image.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    EACH = SMALL_RECORDS - 1, /* of a segment's records; the first one is the epoch */
    BLOCK = 200 * EACH,       /* more than a block waits for */
    STEP = 160,
};

static void expect_starts(const char *path, uint64_t told, uint64_t starts)
{
    char error[512];
    struct trace_reader *reader;
    struct trace_event event;
    enum trace_next result;
    uint64_t found = 0;
    assert_int_equal(trace_reader_open(&reader, path, error, sizeof error), 0);
    while ((result = trace_reader_next(reader, &event)) == TRACE_EVENT)
        found += event.op == TRACE_SPAWN;
    if (result != TRACE_END)
        fail_msg("%s", trace_reader_error(reader));
    assert_int_equal(found, starts);
    assert_int_equal(told, trace_reader_header(reader)->events);
    trace_reader_close(reader);
}

/* Its first segment is in the trace and somebody else's since; the next one tells no more than what comes. */
static void thread_was_met_by_the_last_one(void **state)
{
    (void)state;
    struct raw_image *image = raw_image_of(1);
    raw_image_begin_of(image, 1, 77, 0, 0);
    for (uint64_t i = 0; i < EACH; i++)
        raw_image_add(image, 1, i * STEP, RAW_MALLOC, 0x1000 + 16 * i, 1);
    struct raw_segment *first = image->segments[1];
    first->state = RAW_SEGMENT_FULL;
    raw_image_allocate(image, 0, EACH * STEP, STEP, BLOCK);
    struct drain *drain = raw_image_drain(image);
    assert_int_equal(drain_round(drain), EACH + BLOCK);
    assert_int_equal(first->state, RAW_SEGMENT_FREE);
    drain_release(drain); /* killed */
    raw_image_begin_of(image, 1, 77, 1, 0);
    raw_image_add(image, 1, (EACH + BLOCK + 1) * STEP, RAW_FREE, 0x1000, 0);
    uint64_t told = raw_image_finish(raw_image_drain(image));
    assert_int_equal(told, EACH + BLOCK + 1 + 1); /* a start, and the free */
    expect_starts(image->path, told, 1);
    raw_image_release(image);
}

/* Pages for which there was no space: to look at one ends the process. */
static void cut_short_by_a_full_disk(void **state)
{
    (void)state;
    int status;
    struct raw_image *image = raw_image_of(1);
    struct raw_header *header = raw_image_header(image);
    raw_image_add(image, 0, 1600, RAW_MALLOC, 0x1000, 10);
    uint64_t cut = header->cut = header->next;
    header->next += 3 * RAW_SEGMENT_BYTES_SMALL;
    assert_int_equal(mprotect(image->bytes + cut, RAW_IMAGE_BYTES - cut, PROT_NONE), 0);
    pid_t child = fork();
    if (child == 0)
        _exit(raw_image_finish(raw_image_drain(image)) != 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    raw_image_release(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thread_was_met_by_the_last_one),
        cmocka_unit_test(cut_short_by_a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
