"""A trace's histograms: the sizes that were asked for, and how long objects lived.

Each is drawn twice: as the share of objects and as the share of bytes, since the few large objects
are most of the memory.
"""

import csv
import io
import os
import shutil
import subprocess

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from heapmark import style
from heapmark.errors import InputError
from heapmark.terminal import printable

OBJECTS, BYTES = "#0072b2", "#e69f00"
COUNTS = {10**n: f"{10**n:,}" for n in range(0, 13, 2)}
TIMES = {1: "1 ns", 1e3: "1 µs", 1e6: "1 ms", 1e9: "1 s", 1e12: "1000 s"}
EVENTS = "lifetime_events"  # in the place of lifetime_ns where the recording has no times
KINDS = {
    "sizes": ("size_bytes", "Sizes asked for", "bytes"),
    "lifetimes": ("lifetime_ns", "Lifetimes of objects", "from birth to free or realloc"),
}


def program():
    path = os.environ.get("HEAPMARK_PROGRAM") or shutil.which("heapmark")
    if not path:
        raise InputError("cannot find the program heapmark that reads traces; "
                         "install it, or set HEAPMARK_PROGRAM to its path")  # fmt: skip
    return path


def read(path):
    """{property: rows (low, high, objects, bytes)} of a trace, as `trace info --csv` prints it."""
    done = subprocess.run([program(), "trace", "info", "--csv", str(path)], capture_output=True)
    if done.returncode != 0:
        text = done.stderr.decode(errors="backslashreplace").strip()
        raise InputError(text.removeprefix("heapmark trace: ").removeprefix("heapmark: ")
                         or f"cannot read trace '{path}'")  # fmt: skip
    return parse(done.stdout.decode())


def parse(text):
    found = {"size_bytes": [], "lifetime_ns": [], EVENTS: [], "never_freed": []}
    for row in csv.DictReader(io.StringIO(text, newline="")):
        low, high = (float(row[name] or "nan") for name in ("low", "high"))
        found[row["property"]].append((low, high, float(row["objects"]), float(row["bytes"])))
    return {name: np.array(rows).reshape(-1, 4) for name, rows in found.items()}


def kind_of(name, histograms):
    """(rows, heading, unit, what names a value, names along the axis) of one of KINDS."""
    key, heading, unit = KINDS[name]
    if name == "sizes":
        return histograms[key], heading, unit, size_name, None
    if len(histograms[EVENTS]):
        return histograms[EVENTS], heading, f"{unit}, in events", event_name, COUNTS
    return histograms[key], heading, unit, time_name, TIMES


def draw(name, title, histograms):
    """A figure of one of KINDS."""
    rows, heading, unit, name_of, names = kind_of(name, histograms)
    figure = style.figure(4.4)
    axes = figure.add_axes([0.075, 0.2, 0.875, 0.585])  # a name at its right end needs room
    bins, objects, weights = binned(rows)
    width = np.diff(bins)
    for shares, colour, side in ((objects, OBJECTS, 0), (weights, BYTES, 0.5)):
        left = bins[:-1] + width * side
        axes.bar(left, 100 * shares, width * 0.5, align="edge", color=colour, lw=0)
    axes.set_xlim(bins[0], bins[-1])
    if not len(rows):
        axes.set_ylim(0, 100)  # else the axis goes below nothing
    name_axis(axes.xaxis, bins, name_of, names)
    axes.xaxis.grid(False)
    axes.set_xlabel(unit)
    axes.set_ylabel("per cent")
    # Above the bars, which may be high everywhere.
    axes.legend(["of objects", "of bytes"], loc="lower right", bbox_to_anchor=(1, 1), ncol=2,
                fontsize=9, borderaxespad=0)  # fmt: skip
    figure.text(0.02, 1 - 0.14 / 4.4, printable(f"{heading}: {title}"), size=14, weight="bold",
                va="top")  # fmt: skip
    figure.text(0.02, 1 - 0.44 / 4.4, describe(name, histograms), size=9, color=style.FAINT_INK,
                va="top")  # fmt: skip
    style.caption(figure, "each bar is a doubling; exact counts of the whole trace, so no interval")
    return figure


def binned(rows):
    """Edges as powers of two (logarithms), and the shares of objects and of bytes between them."""
    places = np.floor(np.log2(np.maximum(rows[:, 0], 1))).astype(int)
    first, last = (places.min(), places.max()) if len(places) else (0, 0)
    bins = np.arange(first, last + 2, dtype=float)
    sums = [np.bincount(places - first, rows[:, at], len(bins) - 1) for at in (2, 3)]
    return bins, *(part / max(part.sum(), 1) for part in sums)


def quantile(rows, share):
    """The upper end of the bucket that holds that share of the objects."""
    return rows[np.searchsorted(np.cumsum(rows[:, 2]), share * rows[:, 2].sum()), 1]


def describe(name, histograms):
    rows, _, _, name_of, _ = kind_of(name, histograms)
    if not len(rows):
        return "no object was ever freed"
    ends = [quantile(rows, share) for share in (0.5, 0.9, 0.99)]
    shown = [name_of(end, 1) for end in ends]
    text = f"{rows[:, 2].sum():,.0f} objects; " + ", ".join(
        f"{share} % at most {end}" for share, end in zip((50, 90, 99), shown)
    )
    kept = histograms["never_freed"]
    if name == "lifetimes" and len(kept):
        text += f"; {kept[0, 2]:,.0f} more were never freed"
    return text


def size_name(value, digits=0):
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value >= factor:
            return f"{value / factor:.{digits if value % factor else 0}f} {unit}"
    return f"{value:.0f} B" if digits else f"{value:.0f}"


def time_name(value, digits=0):
    for unit, factor in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if value >= factor:
            return f"{value / factor:.{digits}f} {unit}"
    return f"{value:.0f} ns"


def event_name(value, digits=0):
    return f"{value:,.0f} event" + ("" if value == 1 else "s")


def name_axis(axis, bins, name, names):
    """Sizes are named at powers of two; others at `names`, which lie between bars' edges."""
    if names is None:
        step = 1 if len(bins) <= 14 else 2
        places = {place: name(2**place) for place in bins[::step]}
    else:
        places = {np.log2(value): text for value, text in names.items()
                  if bins[0] <= np.log2(value) <= bins[-1]}  # fmt: skip
    axis.set_major_locator(FixedLocator(list(places)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: places.get(value, "")))
