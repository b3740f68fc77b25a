"""The command `heapmark plot RUN|TRACE.hmt|HISTORY.csv`."""

import sys
from functools import partial
from pathlib import Path

from heapmark import plots
from heapmark.errors import InputError


def command(options):
    formats = plots.select_formats(options.format)
    draw = kind_of(options.run)
    for path in draw(options, formats):
        print(path, flush=True)


def kind_of(name):
    """What the argument is decides by itself: a directory is a run."""
    if Path(name).is_dir():
        return draw_run
    return {".hmt": draw_trace, ".csv": draw_history}.get(Path(name).suffix, draw_run)


def draw_run(options, formats):
    names = plots.select(options.only)
    from heapmark import load
    from heapmark.plots.data import PlotData

    if options.out is not None:
        raise InputError("--out is for traces and histories; a run's plots go into its directory")
    workloads = options.workload.split(",") if options.workload else ()
    data = PlotData(load.load_run(options.run), workloads)
    data.prepare()
    names, lacking = plots.drawable(data, names)
    for name, reason in lacking.items():
        print(f"heapmark: plot '{name}' is left out: {reason}", file=sys.stderr)
    return plots.draw(data, names, formats)


def draw_trace(options, formats):
    from heapmark.plots import traces

    refuse_workload(options)
    names = plots.select(options.only, traces.KINDS)
    path = Path(options.run)
    histograms = traces.read(path)
    figures = {name: partial(traces.draw, name, path.stem, histograms) for name in names}
    return plots.write(figures, directory(options), formats)


def draw_history(options, formats):
    from heapmark.history import table
    from heapmark.plots import trend

    refuse_workload(options)
    names = plots.select(options.only, ("trend",))
    history = table.read(Path(options.run))
    figures = {name: partial(trend.draw, Path(options.run).stem, history) for name in names}
    return plots.write(figures, directory(options), formats)


def refuse_workload(options):
    if options.workload is not None:
        raise InputError("--workload is for the plots of a run")


def directory(options):
    return Path(options.out) if options.out else plots.default_directory(options.run)
