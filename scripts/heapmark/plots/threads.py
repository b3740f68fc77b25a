"""Throughput against the number of threads: a panel per workload that ran with several numbers.

Bars are 95 % intervals; the grey band about the baseline is how far it strayed from itself. The axis
ends a little above the highest throughput, whatever the intervals do: those of two blocks may be a
million times as long as the throughput itself.
"""

import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from heapmark import cells, statistics, style
from heapmark.cells import short_label
from heapmark.plots import panels

# Of a panel's axis: the largest whose number of calls is reached.
UNITS = ((1e6, "million calls a second"), (1e3, "thousand calls a second"), (1, "calls a second"))
SHARE_OF_UNIT = 0.5  # so little of a unit is still given in it
END_MAX = 1.25  # times the highest throughput: how far intervals may stretch the axis


def families(comparison):
    """{cell without its threads: {threads: cell}} of all that ran with at least two numbers."""
    found = defaultdict(dict)
    for cell in comparison.cells:
        found[replace(cell, threads=0)][cell.threads] = cell
    return {key: group for key, group in found.items() if len(group) > 1}


def lacks(comparison):
    return None if families(comparison) else "the run has no two numbers of threads (--threads=1,2)"


def draw(comparison):
    groups = families(comparison)
    names = cells.names(list(groups))
    spread = panels.spread_of(comparison)
    keys = panels.chosen(groups, lambda key: max(map(spread, groups[key].values())))
    grid = panels.Grid(len(keys), style.Looks(comparison.run, comparison.labels))
    for axes, key in zip(grid.axes, keys):
        panel(axes, comparison, groups[key], grid.looks)
        panels.name_panel(axes, names[key])
    grid.decorate("Throughput against threads: more is better", comparison.run,
                  caption(comparison) + panels.left_out(len(keys), len(groups)))  # fmt: skip
    return grid.figure


def throughput(comparison, cell, label):
    """Estimate of calls a second, or None where the contender has no figure."""
    if (cell, label) in comparison.failures and label != comparison.baseline:
        return None
    rates = comparison.rates.get((cell, label))
    return statistics.location(np.log(rates)).exp() if rates is not None else None


def panel(axes, comparison, group, looks):
    counts = sorted(group)
    axes.set_xscale("log", base=2)
    lines = {label: points for at, label in enumerate(looks.labels)
             if (points := line_of(comparison, group, label, at - (len(looks.labels) - 1) / 2))}  # fmt: skip
    (unit, name), top = scale([e for points in lines.values() for _, _, e in points])
    lines = {label: [(x, n, in_units(e, unit)) for x, n, e in points] for label, points in lines.items()}
    for label, points in lines.items():
        if label == comparison.baseline:
            draw_noise(axes, comparison, group, points)
        axes.plot([x for x, _, _ in points], [e.value for _, _, e in points], zorder=3,
                  **looks.line(label))  # fmt: skip
        style.intervals(axes, [(x, e) for x, _, e in points], looks.colours[label], (0, top))
    axes.set_ylim(0, top)
    panels.few_ticks(axes.yaxis)
    axes.set_xlim(counts[0] / 1.25, counts[-1] * 1.25)
    axes.xaxis.set_major_locator(FixedLocator(counts))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    mark_cpus(axes, comparison, counts)
    panels.name_axes(axes, "threads", name)


def line_of(comparison, group, label, lane):
    """[(place, threads, Estimate)]: marks of one count stand side by side, each in its lane."""
    points = [(n * 2 ** (0.022 * lane), n, throughput(comparison, group[n], label)) for n in sorted(group)]
    return [point for point in points if point[2]]


def scale(estimates):
    """((unit, its name), where the axis ends in it) for Estimates of calls a second."""
    highest = max((e.value for e in estimates), default=1)
    ends = [e.high for e in estimates if e.high <= END_MAX * highest]
    unit = next((one for one in UNITS if highest >= SHARE_OF_UNIT * one[0]), UNITS[-1])
    return unit, 1.06 * max([highest, *ends]) / unit[0]


def in_units(estimate, unit):
    return replace(estimate, value=estimate.value / unit, low=estimate.low / unit,
                   high=estimate.high / unit)  # fmt: skip


def draw_noise(axes, comparison, group, points):
    band = [(x, e.value, comparison.cell_noise(group[n])) for x, n, e in points]
    band = [entry for entry in band if not math.isnan(entry[2])]
    if band:
        x, values, noise = (np.array(column) for column in zip(*band))
        axes.fill_between(x, values / (1 + noise), values * (1 + noise), color=style.NOISE, lw=0,
                          zorder=1)  # fmt: skip


def mark_cpus(axes, comparison, counts):
    """Right of the line threads share CPUs."""
    cpus = comparison.run.env["machine"].get("cpus")
    if isinstance(cpus, int) and counts[-1] > cpus >= 1:
        axes.axvline(cpus * 1.12, color=style.FAINT_INK, lw=0.9, ls=(0, (1, 2)), zorder=1)


def caption(comparison):
    noise = (
        f"grey: noise, {short_label(comparison.baseline)} against itself"
        if comparison.aa
        else "noise not measured (--aa)"
    )
    return f"bars: 95 % intervals, an arrow where they go on; {noise}; dotted: to the right, more threads than CPUs"
