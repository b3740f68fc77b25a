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
    uint64_t one = plan_trial_estimate_ns(&plan, &plan.trials[0]);
    (void)state;
    assert_int_equal(plan_estimate_ns(&plan), plan.trial_count * one);
    assert_true(one > plan.cells[0].trial_time_ns);
    /* All but the baseline take longer, which not more than doubles anything. */
    assert_true(plan_estimate_slow_ns(&plan) > 3 * plan_estimate_ns(&plan) / 2);
    assert_true(plan_estimate_slow_ns(&plan) < 2 * plan_estimate_ns(&plan));
}

/* ---- recorded times -------------------------------------------------------------------------- */

#define SECOND_NS UINT64_C(1000000000)

static struct cell make_paced_cell(uint64_t paced_ns)
{
    return (struct cell){.trial_time_ns = SECOND_NS / 10,
                         .timeout_ns = 60 * SECOND_NS,
                         .has_latency = true,
                         .paced_ns = paced_ns};
}

static void passes_fill_the_trial_and_are_at_least_one(void **state)
{
    static const uint64_t ms = 1000000, passes_of_ms[][2] = {{30000, 1}, {100, 1}, {70, 1},
                                                             {66, 2},    {20, 5},  {1, 100}};
    (void)state;
    for (size_t i = 0; i < sizeof passes_of_ms / sizeof *passes_of_ms; i++) {
        struct cell cell = make_paced_cell(passes_of_ms[i][0] * ms);
        assert_int_equal(cell_paced_work(&cell), passes_of_ms[i][1]);
    }
    struct cell unpaced = make_paced_cell(0);
    assert_int_equal(cell_paced_work(&unpaced), 1);
}

static void parts_are_shares_of_the_work(void **state)
{
    struct cell cell = make_paced_cell(0);
    cell.work = 40;
    cell.has_timeline = true;
    struct trial_parts parts = cell_parts(&cell, 0);
    (void)state;
    assert_int_equal(parts.warmup, 4);
    assert_int_equal(parts.measured, 40);
    assert_int_equal(parts.sampled, 10);
    assert_int_equal(parts.timeline, 40);
    assert_int_equal(parts_iterations(&parts), 94);
    assert_int_equal(cell_parts(&cell, 1).timeline, 0);
    cell.work = 1;
    cell.has_timeline = cell.has_latency = false;
    parts = cell_parts(&cell, 0);
    assert_int_equal(parts_iterations(&parts), 1);
}

/* One pass is measured, another one sampled, and neither gets shorter by a fast allocator. */
static void a_long_pass_is_in_the_estimate(void **state)
{
    struct plan plan = make_plan(1, 2, false);
    const uint64_t pass_ns = 30 * SECOND_NS, slack_ns = SECOND_NS;
    (void)state;
    for (int i = 0; i < CELLS; i++)
        plan.cells[i].paced_ns = pass_ns;
    uint64_t trial_ns = plan_trial_estimate_ns(&plan, &plan.trials[0]);
    assert_in_range(trial_ns, 2 * pass_ns, 2 * pass_ns + slack_ns);
    assert_int_equal(plan_estimate_slow_ns(&plan), plan_estimate_ns(&plan));
    for (int i = 0; i < CELLS; i++)
        plan.cells[i].has_exact_peak = true; /* and a pass of a process that only tells its peak */
    trial_ns = plan_trial_estimate_ns(&plan, &plan.trials[0]);
    assert_in_range(trial_ns, 3 * pass_ns, 3 * pass_ns + slack_ns);
    for (int i = 0; i < CELLS; i++)
        plan.cells[i].work = 4; /* 4 measured, 1 sampled, 4 for the peak */
    trial_ns = plan_trial_estimate_ns(&plan, &plan.trials[0]);
    assert_in_range(trial_ns, 9 * pass_ns, 9 * pass_ns + slack_ns);
}

static void a_timeout_leaves_time_for_the_pace(void **state)
{
    struct cell cell = make_paced_cell(70 * SECOND_NS), unpaced = make_paced_cell(0);
    (void)state;
    assert_int_equal(cell_timeout_ns(&unpaced, 100), 60 * SECOND_NS);
    assert_int_equal(cell_timeout_ns(&cell, 2), (60 + 2 * 140) * SECOND_NS);
    cell.is_timeout_given = true;
    assert_int_equal(cell_timeout_ns(&cell, 2), 60 * SECOND_NS);
    cell.is_timeout_given = false;
    assert_true(cell_timeout_ns(&cell, UINT64_MAX) > 24 * 3600 * SECOND_NS); /* no overflow */
    /* Long traces have a microsecond for each event. */
    unpaced.input = &(struct trace_input){.events = 100000000};
    assert_int_equal(cell_timeout_ns(&unpaced, 2), (60 + 2 * 100) * SECOND_NS);
    unpaced.is_timeout_given = true;
    assert_int_equal(cell_timeout_ns(&unpaced, 2), 60 * SECOND_NS);
}

/* ---- turns ----------------------------------------------------------------------------------- */

enum { TURNING_CELL = 2 };

/* The same plan with one cell whose contenders take turns. */
static struct plan make_turning_plan(uint32_t blocks)
{
    struct plan plan = make_plan(3, blocks, true);
    plan.cells[TURNING_CELL].turns = 10;
    plan_order(&plan);
    return plan;
}

static void trials_that_take_turns_stand_together(void **state)
{
    struct plan plan = make_turning_plan(20);
    (void)state;
    for (uint32_t i = 0; i < plan.trial_count; i++) {
        bool takes_turns = plan.trials[i].cell == TURNING_CELL;
        uint32_t first = plan.units[i];
        assert_true(takes_turns ? first <= i && i < first + CONTENDERS + 1 : first == i);
        assert_int_equal(plan.trials[first].cell, plan.trials[i].cell);
        assert_int_equal(plan.trials[first].block, plan.trials[i].block);
    }
}

static void turns_leave_the_other_trials_in_their_order(void **state)
{
    struct plan with = make_turning_plan(5), without;
    (void)state;
    with.cells[TURNING_CELL].turns = 0;
    without = make_plan(3, 5, true);
    uint32_t j = 0;
    for (uint32_t i = 0; i < with.trial_count; i++) {
        if (with.trials[i].cell == TURNING_CELL)
            continue;
        while (without.trials[j].cell == TURNING_CELL)
            j++;
        assert_memory_equal(&with.trials[i], &without.trials[j], sizeof with.trials[i]);
        j++;
    }
}

static void more_blocks_leave_the_first_as_they_were(void **state)
{
    struct plan few = make_turning_plan(3), many = make_turning_plan(9);
    (void)state;
    for (uint32_t i = 0; i < few.trial_count; i++) {
        assert_memory_equal(&few.trials[i], &many.trials[i], sizeof few.trials[i]);
        assert_int_equal(few.units[i], many.units[i]);
    }
}

static void turns_and_work_fit_one_another(void **state)
{
    static const struct {
        uint64_t work;
        uint32_t turns;
        uint64_t work_after;
        uint32_t turns_after;
    } cases[] = {{1000, 100, 1000, 100}, {1050, 100, 1000, 100}, {7, 100, 7, 7},
                 {1, 3, 1, 1},           {1000, 0, 1000, 0},     {0, 5, 0, 5}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cell cell = {.work = cases[i].work, .turns = cases[i].turns};
        assert_int_equal(cell_settle_turns(&cell), cases[i].turns == cases[i].turns_after);
        assert_int_equal(cell.work, cases[i].work_after);
        assert_int_equal(cell.turns, cases[i].turns_after);
        assert_true(cell_settle_turns(&cell));
        assert_int_equal(cell.work, cases[i].work_after);
    }
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
        cmocka_unit_test(passes_fill_the_trial_and_are_at_least_one),
        cmocka_unit_test(parts_are_shares_of_the_work),
        cmocka_unit_test(a_long_pass_is_in_the_estimate),
        cmocka_unit_test(a_timeout_leaves_time_for_the_pace),
        cmocka_unit_test(trials_that_take_turns_stand_together),
        cmocka_unit_test(turns_leave_the_other_trials_in_their_order),
        cmocka_unit_test(more_blocks_leave_the_first_as_they_were),
        cmocka_unit_test(turns_and_work_fit_one_another),
        cmocka_unit_test(aa_has_a_variant_of_its_own),
        cmocka_unit_test(memory_policies_are_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
