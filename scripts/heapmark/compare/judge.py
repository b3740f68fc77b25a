"""Rows of the comparison: a ratio with its interval and a verdict for each metric and workload."""

import math
from dataclasses import dataclass

from heapmark import comparison
from heapmark.comparison import COUNT_MARGIN, SAME_MARGIN, SMALL_LIVE_BYTES
from heapmark.multiple import holm

BETTER, WORSE, SAME, CANNOT_TELL = "better", "worse", "same within noise", "cannot tell"
# What the verdicts of a ranking are called here, where the ratio may be of any metric.
WORDS = {comparison.FASTER: BETTER, comparison.SLOWER: WORSE, comparison.TIE: SAME,
         comparison.CANNOT_TELL: CANNOT_TELL}  # fmt: skip
METRICS = ("time", "memory", "p99", "instructions")
OVERALL = "overall"


@dataclass(frozen=True)
class Row:
    """One line of the table. `estimate` is of the ratio head to base, or None."""

    metric: str
    workload: str  # a cell's name, or OVERALL
    estimate: object
    noise: float  # A/A noise as a fraction, NaN where not measured
    p_value: float  # corrected for the number of comparisons; NaN for what is not one of them
    verdict: str
    detail: str  # why there is no figure, or ""
    is_counted: bool = False


def rows(pairing, margin=SAME_MARGIN):
    """All rows of a Pairing: each metric's overall one first, then its cells."""
    by_cell = [cell_row(pairing, metric, cell) for metric in METRICS for cell in pairing.cells]
    by_cell = [parts for parts in by_cell if parts is not None]
    adjusted = holm([parts["p_value"] for parts in by_cell])
    judged = [judged_row(parts | {"p_value": p}, margin) for parts, p in zip(by_cell, adjusted)]
    result = []
    for metric in METRICS:
        of_metric = [row for row in judged if row.metric == metric]
        if of_metric:
            result += [judged_row(overall_row(pairing, metric, of_metric), margin)] + of_metric
    return result


def cell_row(pairing, metric, cell):
    """What is known of a cell as a dictionary, or None where neither side ever had the metric.

    Nor has a paced replay a time of its own: it is the recording's, and equal by that alone.
    """
    if metric == "time" and cell.is_paced:
        return None
    evidence = pairing.evidence(metric, cell)
    estimate = evidence.estimate
    detail = "" if estimate else why_missing(pairing, cell)
    if estimate is None and not (detail and pairing.has_figures(metric)):
        return None
    return {
        "metric": metric,
        "workload": pairing.names[cell],
        "cell": cell,
        "estimate": estimate,
        "noise": pairing.noise(metric, cell),
        "p_value": evidence.p_difference(),
        "detail": detail,
        "is_counted": is_counted(pairing, metric, cell, estimate),
    }


def is_counted(pairing, metric, cell, estimate):
    """Whether the figure is a count that was taken once, and nearly the same the next time.

    Of several blocks the spread tells more.
    """
    is_single = estimate is None or estimate.blocks == 1
    return metric == "instructions" and pairing.is_counted and cell.threads == 1 and is_single


def why_missing(pairing, cell):
    parts = [(side, pairing.failure(side, cell)) for side in ("base", "head")]
    return "; ".join(f"{side}: {text}" for side, text in parts if text)


def overall_row(pairing, metric, of_metric):
    present = {row.workload for row in of_metric if row.estimate is not None}
    cells = [cell for cell in pairing.cells if pairing.names[cell] in present]
    counted = [row.is_counted for row in of_metric if row.estimate is not None]
    if metric == "memory":
        cells = [cell for cell in cells if pairing.live_bytes(cell) >= SMALL_LIVE_BYTES] or cells
    missing = len(of_metric) - len(present)
    return {
        "metric": metric,
        "workload": OVERALL,
        "cell": None,
        "estimate": pairing.overall(metric, cells) if cells else None,
        "noise": pairing.overall_noise(metric, cells),
        "p_value": math.nan,
        "is_counted": bool(counted) and all(counted),
        "detail": f"without {missing} that failed" if missing else "",
    }


def judged_row(parts, margin):
    estimate = parts["estimate"].exp() if parts["estimate"] else None
    return Row(
        metric=parts["metric"],
        workload=parts["workload"],
        estimate=estimate,
        noise=parts["noise"],
        p_value=parts["p_value"],
        verdict=counted_verdict(estimate) if parts["is_counted"] else verdict(
            estimate, parts["noise"], parts["p_value"], margin
        ),
        detail=parts["detail"],
        is_counted=parts["is_counted"],
    )


def counted_verdict(estimate):
    """What a ratio of counts says, which has no interval: what chance does to them is known."""
    if estimate is None:
        return CANNOT_TELL
    if abs(math.log(estimate.value)) <= math.log1p(COUNT_MARGIN):
        return SAME
    return BETTER if estimate.value < 1 else WORSE


def verdict(estimate, noise, p_value, margin=SAME_MARGIN):
    """The ranking's verdict in words of this command."""
    return WORDS[comparison.verdict(estimate, noise, p_value, margin)]
