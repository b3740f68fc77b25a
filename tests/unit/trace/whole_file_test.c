/*
 * Files that appear when they are whole: with and without a file system that keeps files without a
 * name (this program's open() can refuse them), and with something in their way.
 */
#include "workloads/trace/whole_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The linker makes every call of open() one of this: see CMakeLists.txt. */
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, mode_t mode);

static bool names_all; /* as on a file system that has no O_TMPFILE */

int __wrap_open(const char *path, int flags, mode_t mode)
{
    if (names_all && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return __real_open(path, flags, mode);
}

/* And every call of fsync() one of this. */
int __real_fsync(int fd);
int __wrap_fsync(int fd);

static int sync_error;

int __wrap_fsync(int fd)
{
    errno = sync_error;
    return sync_error != 0 ? -1 : __real_fsync(fd);
}

/* ---- a directory of its own ------------------------------------------------------------------ */

static char directory[] = "whole-file-XXXXXX";

static int enter(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL || chdir(directory) != 0;
}

static int leave(void **state)
{
    (void)state;
    return chdir("..") != 0 || rmdir(directory) != 0;
}

static int files_here(void)
{
    DIR *here = opendir(".");
    int count = -2; /* "." and ".." */
    assert_non_null(here);
    while (readdir(here) != NULL)
        count++;
    closedir(here);
    return count;
}

static void write_text(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void assert_holds(const char *path, const char *text)
{
    char found[32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_true(read(fd, found, sizeof found - 1) >= 0);
    assert_string_equal(found, text);
    close(fd);
}

static int mode_of(const char *path)
{
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    return (int)(file.st_mode & 0777);
}

/* ---- the tests ------------------------------------------------------------------------------- */

/* With and without O_TMPFILE. */
static void in_both_ways(void (*body)(void))
{
    for (int way = 0; way < 2; way++) {
        names_all = way == 1;
        body();
    }
    names_all = false;
}

static void open_and_write(struct whole_file *file, const char *path, const char *text)
{
    assert_int_equal(whole_file_open(file, path), 0);
    write_text(file->fd, text);
}

/* Writes `text` into what will be t.hmt; `parts` are the names that it takes before. */
static void write_whole(const char *text, int parts)
{
    struct whole_file file;
    int before = files_here();
    open_and_write(&file, "./t.hmt", text);
    assert_int_equal(files_here(), before + parts);
    assert_int_equal(whole_file_publish(&file), 0);
    assert_holds("t.hmt", text);
}

static void write_and_replace(bool without_nameless)
{
    mode_t mask = umask(027);
    names_all = without_nameless;
    write_whole("one", names_all);
    write_whole("two", names_all);
    assert_int_equal(mode_of("t.hmt"), 0640);
    assert_int_equal(files_here(), 1);
    unlink("t.hmt");
    umask(mask);
    names_all = false;
}

/* Where there is no O_TMPFILE here, this is the next test again. */
static void test_without_a_name(void **state)
{
    (void)state;
    int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    write_and_replace(fd < 0);
    if (fd >= 0)
        close(fd);
}

static void test_with_a_name(void **state)
{
    (void)state;
    write_and_replace(true);
}

static void drop_one(void)
{
    struct whole_file file;
    open_and_write(&file, "t.hmt", "half");
    whole_file_drop(&file);
    assert_int_equal(files_here(), 0);
}

static void test_dropped(void **state)
{
    (void)state;
    in_both_ways(drop_one);
}

/* Two at once, the second one's name taken: each keeps to its own. */
static void test_two_at_once(void **state)
{
    struct whole_file first, second;
    (void)state;
    names_all = true;
    open_and_write(&first, "t.hmt", "first");
    open_and_write(&second, "t.hmt", "second");
    assert_string_not_equal(first.part, second.part);
    assert_int_equal(whole_file_publish(&second), 0);
    assert_holds("t.hmt", "second");
    assert_int_equal(whole_file_publish(&first), 0);
    assert_holds("t.hmt", "first");
    assert_int_equal(files_here(), 1);
    unlink("t.hmt");
    names_all = false;
}

static void write_longest_name(void)
{
    struct whole_file file;
    char name[NAME_MAX + 1];
    memset(name, 'x', NAME_MAX);
    name[NAME_MAX] = '\0';
    for (int i = 0; i < 2; i++) {
        open_and_write(&file, name, "long");
        assert_int_equal(whole_file_publish(&file), 0);
        assert_holds(name, "long");
        assert_int_equal(files_here(), 1);
    }
    unlink(name);
}

/* The longest name that there can be, also when it is taken. */
static void test_longest_name(void **state)
{
    (void)state;
    in_both_ways(write_longest_name);
}

/* What the disk does not take is found out in time: nothing replaces what was there. */
static void test_disk_that_fails(void **state)
{
    struct whole_file file;
    (void)state;
    write_whole("old", 0);
    open_and_write(&file, "t.hmt", "new");
    sync_error = ENOSPC;
    assert_int_equal(whole_file_publish(&file), -ENOSPC);
    assert_holds("t.hmt", "old");
    assert_int_equal(files_here(), 1);
    sync_error = EINVAL; /* it keeps nothing back */
    write_whole("new", 0);
    sync_error = 0;
    unlink("t.hmt");
}

static void blocked(void)
{
    struct whole_file file;
    assert_int_equal(whole_file_open(&file, "t.hmt"), 0);
    assert_int_equal(mkdir("t.hmt", 0777), 0);
    assert_int_equal(whole_file_publish(&file), -EISDIR);
    assert_int_equal(rmdir("t.hmt"), 0);
    assert_int_equal(files_here(), 0);
}

/* A directory takes the name while it is written: an error, and nothing is left. */
static void test_blocked(void **state)
{
    (void)state;
    in_both_ways(blocked);
}

static void write_by_a_link(void)
{
    assert_int_equal(symlink("b", "a"), 0);
    assert_int_equal(symlink("./t.hmt", "b"), 0);
    for (int i = 0; i < 2; i++) { /* the second time it is there */
        struct whole_file file;
        char to[16] = "";
        open_and_write(&file, "a", "by a link");
        assert_int_equal(whole_file_publish(&file), 0);
        assert_int_equal(readlink("a", to, sizeof to), 1);
        assert_holds("t.hmt", "by a link");
        assert_int_equal(files_here(), 3);
    }
    unlink("a");
    unlink("b");
    unlink("t.hmt");
}

/* What links lead to is written; they stay. */
static void test_links(void **state)
{
    (void)state;
    in_both_ways(write_by_a_link);
}

static void test_links_without_end(void **state)
{
    struct whole_file file;
    (void)state;
    assert_int_equal(symlink("a", "a"), 0);
    assert_int_equal(whole_file_open(&file, "a"), -ELOOP);
    unlink("a");
}

static void test_cannot_open(void **state)
{
    struct whole_file file;
    char path[PATH_MAX + 1];
    (void)state;
    assert_int_equal(whole_file_open(&file, "nowhere/t.hmt"), -ENOENT);
    memset(path, 'x', PATH_MAX);
    path[PATH_MAX] = '\0';
    assert_int_equal(whole_file_open(&file, path), -ENAMETOOLONG);
    path[300] = '\0';
    assert_int_equal(whole_file_open(&file, path), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_name),    cmocka_unit_test(test_with_a_name),
        cmocka_unit_test(test_dropped),           cmocka_unit_test(test_two_at_once),
        cmocka_unit_test(test_longest_name),      cmocka_unit_test(test_disk_that_fails),
        cmocka_unit_test(test_blocked),           cmocka_unit_test(test_links),
        cmocka_unit_test(test_links_without_end), cmocka_unit_test(test_cannot_open),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
