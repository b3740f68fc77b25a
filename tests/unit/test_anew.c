#include "check.h"

#include "runner/anew.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { PAGES = 64, PAGE = 4096 };

static size_t cached_pages(int fd)
{
    unsigned char cached[PAGES];
    size_t count = 0;
    void *map = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    assert_int_equal(mincore(map, PAGES * PAGE, cached), 0);
    munmap(map, PAGES * PAGE);
    for (int i = 0; i < PAGES; i++)
        count += cached[i] & 1;
    return count;
}

/* Just written, as by a linker: all pages are still to go to the disk. */
static void a_files_pages_leave_the_cache(void **state)
{
    const long tmpfs = 0x01021994, ramfs = 0x858458f6;
    char path[] = "anew.XXXXXX", page[PAGE] = {1};
    struct statfs system;
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    for (int i = 0; i < PAGES; i++)
        assert_int_equal(write(fd, page, PAGE), PAGE);
    assert_int_equal(cached_pages(fd), PAGES);
    anew_file(path);
    size_t left = cached_pages(fd);
    assert_int_equal(fstatfs(fd, &system), 0);
    unlink(path);
    close(fd);
    if (system.f_type == tmpfs || system.f_type == ramfs)
        skip();
    assert_int_equal(left, 0);
}

static void a_file_that_is_not_there_is_left_to_the_trial(void **state)
{
    (void)state;
    anew_file("no/such/file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_files_pages_leave_the_cache),
        cmocka_unit_test(a_file_that_is_not_there_is_left_to_the_trial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
