"""Estimates and their intervals; values in, Estimate out, nothing known of allocators.

ESTIMATOR is the one place that says which estimator is used. It was chosen by simulation (ratios of
two noisy trials per block; noise normal, bimodal, skewed, Student t with 3 degrees of freedom, and
normal with 5 or 10 % of the trials slowed 1.3 to 3 times). Coverage of the 95 % interval and root
mean square error of the estimate, with 8 blocks:

    estimator, interval                    covers         error, normal   error, 5 % slow trials
    mean of logs, BCa bootstrap            75 to 87 %         2.4 %             8.6 %
    mean of logs, Student t                94 to 98 %         2.5 %             8.7 %
    20 % trimmed mean, BCa bootstrap       89 to 92 %         2.5 %             4.6 %
    25 % trimmed mean, Winsorised t        92 to 96 %         2.7 %             2.4 %
    Hodges-Lehmann, signed ranks           95 to 96 %         2.6 %             3.3 %
    median, order statistics (used)        94 to 95 %         2.9 %             2.0 %

A bootstrap interval of few blocks promises more than it holds, and one slow trial in a block drags
a mean far off. The median gives up a little on clean noise and holds in all the others. The test
suite repeats the part of this table that the choice rests on.

Ratios are handled as logarithms, so that A/B and B/A have the same error. Below 5 blocks no order
statistic reaches 95 %, so the interval is Student's t about the mean of the logs: wide, and honest.
"""

import math
import warnings
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import stats

ESTIMATOR = "median of the block ratios"
CONFIDENCE = 0.95
RESAMPLES = 999
TRIMMED = 0.2  # of the values at either end, where a trimmed mean is tested
DUST = 1e-12  # what rounding leaves of the logarithms of equal ratios
ROUNDING = 1e-9  # keeps share * count from falling below the whole number that it stands for
RESAMPLE_SEED = 20231  # fixed: the same rows always give the same interval

# Fewest values whose range covers the median often enough (1 - 2/2^5 = 94 %), and fewest for which
# Hettmansperger and Sheather's interpolation between order statistics is defined.
BLOCKS_FOR_RANGE = 5
BLOCKS_FOR_ORDER_STATISTICS = 6


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; low and high are NaN where there are too few values for one."""

    value: float
    low: float
    high: float
    blocks: int  # values it rests on

    @property
    def has_interval(self):
        return not (math.isnan(self.low) or math.isnan(self.high))

    def exp(self):
        """The same estimate of a ratio, made from one of its logarithm."""
        return Estimate(math.exp(self.value), math.exp(self.low), math.exp(self.high), self.blocks)


def interval(values):
    """(low, high) of the 95 % interval of the values' centre; NaN for fewer than two values."""
    count = len(values)
    if count < 2:
        return math.nan, math.nan
    if np.ptp(values) == 0:
        return values[0], values[0]
    if count >= BLOCKS_FOR_ORDER_STATISTICS:
        return tuple(np.interp(interval_places(count), np.arange(count), np.sort(values)))
    if count >= BLOCKS_FOR_RANGE:
        return values.min(), values.max()
    return stats.t.interval(CONFIDENCE, count - 1, np.mean(values), stats.sem(values))


@cache
def interval_places(count):
    """Where among `count` sorted values their median's interval ends, between two as a fraction.

    Hettmansperger and Sheather's interval; it depends on the values by their order alone, so that
    of 0, 1, 2, ... is its places. Found once a count: it takes a millisecond.
    """
    return stats.mstats.median_cihs(np.arange(count), alpha=1 - CONFIDENCE)


def location(values):
    """Where independent values of one quantity lie, one value a block; NaN values are left out.

    Returns None when nothing is left. The values are differences or logarithms of ratios.
    """
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    if values.size == 0:
        return None
    low, high = interval(values)
    return Estimate(float(np.median(values)), float(low), float(high), int(values.size))


def p_location(values):
    """Chance of a centre as far from 0 as the values', if it were 0; NaN for fewer than 2 values.

    Student's t of the trimmed mean (Tukey and McLaughlin). Rank tests cannot go below 1/2^n, which
    after a correction for many comparisons would call a factor of 5 in 8 blocks no difference.
    """
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    cut = int(TRIMMED * values.size)
    left = values.size - 2 * cut
    if left < 2:
        return math.nan
    if np.ptp(values) <= DUST:
        return float(abs(values[0]) <= DUST)
    # The share that is really cut off: trimmed_stde divides by what the one given leaves.
    share = cut / values.size + ROUNDING
    error = stats.mstats.trimmed_stde(values, (share, share))
    centre = stats.trim_mean(values, share)
    if error <= DUST:
        return float(abs(centre) <= DUST)
    return float(2 * stats.t.sf(abs(centre / error), left - 1))


def p_difference(one, other):
    """The same for the difference of two groups' centres: Yuen's test.

    By hand, since scipy's warns of groups whose values are all equal, and knows no p for two of them.
    """
    (first, first_square, first_left), (second, second_square, second_left) = map(trimmed, (one, other))
    if min(first_left, second_left) < 2:
        return math.nan
    square = first_square + second_square
    if math.sqrt(square) <= DUST:
        return float(abs(first - second) <= DUST)
    freedom = square**2 / (first_square**2 / (first_left - 1) + second_square**2 / (second_left - 1))
    return float(2 * stats.t.sf(abs(first - second) / math.sqrt(square), freedom))


def trimmed(values):
    """(trimmed mean, its squared standard error, values left) after TRIMMED at either end."""
    ordered = np.sort(np.asarray(values, dtype=float))
    cut = int(TRIMMED * ordered.size)
    left = ordered.size - 2 * cut
    if left < 2:
        return math.nan, math.nan, left
    kept = ordered[cut : ordered.size - cut]
    drawn_in = np.clip(ordered, kept[0], kept[-1])
    squares = float(((drawn_in - drawn_in.mean()) ** 2).sum())
    return float(kept.mean()), squares / (left * (left - 1)), left


def spread(values):
    """Robust standard deviation: 1.48 times the median distance from the median; NaN below 2."""
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    if values.size < 2:
        return math.nan
    return float(stats.median_abs_deviation(values, scale="normal"))


def mean_location(matrix):
    """Mean over the columns (cells) of each column's location; rows are blocks.

    The interval comes from resampling whole blocks, which keeps what a block's cells share. Its
    percentile bootstrap covered 94 to 99 % with 5 blocks and more, 3 to 30 cells and the noises
    above; with fewer blocks it is Student's t about the blocks' means. A value may be NaN; a column
    without any value must not be passed. Returns None for no columns.
    """
    matrix = np.asarray(matrix, dtype=float)
    if matrix.size == 0:
        return None
    matrix = matrix[~np.isnan(matrix).all(axis=1)]
    if matrix.shape[1] == 1:
        return location(matrix[:, 0])
    centre = float(np.mean(np.nanmedian(matrix, axis=0)))
    if len(matrix) < BLOCKS_FOR_RANGE:
        low, high = interval(np.nanmean(matrix, axis=1))
    else:
        low, high = resampled_interval(matrix)
    return Estimate(centre, float(low), float(high), len(matrix))


def mean_of_medians(matrix, counts):
    """What mean_location estimates, of many draws of a matrix's rows at once.

    counts[..., row] says how often a draw holds a row. Half of a draw is passed on the way through
    a column's ordered values, which are ordered once for all draws: mean_location() and noise() of
    50 blocks and 25 cells take 0.4 of the time that they took with drawn values. Of a column without a value a draw takes the others' mean.
    """
    medians = [median_of_draws(column, counts) for column in matrix.T]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a draw without any value is NaN
        return np.nanmean(medians, axis=0)


def median_of_draws(values, counts):
    """The median of each draw of the values; NaN values are in none."""
    order = np.argsort(values)[: np.count_nonzero(~np.isnan(values))]
    held = np.cumsum(counts[..., order], axis=-1, dtype=np.int32)
    size = held[..., -1:]
    lower = np.count_nonzero(held < (size + 1) // 2, axis=-1)
    upper = np.count_nonzero(held < size // 2 + 1, axis=-1)
    ordered = np.append(values[order], math.nan)  # where an empty draw's upper half begins
    return (ordered[lower] + ordered[upper]) / 2


def noise(matrix):
    """How far from 0 chance takes mean_location when there is no difference; NaN below 2 blocks.

    `matrix` holds differences of a thing from itself, a row per block and a column per cell. Which
    of the two was called the first is chance, so every block's sign may as well be the other one:
    the 95 % quantile of the estimate's size over such flips is what it reaches without a cause. One
    slow trial moves it as little as it moves the estimate; the far end of an interval would be
    drawn out by it, and every allocator of the cell be called a tie.
    """
    matrix = np.asarray(matrix, dtype=float)
    matrix = matrix[:, ~np.isnan(matrix).all(axis=0)]
    matrix = matrix[~np.isnan(matrix).all(axis=1)]
    if len(matrix) < 2:
        return math.nan
    both = np.concatenate([matrix, -matrix])
    flips = stats.permutation_test(
        (np.ones(len(matrix)),),
        lambda signs, axis: mean_of_medians(both, np.concatenate([signs > 0, signs < 0], axis=-1)),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        random_state=RESAMPLE_SEED,
    )
    return float(np.quantile(np.abs(flips.null_distribution), CONFIDENCE))


def resampled_interval(matrix):
    if (matrix == matrix[0]).all():
        centre = matrix[0].mean()
        return centre, centre
    return stats.bootstrap(
        (np.arange(len(matrix)),),
        lambda rows, axis: mean_of_medians(matrix, times_held(rows)),
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        random_state=RESAMPLE_SEED,
    ).confidence_interval


def times_held(rows):
    """How often each row is in draws of as many rows, which are the last axis."""
    count = rows.shape[-1]
    draws = rows.reshape(-1, count)
    first = np.arange(len(draws))[:, np.newaxis] * count
    return np.bincount((first + draws).ravel(), minlength=draws.size).reshape(rows.shape)
