"""What is odd about a pairing's blocks: drift and outliers. They are said, and never left out."""

import math

import numpy as np
from scipy import stats

from heapmark import statistics, turns
from heapmark.terminal import plural

DRIFT_P = 0.01  # of a trend (Kendall's tau), shared by all cells
OUTLIER_SPREADS = 5  # robust standard deviations from the median; normal noise gets there never
OUTLIER_LEAST = 0.02  # but a difference below 2 % is never called one
BLOCKS_FOR_DRIFT = 6


def flags(pairing, metric="time"):
    """Sentences about drift and outliers of the metric in the pairing's cells."""
    columns = {}
    for cell in pairing.cells:
        if metric == "time" and cell.is_paced:
            continue  # it is the recording's
        evidence = pairing.evidence(metric, cell)
        if hasattr(evidence, "values"):
            columns[pairing.names[cell]] = np.asarray(evidence.values, dtype=float)
    found = [text for name, values in columns.items() for text in outliers(name, values)]
    level = DRIFT_P / max(1, len(columns))
    return found + [text for name, values in columns.items() for text in drift(name, values, level)]


def outlying(values):
    """Which values lie far outside of what the others do."""
    centre, spread = np.nanmedian(values), statistics.spread(values)
    reach = max(OUTLIER_LEAST, OUTLIER_SPREADS * spread)
    return np.abs(values - centre) > reach


def outliers(name, values):
    if np.isnan(values).all() or (~np.isnan(values)).sum() < 3:
        return []
    far = np.flatnonzero(outlying(values))
    if not far.size:
        return []
    worst = far[np.argmax(np.abs(values[far] - np.nanmedian(values)))]
    return [
        f"{name}: {plural(far.size, 'block')} of {np.count_nonzero(~np.isnan(values))} lie far off "
        f"(the furthest, row {worst} of the blocks, has the ratio {math.exp(values[worst]):.2f}); "
        "kept, the median bears them"
    ]


def drift(name, values, level):
    """A ratio that moves while the run goes on: a machine that warms up treats the sides unlike."""
    rows = np.flatnonzero(~np.isnan(values))
    if rows.size < BLOCKS_FOR_DRIFT or np.ptp(values[rows]) == 0:
        return []
    if stats.kendalltau(rows, values[rows]).pvalue >= level:
        return []
    slope = stats.theilslopes(values[rows], rows).slope * (rows[-1] - rows[0])
    return [f"{name}: the ratio drifted by {100 * math.expm1(slope):+.1f} % from the first block "
            "to the last"]  # fmt: skip


def levels(pairing):
    """One sentence on where the noise of time comes from, or nothing for runs without turns.

    Noise from turn to turn shrinks with more turns, that from process to process only with blocks.
    """
    parts = []
    for cell in pairing.cells:
        differences = pairing.turn_differences(cell)
        found = turns.variance(differences) if differences is not None else None
        if found is not None:
            percent = f"{100 * found.turn:.1f}/{100 * found.process:.1f} %"
            parts.append(f"{pairing.names[cell]} {percent}")
    if not parts:
        return []
    return ["noise of time from turn to turn/from process to process: " + ", ".join(parts)]
