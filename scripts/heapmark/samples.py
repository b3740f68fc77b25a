"""latency.csv: histograms of sampled latencies, checked and turned into percentiles.

The file may have millions of rows, so it is read as numbers at once; what is not one is refused
with its line. Memory over time is read by `side`, which says more and is slower.
"""

import io
from collections import defaultdict

import numpy as np
import pandas as pd

from heapmark.errors import InputError

COLUMNS = ("trial", "op", "low_ns", "high_ns", "count")
OPS = ("malloc", "calloc", "realloc", "free")
SAMPLES_BEYOND = 10  # a percentile is drawn only where that many samples lie above it


class Histogram:
    """The latencies of one trial and operation, in buckets from low to high ns."""

    def __init__(self, low, high, count):
        self.total = int(count.sum())
        # Empty buckets are not in the file: both edges of each are needed.
        self.edges = np.empty(2 * len(count))
        self.edges[0::2], self.edges[1::2] = low, high
        self.below = np.zeros(2 * len(count))
        self.below[1::2] = np.cumsum(count) / self.total
        self.below[2::2] = self.below[1:-1:2]

    def quantiles(self, shares):
        """Latency in ns that each share of the calls does not exceed, evenly spread in a bucket."""
        return np.interp(shares, self.below, self.edges)

    def shares(self, ns):
        """Share of the calls that take at most so long."""
        return np.interp(ns, self.edges, self.below, left=0, right=1)

    @property
    def nines_max(self):
        """How far the percentiles reach, as -log10 of the share above."""
        return np.log10(max(self.total / SAMPLES_BEYOND, 1))


def latencies(run):
    """{(cell, label, op): [Histogram of each good trial]}; empty where the run has none."""
    path = run.path / "latency.csv"
    if not path.exists():
        return {}
    table = read(path)
    trials = run.ok.set_index("trial")
    known = set(run.trials["trial"])
    where = dict(zip(trials.index, zip(trials["cell"], trials["label"])))
    result = defaultdict(list)
    # A trial that a resumed run took again stands twice in the file: the last one counts.
    for (trial, op), part in dict(slices(table)).items():
        if trial not in known:
            raise InputError(f"'{path}': trial {trial} is not in trials.csv; the file was damaged")
        if trial in where:
            result[(*where[trial], op)].append(Histogram(*part))
    return dict(result)


def slices(table):
    """((trial, op), (low, high, count)) of each run of rows that belong together."""
    trial, op = table["trial"].to_numpy(), table["op"].cat.codes.to_numpy()
    starts = np.flatnonzero((np.diff(trial) != 0) | (np.diff(op) != 0)) + 1
    bounds = np.concatenate([[0], starts, [len(table)]]) if len(table) else [0]
    names = table["op"].cat.categories
    columns = [table[name].to_numpy() for name in COLUMNS[2:]]
    for begin, end in zip(bounds[:-1], bounds[1:]):
        key = int(trial[begin]), names[op[begin]]
        yield key, [column[begin:end] for column in columns]


def read(path):
    """The rows as a table of whole numbers, `op` a category. Raises InputError."""
    text = path.read_bytes()
    if not text.endswith(b"\n"):
        # The last row of a run that was stopped: --resume writes that trial again.
        text = text[: text.rfind(b"\n") + 1]
    try:
        table = pd.read_csv(io.BytesIO(text), dtype={"op": "category"}, keep_default_na=False)
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(f"'{path}' is not CSV ({error}); the file was damaged") from None
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise InputError(
            f"'{path}' lacks the column '{missing[0]}'; "
            "it is not the file that 'heapmark run' wrote"
        )
    return checked(table, path)


def checked(table, path):
    for name in ("trial", "low_ns", "high_ns", "count"):
        if len(table) and table[name].dtype != np.int64:
            values = pd.to_numeric(table[name], errors="coerce")
            row = int(np.flatnonzero(values.isna() | (values % 1 != 0))[0])
            raise InputError(
                f"'{path}' line {row + 2}: '{name}' is '{table[name].iloc[row]}', "
                "not a whole number"
            )
    refuse(~table["op"].isin(OPS), path, f"'op' is none of {', '.join(OPS)}")
    refuse(table["count"] <= 0, path, "'count' is not above 0")
    refuse(table["high_ns"] < table["low_ns"], path, "'high_ns' is below 'low_ns'")
    return table


def refuse(bad, path, what):
    rows = np.flatnonzero(bad)
    if rows.size:
        raise InputError(f"'{path}' line {rows[0] + 2}: {what}; the file was damaged")
