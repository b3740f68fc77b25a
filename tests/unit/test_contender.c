#include "check.h"

#include "job/contender.h"

static void knobs_reach_the_environment(void **state)
{
    struct contender c;
    (void)state;
    assert_int_equal(contender_find("system:arena_max=1:tcache_count=0", "", &c), 0);
    assert_false(c.is_preloaded);
    assert_string_equal(c.allocator, "system");
    assert_string_equal(c.variant, "arena_max=1:tcache_count=0");
    assert_int_equal(c.environment.count, 1);
    assert_string_equal(c.environment.items[0],
                        "GLIBC_TUNABLES=glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0");

    assert_int_equal(contender_find("jemalloc:narenas=1:tcache=false", "", &c), 0);
    assert_string_equal(c.environment.items[0], "MALLOC_CONF=narenas:1,tcache:false");

    assert_int_equal(contender_find("mimalloc:page_reset=1:show_errors=1", "", &c), 0);
    assert_int_equal(c.environment.count, 2);
    assert_string_equal(c.environment.items[0], "MIMALLOC_PAGE_RESET=1");
    assert_string_equal(c.environment.items[1], "MIMALLOC_SHOW_ERRORS=1");
}

static void a_plain_name_sets_nothing(void **state)
{
    struct contender c;
    (void)state;
    assert_int_equal(contender_find("jemalloc", "", &c), 0);
    assert_true(c.is_preloaded);
    assert_int_equal(c.environment.count, 0);
    assert_string_equal(c.variant, "");
    assert_true(c.ino != 0);
    assert_non_null(strstr(c.path, "libjemalloc.so"));
}

static void bad_arguments_are_refused(void **state)
{
    static const char *const bad[] = {"jemaloc",   "system:arena=1", "system:arena_max",
                                      "system:=1", "./nowhere.so",   "/etc/hostname",
                                      "/bin/sh",   "null:nothing=1", "/dev/null:a=1"};
    struct contender c;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (contender_find(bad[i], "", &c) == 0)
            fail_msg("'%s' was taken", bad[i]);
}

static void a_path_is_a_contender(void **state)
{
    struct contender named, by_path;
    (void)state;
    assert_int_equal(contender_find("null", "", &named), 0);
    assert_int_equal(contender_find(named.path, "", &by_path), 0);
    assert_null(by_path.descriptor);
    assert_true(by_path.ino == named.ino && by_path.dev == named.dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knobs_reach_the_environment),
        cmocka_unit_test(a_plain_name_sets_nothing),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(a_path_is_a_contender),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
