#include "check.h"

#include "job/params.h"
#include "workloads/registry.h"

static void values_are_parsed_by_type_and_range(void **state)
{
    static const char *const colours[] = {"red", "green", NULL};
    const struct workload_option bytes = {.name = "b",
                                          .type = OPTION_BYTES,
                                          .min = 1,
                                          .max = 1 << 20};
    const struct workload_option count = {.name = "c", .type = OPTION_COUNT, .min = 0, .max = 5000};
    const struct workload_option choice = {.name = "d", .type = OPTION_CHOICE, .choices = colours};
    const struct workload_option trace = {.name = "t", .type = OPTION_TRACE};
    char expected[128];
    uint64_t value;
    (void)state;
    assert_int_equal(workload_option_parse(&bytes, "1m", &value, expected, sizeof expected), 0);
    assert_int_equal(value, 1 << 20);
    assert_int_not_equal(workload_option_parse(&bytes, "2m", &value, expected, sizeof expected), 0);
    assert_string_equal(expected, "a size from 1 to 1m");
    assert_int_equal(workload_option_parse(&count, "5k", &value, expected, sizeof expected), 0);
    assert_int_not_equal(workload_option_parse(&count, "6k", &value, expected, sizeof expected), 0);
    assert_int_equal(workload_option_parse(&choice, "green", &value, expected, sizeof expected), 0);
    assert_int_equal(value, 1);
    assert_int_not_equal(workload_option_parse(&choice, "blue", &value, expected, sizeof expected),
                         0);
    assert_string_equal(expected, "one of red, green");
    assert_int_equal(workload_option_parse(&trace, "x", &value, expected, sizeof expected), 0);
    assert_int_not_equal(workload_option_parse(&trace, "", &value, expected, sizeof expected), 0);
}

/* What list.def names must be complete: users see all of it in `heapmark list workloads`. */
static void every_workload_describes_itself(void **state)
{
    (void)state;
    for (size_t i = 0; workloads[i] != NULL; i++) {
        const struct workload *w = workloads[i];
        assert_non_null(w->summary);
        assert_non_null(w->source);
        assert_non_null(w->work_unit);
        assert_non_null(w->run);
        assert_non_null(w->run_timed);
        assert_ptr_equal(workload_find(w->name), w);
        for (size_t o = 0; o < workload_option_count(w); o++) {
            const struct workload_option *option = &w->options[o];
            char expected[256];
            uint64_t value;
            assert_non_null(option->help);
            assert_ptr_equal(workload_option_find(w, option->name), option);
            if (option->fallback != NULL)
                assert_int_equal(workload_option_parse(option, option->fallback, &value, expected,
                                                       sizeof expected),
                                 0);
        }
    }
    assert_null(workload_find("nonsense"));
    assert_non_null(workload_trace_option(workload_find("replay")));
    assert_null(workload_trace_option(workload_find("pair")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_parsed_by_type_and_range),
        cmocka_unit_test(every_workload_describes_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
