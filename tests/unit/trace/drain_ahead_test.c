/* Blocks that are packed while the next ones are read, when a process is over. */
#include "raw_image.h"

#include <errno.h>
#include <unistd.h>

enum {
    EACH = SMALL_RECORDS - 1, /* of a segment's records; the first one is the epoch */
    SEGMENTS = 600,           /* several blocks */
};

static struct raw_image *make_image(void)
{
    struct raw_image *image = raw_image_new();
    raw_image_begin(image, 0, 1, 0);
    raw_image_allocate(image, 0, 0, 160, SEGMENTS * EACH);
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

/* The n-th call of these from now on is refused; 0: none. */
static int refused_realloc, refused_write, write_error;

void *__real_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size);
ssize_t __real_pwrite(int fd, const void *bytes, size_t count, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t count, off_t offset);

void *__wrap_realloc(void *block, size_t size)
{
    if (refused_realloc > 0 && --refused_realloc == 0)
        return NULL;
    return __real_realloc(block, size);
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    if (refused_write > 0 && --refused_write == 0) {
        errno = write_error;
        return -1;
    }
    return __real_pwrite(fd, bytes, count, offset);
}

/*
 * Memory was short anywhere on the way, so there may be whole blocks behind those of which the raw file
 * knows, or of which it knows none: the next drain brings every event once, and leaves nothing behind.
 */
static void memory_is_short_once(void **state)
{
    (void)state;
    uint64_t bytes, events;
    int failed = 0;
    bool refused = true;
    for (int n = 1; refused; n++) {
        struct raw_image *image = make_image();
        struct drain *drain = raw_image_drain(image);
        refused_realloc = n;
        int error = drain_finish(drain, 0, 0, &bytes, &events);
        refused = refused_realloc == 0;
        refused_realloc = 0;
        drain_release(drain);
        assert_int_equal(error, refused ? -ENOMEM : 0);
        failed += refused;
        if (refused)
            finish_and_check(image, raw_image_drain(image));
        raw_image_release(image);
    }
    assert_true(failed > 10);
}

/* A disk that is full at one call: what the recording held made room, and every event is there. */
static void disk_is_full_once(void **state)
{
    (void)state;
    for (int n = 4; n <= 12; n++) { /* the first ones make the file */
        struct raw_image *image = make_image();
        refused_write = n;
        write_error = ENOSPC;
        finish_and_check(image, raw_image_drain(image));
        assert_int_equal(refused_write, 0);
        raw_image_release(image);
    }
}

/*
 * A disk that breaks at one call: the recording ends there, and what stands before is a trace. Where it is
 * the trace's header, there is none.
 */
static void disk_breaks_once(void **state)
{
    (void)state;
    uint64_t bytes, events;
    int cut_off = 0, failed = 0;
    bool refused = true;
    for (int n = 1; refused; n++) {
        struct raw_image *image = make_image();
        struct raw_header *header = raw_image_header(image);
        struct drain *drain = raw_image_drain(image);
        header->level = RAW_ALL;
        refused_write = n;
        write_error = EIO;
        int error = drain_finish(drain, 0, 0, &bytes, &events);
        refused = refused_write == 0;
        refused_write = 0;
        drain_release(drain);
        assert_true(error == 0 || (refused && error == -EIO));
        failed += error != 0;
        cut_off += refused && error == 0;
        if (error == 0) {
            assert_int_equal(header->level, refused ? RAW_OFF : RAW_ALL);
            assert_int_equal(raw_process(header, 0)->flags, refused ? RAW_NO_SPACE : 0);
            assert_true(refused ? events < SEGMENTS * EACH : events == SEGMENTS * EACH);
        }
        if (error == 0 && bytes > 0)
            check_whole(image, bytes);
        raw_image_release(image);
    }
    assert_true(cut_off > 10);
    assert_int_equal(failed, 2); /* the header and its checksum, at the end */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_blocks),
        cmocka_unit_test(memory_is_short_once),
        cmocka_unit_test(disk_is_full_once),
        cmocka_unit_test(disk_breaks_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
