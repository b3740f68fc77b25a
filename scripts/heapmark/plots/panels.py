"""Small multiples: a grid of panels, one a workload, under one headline and one legend."""

import math

from matplotlib.ticker import MaxNLocator, ScalarFormatter

from heapmark import style
from heapmark.terminal import plural, shorten

COLUMNS = 3
PANELS_MAX = 12  # in one picture; more would not be looked at
PANEL_INCHES = 2.55
LEFT, RIGHT, GAP_X = 0.078, 0.985, 0.078
TITLE_INCHES, LEGEND_ROW_INCHES, FOOT_INCHES, GAP_Y_INCHES = 0.68, 0.19, 1.05, 0.78
X_NAME_INCHES, Y_NAME_INCHES = 0.3, 0.5  # from the axes


class Grid:
    """A figure of `count` panels; `axes` holds them row by row."""

    def __init__(self, count, looks, panel_inches=PANEL_INCHES):
        self.looks = looks
        columns = min(COLUMNS, count)
        rows = math.ceil(count / columns)
        legend_rows = style.legend_grid(looks.labels)[0]
        self.head = TITLE_INCHES + LEGEND_ROW_INCHES * legend_rows + 0.5
        body = rows * panel_inches + (rows - 1) * GAP_Y_INCHES
        height = self.head + body + FOOT_INCHES
        self.figure = style.figure(height)
        wide = (RIGHT - LEFT - GAP_X * (columns - 1)) / columns
        self.axes = []
        for at in range(count):
            row, column = divmod(at, columns)
            top = height - self.head - row * (panel_inches + GAP_Y_INCHES)
            place = [LEFT + column * (wide + GAP_X), (top - panel_inches) / height, wide]
            self.axes.append(add_axes(self.figure, [*place, panel_inches / height]))

    def decorate(self, title, run, caption):
        style.headline(self.figure, title, run)
        looks = self.looks
        style.legend(self.figure, looks.labels, (looks.colours, looks.markers), TITLE_INCHES)
        style.caption(self.figure, caption)


def add_axes(figure, place, **options):
    """The axes of a panel. Its ticks' size is set before there are many of them to set it of."""
    axes = figure.add_axes(place, **options)
    axes.tick_params(labelsize=8.5)
    return axes


def name_panel(axes, title):
    axes.set_title(shorten(title, 38), size=10, loc="left", pad=6)


def few_ticks(axis):
    """Some five round values: a panel has no room for more, nor for their power of ten above it."""
    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    formatter = ScalarFormatter(useOffset=False)
    formatter.set_scientific(False)
    axis.set_major_formatter(formatter)


def name_axes(axes, x, y):
    """The axes' names, each at one distance: measuring what stands between is a tenth of a plot."""
    axes.set_xlabel(x, size=9)
    axes.set_ylabel(y, size=9)
    box, (width, height) = axes.get_position(), axes.figure.get_size_inches()
    axes.xaxis.set_label_coords(0.5, -X_NAME_INCHES / (box.height * height))
    axes.yaxis.set_label_coords(-Y_NAME_INCHES / (box.width * width), 0.5)


def chosen(items, spread):
    """At most PANELS_MAX of the items, those with the largest spread, in their own order."""
    if len(items) <= PANELS_MAX:
        return list(items)
    kept = sorted(items, key=spread, reverse=True)[:PANELS_MAX]
    return [item for item in items if item in kept]


def left_out(shown, of, noun="workload"):
    """What the caption says of panels that found no room; "" where all did."""
    if shown == of:
        return ""
    return (
        f"\n{shown} of {plural(of, noun)}: where the allocators differ most; "
        "--workload=NAME draws others"
    )


def spread_of(comparison, metric="time"):
    """A key for chosen(): how far apart the contenders are in a cell."""

    def spread(cell):
        ratios = [comparison.cell_ratio(metric, cell, label) for label in comparison.labels]
        values = [math.log(ratio.value) for ratio in ratios if ratio]
        return max(values) - min(values) if values else 0

    return spread
