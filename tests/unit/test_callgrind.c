#include "check.h"

#include "runner/callgrind.h"

/* As valgrind 3.19 writes it with --compress-strings=no --compress-pos=no --dump-line=no. */
static const char sample[] = "# callgrind format\n"
                             "version: 1\n"
                             "creator: callgrind-3.19.0\n"
                             "pid: 77\n"
                             "cmd:  /bin/program\n"
                             "part: 1\n"
                             "\n"
                             "\n"
                             "desc: I1 cache: \n"
                             "\n"
                             "positions: line\n"
                             "events: Ir\n"
                             "summary: 170\n"
                             "\n"
                             "\n"
                             "ob=/lib/libc.so.6\n"
                             "fl=???\n"
                             "fn=malloc\n"
                             "0 50\n"
                             "cob=/lib/libc.so.6\n"
                             "cfn=_int_malloc\n"
                             "calls=10 0 \n"
                             "0 70\n"
                             "\n"
                             "fn=_int_malloc\n"
                             "0 60\n"
                             "\n"
                             "fn=malloc'2\n"
                             "0 5\n"
                             "\n"
                             "ob=/bin/program\n"
                             "fl=x.c\n"
                             "fn=malloc\n"
                             "0 54\n"
                             "\n"
                             "fn=odd'name\n"
                             "0 1\n"
                             "\n"
                             "totals: 170\n";

static int read_text(const char *text, size_t length, struct callgrind_profile *profile)
{
    FILE *stream = fmemopen((void *)text, length, "r");
    assert_non_null(stream);
    int result = callgrind_read(stream, profile);
    fclose(stream);
    return result;
}

static void assert_function(const struct callgrind_function *f, const char *name,
                            const char *object, uint64_t instructions)
{
    assert_string_equal(f->name, name);
    assert_string_equal(f->object, object);
    assert_int_equal(f->instructions, instructions);
}

static void own_instructions_are_added_up_by_function(void **state)
{
    struct callgrind_profile profile;
    (void)state;
    assert_int_equal(read_text(sample, sizeof sample - 1, &profile), 0);
    assert_int_equal(profile.instructions, 170);
    assert_int_equal(profile.function_count, 4);
    assert_function(&profile.functions[0], "_int_malloc", "/lib/libc.so.6", 60);
    assert_function(&profile.functions[1], "malloc", "/lib/libc.so.6", 55); /* not the call's 70 */
    assert_function(&profile.functions[2], "malloc", "/bin/program", 54);
    assert_function(&profile.functions[3], "odd'name", "/bin/program", 1);
}

static void a_profile_that_is_cut_off_is_none(void **state)
{
    struct callgrind_profile profile;
    size_t whole = strlen(sample) - strlen("totals: 170\n");
    (void)state;
    for (size_t length = 1; length <= whole; length++)
        assert_int_not_equal(read_text(sample, length, &profile), 0);
}

static void another_format_is_refused(void **state)
{
    struct callgrind_profile profile;
    static const char *const bad[] = {"0 5\ntotals: 5\n", "fn=f\n0 x\ntotals: 5\n",
                                      "fn=f\n0\ntotals: 5\n", "hello\n"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_not_equal(read_text(bad[i], strlen(bad[i]), &profile), 0);
}

static void only_the_greatest_functions_are_kept(void **state)
{
    char text[4096];
    size_t length = 0;
    struct callgrind_profile profile;
    (void)state;
    for (int i = 0; i < 30; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "fn=f%d\n0 %d\n", i,
                                   (i * 7) % 30 + 1);
    length += (size_t)snprintf(text + length, sizeof text - length, "totals: 465\n");
    assert_int_equal(read_text(text, length, &profile), 0);
    assert_int_equal(profile.function_count, CALLGRIND_FUNCTIONS);
    for (uint32_t i = 0; i < CALLGRIND_FUNCTIONS; i++)
        assert_int_equal(profile.functions[i].instructions, 30 - i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_instructions_are_added_up_by_function),
        cmocka_unit_test(a_profile_that_is_cut_off_is_none),
        cmocka_unit_test(another_format_is_refused),
        cmocka_unit_test(only_the_greatest_functions_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
