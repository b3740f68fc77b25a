/* How much disk space lies ready for segments: twice what was carved off, within bounds. */
#include "fixture.h"

#include "workloads/trace/raw.h"
#include "workloads/trace/recording_space.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB        (UINT64_C(1) << 20)
#define FILE_BYTES (1024 * MIB)

static uint64_t bytes_of(int fd)
{
    struct stat file;
    assert_int_equal(fstat(fd, &file), 0);
    return (uint64_t)file.st_blocks * 512;
}

/* The file as `heapmark record` maps it, of which so much is carved off. Mapped until the process ends. */
static struct raw_header *header_of(int fd, uint64_t carved)
{
    assert_int_equal(ftruncate(fd, FILE_BYTES), 0);
    struct raw_header *header = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(header, MAP_FAILED);
    raw_advise(header, FILE_BYTES); /* nothing is read ahead */
    *header = (struct raw_header){.next = RAW_FIRST_SEGMENT + carved, .file_bytes = FILE_BYTES};
    return header;
}

static uint64_t ahead_after(struct space *space, uint64_t carved)
{
    space_keep_ahead(space, header_of(space->raw_fd, carved));
    return space->end - RAW_FIRST_SEGMENT - carved;
}

/* So that a program finds it there. */
static bool page_is_made(int fd, uint64_t at)
{
    unsigned char resident = 0;
    char *page = (char *)header_of(fd, 0) + at / RAW_PAGE_BYTES * RAW_PAGE_BYTES;
    assert_int_equal(mincore(page, 1, &resident), 0);
    return resident & 1;
}

/* Deleted at once; where the file system is nearly full, there is nothing to be seen. */
static FILE *file_with_room(void)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    if (space_bytes_max(fileno(file), 0) < 32 * MIB)
        skip();
    return file;
}

static void it_grows_with_what_was_carved_off(void **state)
{
    (void)state;
    FILE *file = file_with_room();
    int fd = fileno(file);
    struct space space;
    space_begin(&space, fd, 0);
    if (space.end == UINT64_MAX) {
        fclose(file);
        skip(); /* a file system that gives none in advance */
    }
    assert_int_equal(space.end, RAW_FIRST_SEGMENT + 4 * MIB);
    assert_true(bytes_of(fd) >= 4 * MIB);
    assert_int_equal(ahead_after(&space, MIB), 3 * MIB); /* more than half is left */
    space_make_pages(&space, header_of(fd, MIB));
    assert_true(page_is_made(fd, RAW_FIRST_SEGMENT + MIB));
    assert_true(page_is_made(fd, RAW_FIRST_SEGMENT + 2 * MIB - 1));
    assert_int_equal(ahead_after(&space, 3 * MIB), 6 * MIB);
    assert_int_equal(ahead_after(&space, 8 * MIB), 16 * MIB);
    assert_int_equal(ahead_after(&space, 30 * MIB), 32 * MIB);
    assert_int_equal(ahead_after(&space, 100 * MIB), 32 * MIB); /* from there on, not from behind */
    assert_true(bytes_of(fd) >= (4 + 5 + 15 + 32 + 32) * MIB);
    fclose(file);
}

static void it_stays_within_bounds(void **state)
{
    (void)state;
    FILE *file = file_with_room();
    struct space space;
    space_begin(&space, fileno(file), MIB);
    if (space.end == UINT64_MAX) {
        fclose(file);
        skip();
    }
    assert_int_equal(space.end, RAW_FIRST_SEGMENT + MIB); /* as much as the traces may have */
    int fd = fileno(file);
    struct raw_header *header = header_of(fd, 10 * MIB);
    header->size_max = MIB;
    space_keep_ahead(&space, header);
    assert_int_equal(space.end, header->next + MIB);
    header = header_of(fd, 20 * MIB);
    header->file_bytes = header->next + 3 * MIB; /* not beyond the file */
    space_keep_ahead(&space, header);
    assert_int_equal(space.end, header->file_bytes);
    header = header_of(fd, 40 * MIB);
    header->cut = header->next; /* the disk is full: nobody takes more */
    space_keep_ahead(&space, header);
    assert_int_equal(space.end, RAW_FIRST_SEGMENT + 23 * MIB);
    fclose(file);
}

/* Who may not make pages touches them as they are: only where blocks are for sure. */
static void what_is_reserved_is_told(void **state)
{
    (void)state;
    FILE *file = file_with_room();
    struct space space;
    space_begin(&space, fileno(file), 0);
    if (space.end == UINT64_MAX) {
        fclose(file);
        skip();
    }
    struct raw_header *header = header_of(fileno(file), MIB);
    space_announce(&space, header);
    assert_int_equal(header->reserved, RAW_FIRST_SEGMENT + 4 * MIB);
    header = header_of(fileno(file), 3 * MIB);
    space_keep_ahead(&space, header);
    assert_int_equal(header->reserved, space.end);
    uint64_t end = space.end;
    space.end = UINT64_MAX; /* no more is to be had */
    space_announce(&space, header);
    assert_int_equal(header->reserved, end);
    fclose(file);
}

static void a_file_that_gets_none(void **state)
{
    (void)state;
    struct raw_header header = {.next = RAW_FIRST_SEGMENT + 10 * MIB, .file_bytes = FILE_BYTES};
    struct space space;
    space_begin(&space, -1, 0);
    space_keep_ahead(&space, &header);
    space_make_pages(&space, &header);
    assert_int_equal(space.end, UINT64_MAX);
    assert_int_equal(space.made, 0);
    assert_int_equal(header.reserved, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_grows_with_what_was_carved_off),
        cmocka_unit_test(it_stays_within_bounds),
        cmocka_unit_test(what_is_reserved_is_told),
        cmocka_unit_test(a_file_that_gets_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
