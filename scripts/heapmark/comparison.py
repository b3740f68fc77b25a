"""Ratios to the baseline, taken inside blocks, and what may be concluded from them.

A ratio is of two trials of one block: what the machine did to that block happened to both. Ratios
are kept as logarithms. A contender with a failed trial in a cell has no figure in that cell, and
one that lacks a cell has no rank: leaving out what it could not do would flatter it.
"""

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import pandas as pd

from heapmark import multiple, side, statistics
from heapmark.cells import AA, names
from heapmark.load import cells_of
from heapmark.turns import Turns

# Below this much live data peak memory is mostly the allocator's fixed cost (2 to 7 MB each).
SMALL_LIVE_BYTES = 4 << 20

FASTER, SLOWER, TIE, CANNOT_TELL, BASELINE = "faster", "slower", "tie", "cannot tell", "baseline"
SAME_MARGIN = 0.05  # a difference larger than that, and than the noise, is excluded before a tie is said
# Counts of two runs differ by chance: jemalloc gives memory back by the clock (0.32 % with git's trace),
# mimalloc's paths depend on addresses (0.06 %).
COUNT_MARGIN = 0.005
ALPHA = 1 - statistics.CONFIDENCE


def positive(values):
    """The values without those that no ratio can be taken of."""
    return values.where(values > 0)


def instructions(trials):
    """Only runs with --instructions have them, and only since the column exists."""
    return positive(trials.get("instructions", pd.Series(math.nan, trials.index)))


# What a ranking is by: the first of them that the run has figures of.
RANKABLE = ("time", "p99", "memory")

# What is compared: from trials to one figure each, less is better. Where the contenders took turns,
# the ratio of "time" is the median over the turns, and "total" remains the whole trials' one.
METRICS = {
    "time": lambda trials: trials["wall_ns"],
    "total": lambda trials: trials["wall_ns"],
    "memory": lambda trials: positive(trials["rss_bytes_peak"] - trials["harness_bytes"]),
    "p99": lambda trials: positive(trials["malloc_ns_p99"]),
    "instructions": instructions,
}


@dataclass(frozen=True)
class Standing:
    """One line of the ranking."""

    rank: int  # 0: no rank, a cell is missing
    shared: bool  # another one has the same rank
    label: str
    ranked: object  # Estimate of the ratio that the rank and the verdict are of
    time: object  # Estimate of the ratio, or None
    memory: object
    p99: object
    verdict: str
    cells: int  # cells it has a figure in


class Comparison:
    """All contenders of a run against its baseline. Figures are computed once, when asked for."""

    def __init__(self, run):
        self.run = run
        self.baseline = run.baseline
        compared = run.compared
        self.names = names(cells_of(compared))
        # A job may do without a baseline; its cells have no ratios and are not compared.
        self.cells = cells_of(compared[compared["label"] == run.baseline])
        self.cells_without_baseline = len(self.names) - len(self.cells)
        self.aa = next(iter(compared.loc[compared["variant"] == AA, "label"]), None)
        self.labels = self.contending(compared)
        self._tables = {}

    def contending(self, compared):
        """Contenders that took part: baseline first, then in env.json's order, others by name."""
        compared = compared[compared["cell"].isin(self.cells)]
        present = {label for label in compared["label"] if label != self.aa}
        listed = [entry.label for entry in self.run.contenders if entry.label in present]
        ordered = [self.baseline] + listed + sorted(present)
        return [label for label in dict.fromkeys(ordered) if label in present]

    @cached_property
    def failures(self):
        """{(cell, label): its failed trials}."""
        failed = self.run.failed
        return dict(list(failed[~failed["floor"]].groupby(["cell", "label"], sort=False)))

    @cached_property
    def measured_cells(self):
        """Cells in which the baseline has at least one good trial: elsewhere there is no ratio."""
        return [cell for cell in self.cells if self.baseline in self.table("time").get(cell, ())]

    @property
    def can_be_plotted(self):
        return bool(self.measured_cells) and len(self.labels) > 1

    @cached_property
    def block_rows(self):
        return {block: row for row, block in enumerate(sorted(self.run.trials["block"].unique()))}

    def table(self, metric):
        """{cell: {label: logarithms of the metric, one a block of the run, NaN where it has none}}.

        A label that failed in a cell is absent there. The baseline stays as long as one of its
        trials went well, and its failed blocks drop out of every ratio.
        """
        if metric not in self._tables:
            self._tables[metric] = self.make_table(METRICS[metric])
        return self._tables[metric]

    def make_table(self, metric):
        ok = self.run.ok[~self.run.ok["floor"]]
        table = defaultdict(dict)
        logs = np.log(metric(ok))
        for cell, label, block, log in zip(ok["cell"], ok["label"], ok["block"], logs):
            if label == self.baseline or (cell, label) not in self.failures:
                column = table[cell].setdefault(label, np.full(len(self.block_rows), math.nan))
                column[self.block_rows[block]] = log
        return dict(table)

    def has_figures(self, metric):
        ok = self.run.ok
        return bool(METRICS[metric](ok[~ok["floor"]]).notna().any())

    def log_ratios(self, metric, cell, label, against=None):
        """Logarithms of the ratio, one a block; all NaN where one of the two has no figure."""
        if metric == "time" and self.turns and (cell, label) not in self.failures:
            medians = self.turns.medians(cell, label, against or self.baseline)
            if medians is not None:
                return medians
        columns = self.table(metric).get(cell, {})
        nothing = np.full(len(self.block_rows), math.nan)
        return columns.get(label, nothing) - columns.get(against or self.baseline, nothing)

    @cached_property
    def turns(self):
        """The run's Turns, or None where the contenders ran one after the other."""
        table = side.turns(self.run)
        return Turns(table, self.block_rows) if table is not None and len(table) else None

    @cache
    def cell_ratio(self, metric, cell, label):
        """Estimate of the ratio to the baseline in a cell, or None."""
        estimate = statistics.location(self.log_ratios(metric, cell, label))
        return estimate.exp() if estimate else None

    @cache
    def overall(self, metric, label, against=None):
        """Estimate of the geometric mean of the ratio over the cells, or None."""
        columns = [
            self.log_ratios(metric, cell, label, against) for cell in self.overall_cells(metric)
        ]
        columns = [column for column in columns if not np.isnan(column).all()]
        return statistics.mean_location(np.column_stack(columns)).exp() if columns else None

    def overall_cells(self, metric):
        """Cells that the overall figure of a metric is made of."""
        if metric == "memory":
            return self.big_cells or self.measured_cells
        if metric == "time":
            return [cell for cell in self.measured_cells if not cell.is_paced]
        return self.measured_cells

    @cached_property
    def paced_cells(self):
        return [cell for cell in self.measured_cells if cell.is_paced]

    @cached_property
    def ranked_by(self):
        """The metric that ranks: time, unless all replays were paced and so have none of their own."""
        return next((one for one in RANKABLE if self.overall(one, self.baseline)), RANKABLE[0])

    @cached_property
    def big_cells(self):
        """Cells with enough live data for peak memory to tell about more than a fixed cost."""
        live = self.run.ok.groupby("cell", sort=False)["live_bytes_peak"].median()
        return [cell for cell in self.measured_cells if live[cell] >= SMALL_LIVE_BYTES]

    def cells_of_label(self, label):
        return [cell for cell in self.measured_cells if label in self.table("time")[cell]]

    @cached_property
    def baseline_figures(self):
        """Medians of the baseline's own figures: a row per cell, `ns_per_op` and `heap_bytes`."""
        ok = self.run.ok
        ok = ok[(ok["label"] == self.baseline) & ~ok["floor"]]
        figures = pd.DataFrame(
            {
                "cell": ok["cell"],
                "ns_per_op": ok["wall_ns"] * ok["threads"] / positive(ok["ops"]),
                "heap_bytes": METRICS["memory"](ok),
            }
        )
        return figures.groupby("cell", sort=False).median().to_dict("index")

    # ---- noise ----------------------------------------------------------------------------------

    @cache
    def cell_noise(self, cell):
        """How far the baseline strays from itself in a cell (0.02: 2 %); NaN when not measured."""
        return self.noise_of([cell])

    @cached_property
    def overall_noise(self):
        """The same over all cells together, of what the ranking is by."""
        return self.noise_of(self.overall_cells(self.ranked_by), self.ranked_by)

    def noise_of(self, cells, metric="time"):
        """The same over several cells together, and for any metric."""
        columns = [self.log_ratios(metric, cell, self.aa) for cell in cells if self.aa is not None]
        columns = [column for column in columns if not np.isnan(column).all()]
        if not columns:
            return math.nan
        return math.expm1(statistics.noise(np.column_stack(columns)))

    # ---- verdicts -------------------------------------------------------------------------------

    @cache
    def ranking(self):
        """Standings: complete contenders by `ranked_by`, then those that lack a cell."""
        figures = {label: self.overall(self.ranked_by, label) for label in self.labels}
        figures = {label: figure for label, figure in figures.items() if figure}
        complete, partial = [], []
        for label in sorted(figures, key=lambda label: figures[label].value):
            whole = len(self.cells_of_label(label)) == len(self.cells)
            (complete if whole else partial).append(label)
        ranks = self.ranks(complete) | {label: 0 for label in partial}
        shared = list(ranks.values())
        return [
            Standing(
                rank=rank,
                shared=rank > 0 and shared.count(rank) > 1,
                label=label,
                ranked=figures[label],
                time=self.overall("time", label),
                memory=self.overall("memory", label),
                p99=self.overall("p99", label),
                verdict=self.overall_verdict(label, figures[label]),
                cells=len(self.cells_of_label(label)),
            )
            for label, rank in ranks.items()
        ]

    def ranks(self, ordered):
        """Ranks from 1; who cannot be told from anybody in front of it shares the first's rank.

        Of all that are left, and not only of the next: a noisy one may be tied with the first while
        one before it is not. Anybody, and not only the first: a noisy first one is tied with many,
        and a rank must not hold two of which the verdict calls one slower.
        """
        ranks = {}
        left = list(ordered)
        while left:
            rank = len(ranks) + 1
            same = [one for at, one in enumerate(left) if self.is_tied_with_all(one, left[:at])]
            ranks |= dict.fromkeys(same, rank)
            left = [label for label in left if label not in ranks]
        return ranks

    def is_tied_with_all(self, label, others):
        return all(self.cannot_be_told_apart(label, other) for other in others)

    def cannot_be_told_apart(self, label, other):
        estimate = self.overall(self.ranked_by, label, against=other)
        return verdict(estimate, self.overall_noise) in (TIE, CANNOT_TELL)

    def overall_verdict(self, label, figure):
        return BASELINE if label == self.baseline else verdict(figure, self.overall_noise)

    def cell_verdict(self, cell, label, estimate):
        if label == self.baseline:
            return BASELINE
        if self.overall_cells("time") == [cell]:
            # The only one: it is the overall figure, and must not be told otherwise than there.
            return self.overall_verdict(label, self.overall("time", label))
        p_value = self.adjusted_p_values.get((cell, label), 1)
        return verdict(estimate, self.cell_noise(cell), p_value)

    @cached_property
    def adjusted_p_values(self):
        """{(cell, label): chance of such a time without a difference, for all together}.

        Paced cells are not among them: no difference of theirs is one of allocators.
        """
        pairs = [
            (cell, label)
            for cell in self.overall_cells("time")
            for label in self.labels
            if label != self.baseline
        ]
        values = [statistics.p_location(self.log_ratios("time", *pair)) for pair in pairs]
        return dict(zip(pairs, multiple.holm(values)))


def verdict(estimate, noise, p_value=math.nan, margin=SAME_MARGIN):
    """What a ratio says. NaN for noise or p_value: there is none, and it decides nothing.

    A difference leaves out 1 in its interval, is larger than the noise, and is none of those that
    chance brings among so many comparisons. A tie needs evidence as well: the whole interval lies
    within the noise or the margin, whichever is wider.
    """
    if estimate is None or not estimate.has_interval:
        return CANNOT_TELL
    beyond_noise = abs(math.log(estimate.value)) > band(noise)
    leaves_out_1 = not estimate.low <= 1 <= estimate.high
    if beyond_noise and leaves_out_1 and not p_value > ALPHA:
        return FASTER if estimate.value < 1 else SLOWER
    furthest = max(abs(math.log(estimate.low)), abs(math.log(estimate.high)))
    return TIE if furthest <= band(noise, margin) else CANNOT_TELL


def band(noise, margin=0.0):
    """How far from 1 is no difference, as a logarithm: the noise or the margin."""
    return math.log1p(margin if math.isnan(noise) else max(noise, margin))


def band_words(noise):
    """The band of a tie, for people."""
    if noise > SAME_MARGIN:
        return f"inside the noise of {100 * noise:.1f} %"
    return f"within {100 * SAME_MARGIN:.0f} %"
