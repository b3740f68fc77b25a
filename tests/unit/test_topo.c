/* Placement on machines that are not this one: hwloc reads HWLOC_SYNTHETIC instead of /sys. */
#include "check.h"

#include "topo/topo.h"

static struct topo *machine(const char *synthetic)
{
    setenv("HWLOC_SYNTHETIC", synthetic, 1);
    struct topo *topo = topo_open();
    assert_non_null(topo);
    return topo;
}

/* Two nodes, each with two cores of two threads; CPU numbers count across cores first. */
static const char two_nodes[] = "NUMANode:2 core:2 pu:2(indexes=0,4,1,5,2,6,3,7)";

static void compact_takes_neighbours(void **state)
{
    int32_t cpus[4];
    struct topo *topo = machine(two_nodes);
    (void)state;
    assert_int_equal(topo_cpu_count(topo), 8);
    assert_int_equal(topo_node_count(topo), 2);
    assert_int_equal(topo_place(topo, "compact", 4, cpus), 4);
    const int32_t expected[] = {0, 4, 1, 5};
    assert_memory_equal(cpus, expected, sizeof expected);
    topo_close(topo);
}

static void scatter_takes_what_is_far_apart(void **state)
{
    int32_t cpus[4];
    struct topo *topo = machine(two_nodes);
    (void)state;
    assert_int_equal(topo_place(topo, "scatter", 2, cpus), 2);
    assert_true(cpus[0] % 4 < 2 && cpus[1] % 4 >= 2); /* one on each node */
    assert_int_equal(topo_place(topo, "scatter", 4, cpus), 4);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++)
            assert_int_not_equal(cpus[i] % 4, cpus[j] % 4); /* four different cores */
    topo_close(topo);
}

static void lists_and_too_many_threads_go_round(void **state)
{
    int32_t cpus[6];
    struct topo *topo = machine(two_nodes);
    (void)state;
    assert_int_equal(topo_place(topo, "7,1-2", 6, cpus), 3);
    const int32_t expected[] = {7, 1, 2, 7, 1, 2};
    assert_memory_equal(cpus, expected, sizeof expected);
    assert_int_equal(topo_place(topo, "none", 2, cpus), 0);
    assert_int_equal(cpus[0], -1);
    topo_close(topo);
}

static void bad_placements_are_named(void **state)
{
    static const struct {
        const char *placement, *said;
    } bad[] = {{"compcat", "did you mean 'compact'?"},
               {"9", "CPU 9"},
               {"0,", "no CPU or range"},
               {"3-1", "no CPU or range"},
               {"0-", "no CPU"},
               {"", "unknown placement"},
               {"0-7,8", "CPU 8"}};
    char reason[256];
    struct topo *topo = machine(two_nodes);
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_not_equal(topo_check_placement(topo, bad[i].placement, reason, sizeof reason),
                             0);
        assert_non_null(strstr(reason, bad[i].said));
    }
    assert_int_equal(topo_check_placement(topo, "0-3,7", reason, sizeof reason), 0);
    assert_true(topo_has_node(topo, 1));
    assert_false(topo_has_node(topo, 2));
    topo_close(topo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compact_takes_neighbours),
        cmocka_unit_test(scatter_takes_what_is_far_apart),
        cmocka_unit_test(lists_and_too_many_threads_go_round),
        cmocka_unit_test(bad_placements_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
