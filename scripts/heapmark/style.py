"""One look for every plot: fonts, colours, ratio axes, and how a figure is written.

An allocator has one colour and one marker everywhere. The colour comes from env.json; an allocator
that brings none gets one of a colour-blind safe palette by a hash of its name, and one that has no
marker of its own gets that too, so that it looks the same from run to run. Colour never stands
alone: contenders also differ in marker and in order, and variants have broken lines.
"""

import io
import math
import re
import zlib

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from heapmark.cells import short_label
from heapmark.terminal import plural, printable, shorten

WIDTH_INCHES = 10.0  # 1000 pixels at DPI: the width of a README
DPI = 100
POINTS_PER_INCH = 72
INK, FAINT_INK = "#222222", "#666666"
NOISE, STRIPE, GRID = "#d4d4d4", "#f6f6f6", "#e2e2e2"
ALERT = "#b00020"
PAPER = "#ffffff"
MARKERS = "osD^vPX<*ph>8dH"
# What is known keeps its marker whatever else takes part.
KNOWN_MARKERS = {
    "system": "o", "jemalloc": "s", "tcmalloc": "D", "tcmalloc_minimal": "^", "mimalloc": "v",
    "tbb": "P", "scudo": "X", "ptmalloc": "<", "dlmalloc": "*", "slub": "p", "slab": "h",
    "slob": ">",
}  # fmt: skip
VARIANT_DASHES = ((0, (5, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)))
# Tol's muted scheme: readable with any colour blindness, and apart from Okabe and Ito's colours,
# which the allocators that heapmark knows bring themselves.
PALETTE = (
    "#332288", "#882255", "#999933", "#aa4499", "#44aa99", "#117733", "#661100", "#6699cc",
)  # fmt: skip

SETTINGS = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a name may hold a dollar sign
    "axes.edgecolor": FAINT_INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titley": 1.0,  # else each panel measures all of its labels to place the title above them
    "axes.grid": True,  # lines from side to side, which need no tick marks beside them
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.bottom": False,
    "ytick.left": False,
    "xtick.color": FAINT_INK,
    "ytick.color": FAINT_INK,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "axes.facecolor": "none",
    "svg.hashsalt": "heapmark",  # the same picture is the same file
    "svg.fonttype": "path",  # looks the same where the font is missing
    "legend.frameon": False,
}
# Dates and versions would make equal plots differ.
METADATA = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
PACKED = {"compress_level": 3}  # 4 % more bytes than by the default 6, in three quarters of the time


def apply():
    """The context in which figures are made and written."""
    return matplotlib.rc_context(SETTINGS)


def figure(height_inches, width_inches=WIDTH_INCHES):
    result = Figure(figsize=(width_inches, height_inches), dpi=DPI)
    FigureCanvasAgg(result)
    return result


def save(result, path):
    kind = path.suffix[1:]
    if kind == "svg":
        path.write_text(svg(result), encoding="utf-8")
    else:
        result.savefig(path, format=kind, metadata=METADATA[kind], pil_kwargs=PACKED)


def svg(result):
    """The figure as SVG text, with no more digits than can be seen."""
    out = io.StringIO()
    result.savefig(out, format="svg", metadata=METADATA["svg"])
    return shorten_numbers(out.getvalue())


# Numbers in the attributes that hold coordinates; two digits are a hundredth of a point.
COORDINATES = re.compile(r'(?<= )(?:d|points|x|y|x1|y1|x2|y2|cx|cy|width|height)="[^"]*"')
DECIMALS = re.compile(r"(-?\d+\.\d\d)\d+")


def shorten_numbers(text):
    def shorter(match):
        # Matplotlib breaks a path's lines after each point.
        return DECIMALS.sub(r"\1", match[0]).replace(" \n", " ").replace("\n", " ")

    return COORDINATES.sub(shorter, text)


def text_inches(text, size):
    """The width of a line of text, `size` in points."""
    font = FontProperties(family=SETTINGS["font.family"], size=size)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return width / POINTS_PER_INCH


def headline(result, title, run):
    """Title and, below it, what was measured where; top left, 0.7 inches high."""
    height = result.get_figheight()
    result.text(0.02, 1 - 0.14 / height, printable(title), size=14, weight="bold", va="top")
    facts = run.env["machine"]
    parts = [run.name] + [str(facts[key]) for key in ("cpu", "kernel", "libc") if facts.get(key)]
    if isinstance(facts.get("cpus"), int):
        parts.insert(2, plural(facts["cpus"], "CPU"))
    text = ", ".join(parts + [plural(run.blocks, "block")])
    result.text(0.02, 1 - 0.44 / height, printable(text), size=9, color=FAINT_INK, va="top")


def caption(result, text):
    """What the marks mean; bottom left, in small print."""
    result.text(0.02, 0.1 / result.get_figheight(), text, size=8.5, color=FAINT_INK, va="bottom")


# ---- contenders ---------------------------------------------------------------------------------


def colours(run, labels):
    given = {entry.label: entry for entry in run.contenders}
    return {label: colour_of(given.get(label), label) for label in labels}


def colour_of(contender, label):
    if contender and re.fullmatch("#[0-9a-fA-F]{6}", contender.colour):
        return contender.colour
    name = contender.allocator if contender else label.partition(":")[0]
    return PALETTE[zlib.crc32(name.encode()) % len(PALETTE)]


def markers(run, labels):
    """By name, so that an allocator looks the same in every plot; a variant takes another one.

    Only where two contenders would look alike does the second one move on to the next marker.
    """
    given = {entry.label: entry for entry in run.contenders}
    order = [label for label in given if label in labels]
    order += [label for label in labels if label not in given]
    taken, result = set(), {}
    for label in order:
        colour, marker = colour_of(given.get(label), label), marker_of(label)
        for _ in MARKERS:
            if (colour, marker) not in taken:
                break
            marker = MARKERS[(MARKERS.index(marker) + 1) % len(MARKERS)]
        taken.add((colour, marker))
        result[label] = marker
    return result


def marker_of(label):
    name, _, variant = label.partition(":")
    if not variant and name in KNOWN_MARKERS:
        return KNOWN_MARKERS[name]
    return MARKERS[zlib.crc32(label.encode()) % len(MARKERS)]


def dashes_of(label):
    """A line of a plain allocator is solid, of a variant broken in one of three ways."""
    _, _, variant = label.partition(":")
    return VARIANT_DASHES[zlib.crc32(variant.encode()) % len(VARIANT_DASHES)] if variant else "-"


class Looks:
    """How the contenders of a run are drawn; made once a figure."""

    def __init__(self, run, labels):
        self.labels = list(labels)
        self.colours, self.markers = colours(run, labels), markers(run, labels)

    def line(self, label):
        """Keyword arguments of a line with marks."""
        return {
            "color": self.colours[label], "marker": self.markers[label], "ls": dashes_of(label),
            "lw": 1.6, "ms": 5.5, "mec": PAPER, "mew": 0.5,
        }  # fmt: skip

    def curve(self, label, points):
        """The same for a curve of many points: a mark at some ten of them."""
        return self.line(label) | {"markevery": max(1, points // 8), "ms": 4.5}


def handles(labels, looks):
    """What a legend shows of each contender; looks: (colours, markers)."""
    return [
        Line2D([], [], color=looks[0][label], marker=looks[1][label], ls=dashes_of(label), lw=2,
               ms=7, mec=PAPER, mew=0.5, label=shorten(short_label(label), LEGEND_NAME_SIZE))
        for label in labels
    ]  # fmt: skip


LEGEND_FONT_SIZE, LEGEND_NAME_SIZE = 9, 24
LEGEND_MARK_INCHES = 0.48  # the mark of a contender, and what stands around it
LEGEND_COLUMNS_MAX = 6


def legend_grid(labels):
    """(rows, columns) of a legend: as few rows as the page allows, and those of about one length."""
    names = [shorten(short_label(label), LEGEND_NAME_SIZE) for label in labels]
    widest = max((text_inches(name, LEGEND_FONT_SIZE) for name in names), default=0)
    most = max(1, min(LEGEND_COLUMNS_MAX, int(WIDTH_INCHES / (widest + LEGEND_MARK_INCHES))))
    rows = math.ceil(len(labels) / most)
    return rows, math.ceil(len(labels) / max(1, rows))


def legend(result, labels, looks, below_inches):
    """Contenders in rows, `below_inches` under the figure's top; looks: (colours, markers)."""
    result.legend(
        handles=handles(labels, looks), loc="upper left", fontsize=LEGEND_FONT_SIZE,
        ncol=max(1, legend_grid(labels)[1]), columnspacing=1.4, handletextpad=0.5, borderaxespad=0,
        bbox_to_anchor=(0.012, 1 - below_inches / result.get_figheight()),
    )  # fmt: skip


def intervals(axes, points, colour, limits):
    """Upright bars of the intervals of (x, Estimate), behind a line's marks.

    An end beyond the limits stands at the edge as an arrow. One artist for all of a kind.
    """
    bars = [(x, one.low, one.high) for x, one in points if one.has_interval]
    if not bars:
        return
    x, low, high = zip(*bars)
    axes.vlines(x, *clipped(low, high, limits), color=colour, lw=1.4, capstyle="butt", zorder=2)
    for arrow, edge, beyond in edges(low, high, limits, "v^"):
        axes.plot(np.array(x)[beyond], [edge] * beyond.sum(), arrow, color=colour, **EDGE)


EDGE = {"ms": 4, "mew": 0, "clip_on": False, "zorder": 2.5}  # of an arrow where a bar goes on


def clipped(low, high, limits):
    """Both ends of bars, drawn no further than the axis goes."""
    return np.clip(low, *limits), np.clip(high, *limits)


def edges(low, high, limits, arrows):
    """(arrow, where it stands, which bars have it) for each side that some bars go beyond."""
    found = zip(arrows, limits, (np.array(low) < limits[0], np.array(high) > limits[1]))
    return [(arrow, edge, beyond) for arrow, edge, beyond in found if beyond.any()]


# ---- ratio axes ---------------------------------------------------------------------------------

WHISKER = 1.5  # Tukey's: what lies that many quartile ranges outside the quartiles is extreme
WHISKER_MIN = 2.0  # but nothing within this factor of a quartile is
SPAN_MIN = 1.12  # an axis reaches at least that far on both sides of 1
END_ROOM = 0.25  # an interval's end counts so far beyond the values, as a share of what they span
END_MIN = 1.25  # and within this factor of them anyway
MARGIN = 0.06  # of the axis, on both sides


def ratio_limits(estimates):
    """(low, high) of a logarithmic axis for Estimates of ratios; 1 and its surroundings are on it.

    What is extreme is left outside. Ends of intervals count as far as they lie near the others'
    values: those of two blocks may be a million times apart, and would squash all values to a point.
    """
    logs = np.log([one.value for one in estimates] + [1.0])
    first, third = np.quantile(logs, [0.25, 0.75])
    reach = max(WHISKER * (third - first), math.log(WHISKER_MIN))
    inside = logs[(logs >= first - reach) & (logs <= third + reach)]
    low = min(inside.min(), -math.log(SPAN_MIN))
    high = max(inside.max(), math.log(SPAN_MIN))
    room = max(END_ROOM * (high - low), math.log(END_MIN))
    ends = np.log([end for one in estimates for end in (one.low, one.high) if not math.isnan(end)])
    ends = ends[(ends >= low - room) & (ends <= high + room)]
    low, high = min([low, *ends]), max([high, *ends])
    margin = MARGIN * (high - low)
    return math.exp(low - margin), math.exp(high + margin)


def ratio_ticks(low, high):
    """Round ratios between low and high, some four to twelve, 1 among them."""
    octaves = math.log2(high / low)
    if octaves < 0.6:
        ticks = np.arange(0.5, 2, 0.05)
    elif octaves < 1.6:
        ticks = np.concatenate([np.arange(0.3, 2, 0.1), np.arange(2, 4, 0.25)])
    elif octaves < 3.2:
        ticks = np.array([0.125, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.25, 1.5, 2, 2.5,
                          3, 4, 5, 6, 8])  # fmt: skip
    else:
        steps = (1, 2, 3, 5) if octaves < 8 else (1, 3) if octaves < 13 else (1,)
        # Divided where it is below 1, so that 0.3 is that and not its neighbour.
        ticks = [step / 10**n for n in range(9, 0, -1) for step in steps]
        ticks += [step * 10**n for n in range(9) for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


def plain(value, digits=3):
    """A figure with so many digits that count, and all before the point; never as 1.2e+03."""
    if value == 0:
        return "0"
    text = f"{value:,.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def ratio_axis(axis, low, high):
    """Make `axis` (an axes' xaxis or yaxis) a logarithmic one of ratios."""
    set_scale = axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale
    set_scale("log", base=2)
    axis.set_major_locator(FixedLocator(ratio_ticks(low, high)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))


def off_axis(value, low, high):
    """-1 or 1 where a value lies left or right of the axis, 0 where it lies on it."""
    return (value > high) - (value < low)


def clip(value, limits):
    return min(max(value, limits[0]), limits[1])


def ratio_marks(axes, marks, colour, marker, limits):
    """Ratios of one contender with their intervals: (height y, Estimate) each.

    Beyond the axis stands an arrow with its figure, right of the arrow on both sides: names stand
    left of the axes. One artist for all, since a large run has a thousand of them.
    """
    inside = [(y, one) for y, one in marks if not off_axis(one.value, *limits)]
    for y, one in marks:
        if side := off_axis(one.value, *limits):
            edge = clip(one.value, limits)
            arrow = ">" if side > 0 else "<"
            axes.plot(edge, y, arrow, color=colour, ms=6, clip_on=False, zorder=4)
            axes.annotate(
                plain(one.value, 2), (edge, y), (7, 0), textcoords="offset points", size=8.5,
                va="center_baseline", annotation_clip=False,
            )  # fmt: skip
    bars = [(y, one.low, one.high) for y, one in inside if one.has_interval]
    if bars:
        y, low, high = zip(*bars)
        axes.hlines(y, *clipped(low, high, limits), color=colour, lw=2, capstyle="butt", zorder=3)
        for arrow, edge, beyond in edges(low, high, limits, "<>"):
            axes.plot([edge] * beyond.sum(), np.array(y)[beyond], arrow, color=colour, **EDGE)
    x, y = [one.value for _, one in inside], [y for y, _ in inside]
    axes.plot(x, y, marker, color=colour, ls="", ms=6.5, mec=PAPER, mew=0.5, zorder=4)
