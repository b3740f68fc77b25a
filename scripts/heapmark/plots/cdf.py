"""The distribution of latencies: the share of calls that take at most so long."""

import numpy as np

from heapmark import style
from heapmark.plots import latency, panels

POINTS = 71
TAIL = 0.999  # the axis ends where that share of the slowest contender's calls does


def lacks(comparison):
    return latency.lacks(comparison)


def draw(comparison):
    cells = latency.cells_with(comparison, "malloc")
    shown = panels.chosen(cells, panels.spread_of(comparison, "p99"))
    grid = panels.Grid(len(shown), style.Looks(comparison.run, comparison.labels))
    for axes, cell in zip(grid.axes, shown):
        panel(axes, comparison, cell, grid.looks)
        panels.name_panel(axes, comparison.names[cell])
    grid.decorate("Share of malloc calls that take at most so long", comparison.run,
                  f"curve: median over blocks; {latency.shade(comparison)}; further left is better"
                  + panels.left_out(len(shown), len(cells)))  # fmt: skip
    return grid.figure


def panel(axes, comparison, cell, looks, op="malloc"):
    found = {
        label: comparison.latencies[cell, label, op]
        for label in looks.labels
        if (cell, label, op) in comparison.latencies
    }
    ns = grid_of(found)
    for label, histograms in found.items():
        shares = np.array([one.shares(ns) for one in histograms])
        low, high = latency.interval(shares)
        axes.plot(ns, np.median(shares, axis=0), zorder=3, **looks.curve(label, POINTS))
        axes.fill_between(ns, np.clip(low, 0, 1), np.clip(high, 0, 1), color=looks.colours[label],
                          alpha=0.18, lw=0, zorder=2)  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(ns[0], ns[-1])
    axes.set_ylim(0, 1.02)
    latency.ns_axis(axes.xaxis)
    panels.name_axes(axes, "ns", "share of calls")


def grid_of(found):
    """Points in ns, evenly spread on a logarithmic axis, that hold nearly all calls."""
    low = min(one.quantiles([0])[0] for histograms in found.values() for one in histograms)
    ends = [np.median([one.quantiles([TAIL])[0] for one in histograms])
            for histograms in found.values()]  # fmt: skip
    low = max(low, 1)
    return np.geomspace(low, max(max(ends), low * 2), POINTS)
