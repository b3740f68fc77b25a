"""Time relative to the baseline: a row per workload, a lane in it per allocator.

Bars are 95 % intervals, with an arrow where they go on beyond the axis; the grey band is how far the baseline strayed from itself in that workload.
What lies beyond the axis stands at its edge with its figure, so that one slow allocator does not
squash the others. Paced replays have no row: their time is the recording's.
"""

import math

from heapmark import statistics, style
from heapmark.cells import short_label
from heapmark.terminal import shorten

LANE_INCHES = 0.115
ROW_GAP_LANES = 1.6
TITLE_INCHES, LEGEND_ROW_INCHES, FOOT_INCHES = 0.68, 0.19, 0.9
TALL_ROWS = 6  # from there on the scale is written above as well
NAME_SIZE = 34
BELOW_FONT_SIZE = 8  # of the line below a name
NAME_INCHES_MIN = 1.4  # shorter names do not make the axes wider
NAMES_MARGIN_INCHES = 0.24
RIGHT = 0.945
UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1, "ns"))
OVERALL = "all workloads"


def lacks(comparison):
    if not comparison.can_be_plotted:
        return "it compares no allocator with its baseline; run at least two with --allocators=a,b"
    if not comparison.overall_cells("time"):
        return "all its replays are paced, and take the recording's time; run one with another mode"
    return None


def draw(comparison):
    labels = lanes(comparison)
    rows = row_data(comparison, labels)
    height = len(labels) + ROW_GAP_LANES  # of a row, in lanes
    body = LANE_INCHES * height * len(rows)
    legend_rows = style.legend_grid(labels)[0]
    inches = TITLE_INCHES + LEGEND_ROW_INCHES * (legend_rows + 2) + body + FOOT_INCHES
    figure = style.figure(inches)
    left = (NAMES_MARGIN_INCHES + widest_name_inches(rows, comparison)) / style.WIDTH_INCHES
    axes = figure.add_axes([left, FOOT_INCHES / inches, RIGHT - left, body / inches])
    limits = style.ratio_limits(
        [estimate for _, _, _, estimates in rows for estimate in estimates.values()]
    )
    looks = style.colours(comparison.run, labels), style.markers(comparison.run, labels)
    marks = {label: [] for label in labels}
    for at, row in enumerate(rows):
        draw_row(axes, at * height, height, row, marks, limits, comparison)
    for label in labels:
        style.ratio_marks(axes, marks[label], looks[0][label], looks[1][label], limits)
    finish_axes(axes, rows, height, limits, comparison)
    decorate(figure, axes, labels, looks, comparison)
    return figure


def widest_name_inches(rows, comparison):
    """Of the names and of the lines below them, as they are shown."""
    names = (shorten(name, NAME_SIZE) for _, name, _, _ in rows)
    widths = [style.text_inches(name, style.SETTINGS["font.size"]) for name in names]
    below = (line_below(comparison, cell) for cell, _, _, _ in rows)
    widths += [style.text_inches(text, BELOW_FONT_SIZE) for text in below]
    return max(NAME_INCHES_MIN, *widths)


def lanes(comparison):
    """All but the baseline, best overall first, so that every row reads in the same order."""
    ranked = [standing.label for standing in comparison.ranking()]
    labels = ranked + [label for label in comparison.labels if label not in ranked]
    return [label for label in labels if label != comparison.baseline]


def row_data(comparison, labels):
    """(cell or None, name, noise, {label: Estimate}) per row; the first is the overall one."""
    rows = []
    if len(comparison.overall_cells("time")) > 1:
        figures = {label: comparison.overall("time", label) for label in labels}
        noise = comparison.noise_of(comparison.overall_cells("time"))
        rows.append((None, OVERALL, noise, figures))
    for cell in comparison.cells:
        if cell.is_paced:
            continue
        figures = {label: comparison.cell_ratio("time", cell, label) for label in labels}
        rows.append((cell, comparison.names[cell], comparison.cell_noise(cell), figures))
    return [
        (cell, name, noise, {label: value for label, value in figures.items() if value})
        for cell, name, noise, figures in rows
    ]


def draw_row(axes, top, height, row, marks, limits, comparison):
    """Draws what is behind a row's marks, and adds its (y, Estimate) to each contender's."""
    cell, _, noise, estimates = row
    if round(top / height) % 2 == 0:
        axes.axhspan(top, top + height, color=style.STRIPE, lw=0, zorder=0)
    if not math.isnan(noise):
        band = [max(1 / (1 + noise), limits[0]), min(1 + noise, limits[1])]
        axes.fill_betweenx([top, top + height], *band, color=style.NOISE, lw=0, zorder=1)
    for lane, label in enumerate(marks):
        y = top + ROW_GAP_LANES / 2 + lane + 0.5
        if label in estimates:
            marks[label].append((y, estimates[label]))
        elif (cell, label) in comparison.failures:
            status = comparison.failures[cell, label]["status"].iloc[0]
            text = f"{shorten(short_label(label), 20)}: {status}"
            axes.text(limits[0], y, text, size=7.5, color=style.ALERT, va="center_baseline")


def finish_axes(axes, rows, height, limits, comparison):
    style.ratio_axis(axes.xaxis, *limits)
    axes.set_xlim(*limits)
    axes.set_ylim(height * len(rows), 0)
    axes.axvline(1, color=style.INK, lw=1.2, zorder=2)
    axes.set_yticks([])
    if len(rows) >= TALL_ROWS:
        axes.tick_params(labeltop=True)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"time relative to {short_label(comparison.baseline)} (less is better)")
    for at, (cell, name, _, _) in enumerate(rows):
        place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        place |= {"ha": "right", "annotation_clip": False}
        middle = (0, (at + 0.5) * height)
        weight = "bold" if cell is None else "normal"
        text = shorten(name, NAME_SIZE)
        axes.annotate(text, middle, (-10, 1), va="bottom", weight=weight, **place)
        below = line_below(comparison, cell)
        axes.annotate(below, middle, (-10, -1), va="top", size=BELOW_FONT_SIZE,
                      color=style.FAINT_INK, **place)  # fmt: skip


def line_below(comparison, cell):
    """What the baseline, which is 1, costs in a workload."""
    if cell is None:
        return "geometric mean"
    figures = comparison.baseline_figures.get(cell)
    return f"1 = {duration(figures['ns_per_op'])} an operation" if figures else ""


def duration(ns):
    """Three digits that count, in the unit that has them before or near the point."""
    factor, unit = next((one for one in UNITS if ns >= 0.9995 * one[0]), UNITS[-1])
    return f"{style.plain(ns / factor)} {unit}"


def decorate(figure, axes, labels, looks, comparison):
    baseline = short_label(comparison.baseline)
    style.headline(figure, f"Time relative to {baseline}: less is better", comparison.run)
    style.legend(figure, labels, looks, TITLE_INCHES)
    noise = (
        f"grey: noise, {baseline} against itself"
        if comparison.aa
        else f"noise not measured: the run has no second part of {baseline} (--aa)"
    )
    bar = "bar: its 95 % interval" if comparison.run.blocks > 1 else "no interval from one block"
    mark = f"mark: {statistics.ESTIMATOR}"
    style.caption(figure, f"{mark}; {bar}; {noise}; arrow: beyond the axis")
