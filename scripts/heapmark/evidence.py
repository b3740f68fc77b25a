"""What samples say about a difference: the estimate, and how sure it is to lie beyond a bound.

Two kinds of samples hold logarithms of figures, one value a block:

- Paired: differences taken inside blocks. The bounds are tested with Wilcoxon's signed ranks.
- Independent: two groups whose blocks have nothing to do with each other (two runs). The bounds are
  tested with Mann and Whitney's ranks.

Both tests are exact for any noise that is symmetrical (Paired: two contenders with the same kind of
noise differ symmetrically) or that is the same in both groups (Independent), however heavy its
tails are. That is what the gate's error rates rest on: at the levels that remain when 1 % is shared
by some twenty comparisons and several looks, a t test of a dozen values promises too much.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from heapmark import statistics

EXACT_MAX = 200  # values up to which the exact distribution of the ranks is computed


def clean(values):
    values = np.asarray(values, dtype=float)
    return values[~np.isnan(values)]


@dataclass(frozen=True)
class Paired:
    """Differences of logarithms, one a block; NaN where a block has none."""

    values: np.ndarray

    @cached_property
    def differences(self):
        return clean(self.values)

    @property
    def size(self):
        """Blocks that count: what the precision grows with."""
        return self.differences.size

    @cached_property
    def estimate(self):
        """Estimate of the difference (a logarithm), or None without any value."""
        return statistics.location(self.differences)

    @property
    def spread(self):
        return statistics.spread(self.differences)

    def p_above(self, bound):
        """Chance of such values if the difference were `bound` or less."""
        return self.p(bound, "greater")

    def p_below(self, bound):
        """Chance of such values if the difference were `bound` or more."""
        return self.p(bound, "less")

    def p(self, bound, alternative):
        beyond = self.differences - bound
        beyond = beyond[beyond != 0]
        if not beyond.size:
            return 1.0
        mode = "exact" if beyond.size <= EXACT_MAX else "approx"
        return float(stats.wilcoxon(beyond, alternative=alternative, mode=mode).pvalue)

    def p_difference(self):
        """Chance of such values without a difference; NaN for fewer than two."""
        return statistics.p_location(self.differences)

    @staticmethod
    def least_p(size):
        """The smallest chance that so many blocks can show."""
        return 0.5**size


def difference(head, base):
    """Estimate of the difference of two independent Estimates.

    The interval is made of the two's own ones (Zou and Donner's MOVER): it needs no assumption that
    both scatter alike.
    """
    value = head.value - base.value
    low = value - math.hypot(head.value - head.low, base.high - base.value)
    high = value + math.hypot(head.high - head.value, base.value - base.low)
    return statistics.Estimate(value, low, high, min(head.blocks, base.blocks))


@dataclass(frozen=True)
class Independent:
    """Logarithms of two groups, head and base; NaN where a block has none."""

    head: np.ndarray
    base: np.ndarray

    @cached_property
    def groups(self):
        return clean(self.head), clean(self.base)

    @property
    def size(self):
        return min(group.size for group in self.groups)

    @cached_property
    def estimate(self):
        """Estimate of head minus base, or None where a group is empty."""
        head, base = (statistics.location(group) for group in self.groups)
        return None if head is None or base is None else difference(head, base)

    @property
    def spread(self):
        return math.hypot(*(statistics.spread(group) for group in self.groups))

    def p_above(self, bound):
        return self.p(bound, "greater")

    def p_below(self, bound):
        return self.p(bound, "less")

    def p(self, bound, alternative):
        head, base = self.groups
        if not head.size or not base.size:
            return 1.0
        method = "exact" if max(head.size, base.size) <= EXACT_MAX else "asymptotic"
        return float(
            stats.mannwhitneyu(head, base + bound, alternative=alternative, method=method).pvalue
        )

    def p_difference(self):
        head, base = self.groups
        if min(head.size, base.size) < 2:
            return math.nan
        return statistics.p_difference(head, base)

    @staticmethod
    def least_p(size):
        return 1 / math.comb(2 * size, size)
