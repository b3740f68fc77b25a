"""Sweeps: time relative to the baseline as lines over one parameter, as heat maps over two.

What is swept is found in the run: the settings of a workload that differ between its cells. Threads
alone have a plot of their own. Of more than two the last two are drawn, for each value of the rest.
"""

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from heapmark import style
from heapmark.cells import natural, short_label, short_value
from heapmark.comparison import BASELINE, CANNOT_TELL, TIE
from heapmark.plots import panels

LINE_VALUES_MIN = 3  # two values are two rows of the plot `time`
SUFFIXES = {"k": 2**10, "K": 2**10, "M": 2**20, "G": 2**30}
# Blue is faster, orange slower: apart with any colour blindness, and as grey by lightness.
FAST_SLOW = LinearSegmentedColormap.from_list("fast_slow", ["#0b5fa5", "#f7f7f7", "#c75000"])
HEAT_MAX = math.log(4)  # beyond four times the colour does not grow


@dataclass(frozen=True)
class Sweep:
    name: str
    keys: tuple  # the one or two settings that vary
    cells: dict  # {(value of each key): cell}


def number(text):
    """The value of a setting as a number, or None for a word."""
    digits, factor = (text[:-1], SUFFIXES[text[-1]]) if text[-1:] in SUFFIXES else (text, 1)
    try:
        return float(digits) * factor
    except ValueError:
        return None


def sweeps(comparison):
    groups = defaultdict(list)
    for cell in comparison.measured_cells:
        if not cell.is_paced:  # its time is the recording's, and follows the speed alone
            groups[cell.workload].append(cell)
    return [sweep for workload, cells in groups.items() for sweep in of_workload(workload, cells)]


def of_workload(workload, cells):
    keys = list(dict.fromkeys(key for cell in cells for key in cell.settings()))
    values = {key: {cell.settings().get(key, "") for cell in cells} for key in keys}
    varying = [key for key in keys if len(values[key]) > 1]
    swept, rest = varying[-2:], varying[:-2]
    if varying in ([], ["threads"]) or not any(is_swept(values[key]) for key in swept):
        return
    groups = defaultdict(dict)
    for cell in cells:
        settings = cell.settings()
        fixed = tuple(f"{key}={short_value(settings.get(key, ''))}" for key in rest)
        groups[fixed][tuple(settings.get(key, "") for key in swept)] = cell
    for fixed, members in groups.items():
        yield Sweep(" ".join((workload, *fixed)), tuple(swept), members)


def is_swept(values):
    return len(values) >= LINE_VALUES_MIN and all(number(value) is not None for value in values)


def lacks(comparison):
    if not comparison.can_be_plotted:
        return "the run compares no allocator with its baseline"
    if sweeps(comparison):
        return None
    return (
        "no workload with a time of its own ran with three values of a parameter "
        "(--set size=16,64,256)"
    )


def draw(comparison):
    found = sweeps(comparison)
    labels = [label for label in comparison.labels if label != comparison.baseline]
    # A sweep over one setting is a panel; over two, a panel for each allocator.
    wanted = [(sweep, None) for sweep in found if len(sweep.keys) == 1]
    wanted += [(sweep, label) for sweep in found if len(sweep.keys) == 2 for label in labels]
    shown = wanted[: panels.PANELS_MAX]
    has_lines = any(label is None for _, label in shown)
    looks = style.Looks(comparison.run, comparison.labels if has_lines else [])
    grid = panels.Grid(len(shown), looks)
    for axes, (sweep, label) in zip(grid.axes, shown):
        if label is None:
            lines(axes, comparison, sweep, looks)
            panels.name_panel(axes, sweep.name)
        else:
            heat(axes, comparison, sweep, label)
            axes.set_title(f"{sweep.name}: {short_label(label)}", size=10, loc="left", pad=6)
    baseline = short_label(comparison.baseline)
    text = caption(shown, comparison) + panels.left_out(len(shown), len(wanted), "panel")
    title = f"Sweeps: time relative to {baseline}, less is better"
    grid.decorate(title, comparison.run, text)
    return grid.figure


def caption(shown, comparison):
    parts = []
    if any(label is None for _, label in shown):
        noise = "grey: noise" if comparison.aa else "noise not measured (--aa)"
        parts.append(f"bars: 95 % intervals, an arrow where they go on; {noise}")
    if any(label for _, label in shown):
        parts.append("fields: ratio and its 95 % interval; blue: faster, orange: slower, ~: inside "
                     "the noise, ?: too few blocks to tell")  # fmt: skip
    return "\n".join(parts)


def positions(values):
    """{value: place on the axis}, and whether the axis is logarithmic."""
    ordered = sorted(values, key=natural)
    numbers = [number(value) for value in ordered]
    if all(value is not None and value > 0 for value in numbers):
        ordered = [value for _, value in sorted(zip(numbers, ordered))]
        if max(numbers) / min(numbers) >= 4:
            return {value: math.log2(number(value)) for value in ordered}
        return {value: number(value) for value in ordered}
    return {value: float(at) for at, value in enumerate(ordered)}


def lines(axes, comparison, sweep, looks):
    places = positions({value for (value,) in sweep.cells})
    step = (max(places.values()) - min(places.values())) / max(1, len(places) - 1)
    drawn = {}
    for at, label in enumerate(looks.labels):
        shift = step * 0.03 * (at - (len(looks.labels) - 1) / 2)
        points = [(place, comparison.cell_ratio("time", sweep.cells[value,], label))
                  for value, place in places.items()]  # fmt: skip
        points = [(place + shift, ratio) for place, ratio in points if ratio]
        axes.plot([x for x, _ in points], [e.value for _, e in points], zorder=3,
                  **looks.line(label))  # fmt: skip
        drawn[label] = points
    estimates = [e for points in drawn.values() for _, e in points]
    low, high = style.ratio_limits(estimates)
    high = max([high] + [e.value * 1.1 for e in estimates])  # a line that ends midway would mislead
    style.ratio_axis(axes.yaxis, low, high)
    axes.set_ylim(low, high)
    for label, points in drawn.items():
        style.intervals(axes, points, looks.colours[label], (low, high))
    noise = [comparison.cell_noise(sweep.cells[value,]) for value in places]
    if not any(map(math.isnan, noise)):
        noise = np.array(noise)
        x = list(places.values())
        axes.fill_between(x, 1 / (1 + noise), 1 + noise, color=style.NOISE, lw=0, zorder=1)
    name_values(axes.xaxis, places)
    panels.name_axes(axes, sweep.keys[0], "time, relative")


def name_values(axis, places):
    names = {place: short_value(value) for value, place in places.items()}
    axis.set_major_locator(FixedLocator(list(names)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: names.get(value, "")))


def heat(axes, comparison, sweep, label):
    axes.grid(False)
    rows, columns = (
        list(positions({values[at] for values in sweep.cells})) for at in range(len(sweep.keys))
    )
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(-0.5, len(rows) - 0.5)
    for (row, column), cell in sweep.cells.items():
        field(axes, columns.index(column), rows.index(row), comparison, cell, label)
    name_values(axes.xaxis, {value: at for at, value in enumerate(columns)})
    name_values(axes.yaxis, {value: at for at, value in enumerate(rows)})
    axes.set_xlabel(sweep.keys[1], size=9)
    axes.set_ylabel(sweep.keys[0], size=9)


def field(axes, x, y, comparison, cell, label):
    ratio = comparison.cell_ratio("time", cell, label)
    if ratio is None:
        axes.text(x, y, "failed" if (cell, label) in comparison.failures else "-", ha="center",
                  va="center", size=8, color=style.ALERT)  # fmt: skip
        return
    depth = float(np.clip(math.log(ratio.value) / HEAT_MAX, -1, 1))
    verdict = comparison.cell_verdict(cell, label, ratio)
    shade = Normalize(-1, 1)(0 if verdict == TIE else depth)
    colour = FAST_SLOW(shade)
    axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fc=colour, ec=style.PAPER, lw=0.8))
    ink = PALE if 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2] < 0.45 else DARK
    mark = {TIE: "~", CANNOT_TELL: "?", BASELINE: ""}.get(verdict, "")
    axes.text(x, y + 0.1, f"{ratio.value:.2f}{mark}", ha="center", va="center", size=9, color=ink)
    if ratio.has_interval:
        axes.text(x, y - 0.22, f"{ratio.low:.2f} .. {ratio.high:.2f}", ha="center", va="center",
                  size=7, color=ink)  # fmt: skip


# On coloured fields, so not of the page's own ink and paper, which change in the dark.
DARK, PALE = "#111111", "#fefefe"
