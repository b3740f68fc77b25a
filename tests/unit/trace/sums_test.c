/* What `trace info` adds up: curves, histograms, call sites. */
#include "tools.h"

#include "workloads/trace/curve.h"
#include "workloads/trace/histogram.h"
#include "workloads/trace/sites.h"

static void test_curve(void **state)
{
    (void)state;
    static struct trace_curve curve;
    curve_begin(&curve);
    /* 100 bytes up to position 50,000, 300 up to 99,999 */
    curve_add(&curve, 0, 0, 100);
    curve_add(&curve, 50000, 50000, 300);
    curve_add(&curve, 60000, 60000, 700);
    curve_add(&curve, 60001, 60001, 300);
    curve_add(&curve, 99999, 99999, 0);
    uint64_t events = 0, most = 0;
    for (uint32_t i = 0; i < curve.count; i++) {
        events += curve.bins[i].events;
        most = curve.bins[i].bytes_max > most ? curve.bins[i].bytes_max : most;
    }
    assert_true(curve.count > CURVE_BINS / 2 && curve.count <= CURVE_BINS);
    assert_int_equal(events, 5);
    assert_int_equal(most, 700);
    assert_true(curve_mean(&curve, 0, 1) == 100);
    assert_true(curve_mean(&curve, 380, 381) == 300);
    double mean = curve_mean(&curve, 0, curve.count);
    assert_true(mean > 199 && mean < 201);
}

/* Up to the last tick there is: the last bin's end is beyond it. */
static void test_curve_to_the_end_of_time(void **state)
{
    (void)state;
    static struct trace_curve curve;
    curve_begin(&curve);
    curve_add(&curve, 0, 0, 100);
    curve_add(&curve, UINT64_MAX - 1, UINT64_MAX - 1, 300);
    curve_add(&curve, UINT64_MAX, UINT64_MAX, 0);
    assert_int_equal(curve.count, CURVE_BINS);
    assert_true(curve_mean(&curve, 0, CURVE_BINS) == 100);
    assert_int_equal(curve.bins[CURVE_BINS - 1].events, 2);
    assert_int_equal(curve.bins[CURVE_BINS - 1].bytes_max, 300);
}

static void test_histogram_range(void **state)
{
    static struct trace_histogram histogram;
    uint64_t objects, bytes, sum = 0;
    (void)state;
    for (uint64_t value = 0; value < 100000; value++)
        trace_histogram_add(&histogram, value, 2);
    for (unsigned log2 = 0; log2 < 17; log2++) {
        uint64_t low = log2 == 0 ? 0 : UINT64_C(1) << log2, end = UINT64_C(2) << log2;
        trace_histogram_range(&histogram, low, end, &objects, &bytes);
        assert_int_equal(objects, (end < 100000 ? end : 100000) - low);
        assert_int_equal(bytes, 2 * objects);
        sum += objects;
    }
    assert_int_equal(sum, 100000);
}

static void test_sites(void **state)
{
    struct trace_sites sites = {0};
    uint32_t site, again;
    (void)state;
    for (uint64_t i = 0; i < 5000; i++) {
        uint64_t stack[] = {i / 2, 7, i % 2};
        assert_int_equal(trace_sites_find(&sites, stack, 3, &site), 0);
        assert_int_equal(site, i);
        sites.sites[site].bytes = i;
    }
    for (uint64_t i = 0; i < 5000; i++) {
        uint64_t stack[] = {i / 2, 7, i % 2};
        assert_int_equal(trace_sites_find(&sites, stack, 3, &again), 0);
        assert_int_equal(again, i);
    }
    trace_sites_sort(&sites);
    assert_int_equal(sites.count, 5000);
    assert_int_equal(sites.sites[0].bytes, 4999);
    assert_int_equal(sites.sites[4999].bytes, 0);
    trace_sites_release(&sites);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_curve),
        cmocka_unit_test(test_curve_to_the_end_of_time),
        cmocka_unit_test(test_histogram_range),
        cmocka_unit_test(test_sites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
