"""Whether a run's intervals are narrow enough: asked between blocks by `heapmark run --until`.

An interval counts if it belongs to a ratio to the baseline of a contender that can have one: what
failed gets no narrower by more blocks, and neither does a run without a baseline. The ratio is of
time; of a paced replay, whose time is the recording's, it is of the tail, or else of memory.
"""

import math
import re
import sys

from heapmark.cells import short_label
from heapmark.comparison import Comparison
from heapmark.errors import InputError
from heapmark.load import load_run
from heapmark.terminal import plural

EXIT_NARROW, EXIT_NOT_YET = 0, 3


def command(options):
    limit = parse_percent(options.percent)
    comparison = Comparison(load_run(options.run))
    widths = half_widths(comparison)
    if not widths:
        raise InputError(
            f"run '{comparison.run.name}' has no ratio to a baseline whose interval could get narrow"
        )
    (cell, label), width = max(widths.items(), key=lambda item: item[1])
    name = f"{short_label(label)} in {comparison.names[cell]}"
    is_narrow = width <= limit
    widest = "no interval yet" if math.isinf(width) else f"widest interval +-{100 * width:.1f} %"
    print(
        f"after {plural(comparison.run.blocks, 'block')}: {widest} ({name}), "
        f"{'within' if is_narrow else 'not yet within'} {100 * limit:g} %",
        file=sys.stderr,
    )
    return EXIT_NARROW if is_narrow else EXIT_NOT_YET


def parse_percent(text):
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?%?", text) or float(text.rstrip("%")) <= 0:
        raise InputError(f"'{text}' is not a percentage above 0 such as 2%")
    return float(text.rstrip("%")) / 100


def deciding_metric(comparison, cell):
    """What the cell's interval is asked of; None where the baseline has no such figure."""
    metrics = ("p99", "memory") if cell.is_paced else ("time",)
    has = comparison.cell_ratio
    return next((one for one in metrics if has(one, cell, comparison.baseline)), None)


def half_widths(comparison):
    """{(cell, label): half the interval's width, relative to the ratio}; infinite without one."""
    widths = {}
    for cell in comparison.measured_cells:
        metric = deciding_metric(comparison, cell)
        for label in comparison.labels if metric else ():
            if label == comparison.baseline or (cell, label) in comparison.failures:
                continue
            estimate = comparison.cell_ratio(metric, cell, label)
            known = estimate is not None and estimate.has_interval
            width = (estimate.high - estimate.low) / (2 * estimate.value) if known else math.inf
            widths[cell, label] = width
    return widths
