"""The plots: one file each, listed here.

A plot of a run is a module with two functions of a PlotData: `lacks` says what the run would need
for it, or None; `draw` returns a figure. Adding one is a file and a line in PLOTS; it is drawn by
default and its name is its file's. Traces and histories of gates have plots of their own.
"""

import importlib
from functools import partial
from pathlib import Path

from heapmark.errors import InputError, nearest

# name: module, further arguments. A module is loaded when its plot is wanted.
PLOTS = {
    "time": ("time", {}),
    "pareto": ("pareto", {}),
    "threads": ("threads", {}),
    "sweep": ("sweep", {}),
    "latency": ("latency", {"op": "malloc"}),
    "latency-free": ("latency", {"op": "free"}),
    "cdf": ("cdf", {}),
    "memory": ("memory", {}),
}
FORMATS = ("svg", "png")


def function(name, which):
    module, arguments = PLOTS[name]
    return partial(getattr(importlib.import_module(f"heapmark.plots.{module}"), which), **arguments)


def select(only, known=PLOTS):
    """The plots that --only=NAME[,NAME] names; all without it."""
    return chosen(only, known, "plot") if only is not None else list(known)


def select_formats(formats):
    return chosen(formats, FORMATS, "format")


def chosen(text, known, what):
    names = list(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in known:
            raise InputError(
                f"unknown {what} '{name}'{nearest(name, known)}; known are {', '.join(known)}"
            )
    return names


def drawable(data, names):
    """(names whose data the run has, {name: what it lacks}). Raises InputError if none is left."""
    lacking = {name: reason for name in names if (reason := function(name, "lacks")(data))}
    left = [name for name in names if name not in lacking]
    if not left:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in lacking.items())
        raise InputError(f"run '{data.run.name}' has nothing to plot: {reasons}")
    return left, lacking


def write(figures, directory, formats):
    """Write {name: function that makes a figure}; yields each path once it is written.

    Several are drawn at once; their paths come in order.
    """
    from heapmark import parallel

    directory.mkdir(parents=True, exist_ok=True)
    jobs = [(make, directory / name, formats) for name, make in figures.items()]
    for paths in parallel.each(write_one, jobs):
        yield from paths


def write_one(make, stem, formats):
    from heapmark import style

    with style.apply():
        figure = make()
        paths = [stem.with_name(f"{stem.name}.{kind}") for kind in formats]
        for path in paths:
            style.save(figure, path)
    return paths


def draw(data, names, formats):
    """Draw plots of a run into RUN/plots/; yields the path of each file once it is written."""
    figures = {name: partial(function(name, "draw"), data) for name in names}
    return write(figures, data.run.path / "plots", formats)


def default_directory(path):
    """Where plots of a single file go: beside nobody's files, named after it."""
    return Path(f"{Path(path).stem}.plots")
