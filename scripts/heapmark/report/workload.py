"""The charts of one workload: ratios side by side, latencies of malloc, memory over time."""

import math

import numpy as np

from heapmark import style
from heapmark.cells import short_label
from heapmark.plots import latency, memory
from heapmark.report.charts import FONT, Chart, Scale, ns_ticks, round_ticks
from heapmark.terminal import shorten

METRICS = {
    "time": "time", "memory": "peak memory", "p99": "malloc p99", "instructions": "instructions",
}  # fmt: skip
WIDE, NAMES, GAP = 1000, 165, 48
LANE, HEAD, FOOT = 22, 26, 24
PANEL = (490, 330)
TICKS_MAX = 5


def metrics_of(data, cell):
    """The metrics that at least one contender has a ratio of in the cell; no time of paced ones."""
    labels = [label for label in data.labels if label != data.baseline]
    metrics = [metric for metric in METRICS if metric != "time" or not cell.is_paced]
    return [metric for metric in metrics
            if any(data.cell_ratio(metric, cell, label) for label in labels)]  # fmt: skip


def ratios(data, cell, looks):
    """A Chart with a column a metric and a lane a contender; None without any ratio.

    Bars are 95 % intervals; grey is how far the baseline strays from itself in that figure.
    """
    metrics = metrics_of(data, cell)
    labels = [label for label in data.labels if label != data.baseline]
    if not metrics:
        return None
    chart = Chart(WIDE, HEAD + LANE * len(labels) + FOOT, looks)
    wide = (WIDE - NAMES - GAP * len(metrics)) / len(metrics)
    for lane, label in enumerate(labels):
        chart.text(NAMES - 12, lane_y(lane) + 4, shorten(short_label(label), 22), "end")
    for at, metric in enumerate(metrics):
        left = NAMES + at * (wide + GAP)
        column(chart, data, cell, labels, metric, (left, left + wide))
    return chart


def lane_y(lane):
    return HEAD + LANE * (lane + 0.5)


def column(chart, data, cell, labels, metric, ends):
    estimates = {label: data.cell_ratio(metric, cell, label) for label in labels}
    low, high = style.ratio_limits([estimate for estimate in estimates.values() if estimate])
    x = Scale(low, high, *ends, log=True)
    y = Scale(0, 1, lane_y(len(labels) - 0.5), HEAD)
    noise = data.noise_of([cell], metric)
    if not math.isnan(noise):
        chart.box(x(1 / (1 + noise)), y.start, x(1 + noise), y.end, "noise")
    chart.frame(x, y, few(style.ratio_ticks(low, high)), [], f"{METRICS[metric]}, relative")
    chart.rule(x(1), y.start, x(1), y.end, "var(--ink)", 1.1)
    for lane, label in enumerate(labels):
        if estimates[label]:
            lane_mark(chart, x, lane_y(lane), label, estimates[label], (low, high))
        elif (cell, label) in data.failures:
            status = data.failures[cell, label]["status"].iloc[0]
            chart.text(x(1), lane_y(lane) + 4, status, "middle", colour="alert")


def few(ticks):
    """(value, text) of the ticks, or of some of them where there are many; 1 stays."""
    step = math.ceil(len(ticks) / TICKS_MAX)
    one = min(range(len(ticks)), key=lambda at: abs(math.log(ticks[at])))
    return [(tick, style.plain(tick)) for tick in ticks[one % step :: step]]


def lane_mark(chart, x, y, label, estimate, limits):
    """A mark with its interval; beyond the axis an arrow with its figure."""
    side = style.off_axis(estimate.value, *limits)
    if side:
        at = x(estimate.value)
        chart.add(f'<path d="M{at:.1f} {y - 5:.1f}L{at + 9 * side:.1f} {y:.1f}L{at:.1f} '
                  f'{y + 5:.1f}Z" fill="{chart.colour(label)}"/>')  # fmt: skip
        chart.text(at + 12, y + 4, style.plain(estimate.value, 2), size=FONT - 1)
        return
    if estimate.has_interval:
        chart.rule(x(estimate.low), y, x(estimate.high), y, chart.colour(label), 2.2)
    chart.mark(x(estimate.value), y, label, 9)


# ---- latencies ----------------------------------------------------------------------------------


def tail(data, cell, looks, op="malloc"):
    """A Chart of the percentiles, HDR style; None where there are no latencies."""
    curves = {
        label: latency.curve(data.latencies[cell, label, op])
        for label in (*data.labels, *([data.aa] if data.aa else []))
        if (cell, label, op) in data.latencies
    }
    shown = [label for label in data.labels if label in curves]
    if not shown:
        return None
    chart = Chart(*PANEL, looks)
    reach = max([1, *(curves[label][0][-1] for label in shown)])
    low, high = latency.limits([curves[label] for label in shown])
    x, y = panel_scales(reach, (low, high), log=True)
    ticks = [(at, text) for at, text in latency.NINES.items() if at <= reach + 0.01]
    if data.baseline in curves and data.aa in curves:
        chart.band(pixels(x, y, *curves[data.baseline][:2]), pixels(x, y, *curves[data.aa][:2]),
                   "var(--noise)")  # fmt: skip
    chart.frame(x, y, ticks, ns_ticks(low, high), "latency of malloc", "percentile", "ns")
    for label in shown:
        nines, _, lower, upper = curves[label]
        ends = pixels(x, y, nines, upper), pixels(x, y, nines, lower)
        chart.band(*ends, chart.colour(label), 0.16)
    for label in shown:
        chart.curve(pixels(x, y, *curves[label][:2]), label)
    legend(chart, shown, x.start + 10, y.end + 12)
    return chart


def panel_scales(right, heights, log=False, bottom=PANEL[1] - 42, top=24):
    return Scale(0, right, 52, PANEL[0] - 12), Scale(*heights, bottom, top, log=log)


def pixels(x, y, places, values):
    return [(x(place), y(value)) for place, value in zip(places, values) if not np.isnan(value)]


def legend(chart, labels, left, top):
    """Two columns in the upper left, which rising curves leave free."""
    for at, label in enumerate(labels):
        column, row = divmod(at, math.ceil(len(labels) / 2))
        x, y = left + 135 * column, top + 14 * row
        chart.curve([(x, y), (x + 22, y)], label, every=2)
        chart.text(x + 28, y + 4, shorten(short_label(label), 17), size=FONT - 1.5)


# ---- memory -------------------------------------------------------------------------------------


def over_time(data, cell, looks):
    """A Chart of resident and live bytes over the calls made, their ratio below; or None."""
    found = {label: memory.series(data, cell, label) for label in data.labels}
    found = {label: series for label, series in found.items() if series}
    if not found:
        return None
    chart = Chart(*PANEL, looks)
    right = max(series[0][-1] for series in found.values()) or 1
    high = max(max(series[1].max(), series[2].max()) for series in found.values()) * 1.04
    x, y = panel_scales(right, (0, high), bottom=PANEL[1] - 128)
    calls, _, live = found.get(data.baseline) or next(iter(found.values()))
    floor = [(x(calls[0]), y(0)), (x(calls[-1]), y(0))]
    chart.frame(x, y, [(at, "") for at, _ in round_ticks(right)], round_ticks(high),
                "memory over time, filled: live bytes", y_label="MiB")  # fmt: skip
    chart.band(pixels(x, y, calls, live), floor, "var(--grid)")
    second = memory.series(data, cell, data.aa) if data.aa else None
    if second and data.baseline in found:
        one = found[data.baseline]
        chart.band(pixels(x, y, *one[:2]), pixels(x, y, *second[:2]), "var(--noise)")
    for label, series in found.items():
        chart.curve(pixels(x, y, *series[:2]), label)
    overhead(chart, found, right)
    if (cell, "malloc") not in data.latency_cells:
        legend(chart, list(found), x.start + 10, y.end + 12)
    return chart


def overhead(chart, found, right):
    ratios = {label: memory.ratio_of(*series[1:]) for label, series in found.items()}
    ends = [value for values in ratios.values() for value in values[~np.isnan(values)]]
    high = min(max(ends, default=1) * 1.1, memory.RATIO_MAX)
    high = max(high, 1.6)
    ticks = memory.RATIO_TICKS_FEW if high > 6 else memory.RATIO_TICKS
    x, y = panel_scales(right, (0.8, high), log=True, top=PANEL[1] - 112)
    has_cut = any(map(memory.is_cut, ratios.values()))
    names = [(tick, memory.ratio_name(tick, has_cut)) for tick in ticks if tick <= high]
    chart.frame(x, y, round_ticks(right), names,
                x_label="million calls; below: resident / most live so far")  # fmt: skip
    for label, values in ratios.items():
        chart.curve(pixels(x, y, found[label][0], np.minimum(values, high)), label)
