"""Do two ways of measuring the same allocators come to the same order? Values in, counts out.

The one way is the program itself, the other the replay of its trace. Only pairs that the program
tells apart can be got right or wrong: where it has no preference, any answer is as good.
"""

import itertools
import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy import stats

from heapmark import multiple, statistics
from heapmark.comparison import FASTER, SLOWER, TIE, verdict

SAME, OPPOSITE, UNDECIDED, NO_MATTER = "same", "opposite", "cannot tell", "no difference"
DECIDED = (FASTER, SLOWER)


@dataclass(frozen=True)
class Pair:
    """Two allocators as both ways saw them; ratios are of the first one to the second."""

    first: str
    second: str
    own: object  # Estimate of the ratio of the program's times
    replay: object  # the same of the replays'
    own_verdict: str  # FASTER: the first one
    replay_verdict: str

    @property
    def outcome(self):
        if self.own_verdict not in DECIDED:
            return NO_MATTER
        if self.replay_verdict not in DECIDED:
            return UNDECIDED
        return SAME if self.own_verdict == self.replay_verdict else OPPOSITE


def ratio(logs, label, against):
    """Estimate of a ratio from logarithms by label, one a block; None without a common block."""
    estimate = statistics.location(np.asarray(logs[label]) - np.asarray(logs[against]))
    return estimate.exp() if estimate else None


def own_verdicts(logs, labels, noise):
    """{(first, second): (Estimate, verdict)} of all pairs of labels in the program's own runs.

    A verdict of many is easily chance: one must survive Holm's correction for all pairs, too. Only
    what stands then is held against the replay.
    """
    pairs = list(itertools.combinations(labels, 2))
    differences = [np.asarray(logs[one]) - np.asarray(logs[other]) for one, other in pairs]
    adjusted = multiple.holm([statistics.p_location(values) for values in differences])
    found = {}
    for pair, chance in zip(pairs, adjusted):
        estimate = ratio(logs, *pair)
        said = verdict(estimate, noise)
        is_chance = not chance <= 1 - statistics.CONFIDENCE
        found[pair] = estimate, TIE if said in DECIDED and is_chance else said
    return found


def pairs(own, replayed):
    """[Pair] from two {(first, second): (Estimate, verdict)}; what only one has is left out."""
    return [
        Pair(*pair, own[pair][0], replayed[pair][0], own[pair][1], replayed[pair][1])
        for pair in own
        if pair in replayed
    ]


def outcomes(all_pairs):
    """How often each outcome came; every outcome is a key."""
    counted = Counter(pair.outcome for pair in all_pairs)
    return {one: counted[one] for one in (SAME, OPPOSITE, UNDECIDED, NO_MATTER)}


def tau(own, replayed):
    """Kendall's tau-b of two {label: figure} over the labels of both; NaN for fewer than two."""
    common = [label for label in own if label in replayed]
    if len(common) < 2:
        return math.nan
    one, other = ([figures[label] for label in common] for figures in (own, replayed))
    return float(stats.kendalltau(one, other).statistic)


def shrinkage(own, replayed):
    """How many times smaller the program's differences are: the slope through the origin of its
    logarithms of ratios over the replay's. 0.3: what is 10 % in the replay is 3 % in the program.
    NaN where the replay has no differences."""
    common = [label for label in own if label in replayed]
    x = np.log([replayed[label] for label in common])
    y = np.log([own[label] for label in common])
    return float(x @ y / (x @ x)) if x.any() else math.nan


def regret(own, replayed):
    """What following the replay costs: the program's figure with the replay's best allocator over
    its figure with its own best one; 1 where the replay names that one. None without both."""
    common = [label for label in own if label in replayed]
    return own[min(common, key=replayed.get)] / min(own.values()) if common else None
