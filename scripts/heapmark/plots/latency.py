"""Latency percentiles of sampled calls, HDR style: each nine of the percentile gets the same room.

A curve is the median over blocks; its shade is the 95 % interval. A percentile is drawn only as far
as ten samples lie above it in every block.
"""

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from heapmark import statistics, style
from heapmark.cells import short_label
from heapmark.plots import panels

POINTS = 41
NINES_SEEN = 0.05  # the axis of ns begins at what so small a share of the calls reaches
SHADE_MAX = 2  # and ends at that multiple of the slowest curve's end, if an interval goes on
NINES = {0: "0", 0.301: "50", 1: "90", 2: "99", 3: "99.9", 4: "99.99", 5: "99.999", 6: "99.9999"}


def cells_with(comparison, op):
    return [cell for cell in comparison.cells if (cell, op) in comparison.latency_cells]


def lacks(comparison, op="malloc"):
    if cells_with(comparison, op):
        return None
    return f"the run has no latencies of {op} (latency.csv; --latency=yes)"


def draw(comparison, op="malloc"):
    cells = cells_with(comparison, op)
    shown = panels.chosen(cells, panels.spread_of(comparison, "p99"))
    grid = panels.Grid(len(shown), style.Looks(comparison.run, comparison.labels))
    for axes, cell in zip(grid.axes, shown):
        panel(axes, comparison, cell, grid.looks, op)
        panels.name_panel(axes, comparison.names[cell])
    grid.decorate(f"Latency of {op}: less is better", comparison.run,
                  caption(comparison) + panels.left_out(len(shown), len(cells)))  # fmt: skip
    return grid.figure


def caption(comparison):
    noise = (
        f"grey: {short_label(comparison.baseline)} against itself, the noise"
        if comparison.aa
        else "noise not measured (--aa)"
    )
    return f"curve: median over blocks; {shade(comparison)}; {noise}; both axes logarithmic"


def shade(comparison):
    if comparison.run.blocks >= statistics.BLOCKS_FOR_RANGE:
        return "shade: its 95 % interval"
    return "shade: from the lowest block to the highest (too few for an interval)"


def interval(logs):
    """(low, high) over the blocks at each point: the range of too few blocks for an interval.

    The interval of a median is made of two places between ordered values, which depend on nothing
    but how many there are: they are found once and read off at all points.
    """
    count = len(logs)
    ordered = np.sort(logs, axis=0)
    if count < statistics.BLOCKS_FOR_RANGE:
        return ordered[0], ordered[-1]
    places = statistics.interval(np.arange(count, dtype=float))
    return np.array([at_place(ordered, place) for place in places])


def at_place(ordered, place):
    lower = int(np.clip(np.floor(place), 0, len(ordered) - 1))
    upper = min(lower + 1, len(ordered) - 1)
    share = place - lower
    return ordered[lower] * (1 - share) + ordered[upper] * share


def curve(histograms):
    """(nines, median, low, high) of a contender's latency in ns."""
    nines = np.linspace(0, min(one.nines_max for one in histograms), POINTS)
    shares = 1 - 10.0**-nines
    logs = np.log(np.maximum([one.quantiles(shares) for one in histograms], 1))
    low, high = interval(logs)
    return nines, np.exp(np.median(logs, axis=0)), np.exp(low), np.exp(high)


def limits(curves):
    """(lowest, highest) ns of an axis for curves: all but the very fastest calls are on it."""
    lowest = [middle[nines >= NINES_SEEN] for nines, middle, _, _ in curves]
    lowest = [part[0] for part in lowest if len(part)]
    highest = [min(high[-1], middle[-1] * SHADE_MAX) for _, middle, _, high in curves]
    low = max(0.8 * min(lowest, default=1), 1)
    return low, max(1.25 * max(highest), 2 * low)


def panel(axes, comparison, cell, looks, op="malloc"):
    axes.set_yscale("log")
    reach, curves = 1, []
    for label in looks.labels:
        histograms = comparison.latencies.get((cell, label, op))
        if not histograms:
            continue
        nines, middle, low, high = curve(histograms)
        reach = max(reach, nines[-1])
        curves.append((nines, middle, low, high))
        axes.plot(nines, middle, zorder=3, **looks.curve(label, POINTS))
        axes.fill_between(nines, low, high, color=looks.colours[label], alpha=0.18, lw=0, zorder=2)
    draw_noise(axes, comparison, cell, op)
    axes.set_xlim(0, reach)
    axes.set_ylim(*limits(curves))
    ticks = [tick for tick in NINES if tick <= reach + 0.01]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: NINES.get(round(value, 3), "")))
    ns_axis(axes.yaxis)
    panels.name_axes(axes, "percentile", "ns")


def draw_noise(axes, comparison, cell, op):
    """The band between the baseline and its second part."""
    pair = [comparison.latencies.get((cell, label, op)) for label in
            (comparison.baseline, comparison.aa)]  # fmt: skip
    if all(pair):
        one, other = (curve(histograms) for histograms in pair)
        beside = np.interp(one[0], other[0], other[1])
        axes.fill_between(one[0], one[1], beside, color=style.NOISE, lw=0, zorder=1)


def ns_axis(axis):
    """1, 2 and 5 of each decade, as far as they fit."""
    low, high = axis.get_view_interval()
    steps = (1, 2, 5) if high / low < 300 else (1,)
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks = [step * 10.0**n for n in decades for step in steps]
    axis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
