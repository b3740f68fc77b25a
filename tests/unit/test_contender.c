#include "check.h"

#include "allocators/registry.h"
#include "job/contender.h"
#include "job/knob.h"

#include <stdio.h>

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

/* One of each kind of value, inside and outside. */
static void values_are_checked(void **state)
{
    static const char *const good[] = {
        "slub:nodes=64",
        "slub:percpu=rseq",
        "slub:pool=4m",
        "slub:pool=4194304",
        "slub:sheaves=0:debug=1",
        "ptmalloc:trim_threshold=1G",
        "dlmalloc:top_pad=64k",
        "null:ring=16k",
        "system:trim_threshold=65536",
        "jemalloc:tcache=bool",
        "mimalloc:eager_commit=-1",
        "mimalloc:show_errors=yes",
        "tbb:use_huge_pages=1",
        "tcmalloc:release_rate=2.5",
        "mimalloc:reserve_os_memory=1g",
    };
    static const char *const bad[] = {
        "slub:nodes=65",          "slub:nodes=0",         "slub:nodes=",
        "slub:nodes=-1",          "slub:nodes=1k",        "slub:sheaves=2",
        "slub:percpu=maybe",      "slub:percpu=",         "slub:pool=1k",
        "slub:pool=8mb",          "slub:pool=m",          "slub:pool=99999999999999999999",
        "slub:stats=1:debug=2",   "ptmalloc:arenas=foo",  "ptmalloc:arenas=0x1",
        "dlmalloc:nothing=1",     "dlmalloc:perturb=256", "null:ring=foo",
        "null:ring=8k",           "null:populate=",       "system:arena_max=0",
        "system:top_pad=64k",     "jemalloc:narenas=",    "mimalloc:eager_commit=foo",
        "mimalloc:page_reset=1.", "tbb:use_huge_pages=2", "tcmalloc:release_rate=1e3",
    };
    struct contender c;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (contender_find(good[i], "", &c) != 0)
            fail_msg("'%s' was refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (contender_find(bad[i], "", &c) == 0)
            fail_msg("'%s' was taken", bad[i]);
}

/* ---- the descriptor says what the library takes ----------------------------------------------- */

/* Whether the library itself, preloaded under a program that allocates, refuses this setting. */
static bool library_refuses(const struct allocator *a, const char *knob, const char *value)
{
    const char *template = a->knob_template;
    char line[1024] = "";
    const char *command = pool_printf("LD_PRELOAD=%s %.*s=%s=%s /bin/ls / 2>&1 >/dev/null",
                                      contender_installed_path(a), (int)strcspn(template, "="),
                                      template, knob, value);
    FILE *pipe = popen(command, "re");
    assert_non_null(pipe);
    size_t got = fread(line, 1, sizeof line - 1, pipe);
    line[got] = '\0';
    pclose(pipe);
    return strstr(line, a->refusal) != NULL;
}

static void compare(const struct allocator *a, const struct allocator_knob *knob, const char *value)
{
    bool is_refused = library_refuses(a, knob->name, value);
    if (is_refused == knob_takes(knob, value))
        fail_msg("'%s:%s=%s' is %s by the library only", a->name, knob->name, value,
                 is_refused ? "refused" : "taken");
}

/* The greatest values are not tried where they are sizes: memory is reserved for some of them. */
static void compare_limits(const struct allocator *a, const struct allocator_knob *knob)
{
    enum { MOST_TRIED = 1 << 20 };
    compare(a, knob, pool_printf("%zu", knob->min));
    if (knob->min > 0)
        compare(a, knob, pool_printf("%zu", knob->min - 1));
    if (knob->max <= MOST_TRIED)
        compare(a, knob, pool_printf("%zu", knob->max));
    if (knob->max < SIZE_MAX)
        compare(a, knob, pool_printf("%zu", knob->max + 1));
}

static void our_libraries_agree(void **state)
{
    (void)state;
    for (size_t i = 0; allocators[i] != NULL; i++) {
        const struct allocator *a = allocators[i];
        if (a->libraries == NULL || strncmp(a->libraries[0], "libhm_", 6) != 0)
            continue;
        for (const struct allocator_knob *knob = a->knobs; knob->name != NULL; knob++) {
            compare(a, knob, "no-such-value");
            if (knob->type == KNOB_WORD)
                for (size_t word = 0; knob->words[word] != NULL; word++)
                    compare(a, knob, knob->words[word]);
            else
                compare_limits(a, knob);
        }
    }
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
        cmocka_unit_test(knobs_reach_the_environment), cmocka_unit_test(a_plain_name_sets_nothing),
        cmocka_unit_test(bad_arguments_are_refused),   cmocka_unit_test(values_are_checked),
        cmocka_unit_test(our_libraries_agree),         cmocka_unit_test(a_path_is_a_contender),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
