"""Memory over time: what is resident, what is live, and below it the overhead ratio.

The ratio is of resident bytes to the most that had been live by then, as in the ratio at the peak:
to divide by what is live at the moment would draw the program's own ups and downs.

The moments are placed by the calls made so far and not by the clock, since the work is the same for
every allocator. There is one trial of each (the run's first block), so there is no interval; the
grey band between the baseline and its second part shows what chance does.
"""

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from heapmark import style
from heapmark.cells import short_label
from heapmark.plots import panels

MEBI = 1 << 20
POINTS_MAX = 160  # of a curve; more cannot be told apart in a panel
RATIO_SHARE = 0.33  # of a panel's height
RATIO_MAX = 30  # an axis of ratios ends there: with little live data they grow without meaning
RATIO_TICKS, RATIO_TICKS_FEW = (1, 1.5, 2, 3, 5), (1, 3, 10, 30)
SETTLED = 0.1  # no ratio is drawn before that share of the live bytes' peak is reached


def cells_with(comparison):
    return [cell for cell in comparison.cells if cell in comparison.timeline_cells]


def lacks(comparison):
    return None if cells_with(comparison) else "the run has no memory over time (--timeline)"


def draw(comparison):
    cells = cells_with(comparison)
    shown = panels.chosen(cells, panels.spread_of(comparison, "memory"))
    grid = panels.Grid(len(shown), style.Looks(comparison.run, comparison.labels), 3.4)
    for axes, cell in zip(grid.axes, shown):
        panel(axes, comparison, cell, grid.looks)
        panels.name_panel(axes, comparison.names[cell])
    grid.decorate("Memory over time: less is better", comparison.run,
                  caption(comparison) + panels.left_out(len(shown), len(cells)))  # fmt: skip
    return grid.figure


def caption(comparison):
    noise = (
        f"; grey: {short_label(comparison.baseline)} against itself" if comparison.aa else ""
    )
    return (
        "lines: resident memory without the harness's own; filled: live bytes; below: resident / "
        f"most live so far\none trial each, so no interval{noise}"
    )


def series(comparison, cell, label):
    """(million calls, resident MiB, live MiB) of the contender's trial, or None."""
    found = comparison.timelines.get((cell, label))
    if found is None:
        return None
    kept = peaks(found[1])
    return tuple(column[kept] / unit for column, unit in zip(found, (1e6, MEBI, MEBI)))


def peaks(values):
    """Places of at most POINTS_MAX + 2 values: the ends, and the highest one of each stretch."""
    if len(values) <= POINTS_MAX:
        return np.arange(len(values))
    bounds = np.linspace(0, len(values), POINTS_MAX + 1).astype(int)
    highest = [low + int(np.argmax(values[low:high])) for low, high in zip(bounds, bounds[1:])]
    return np.unique([0, *highest, len(values) - 1])


def panel(axes, comparison, cell, looks):
    """Draws into the upper part of `axes`; the ratio gets axes of its own in the lower part."""
    box = axes.get_position()
    lower = RATIO_SHARE * box.height
    place = [box.x0, box.y0, box.width, lower * 0.86]
    below = panels.add_axes(axes.figure, place, sharex=axes)
    axes.set_position([box.x0, box.y0 + lower, box.width, box.height - lower])
    end, has_cut = 0, False
    for label in looks.labels:
        found = series(comparison, cell, label)
        if found is None:
            continue
        calls, resident, live = found
        if label == comparison.baseline:
            axes.fill_between(calls, live, color=style.GRID, lw=0, zorder=1)
            axes.plot(calls, live, color=style.FAINT_INK, lw=1, zorder=2)
            draw_noise(axes, comparison, cell, found)
        axes.plot(calls, resident, zorder=3, **looks.curve(label, len(calls)))
        has_cut |= draw_ratio(below, calls, resident, live, looks.curve(label, len(calls)))
        end = max(end, calls[-1])
    axes.set_xlim(0, end or 1)
    axes.set_ylim(bottom=0)
    panels.few_ticks(axes.yaxis)
    axes.tick_params(labelbottom=False)
    panels.name_axes(axes, "", "MiB")
    finish_ratio(below, has_cut)


def draw_noise(axes, comparison, cell, baseline):
    second = series(comparison, cell, comparison.aa) if comparison.aa else None
    if second is not None:
        other = np.interp(baseline[0], second[0], second[1])
        axes.fill_between(baseline[0], baseline[1], other, color=style.NOISE, lw=0, zorder=1.5)


def ratio_of(resident, live):
    """Resident bytes over the most live bytes so far; NaN until there is something to divide by."""
    most = np.maximum.accumulate(live)
    settled = most > SETTLED * most[-1]
    ratio = np.full(len(live), np.nan)
    np.divide(resident, most, out=ratio, where=settled & (most > 0))
    return ratio


def is_cut(ratio):
    """Whether the axis ends below some of it."""
    return bool((ratio > RATIO_MAX).any())


def ratio_name(value, has_cut):
    """Where ratios were cut, the axis' end is where all of them lie that are as large or larger."""
    return f"\u2265{value:g}" if has_cut and value == RATIO_MAX else f"{value:g}"


def draw_ratio(axes, calls, resident, live, look):
    """Returns whether the axis cuts it."""
    ratio = ratio_of(resident, live)
    axes.plot(calls, np.clip(ratio, None, RATIO_MAX), zorder=3, **look | {"lw": 1.2, "ms": 3.5})
    return is_cut(ratio)


def finish_ratio(axes, has_cut):
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(min(0.95, max(low, 0.5)), min(max(high, 1.6), RATIO_MAX * 1.1))
    ticks = RATIO_TICKS_FEW if max(high, 1.6) > 1.3 * RATIO_TICKS[-1] else RATIO_TICKS
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: ratio_name(value, has_cut)))
    panels.name_axes(axes, "million calls", "ratio")
