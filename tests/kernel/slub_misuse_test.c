/* Every wrong call ends in SIGABRT and one line that names it; each runs in a child of its own. */
#include "slub_misuse.h"

#include <stdlib.h>
#include <string.h>

char *volatile hidden;

static void test_misuse(void **state)
{
    const struct misuse *misuse = *state;
    struct ending e = ending_of(misuse->run);

    assert_int_equal(signal_of(&e), misuse->signal);
    assert_true(misuse->signal || e.status == 0);
    if (!strstr(e.said, misuse->message))
        fail_msg("expected '%s', got '%s'", misuse->message, e.said);
    assert_int_equal(strncmp(e.said, "slub: ", 6), 0);
}

enum { MISUSES_MAX = 120 };

static struct CMUnitTest tests[MISUSES_MAX];
static size_t count;

static void add_test(const char *name, CMUnitTestFunction test, const struct misuse *misuse)
{
    if (count == MISUSES_MAX)
        abort();
    tests[count++] =
        (struct CMUnitTest){.name = name, .test_func = test, .initial_state = (void *)misuse};
}

static void add_table(CMUnitTestFunction test, const struct misuse *misuse)
{
    for (; misuse->name; misuse++)
        add_test(misuse->name, test, misuse);
}

int main(void)
{
    add_table(test_misuse, misuse_pointers);
    add_table(test_the_wrong_one_is_named, misuse_named);
    add_table(test_misuse, misuse_caches);
    add_test("destroy_names_the_objects", test_destroy_names_the_objects, NULL);
    add_test("destroy_names_sixteen", test_destroy_names_sixteen, NULL);
    add_table(test_misuse, misuse_debug);
    add_test("debug_sees_each_byte", test_debug_sees_each_byte, NULL);
    add_test("debug_looks_fast", test_debug_looks_fast, NULL);
    add_table(test_misuse, misuse_usercopy);
    add_table(test_misuse, misuse_none);
    return _cmocka_run_group_tests("misuse", tests, count, NULL, NULL);
}
