"""Time against peak memory: the price of speed. The Pareto front holds who is beaten by nobody.

Both figures are geometric means over workloads relative to the baseline, with 95 % intervals.
"""

from heapmark import style
from heapmark.cells import short_label
from heapmark.labels import place_labels
from heapmark.plots import time
from heapmark.terminal import plural, shorten

INCHES = 6.4


def lacks(comparison):
    reason = time.lacks(comparison)
    if reason is None and len(points_of(comparison)) < 2:
        reason = "it has no memory figures of two allocators in the same workloads"
    return reason


def points_of(comparison):
    """{label: (time, memory)} of those that have both."""
    return {label: point for label in comparison.labels if (point := both(comparison, label))}


def draw(comparison):
    points = points_of(comparison)
    figure = style.figure(INCHES)
    axes = figure.add_axes([0.075, 0.155, 0.895, 0.705])
    limits = [style.ratio_limits([point[at] for point in points.values()]) for at in (0, 1)]
    prepare_axes(axes, limits, comparison)
    front = pareto_front(points)
    stairs = draw_front(axes, [points[label] for label in front], limits)
    colours, markers = style.colours(comparison.run, points), style.markers(comparison.run, points)
    texts, places = [], []
    for label, point in points.items():
        look = colours[label], markers[label]
        places.append(draw_point(axes, point, limits, look, label in front))
        texts.append((text_of(comparison, label, point, limits), label in front))
    cross = [(limits[0], (1, 1)), ((1, 1), limits[1])]
    place_labels(axes, texts, places, bars(points.values(), limits) + stairs + cross)
    decorate(figure, comparison)
    return figure


def both(comparison, label):
    """(time, memory) as Estimates, or None where one of them is missing."""
    pair = comparison.overall("time", label), comparison.overall("memory", label)
    return pair if all(pair) else None


def pareto_front(points):
    """Labels that no other beats in one figure without being worse in the other; by time."""

    def beaten(label):
        time, memory = (estimate.value for estimate in points[label])
        return any(
            other[0].value <= time
            and other[1].value <= memory
            and (other[0].value < time or other[1].value < memory)
            for other in points.values()
        )

    front = [label for label in points if not beaten(label)]
    return sorted(front, key=lambda label: points[label][0].value)


def prepare_axes(axes, limits, comparison):
    baseline = short_label(comparison.baseline)
    for axis, (low, high), what in zip((axes.xaxis, axes.yaxis), limits, ("time", "peak memory")):
        style.ratio_axis(axis, low, high)
        axis.set_label_text(f"{what} relative to {baseline} (less is better)")
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])
    axes.axvline(1, color=style.FAINT_INK, lw=1, zorder=1)
    axes.axhline(1, color=style.FAINT_INK, lw=1, zorder=1)


def draw_front(axes, front, limits):
    """The staircase: right of it and above it, somebody on the front does better in both.

    Returns its steps as lines ((x, x), (y, y)).
    """
    x = [style.clip(point[0].value, limits[0]) for point in front]
    y = [style.clip(point[1].value, limits[1]) for point in front]
    x, y = [x[0], *x, limits[0][1]], [limits[1][1], *y, y[-1]]
    axes.step(x, y, where="post", color=style.FAINT_INK, lw=1.2, ls=(0, (4, 3)), zorder=2)
    axes.fill_between(x, y, limits[1][1], step="post", color=style.STRIPE, lw=0, zorder=0)
    level = [((x[at], x[at + 1]), (y[at], y[at])) for at in range(1, len(x) - 1)]
    upright = [((x[at], x[at]), (y[at - 1], y[at])) for at in range(1, len(x))]
    return level + upright


def draw_point(axes, point, limits, look, on_front):
    """Draw a mark with its intervals; returns where it stands. Off the axis it is an arrow."""
    colour, marker = look
    x, y = (style.clip(estimate.value, limit) for estimate, limit in zip(point, limits))
    for bar in bars([point], limits):
        axes.plot(*bar, color=colour, lw=1.8, alpha=0.75, solid_capstyle="butt", zorder=3)
    side_x, side_y = (style.off_axis(e.value, *limit) for e, limit in zip(point, limits))
    if side_x or side_y:
        marker = (">" if side_x > 0 else "<") if side_x else ("^" if side_y > 0 else "v")
    face = colour if on_front else style.PAPER
    axes.plot(x, y, marker, ms=9, mfc=face, mec=colour, mew=1.8, clip_on=False, zorder=5)
    return x, y


def bars(points, limits):
    """Intervals as lines ((x, x), (y, y)), clipped to the axes; none for a point off an axis."""
    result = []
    for point in points:
        x, y = (estimate.value for estimate in point)
        if style.off_axis(x, *limits[0]) or style.off_axis(y, *limits[1]):
            continue
        time, memory = point
        if time.has_interval:
            result.append(([style.clip(end, limits[0]) for end in (time.low, time.high)], [y, y]))
        if memory.has_interval:
            ends = memory.low, memory.high
            result.append(([x, x], [style.clip(end, limits[1]) for end in ends]))
    return result


def text_of(comparison, label, point, limits):
    """The label; what is off the axis has its figures in it, what lacks workloads says so."""
    notes = [
        f"{what} {estimate.value:.2g}"
        for estimate, limit, what in zip(point, limits, ("time", "memory"))
        if style.off_axis(estimate.value, *limit)
    ]
    has, cells = len(comparison.cells_of_label(label)), len(comparison.cells)
    if has < cells:
        notes.append(f"{has} of {cells} workloads")
    return shorten(short_label(label), 26) + (f" ({', '.join(notes)})" if notes else "")


def decorate(figure, comparison):
    baseline = short_label(comparison.baseline)
    style.headline(figure, f"Time against memory, relative to {baseline}", comparison.run)
    timed = plural(len(comparison.measured_cells), "workload")
    weighed = plural(len(comparison.overall_cells("memory")), "workload")
    which = " with at least 4 MiB of live data" if comparison.big_cells else ""
    style.caption(
        figure,
        "filled, dashed line: Pareto front (nobody is faster and leaner); bars: 95 % intervals\n"
        f"time over {timed}, memory over {weighed}{which}",
    )
