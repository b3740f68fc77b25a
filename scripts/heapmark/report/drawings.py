"""Draws what the page shows, each with a text that says it: the overviews of the whole run, and
each workload's own charts.
"""

from dataclasses import dataclass

from heapmark import parallel, plots, style
from heapmark.cells import short_label
from heapmark.plots import memory
from heapmark.report import figures, workload
from heapmark.terminal import printable

OVERVIEWS = {
    "pareto": "Time against memory",
    "time": "Time by workload",
    "threads": "Throughput against threads",
    "sweep": "Sweeps",
}
SAID_MAX = 12  # allocators whose figures a description names


@dataclass(frozen=True)
class Drawings:
    overviews: list  # of (title, svg)
    by_cell: dict  # {cell: [(title, svg, is wide)]}


def all_of(data):
    """Both parts at once: each takes half of the time of a large run's report.

    The latencies are needed by the workloads' charts alone, and so are read beside the ranking.
    """
    with parallel.started(cells_drawn, data) as by_cell:
        with style.apply(), style.matplotlib.rc_context(figures.INLINE):
            whole = overviews(data)
        return Drawings(whole, by_cell())


def cells_drawn(data):
    looks = style.Looks(data.run, data.labels)
    return {cell: of_cell(data, cell, at, looks) for at, cell in enumerate(data.measured_cells)}


def contender_colours(data):
    return set(style.colours(data.run, data.labels).values())


# ---- of the whole run ---------------------------------------------------------------------------


def overviews(data):
    colours = contender_colours(data)
    found = []
    for name, title in OVERVIEWS.items():
        if plots.function(name, "lacks")(data) is None:
            figure = plots.function(name, "draw")(data)
            svg = figures.inline(figure, f"p-{name}", title, describe_overview(data, name), colours)
            found.append((title, svg))
    return found


def describe_overview(data, name):
    """What the plot says, in figures, for those who cannot see it."""
    baseline = printable(short_label(data.baseline))
    if name == "pareto":
        points = {label: (data.overall("time", label), data.overall("memory", label))
                  for label in data.labels}  # fmt: skip
        return f"Relative to {baseline}. " + said(
            f"{name_of(label)}: time {time.value:.3g}, memory {heap.value:.3g}"
            for label, (time, heap) in points.items()
            if time and heap
        )
    text = {"threads": "Calls a second for each number of threads. ",
            "sweep": "Time over the values of a parameter. "}.get(name, "")  # fmt: skip
    cells = "all workloads but paced replays" if data.paced_cells else "all workloads"
    return (
        f"{text}Time relative to {baseline}, geometric mean over {cells}. "
        + estimates_said(data, "time", lambda label: data.overall("time", label))
        + " The table of ratios has the figures of each workload."
    )


def name_of(label):
    return printable(short_label(label))


def said(parts):
    parts = list(parts)
    rest = f"; {len(parts) - SAID_MAX} more" if len(parts) > SAID_MAX else ""
    return "; ".join(parts[:SAID_MAX]) + rest + "."


def estimates_said(data, what, figure_of):
    found = {label: figure_of(label) for label in data.labels if label != data.baseline}
    return said(
        f"{name_of(label)} {what} {one.value:.3g}"
        + (f" ({one.low:.3g} to {one.high:.3g})" if one.has_interval else "")
        for label, one in found.items()
        if one
    )


# ---- of each workload ---------------------------------------------------------------------------


def of_cell(data, cell, at, looks):
    """[(title, svg, is wide)] of a workload; `at` makes its ids unique."""
    name = data.names[cell]
    made = [
        (workload.ratios(data, cell, looks), f"{name}: time, memory and tail", ratios_said, True),
        (workload.tail(data, cell, looks), f"{name}: latency of malloc", tail_said, False),
        (workload.over_time(data, cell, looks), f"{name}: memory over time", memory_said, False),
    ]
    return [
        (title, chart.svg(f"w{at}-{number}", title, say(data, cell)), is_wide)
        for number, (chart, title, say, is_wide) in enumerate(made)
        if chart
    ]


def ratios_said(data, cell):
    return f"Relative to {name_of(data.baseline)}. " + " ".join(
        estimates_said(
            data, workload.METRICS[metric], lambda label: data.cell_ratio(metric, cell, label)
        )
        for metric in workload.metrics_of(data, cell)
    )


def tail_said(data, cell):
    return "Latency of malloc over its percentiles, both axes logarithmic. " + said(
        f"{name_of(label)}: median {value(data, cell, label, 0.5):.0f} ns, 99 % at most "
        f"{value(data, cell, label, 0.99):.0f} ns"
        for label in data.labels
        if (cell, label, "malloc") in data.latencies
    )


def value(data, cell, label, share):
    found = sorted(one.quantiles([share])[0] for one in data.latencies[cell, label, "malloc"])
    return found[len(found) // 2]


def memory_said(data, cell):
    found = {label: memory.series(data, cell, label) for label in data.labels}
    return "Resident memory over the calls made, live bytes filled, their ratio below. " + said(
        f"{name_of(label)}: at most {series[1].max():.3g} MiB resident, {series[2].max():.3g} live"
        for label, series in found.items()
        if series
    )
