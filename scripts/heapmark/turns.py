"""Ratios of trials that took turns: two contenders that ran a few milliseconds each in turn.

A pair of turns meets the same machine, which two trials one after the other do not: what drifts
within a block is in both. A block's ratio is the median over its turns; a turn that was interrupted
does not move it. What comes in few turns only (an allocator that gives memory back now and then)
does not either: for that there is the ratio of the whole trials.
"""

import math
from dataclasses import dataclass

import numpy as np

from heapmark import statistics


class Turns:
    """Logarithms of the time of a call, of each turn, by cell and label."""

    def __init__(self, table, block_rows):
        """`table` is what side.turns() returns; `block_rows` maps a block's number to its row."""
        self.blocks = len(block_rows)
        self.columns = {}
        self.size = int(table["turn"].max()) + 1
        logs = np.log(table["wall_ns"] / table["ops"])
        rows = table["block"].map(block_rows)
        for key, part in table.groupby(["cell", "label"], sort=False).groups.items():
            column = np.full((self.blocks, self.size), math.nan)
            column[rows[part], table["turn"][part].astype(int)] = logs[part]
            self.columns[key] = column

    def differences(self, cell, label, against):
        """A row a block, a column a turn; None where one of the two took no turns in the cell."""
        one, other = self.columns.get((cell, label)), self.columns.get((cell, against))
        return None if one is None or other is None else one - other

    def medians(self, cell, label, against):
        """One value a block, NaN where a block has none; None as above."""
        values = self.differences(cell, label, against)
        if values is None:
            return None
        result = np.full(len(values), math.nan)
        whole = ~np.isnan(values).all(axis=1)
        result[whole] = np.nanmedian(values[whole], axis=1)
        return result


@dataclass(frozen=True)
class Variance:
    """Robust standard deviations of a log ratio, from turn to turn and from process to process."""

    turn: float  # within a pair of processes
    process: float  # of the pairs' own ratios, what turns leave in them taken off
    blocks: int
    turns: int


# The median of n normal values scatters that much more than their mean, for large n.
MEDIAN_FACTOR = math.sqrt(math.pi / 2)


def variance(differences):
    """Two-level Variance of a block-by-turn matrix of log ratios; None below 2 blocks or turns.

    The blocks' medians scatter by what the processes differ (addresses, the pages they got) and by
    what turns leave in a median. More turns help only against the second.
    """
    differences = differences[~np.isnan(differences).all(axis=1)]
    if len(differences) < 2 or differences.shape[1] < 2:
        return None
    within = [statistics.spread(row) for row in differences]
    within = [value for value in within if not math.isnan(value)]
    if not within:
        return None
    turn = float(np.median(within))
    turns = int(np.median((~np.isnan(differences)).sum(axis=1)))
    medians = statistics.spread(np.nanmedian(differences, axis=1))
    left = (MEDIAN_FACTOR * turn) ** 2 / turns
    return Variance(turn, math.sqrt(max(0.0, medians**2 - left)), len(differences), turns)
