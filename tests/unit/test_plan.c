#include "check.h"

#include "plan/plan.h"

enum { CELLS = 5, CONTENDERS = 4 };

/* A plan of CELLS cells and CONTENDERS contenders, the first being the baseline. */
static struct plan make_plan(uint64_t seed, uint32_t blocks, bool has_aa)
{
    static struct cell cells[CELLS];
    static struct contender contenders[CONTENDERS];
    static uint32_t everyone[CONTENDERS] = {0, 1, 2, 3};
    for (int i = 0; i < CELLS; i++)
        cells[i] = (struct cell){.contenders = everyone,
                                 .contender_count = CONTENDERS,
                                 .baseline = 0,
                                 .trial_time_ns = 100000000,
                                 .has_latency = true};
    for (int i = 0; i < CONTENDERS; i++)
        contenders[i].variant = "v=1";
    struct plan plan = {.seed = seed,
                        .blocks = blocks,
                        .has_aa = has_aa,
                        .cells = cells,
                        .cell_count = CELLS,
                        .contenders = contenders,
                        .contender_count = CONTENDERS};
    plan_order(&plan);
    return plan;
}

static void a_block_holds_every_combination_once(void **state)
{
    struct plan plan = make_plan(3, 7, true);
    (void)state;
    assert_int_equal(plan.trials_in_block, CELLS * (CONTENDERS + 1));
    assert_int_equal(plan.trial_count, 7 * plan.trials_in_block);
    for (uint32_t block = 0; block < plan.blocks; block++) {
        int seen[CELLS][CONTENDERS][2] = {0};
        for (uint32_t i = 0; i < plan.trials_in_block; i++) {
            const struct planned *t = &plan.trials[block * plan.trials_in_block + i];
            assert_int_equal(t->block, block);
            assert_in_range(t->pad_bytes, 0, 4096);
            seen[t->cell][t->contender][t->is_aa]++;
        }
        for (int c = 0; c < CELLS; c++)
            for (int a = 0; a < CONTENDERS; a++) {
                assert_int_equal(seen[c][a][0], 1);
                assert_int_equal(seen[c][a][1], a == 0);
            }
    }
}

static bool same_order(const struct plan *a, const struct plan *b)
{
    for (uint32_t i = 0; i < a->trial_count; i++)
        if (a->trials[i].cell != b->trials[i].cell ||
            a->trials[i].contender != b->trials[i].contender ||
            a->trials[i].pad_bytes != b->trials[i].pad_bytes)
            return false;
    return true;
}

static void the_seed_decides_the_order(void **state)
{
    struct plan a = make_plan(3, 4, false), b = make_plan(3, 4, false), c = make_plan(4, 4, false);
    (void)state;
    assert_true(same_order(&a, &b));
    assert_false(same_order(&a, &c));
}

static void blocks_differ_in_order(void **state)
{
    struct plan plan = make_plan(1, 2, false);
    uint32_t n = plan.trials_in_block, equal = 0;
    (void)state;
    for (uint32_t i = 0; i < n; i++)
        equal += plan.trials[i].cell == plan.trials[n + i].cell &&
                 plan.trials[i].contender == plan.trials[n + i].contender;
    assert_true(equal < n / 2);
}

/* Over many blocks each contender must stand early and late equally often. */
static void no_contender_has_a_favoured_place(void **state)
{
    struct plan plan = make_plan(11, 2000, false);
    double sum[CONTENDERS] = {0};
    (void)state;
    for (uint32_t i = 0; i < plan.trial_count; i++)
        sum[plan.trials[i].contender] += i % plan.trials_in_block;
    double middle = (plan.trials_in_block - 1) / 2.0;
    for (int a = 0; a < CONTENDERS; a++) {
        double mean = sum[a] / (2000.0 * CELLS);
        assert_true(mean > middle - 0.3 && mean < middle + 0.3);
    }
}

static void the_estimate_adds_up(void **state)
{
    struct plan plan = make_plan(1, 2, false);
    (void)state;
    assert_int_equal(plan_estimate_ns(&plan),
                     plan.trial_count * plan_trial_estimate_ns(&plan.cells[0]));
    assert_true(plan_trial_estimate_ns(&plan.cells[0]) > plan.cells[0].trial_time_ns);
}

static void aa_has_a_variant_of_its_own(void **state)
{
    struct plan plan = make_plan(1, 1, true);
    (void)state;
    for (uint32_t i = 0; i < plan.trial_count; i++)
        assert_string_equal(planned_variant(&plan, &plan.trials[i]),
                            plan.trials[i].is_aa ? "aa" : "v=1");
}

static void memory_policies_are_parsed(void **state)
{
    enum trial_mempolicy mode;
    uint64_t nodes;
    (void)state;
    assert_int_equal(mempolicy_parse("default", &mode, &nodes), 0);
    assert_int_equal(mode, MEMPOLICY_DEFAULT);
    assert_int_equal(mempolicy_parse("bind:0+3", &mode, &nodes), 0);
    assert_int_equal(mode, MEMPOLICY_BIND);
    assert_int_equal(nodes, 9);
    assert_int_equal(mempolicy_parse("interleave", &mode, &nodes), 0);
    static const char *const bad[] = {"",        "bind",    "bind:",         "bind:x",  "bind:64",
                                      "bind:0+", "local:0", "preferred:0+1", "defaults"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_not_equal(mempolicy_parse(bad[i], &mode, &nodes), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_holds_every_combination_once),
        cmocka_unit_test(the_seed_decides_the_order),
        cmocka_unit_test(blocks_differ_in_order),
        cmocka_unit_test(no_contender_has_a_favoured_place),
        cmocka_unit_test(the_estimate_adds_up),
        cmocka_unit_test(aa_has_a_variant_of_its_own),
        cmocka_unit_test(memory_policies_are_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
