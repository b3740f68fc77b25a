"""Change points of a series: from where on its level is another one.

A split is as good as the difference of the ranks left and right of it (Pettitt's statistic, scaled
so that splits near the ends count as much as those in the middle). Whether the best split is more
than chance is found out by shuffling the series, which needs no assumption about its noise. What
is found is split further. One odd value is never a change: both sides have SEGMENT values or more.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

SEGMENT = 3
ALPHA = 0.01
SHUFFLES = 1999
SEED = 20231


@dataclass(frozen=True)
class Change:
    """The value number `at` is the first on the new level. `factor`: new level over old one."""

    at: int
    factor: float
    p_value: float


def split_scores(ranks):
    """How unlike the two sides of each allowed split are; `ranks` may have leading axes."""
    count = ranks.shape[-1]
    left = np.arange(SEGMENT, count - SEGMENT + 1)
    sums = np.cumsum(ranks, axis=-1)[..., left - 1]
    expected = left * (count + 1) / 2
    deviation = np.sqrt(left * (count - left) * (count + 1) / 12)
    return np.abs(sums - expected) / deviation


def best_score(ranks):
    return split_scores(ranks).max(axis=-1)


def find(values):
    """Changes of a series of logarithms, in its order. NaN values must have been left out."""
    values = np.asarray(values, dtype=float)
    return sorted(changes_in(values, 0, len(values)), key=lambda change: change.at)


def changes_in(values, begin, end):
    part = values[begin:end]
    if len(part) < 2 * SEGMENT or np.ptp(part) == 0:
        return []
    ranks = stats.rankdata(part)
    p_value = chance(ranks)
    if p_value > ALPHA:
        return []
    at = begin + best_split(part)
    factor = math.exp(np.median(values[at:end]) - np.median(values[begin:at]))
    sides = changes_in(values, begin, at) + changes_in(values, at, end)
    return [Change(at, factor, p_value)] + sides


def best_split(values):
    """Where the two sides are closest to their medians.

    Ranks tell that there is a change better than where: sorted values seem to change in the middle.
    """
    costs = [
        sum(np.abs(side - np.median(side)).sum() for side in (values[:at], values[at:]))
        for at in range(SEGMENT, len(values) - SEGMENT + 1)
    ]
    return SEGMENT + int(np.argmin(costs))


def chance(ranks):
    """Share of shuffled series with a split as good as this one's best."""
    rng = np.random.default_rng(SEED)
    shuffled = rng.permuted(np.tile(ranks, (SHUFFLES, 1)), axis=1)
    as_good = np.count_nonzero(best_score(shuffled) >= best_score(ranks) - 1e-9)
    return (as_good + 1) / (SHUFFLES + 1)
