"""The plots of a run: one file each, listed here.

A plot is a function of a Comparison that returns a figure. Adding one is a file and a line in
PLOTS; it is drawn by default and its name is its file's.
"""

from heapmark import style
from heapmark.comparison import Comparison
from heapmark.errors import InputError, nearest
from heapmark.plots import pareto, time

PLOTS = {"time": time.draw, "pareto": pareto.draw}
FORMATS = ("svg", "png")


def select(only):
    """The plots that --only=NAME[,NAME] names; all without it."""
    return chosen(only, PLOTS, "plot") if only is not None else list(PLOTS)


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


def draw(run, names, formats):
    """Draw plots into RUN/plots/; yields the path of each file once it is written."""
    comparison = Comparison(run)
    if not comparison.can_be_plotted:
        raise InputError(
            f"run '{run.name}' has nothing to plot: it compares no allocator with its baseline; "
            "run at least two with --allocators=a,b"
        )
    directory = run.path / "plots"
    directory.mkdir(exist_ok=True)
    with style.apply():
        for name in names:
            figure = PLOTS[name](comparison)
            for kind in formats:
                path = directory / f"{name}.{kind}"
                style.save(figure, path)
                yield path
