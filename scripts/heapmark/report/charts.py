"""A workload's charts as SVG, written by hand.

The plots of a whole run are drawn by matplotlib. A report has three charts for each workload, and
matplotlib takes a fifth of a second for each: these take a few milliseconds, with the same figures,
colours and marks.
"""

import html
import math
from functools import cache

from matplotlib.markers import MarkerStyle

from heapmark import style

FONT = 11
TICK_LENGTH = 4


@cache
def mark_path(marker):
    """The outline of a matplotlib marker, about 1 unit wide, as SVG path data."""
    shape = MarkerStyle(marker)
    polygons = shape.get_path().transformed(shape.get_transform()).to_polygons()
    parts = []
    for polygon in polygons:
        points = " ".join(f"{x:.2f} {-y:.2f}" for x, y in polygon)
        parts.append(f"M{points}Z")
    return "".join(parts)


class Scale:
    """Maps values to pixels, evenly or by their logarithm."""

    def __init__(self, low, high, start, end, log=False):
        self.log, self.start, self.end = log, start, end
        self.low, self.high = (math.log(low), math.log(high)) if log else (low, high)
        if self.high <= self.low:
            self.high = self.low + 1

    def __call__(self, value):
        at = math.log(max(value, 1e-300)) if self.log else value
        share = (at - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0), 1) * (self.end - self.start)


class Chart:
    """Collects SVG elements; coordinates are pixels from the upper left."""

    def __init__(self, width, height, looks):
        self.width, self.height, self.looks = width, height, looks
        self.parts = []

    def add(self, text):
        self.parts.append(text)

    def text(self, x, y, text, anchor="start", size=FONT, colour="ink"):
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
                 f'fill="var(--{colour})">{html.escape(text)}</text>')  # fmt: skip

    def rule(self, x0, y0, x1, y1, colour="var(--grid)", width=1.0):
        self.add(f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" stroke="{colour}" '
                 f'stroke-width="{width}"/>')  # fmt: skip

    def box(self, x0, y0, x1, y1, colour):
        self.add(f'<rect x="{min(x0, x1):.1f}" y="{min(y0, y1):.1f}" width="{abs(x1 - x0):.1f}" '
                 f'height="{abs(y1 - y0):.1f}" fill="var(--{colour})"/>')  # fmt: skip

    def colour(self, label):
        return f"var(--c-{self.looks.colours[label][1:]})"

    def mark(self, x, y, label, size=8):
        self.add(f'<path d="{mark_path(self.looks.markers[label])}" fill="{self.colour(label)}" '
                 f'transform="translate({x:.1f} {y:.1f}) scale({size})"/>')  # fmt: skip

    def curve(self, points, label, every=None):
        """A line through (x, y) in pixels, with some ten marks on it."""
        if not points:
            return
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        dashes = style.dashes_of(label)
        dash = "" if dashes == "-" else f' stroke-dasharray="{",".join(map(str, dashes[1]))}"'
        self.add(f'<path d="M{path}" fill="none" stroke="{self.colour(label)}" '
                 f'stroke-width="1.6"{dash}/>')  # fmt: skip
        step = every or max(1, len(points) // 8)
        for x, y in points[::step]:
            self.mark(x, y, label, 6)

    def band(self, upper, lower, colour, opacity=1.0):
        """The area between two lines of (x, y) in pixels."""
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in [*upper, *reversed(lower)])
        self.add(f'<path d="M{path}Z" fill="{colour}" fill-opacity="{opacity}"/>')

    def frame(self, x, y, x_ticks, y_ticks, title="", x_label="", y_label=""):
        """Grid, axes and their names; `x` and `y` are Scales, ticks are (value, text)."""
        for value, text in x_ticks:
            self.rule(x(value), y.end, x(value), y.start)
            if text:
                self.text(x(value), y.start + 15, text, "middle", colour="faint")
        for value, text in y_ticks:
            self.rule(x.start, y(value), x.end, y(value))
            self.text(x.start - 6, y(value) + 4, text, "end", colour="faint")
        self.rule(x.start, y.start, x.end, y.start, "var(--faint)")
        if y_ticks:
            self.rule(x.start, y.start, x.start, y.end, "var(--faint)")
        self.text(x.start, y.end - 8, title, size=FONT + 1)
        self.text((x.start + x.end) / 2, y.start + 31, x_label, "middle")
        self.text(x.start - 6, y.end - 8, y_label, "end")

    def svg(self, name, title, description):
        """The <svg> element. `name` makes its ids unique on the page."""
        head = (
            f'<svg class="plot" role="img" viewBox="0 0 {self.width} {self.height}" '
            f'aria-labelledby="{name}-t {name}-d"><title id="{name}-t">{html.escape(title)}</title>'
            f'<desc id="{name}-d">{html.escape(description)}</desc>'
        )
        return head + "\n".join(self.parts) + "</svg>"


def round_ticks(high, count=5):
    """(value, text) of round values from 0 to `high`."""
    if high <= 0:
        return [(0, "0")]
    power = 10 ** math.floor(math.log10(high / count))
    step = next(power * n for n in (1, 2, 5, 10) if high / (power * n) <= count)
    return [(at * step, f"{at * step:g}") for at in range(int(high / step + 1e-9) + 1)]


def ns_ticks(low, high):
    """1, 2 and 5 of each decade, or the decades alone where those would be too many."""
    steps = (1, 2, 5) if high / low < 300 else (1,)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [step * 10**n for n in decades for step in steps]
    return [(value, f"{value:,g}") for value in values if low <= value <= high]
