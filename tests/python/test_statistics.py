"""Estimates and intervals: on stored values, at the edges, and by simulation with a fixed seed."""

import math
import warnings

import numpy as np
import pytest
from heapmark import statistics
from scipy import stats

# Time ratios of two identical programs in 8 blocks on a shared machine; one block met a neighbour.
STORED = np.log([1.02, 0.97, 1.01, 2.31, 0.99, 1.04, 0.98, 1.00])
# Coverage is checked within what REPEATS draws of a 95 % interval can scatter, and a margin for the
# few blocks at which order statistics are coarse.
REPEATS = 500
COVERED_AT_LEAST = 0.91


def normal(rng, shape):
    return rng.normal(0, 0.05, shape)


def heavy(rng, shape):
    slow = np.log(rng.uniform(1.3, 3, shape)) * (rng.random(shape) < 0.05)
    return rng.normal(0, 0.03, shape) + slow


def bimodal(rng, shape):
    return rng.normal(0, 0.01, shape) + 0.08 * (rng.random(shape) < 0.4)


NOISES = pytest.mark.parametrize("noise", [normal, heavy, bimodal])


def log_ratios(noise, rng, shape, truth=0.0):
    return truth + noise(rng, shape) - noise(rng, shape)


@pytest.mark.parametrize("gaps", (0, 0.3))
def test_medians_of_draws_are_those_of_the_drawn_values(gaps):
    rng = np.random.default_rng(4)
    for blocks in (5, 8, 9):
        matrix = rng.normal(size=(blocks, 4))
        matrix[rng.random(matrix.shape) < gaps] = math.nan
        rows = rng.integers(0, blocks, (50, blocks))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a draw of gaps alone
            plain = np.nanmean(np.nanmedian(matrix[rows], axis=1), axis=1)
        drawn = statistics.mean_of_medians(matrix, statistics.times_held(rows))
        np.testing.assert_allclose(drawn, plain)


@pytest.mark.parametrize("count", (6, 7, 30))
def test_an_interval_is_scipys_own(count):
    values = np.random.default_rng(count).normal(size=count)
    low, high = stats.mstats.median_cihs(values, alpha=0.05)
    assert statistics.interval(values) == pytest.approx((low, high), rel=1e-12)


def test_one_slow_block_does_not_move_the_estimate():
    estimate = statistics.location(STORED).exp()
    assert estimate.value == pytest.approx(1.005, abs=0.001)
    assert estimate.low == pytest.approx(0.979, abs=0.001)
    assert 1.02 < estimate.high < 1.8
    assert np.exp(STORED.mean()) > 1.1, "the mean is what the slow block drags along"


def test_a_ratio_and_its_inverse_have_the_same_error():
    there, back = statistics.location(STORED).exp(), statistics.location(-STORED).exp()
    assert back.value == pytest.approx(1 / there.value)
    assert (back.low, back.high) == pytest.approx((1 / there.high, 1 / there.low))


def test_no_value_is_no_estimate():
    assert statistics.location([]) is None
    assert statistics.location([math.nan, math.nan]) is None
    assert statistics.mean_location(np.empty((5, 0))) is None


def test_one_block_has_no_interval():
    estimate = statistics.location([0.1])
    assert estimate.value == 0.1 and not estimate.has_interval
    assert not statistics.mean_location([[0.1, 0.2]]).has_interval


@pytest.mark.parametrize("blocks", [2, 3, 5, 8])
def test_identical_values_have_an_interval_of_no_width(blocks):
    estimate = statistics.location([0.25] * blocks)
    assert (estimate.value, estimate.low, estimate.high) == (0.25, 0.25, 0.25)
    estimate = statistics.mean_location([[0.25, 0.75]] * blocks)
    assert (estimate.value, estimate.low, estimate.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("blocks", range(2, 13))
def test_interval_holds_the_estimate_at_every_size(blocks):
    values = np.random.default_rng(3).normal(0, 1, blocks)
    estimate = statistics.location(values)
    assert estimate.low < estimate.value < estimate.high
    assert estimate.blocks == blocks


def test_missing_values_are_left_out():
    with_gaps = [0.1, math.nan, 0.3, 0.2, math.nan]
    assert statistics.location(with_gaps) == statistics.location([0.1, 0.3, 0.2])
    matrix = np.array([[0.1, 1.0], [math.nan, 1.1], [0.3, 1.2], [0.2, 1.1], [0.2, 1.3], [0.1, 1.2]])
    estimate = statistics.mean_location(matrix)
    assert estimate.value == pytest.approx((0.2 + 1.15) / 2)
    assert estimate.low < estimate.value < estimate.high


def test_the_p_value_is_tukeys_and_mclaughlins():
    """Of 10 values two are cut off at either end: the winsorised deviation, and five degrees of freedom."""
    values = np.random.default_rng(8).normal(0.3, 1, 10)
    winsorised = np.asarray(stats.mstats.winsorize(values, (0.2, 0.2)))
    t = np.sort(values)[2:-2].mean() / (winsorised.std(ddof=1) / (0.6 * math.sqrt(10)))
    assert statistics.p_location(values) == pytest.approx(2 * stats.t.sf(abs(t), 5), rel=1e-6)


def test_one_slow_block_does_not_raise_the_noise():
    without = np.delete(STORED, 3)
    noise = statistics.noise(STORED[:, np.newaxis])
    assert 0.005 < noise < 0.04
    assert noise < 2 * statistics.noise(without[:, np.newaxis])
    assert math.isnan(statistics.noise([[0.1, 0.2]]))


@NOISES
def test_nothing_is_rarely_called_a_difference(noise):
    """Interval and noise together: the false verdicts on a thing that does not differ."""
    rng = np.random.default_rng(7)
    beyond_noise = called = 0
    for _ in range(REPEATS):
        floor = statistics.noise(log_ratios(noise, rng, (8, 1)))
        estimate = statistics.location(log_ratios(noise, rng, 8))
        beyond = abs(estimate.value) > floor
        beyond_noise += beyond
        called += beyond and not estimate.low <= 0 <= estimate.high
    assert 0.01 * REPEATS < beyond_noise < 0.25 * REPEATS
    assert called <= 0.05 * REPEATS


def test_the_same_values_give_the_same_interval():
    matrix = log_ratios(heavy, np.random.default_rng(1), (8, 9))
    assert statistics.mean_location(matrix) == statistics.mean_location(matrix)


@NOISES
@pytest.mark.parametrize("blocks", [3, 5, 8])
def test_interval_of_a_cell_covers_the_truth(noise, blocks):
    rng = np.random.default_rng(2023)
    truth = math.log(0.8)
    draws = [statistics.location(log_ratios(noise, rng, blocks, truth)) for _ in range(REPEATS)]
    covered = np.mean([draw.low <= truth <= draw.high for draw in draws])
    assert covered >= COVERED_AT_LEAST


@NOISES
@pytest.mark.parametrize("blocks", [3, 8])
def test_interval_over_cells_covers_the_truth(noise, blocks):
    rng = np.random.default_rng(2024)
    cells = np.log([0.5, 0.9, 1.0, 1.2, 3.0])
    covered = 0
    for _ in range(REPEATS // 2):
        draw = statistics.mean_location(cells + log_ratios(noise, rng, (blocks, len(cells))))
        covered += draw.low <= cells.mean() <= draw.high
    assert covered >= COVERED_AT_LEAST * (REPEATS // 2)


def test_the_median_has_less_error_than_the_mean_when_trials_are_slow_now_and_then():
    """What the choice of the estimator rests on."""
    values = log_ratios(heavy, np.random.default_rng(5), (REPEATS, 8))
    error = {
        "median": np.sqrt(np.mean([statistics.location(row).value ** 2 for row in values])),
        "mean": np.sqrt(np.mean(values.mean(axis=1) ** 2)),
    }
    assert error["median"] < 0.5 * error["mean"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("one, other, p", [
    ([0.1] * 8, [0.1] * 8, 1),
    ([0.1] * 8, [0.1 + 1e-17] * 7 + [0.1 - 2e-17], 1),
    ([0.3] * 8, [0.1] * 8, 0),
    ([0.1] * 8, [0.1] * 7 + [0.9], 1),  # the trimmed mean does not see the last one
])  # fmt: skip
def test_values_without_variance_have_a_p_and_no_warning(one, other, p):
    assert statistics.p_difference(one, other) == p
    assert statistics.p_difference(other, one) == p


@pytest.mark.filterwarnings("error")
def test_equal_values_that_rounding_parted_are_no_difference():
    parted = np.log([1.1] * 8) - np.log(1.1) + np.array([0, 1, -1, 0, 2, 0, 1, 0]) * 1e-17
    assert statistics.p_location(parted) == 1
    assert statistics.p_location(parted + 0.2) == 0
    assert statistics.p_location([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1e-3]) == 1
    low, high = statistics.interval(parted[:4])
    assert abs(low) < 1e-12 and abs(high) < 1e-12


@pytest.mark.filterwarnings("error")
def test_yuens_test_is_scipys_where_that_has_an_answer():
    rng = np.random.default_rng(1)
    for counts in ((2, 2), (3, 7), (8, 8), (14, 5), (40, 11)):
        one, other = (rng.normal(at, 1 + at, count) for at, count in enumerate(counts))
        expected = stats.ttest_ind(one, other, equal_var=False, trim=statistics.TRIMMED).pvalue
        assert statistics.p_difference(one, other) == pytest.approx(expected, rel=1e-9)
    assert math.isnan(statistics.p_difference([1.0], [1.0, 2.0]))
    assert statistics.p_difference([0.1] * 6, rng.normal(0.1, 0.01, 6)) > 0.01, "one of them is constant"
