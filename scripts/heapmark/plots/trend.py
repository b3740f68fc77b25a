"""The history of gates: each series' ratio over time, with what changed in it marked."""

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from heapmark import style
from heapmark.history import changes, table
from heapmark.plots import panels
from heapmark.terminal import shorten

LINE, STEP = "#0072b2", "#d55e00"
OVERALL_FIRST = ("overall", "all workloads")


def draw(name, history):
    found = [(key, rows[rows["ratio"].notna()]) for key, rows in table.series(history)]
    found = [(key, rows) for key, rows in found if len(rows)]
    marked = [(key, rows, changes.find(np.log(rows["ratio"].to_numpy()))) for key, rows in found]
    # What changed is what people look for.
    ordered = sorted(
        marked, key=lambda one: (one[0]["workload"] not in OVERALL_FIRST, -len(one[2]))
    )
    shown = ordered[: panels.PANELS_MAX]
    looks = style.Looks(NoRun, [])
    grid = panels.Grid(max(len(shown), 1), looks)
    for axes, (key, rows, marks) in zip(grid.axes, shown):
        panel(axes, rows, marks)
        panels.name_panel(axes, f"{key['workload']}: {key['metric']}")
    finish(grid.figure, name, shown, len(ordered), history)
    return grid.figure


class NoRun:
    """A history has no contenders of its own to look up."""

    contenders = ()


def panel(axes, rows, marks):
    ratio, low, high = (rows[column].to_numpy() for column in ("ratio", "low", "high"))
    x = np.arange(len(rows))
    axes.axhline(1, color=style.FAINT_INK, lw=1, zorder=1)
    axes.vlines(x, low, high, color=LINE, lw=1.3, zorder=2)
    bad = (rows["verdict"] == "regression").to_numpy()
    axes.plot(x, ratio, "-", color=LINE, lw=0.8, zorder=2)
    axes.plot(x[~bad], ratio[~bad], "o", color=LINE, ms=4.5, mec=style.PAPER, mew=0.5, zorder=3)
    axes.plot(x[bad], ratio[bad], "X", color=style.ALERT, ms=6.5, mec=style.PAPER, mew=0.5,
              zorder=4)  # fmt: skip
    draw_levels(axes, ratio, marks)
    ends = [value for value in (*ratio, *low, *high) if not np.isnan(value)]
    bottom, top = min(ends + [1 / 1.03]), max(ends + [1.03])
    axes.set_ylim(bottom * (bottom / top) ** 0.1, top * (top / bottom) ** 0.18)
    axes.set_xlim(-0.7, len(rows) - 0.3)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    name_gates(axes.xaxis, rows)


def draw_levels(axes, ratio, marks):
    """The median of each level, and the change between two as a factor."""
    bounds = [0] + [mark.at for mark in marks] + [len(ratio)]
    for begin, end in zip(bounds, bounds[1:]):
        level = float(np.median(ratio[begin:end]))
        axes.plot([begin - 0.5, end - 0.5], [level] * 2, color=STEP, lw=1.6, alpha=0.8, zorder=2)
    for mark in marks:
        axes.axvline(mark.at - 0.5, color=STEP, lw=1.2, ls=(0, (4, 3)), zorder=1)
        axes.annotate(f"{100 * (mark.factor - 1):+.1f} %", (mark.at - 0.5, 1), (3, -2), size=8.5,
                      xycoords=("data", "axes fraction"), textcoords="offset points", va="top",
                      color=style.INK)  # fmt: skip


def name_gates(axis, rows):
    """Some four gates by their commit, or by their date where there is none."""
    step = max(1, len(rows) // 3)
    places = list(range(0, len(rows), step))
    names = [commit[:8] or taken[:10] for commit, taken in zip(rows["commit"], rows["taken"])]
    axis.set_major_locator(FixedLocator(places))
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: names[int(value)] if 0 <= value < len(names) else "")
    )


def finish(figure, name, shown, count, history):
    height = figure.get_figheight()
    figure.text(0.02, 1 - 0.14 / height, shorten(f"Trend of the gate: {name}", 90), size=14,
                weight="bold", va="top")  # fmt: skip
    machines = ", ".join(sorted(set(history["machine"])))
    figure.text(0.02, 1 - 0.44 / height, shorten(f"{count} series; {machines}", 120), size=9,
                color=style.FAINT_INK, va="top")  # fmt: skip
    rest = "" if len(shown) == count else f"; {len(shown)} of {count} series, changed ones first"
    style.caption(
        figure,
        "ratio of head to base with its 95 % interval; red cross: regression; broken line: the "
        f"level changed\nbars that reach over 1 are no difference{rest}",
    )
