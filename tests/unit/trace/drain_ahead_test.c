/* Blocks that are packed while the next ones are read, when a process is over. */
#include "raw_image.h"

#include <fcntl.h>
#include <unistd.h>

enum {
    EACH = SMALL_RECORDS - 1, /* of a segment's records; the first one is the epoch */
    SEGMENTS = 600,           /* several blocks */
};

static struct raw_image *make_image(void)
{
    struct raw_image *image = raw_image_new();
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        raw_image_begin(image, 0, 1, i);
        for (uint64_t k = 0; k < EACH; k++)
            raw_image_add(image, 0, (i * EACH + k) * 160, RAW_MALLOC, (i * EACH + k + 1) * 16, 1);
        image->segments[0]->state = RAW_SEGMENT_FULL;
    }
    return image;
}

/* All that was recorded, to the last byte of the file. */
static void check_whole(const struct raw_image *image, uint64_t bytes)
{
    char error[512];
    size_t size;
    free(fixture_read(image->path, &size));
    assert_int_equal(size, bytes);
    if (fixture_read_all(image->path, error, sizeof error) != TRACE_END)
        fail_msg("%s", error);
}

static void finish_and_check(struct raw_image *image, struct drain *drain)
{
    uint64_t bytes, events;
    assert_int_equal(drain_finish(drain, 0, 0, &bytes, &events), 0);
    drain_release(drain);
    assert_int_equal(events, SEGMENTS * EACH);
    check_whole(image, bytes);
}

static void all_blocks(void **state)
{
    (void)state;
    struct raw_image *image = make_image();
    finish_and_check(image, raw_image_drain(image));
    raw_image_release(image);
}

/*
 * A drain that died after it had written blocks of which the raw file does not know yet: another one
 * writes them again, and nothing is left behind them.
 */
static void died_ahead(void **state)
{
    (void)state;
    struct raw_image *image = make_image();
    struct drain *first = raw_image_drain(image);
    assert_true(drain_round(first) > 0);
    drain_release(first);
    int fd = open(image->path, O_WRONLY | O_APPEND);
    assert_true(fd >= 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(write(fd, "of a block that does not count", 30), 30);
    close(fd);
    finish_and_check(image, raw_image_drain(image));
    raw_image_release(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_blocks),
        cmocka_unit_test(died_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
