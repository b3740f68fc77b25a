"""Throughput against the number of threads: a panel per workload that ran with several numbers.

Bars are 95 % intervals; the grey band about the baseline is how far it strayed from itself.
"""

import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from heapmark import cells, statistics, style
from heapmark.cells import short_label
from heapmark.plots import panels

MEGA = 1e6


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
    """Estimate of millions of calls a second, or None where the contender has no figure."""
    if (cell, label) in comparison.failures and label != comparison.baseline:
        return None
    rates = comparison.rates.get((cell, label))
    return statistics.location(np.log(rates / MEGA)).exp() if rates is not None else None


def panel(axes, comparison, group, looks):
    counts = sorted(group)
    axes.set_xscale("log", base=2)
    top = 0
    for at, label in enumerate(looks.labels):
        # Marks of one count stand side by side, so that their bars can be told apart.
        shift = 2 ** (0.022 * (at - (len(looks.labels) - 1) / 2))
        points = [(n * shift, n, throughput(comparison, group[n], label)) for n in counts]
        points = [point for point in points if point[2]]
        if not points:
            continue
        if label == comparison.baseline:
            draw_noise(axes, comparison, group, points)
        axes.plot([x for x, _, _ in points], [e.value for _, _, e in points], zorder=3,
                  **looks.line(label))  # fmt: skip
        style.intervals(axes, [(x, e) for x, _, e in points], looks.colours[label])
        top = max([top] + [max(e.value, np.nan_to_num(e.high)) for _, _, e in points])
    axes.set_ylim(0, top * 1.06 or 1)
    panels.few_ticks(axes.yaxis)
    axes.set_xlim(counts[0] / 1.25, counts[-1] * 1.25)
    axes.xaxis.set_major_locator(FixedLocator(counts))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    mark_cpus(axes, comparison, counts)
    panels.name_axes(axes, "threads", "million calls a second")


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
    return f"bars: 95 % intervals; {noise}; dotted: to the right, more threads than CPUs"
