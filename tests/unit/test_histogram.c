#include "check.h"

#include "include/workload.h"
#include "trial/clock.h"
#include "trial/histogram.h"

static void every_value_lies_in_its_bucket(void **state)
{
    (void)state;
    uint64_t rng = 1;
    for (int i = 0; i < 200000; i++) {
        uint64_t value = rng_next(&rng) >> (24 + i % 40);
        uint32_t bucket = histogram_bucket(value);
        assert_in_range(bucket, 0, HISTOGRAM_BUCKETS - 1);
        assert_true(value >= histogram_bucket_low(bucket));
        assert_true(value < histogram_bucket_high(bucket));
    }
    assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void buckets_join_and_are_narrow(void **state)
{
    (void)state;
    for (uint32_t i = 0; i + 1 < HISTOGRAM_BUCKETS; i++) {
        uint64_t low = histogram_bucket_low(i), high = histogram_bucket_high(i);
        assert_true(high > low);
        assert_int_equal(histogram_bucket_low(i + 1), high);
        assert_true((double)(high - low) <= 1 + (double)low / HISTOGRAM_STEPS);
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void quantiles_match_the_sorted_values(void **state)
{
    enum { N = 10001 };
    static struct histogram h;
    static uint64_t values[N];
    uint64_t rng = 2;
    (void)state;
    for (int i = 0; i < N; i++) {
        values[i] = rng_below(&rng, 1u << (1 + i % 20));
        histogram_record(&h, values[i]);
    }
    qsort(values, N, sizeof values[0], compare);
    static const double quantiles[] = {0, 0.01, 0.5, 0.9, 0.99, 0.999, 1};
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        size_t rank = (size_t)(quantiles[i] * N + 0.999999);
        uint64_t exact = values[rank > 0 ? rank - 1 : 0];
        uint64_t found = histogram_quantile(&h, quantiles[i]);
        assert_int_equal(histogram_bucket(found), histogram_bucket(exact));
    }
    assert_int_equal(h.max, values[N - 1]);
}

static void an_empty_one_answers_zero(void **state)
{
    static struct histogram empty;
    (void)state;
    assert_int_equal(histogram_quantile(&empty, 0.5), 0);
}

static void adding_keeps_every_count(void **state)
{
    static struct histogram a, b;
    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        histogram_record(&a, i);
        histogram_record(&b, i * 1000);
    }
    histogram_add(&a, &b);
    assert_int_equal(a.count, 2000);
    assert_int_equal(a.max, 999000);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        sum += a.buckets[i];
    assert_int_equal(sum, 2000);
}

static void the_clock_goes_at_its_scale(void **state)
{
    (void)state;
    clock_use(clock_calibrate(20));
    uint64_t before = clock_gettime_ns(CLOCK_MONOTONIC_RAW), begin = clock_begin();
    uint64_t after_begin = clock_gettime_ns(CLOCK_MONOTONIC_RAW);
    struct timespec pause = {.tv_nsec = 20000000};
    nanosleep(&pause, NULL);
    uint64_t before_end = clock_gettime_ns(CLOCK_MONOTONIC_RAW);
    double ns = (double)clock_ns(clock_end() - begin);
    uint64_t after = clock_gettime_ns(CLOCK_MONOTONIC_RAW);
    /* Only that they agree: how long the pause took, and each reading, is the machine's affair. */
    assert_true(ns > 0.98 * (double)(before_end - after_begin));
    assert_true(ns < 1.02 * (double)(after - before));
    assert_true(clock_cost_ticks() < 100000);
}

static void the_clocks_step_is_of_common_differences(void **state)
{
    enum { WIDEST = 200, OFTEN = 64 };
    uint16_t seen[WIDEST] = {[0] = 500};
    (void)state;
    assert_int_equal(clock_step_of(seen, WIDEST, OFTEN), 1);
    seen[78] = seen[130] = OFTEN;
    seen[52] = 2000;
    seen[77] = OFTEN - 1;
    assert_int_equal(clock_step_of(seen, WIDEST, OFTEN), 26);
    seen[77] = OFTEN;
    assert_int_equal(clock_step_of(seen, WIDEST, OFTEN), 1);
}

static void a_clock_of_wide_steps_is_coarse(void **state)
{
    (void)state;
    assert_false(clock_is_coarse(&(struct clock_scale){.is_tsc = 1, .step_ns = 0.7}));
    assert_false(clock_is_coarse(&(struct clock_scale){.is_tsc = 1, .step_ns = 4.9}));
    assert_true(clock_is_coarse(&(struct clock_scale){.is_tsc = 1, .step_ns = 5}));
    assert_true(clock_is_coarse(&(struct clock_scale){.is_tsc = 0, .step_ns = 1}));
}

static void this_clock_has_the_step_that_was_found(void **state)
{
    enum { READINGS = 1000 };
    (void)state;
    struct clock_scale scale = clock_calibrate(20);
    uint64_t step = (uint64_t)(scale.step_ns / scale.ns_per_tick + 0.5);
    int whole = 0;
    clock_use(scale);
    for (int i = 0; i < READINGS; i++) {
        uint64_t begin = clock_begin();
        whole += (clock_end() - begin) % step == 0;
    }
    clock_use((struct clock_scale){.ns_per_tick = 1.0, .step_ns = 1.0});
    assert_true(whole > READINGS * 9 / 10);
}

static void the_clocks_own_cost_is_no_latency(void **state)
{
    static struct histogram histograms[OP_COUNT];
    static struct worker worker;
    (void)state;
    worker.sampler = (struct sampler){.rng = 1, .cost_ticks = 1ull << 40, .histograms = histograms};
    free(sampled_malloc(&worker, 16));
    assert_int_equal(histograms[OP_MALLOC].count, 1);
    assert_int_equal(histograms[OP_MALLOC].buckets[0], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_lies_in_its_bucket),
        cmocka_unit_test(buckets_join_and_are_narrow),
        cmocka_unit_test(quantiles_match_the_sorted_values),
        cmocka_unit_test(an_empty_one_answers_zero),
        cmocka_unit_test(adding_keeps_every_count),
        cmocka_unit_test(the_clock_goes_at_its_scale),
        cmocka_unit_test(the_clocks_step_is_of_common_differences),
        cmocka_unit_test(a_clock_of_wide_steps_is_coarse),
        cmocka_unit_test(the_clocks_own_cost_is_no_latency),
        cmocka_unit_test(this_clock_has_the_step_that_was_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
