"""Plots: written, the same twice, readable where the data are awkward; and the command line."""

import csv
import os
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest
import rich
from heapmark import load, plots, style
from heapmark.plots import memory
from heapmark.plots.data import PlotData
from heapmark.statistics import Estimate

ALL = list(plots.PLOTS)
FAST = "--only=pareto"


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return rich.make(tmp_path_factory.mktemp("run") / "rich")


@pytest.fixture
def run(stored, tmp_path):
    """The stored run under a path of its own, so that plots of one test are not seen by another."""
    path = tmp_path / "rich"
    path.mkdir()
    for file in stored.iterdir():
        if file.is_file():
            (path / file.name).symlink_to(file)
    return path


@pytest.fixture(scope="module")
def data(stored):
    return PlotData(load.load_run(str(stored)))


def figure(name, data):
    with style.apply():
        return plots.function(name, "draw")(data)


def test_every_plot_is_written_and_named(heapmark, run):
    code, out, err = heapmark("plot", run, "--workload=larson,pair", "--format=svg")
    assert (code, err) == (0, "")
    assert out.splitlines() == [str(run / "plots" / f"{name}.svg") for name in ALL]


def test_both_formats_are_written(heapmark, run):
    names = ("time", "threads", "memory")
    code, out, _ = heapmark("plot", run, "--workload=larson", "--only=" + ",".join(names))
    assert code == 0
    expected = [str(run / "plots" / f"{name}.{kind}") for name in names for kind in ("svg", "png")]
    assert out.splitlines() == expected
    for name in names:
        picture = matplotlib.image.imread(run / "plots" / f"{name}.png")
        assert picture.shape[1] == 1000
        assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 20
        assert (run / "plots" / f"{name}.svg").read_text().rstrip().endswith("</svg>")


def test_plots_are_deterministic_across_processes(run):
    names = ("pareto", "threads")

    def draw(seed):
        env = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-m", "heapmark", "plot", str(run), "--only=" + ",".join(names)]
        subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
        return [(run / "plots" / f"{name}.svg").read_bytes() for name in names]

    assert draw("1") == draw("2")


def test_only_and_format_choose(heapmark, run):
    code, out, _ = heapmark("plot", run, "--only=pareto", "--format=png")
    assert code == 0
    assert sorted(path.name for path in (run / "plots").iterdir()) == ["pareto.png"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--only=tme"], "unknown plot 'tme'; did you mean 'time'?"),
        (["--only="], "unknown plot ''"),
        (["--format=pdf"], "unknown format 'pdf'; known are svg, png"),
        (["--formt=png"], "unknown option '--formt'; did you mean '--format'?"),
        (["more"], "unknown argument 'more'"),
        (["--workload=nothing"], "run 'rich' has no workload that holds 'nothing'; it has"),
        (["--out=x"], "--out is for traces and histories"),
    ],
)
def test_wrong_usage_is_named_and_nothing_is_drawn(heapmark, run, arguments, message):
    code, out, err = heapmark("plot", run, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"heapmark: {message}") and err.count("\n") == 1
    assert not (run / "plots").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "no command given"),
        (["plto", "x"], "unknown command 'plto'; did you mean 'plot'?"),
        (["plot"], "the following arguments are required: RUN"),
    ],
)
def test_wrong_command(heapmark, arguments, message):
    code, _, err = heapmark(*arguments)
    assert code == 2 and err.startswith(f"heapmark: {message}")


def test_directory_that_cannot_be_written_is_said(heapmark, run):
    (run / "plots").write_text("in the way")
    code, _, err = heapmark("plot", run, FAST)
    assert code == 1
    assert err == f"heapmark: '{run / 'plots'}': file exists\n"


def test_help_does_not_wait_for_matplotlib():
    code = "import heapmark.__main__ as m, sys; m.main(['--help']); print(sorted(sys.modules))"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert "'heapmark.__main__'" in out.stdout
    assert "'matplotlib'" not in out.stdout and "'scipy'" not in out.stdout


# ---- what a run lacks ---------------------------------------------------------------------------


def test_a_plot_without_data_is_left_out_and_said(heapmark, tmp_path):
    cells = [cell for cell in rich.CELLS if cell[0] == "larson" and cell[2] == 1]
    run = rich.make(tmp_path / "r", cells=cells, latency=False, timeline=False)
    code, out, err = heapmark("plot", run, "--format=svg")
    assert code == 0
    assert [line.rsplit("/", 1)[1] for line in out.splitlines()] == ["time.svg", "pareto.svg"]
    for name in ("threads", "sweep", "latency", "latency-free", "cdf", "memory"):
        assert f"plot '{name}' is left out: " in err
    code, out, err = heapmark("plot", run, "--only=memory,threads")
    assert (code, out) == (2, "")
    assert "has nothing to plot: memory: the run has no memory over time (--timeline)" in err


@pytest.mark.parametrize("options", [{"blocks": 1}, {"aa": False}, {"blocks": 2, "fail": False}])
def test_partial_data_are_drawn(heapmark, tmp_path, options):
    run = rich.make(tmp_path / "r", cells=rich.CELLS[1:5] + rich.CELLS[:1], **options)
    code, out, err = heapmark("plot", run, "--format=svg")
    assert (code, err) == (0, "") and len(out.splitlines()) == len(ALL)
    code, _, err = heapmark("report", run)
    assert (code, err) == (0, "")


def test_one_allocator_has_latencies_and_memory_but_no_ratios(heapmark, tmp_path):
    alone = {"system": (1, 1, 2e6)}
    run = rich.make(tmp_path / "r", allocators=alone, cells=rich.CELLS[:2], aa=False)
    code, out, err = heapmark("plot", run, "--format=svg")
    assert code == 0
    names = [line.rsplit("/", 1)[1][:-4] for line in out.splitlines()]
    assert names == ["threads", "latency", "latency-free", "cdf", "memory"]
    assert "plot 'time' is left out: it compares no allocator with its baseline" in err


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "is not CSV"),
        ("trial,op,low_ns,high_ns\n0,malloc,1,2\n", "lacks the column 'count'"),
        ("trial,op,low_ns,high_ns,count\n0,malloc,1,x,4\n", "line 2: 'high_ns' is 'x', not a"),
        ("trial,op,low_ns,high_ns,count\n0,malloc,1,2,\n", "line 2: 'count' is '', not a whole"),
        ("trial,op,low_ns,high_ns,count\n0,sbrk,1,2,4\n", "line 2: 'op' is none of malloc"),
        ("trial,op,low_ns,high_ns,count\n0,free,3,2,4\n", "line 2: 'high_ns' is below 'low_ns'"),
        ("trial,op,low_ns,high_ns,count\n0,free,1,2,0\n", "line 2: 'count' is not above 0"),
        ("trial,op,low_ns,high_ns,count\n99999,free,1,2,1\n", "trial 99999 is not in trials.csv"),
    ],
)
def test_damaged_latencies_are_refused_with_the_line(heapmark, tmp_path, text, message):
    run = rich.make(tmp_path / "r", cells=rich.CELLS[:1], blocks=2, timeline=False, latency=False)
    (run / "latency.csv").write_text(text)
    code, _, err = heapmark("plot", run, "--only=latency")
    assert code == 2 and err.count("\n") == 1
    assert f"'{run / 'latency.csv'}'" in err and message in err


def test_a_torn_last_line_of_latencies_is_left_out(heapmark, run, data):
    path = run / "latency.csv"
    text = path.read_text()
    path.unlink()
    path.write_text(text + "3,fre")
    assert heapmark("plot", run, "--only=latency", "--format=svg")[0] == 0


# ---- the data drawn -----------------------------------------------------------------------------


def line_of(axes, colour, marker):
    found = [line for line in axes.lines
             if line.get_color() == colour and line.get_marker() == marker]  # fmt: skip
    assert found
    return found[0]


def looks(data, label):
    made = style.Looks(data.run, data.labels)
    return made.colours[label], made.markers[label]


def test_threads_plot_shows_the_median_throughput(data):
    axes = figure("threads", data).axes
    assert len(axes) == 1
    ok = data.run.ok
    for label in data.labels:
        line = line_of(axes[0], *looks(data, label))
        part = ok[(ok["label"] == label) & (ok["workload"] == "larson")]
        medians = (part["ops"] / part["wall_ns"] * 1e3).groupby(part["threads"]).median()
        np.testing.assert_allclose(line.get_ydata(), medians, rtol=0.03)
        np.testing.assert_allclose(line.get_xdata(), [1, 2], rtol=0.05)


def test_latency_plot_shows_the_histograms_percentiles(data):
    axes = figure("latency", data).axes[0]
    nines, ns = line_of(axes, *looks(data, "system")).get_data()
    # The truth is lognormal about 20 ns: its median, and its 99th percentile at 2.326 sigma.
    assert np.interp(np.log10(2), nines, ns) == pytest.approx(20, rel=0.08)
    assert np.interp(2, nines, ns) == pytest.approx(20 * np.exp(0.6 * 2.326), rel=0.15)
    assert 2.4 < nines[-1] <= np.log10(3000 / 10), "ten samples lie above"
    assert [label.get_text() for label in axes.get_xticklabels()][:3] == ["0", "50", "90"]


def test_latency_shade_is_the_interval_of_the_median():
    from heapmark import statistics
    from heapmark.plots import latency

    logs = np.random.default_rng(1).normal(0, 1, (9, 4))
    low, high = latency.interval(logs)
    for at in range(4):
        expected = statistics.interval(logs[:, at])
        np.testing.assert_allclose((low[at], high[at]), expected, rtol=1e-9)


def test_cdf_rises_from_0_to_nearly_1(data):
    axes = figure("cdf", data).axes[0]
    ns, shares = line_of(axes, *looks(data, "system")).get_data()
    assert (np.diff(shares) >= -1e-12).all()
    assert shares[0] < 0.05 and shares[-1] > 0.99
    assert np.interp(20, ns, shares) == pytest.approx(0.5, abs=0.04)


def test_memory_plot_shows_resident_live_and_their_ratio(data):
    axes = figure("memory", data).axes
    upper = next(one for one in axes if one.get_title(loc="left") == "larson threads=1")
    lower = next(one for one in axes if one.get_ylabel() == "ratio"
                 and one.get_shared_x_axes().joined(one, upper))  # fmt: skip
    calls, resident = line_of(upper, *looks(data, "system")).get_data()
    assert calls[-1] == pytest.approx(10)
    shown = next(cell for cell in data.cells if data.names[cell] == upper.get_title(loc="left"))
    of_first = data.run.ok[(data.run.ok["cell"] == shown) & (data.run.ok["block"] == 0)]
    row = of_first[of_first["label"] == "system"].iloc[0]
    peak = row["rss_bytes_peak"] - row["harness_bytes"]
    assert resident.max() == pytest.approx(peak / 2**20, rel=1e-3)
    ratio = line_of(lower, *looks(data, "system")).get_ydata()
    assert ratio[-1] == pytest.approx(peak / row["live_bytes_peak"], rel=1e-3), "of the most live"


def test_sweeps_are_lines_for_one_parameter_and_heat_maps_for_two(data):
    from heapmark.plots import sweep

    found = {one.name: one for one in sweep.sweeps(data)}
    assert set(found) == {"pair", "batch"}, "threads alone have a plot of their own"
    assert found["pair"].keys == ("size",) and found["batch"].keys == ("size", "count")
    axes = figure("sweep", data).axes
    assert len(axes) == 1 + 3, "a panel of lines, and one for each allocator but the baseline"
    x, y = line_of(axes[0], *looks(data, "jemalloc:narenas=1")).get_data()
    np.testing.assert_allclose(x, np.log2([16, 64, 256]), atol=0.2)
    cells = [cell for cell in data.cells if cell.workload == "pair"]
    expected = {cell.param("size"): data.cell_ratio("time", cell, "jemalloc:narenas=1").value
                for cell in cells}  # fmt: skip
    np.testing.assert_allclose(y, [expected[size] for size in ("16", "64", "256")])
    texts = [text.get_text() for text in axes[1].texts]
    assert texts.count("failed") == 2, "jemalloc crashed with size=256"


@pytest.mark.parametrize("text, value", [("64", 64), ("64k", 65536), ("1M", 2**20), ("fifo", None)])
def test_values_of_a_sweep(text, value):
    from heapmark.plots import sweep

    assert sweep.number(text) == value


def test_many_panels_are_cut_and_said(tmp_path):
    cells = [("pair", f"size={16 * n}", 1, 6.0 + n, 64) for n in range(1, 20)]
    run = rich.make(tmp_path / "r", cells=cells, blocks=2, timeline=False)
    data = PlotData(load.load_run(str(run)))
    made = figure("latency", data)
    assert len(made.axes) == 12
    assert any("12 of 19 workloads" in text.get_text() for text in made.texts)


def test_workload_filter(stored):
    data = PlotData(load.load_run(str(stored)), ["larson"])
    assert {cell.workload for cell in data.cells} == {"larson"}


def test_names_in_the_time_plot_tell_the_workloads_apart(tmp_path):
    """Also long ones: no two may look alike for what was left out of their middle."""
    cells = [("prodcons", f"size={n} queue=mmmmmm", t, 9.0, n) for n in (16, 256, 4096) for t in (1, 2)]
    cells += [("prodcons", "size=16 queue=wwwwww", t, 9.0, 16) for t in (1, 2)]
    found = PlotData(load.load_run(rich.make(tmp_path, 6, cells, latency=False, timeline=False)))
    made = figure("time", found)
    (axes,) = made.axes
    shown = {text.get_text(): text for text in axes.texts if "prodcons" in text.get_text()}
    assert len(shown) == len(cells)
    made.canvas.draw()
    assert all(text.get_window_extent().x0 >= 0 for text in shown.values())


def test_a_legend_of_long_names_stays_on_the_page(tmp_path):
    knobs = [f"jemalloc:narenas={n},dirty_decay_ms=100" for n in range(1, 11)]
    allocators = {"system": (1.0, 1.0, 2e6)} | {label: (0.8, 1.1, 4e6) for label in knobs}
    cells = [("pair", "size=16", 1, 6.0, 16)]
    made = figure("time", PlotData(load.load_run(rich.make(tmp_path, 6, cells, allocators, latency=False))))
    made.canvas.draw()
    (legend,) = made.legends
    assert legend.get_window_extent().x1 <= made.bbox.x1


def test_failures_are_written_into_the_time_plot(data):
    texts = [text.get_text() for text in figure("time", data).axes[0].texts]
    assert "jemalloc: crashed" in texts


@pytest.mark.parametrize("name", ALL)
def test_noise_is_shaded_and_every_text_lies_inside(data, name):
    made = figure(name, data)
    made.canvas.draw()
    shaded = [patch.get_facecolor()
              for axes in made.axes for patch in axes.collections + axes.patches]  # fmt: skip
    if name not in ("pareto", "cdf"):
        wanted = matplotlib.colors.to_rgb(style.NOISE)
        assert any(wanted == tuple(colour[:3] if np.ndim(colour) == 1 else colour[0][:3])
                   for colour in shaded if len(colour))  # fmt: skip
    renderer = made.canvas.get_renderer()
    for text in made.texts:
        box = text.get_window_extent(renderer)
        assert box.x1 <= made.bbox.x1 and box.x0 >= 0 and box.y0 >= 0


def test_names_are_escaped_in_svg(heapmark, run):
    heapmark("plot", run, "--only=threads,time", "--format=svg")
    for name in ("threads", "time"):
        assert "<script" not in (run / "plots" / f"{name}.svg").read_text()


# ---- traces and histories -----------------------------------------------------------------------

TRACE = (
    "property,low,high,objects,bytes\r\n"
    "size_bytes,16,16,90,1440\r\nsize_bytes,4096,4223,10,41000\r\n"
    "lifetime_ns,1024,1055,80,1280\r\nlifetime_ns,1048576,1081343,15,240\r\nnever_freed,,,5,80\r\n"
)


def test_trace_histograms():
    from heapmark.plots import traces

    histograms = traces.parse(TRACE)
    bins, objects, weights = traces.binned(histograms["size_bytes"])
    assert bins[0] == 4 and bins[-1] == 13
    assert objects[0] == pytest.approx(0.9) and objects[-1] == pytest.approx(0.1)
    assert weights[0] == pytest.approx(1440 / 42440)
    assert "100 objects; 50 % at most 16 B, 90 % at most 16 B, 99 % at most 4.1 KiB" == (
        traces.describe("sizes", histograms)
    )
    assert traces.describe("lifetimes", histograms).endswith("5 more were never freed")
    with style.apply():
        made = traces.draw("sizes", "x", histograms)
    heights = sorted(bar.get_height() for bar in made.axes[0].patches)
    assert heights[-2:] == pytest.approx([90, 100 * 41000 / 42440])


def test_trace_plots_come_from_the_program(heapmark, tmp_path, monkeypatch):
    stand_in = tmp_path / "heapmark"
    stand_in.write_text("#!/bin/sh\ncat <<'E'\n" + TRACE + "E\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("HEAPMARK_PROGRAM", str(stand_in))
    monkeypatch.chdir(tmp_path)
    code, out, err = heapmark("plot", "app.hmt")
    assert (code, err) == (0, "")
    assert out.split() == [f"app.plots/{name}.{kind}" for name in ("sizes", "lifetimes")
                           for kind in ("svg", "png")]  # fmt: skip
    stand_in.write_text("#!/bin/sh\necho \"heapmark trace: 'app.hmt' is cut off\" >&2\nexit 2\n")
    assert heapmark("plot", "app.hmt") == (2, "", "heapmark: 'app.hmt' is cut off\n")
    monkeypatch.setenv("HEAPMARK_PROGRAM", "")
    monkeypatch.setenv("PATH", "")
    code, _, err = heapmark("plot", "app.hmt")
    assert code == 2 and "cannot find the program heapmark" in err


def write_history(path):
    from heapmark.history.table import COLUMNS

    rng = np.random.default_rng(2)
    rows = []
    for gate in range(20):
        for workload, step in (("overall", 1.0), ("larson", 1.1)):
            ratio = rng.normal(1, 0.005) * (step if gate >= 12 else 1)
            verdict = "regression" if ratio > 1.05 else "pass"
            rows.append((f"2026-11-{gate + 1:02d}", f"{gate:08x}", "vm", "ci", "a", "b", "time",
                         workload, ratio, ratio * 0.98, ratio * 1.02, 1.03, verdict))  # fmt: skip
    rich.write_rows(path, COLUMNS, rows)
    return path


def test_trend_marks_the_change(heapmark, tmp_path):
    from heapmark.history import table
    from heapmark.plots import trend

    path = write_history(tmp_path / "gates.csv")
    with style.apply():
        made = trend.draw("gates", table.read(path))
    larson = next(axes for axes in made.axes if axes.get_title(loc="left").startswith("larson"))
    marks = [line for line in larson.lines if line.get_linestyle() == "--"]
    assert [line.get_xdata()[0] for line in marks] == [11.5]
    assert any(text.get_text().startswith("+") for text in larson.texts)
    code, out, err = heapmark("plot", path, f"--out={tmp_path / 'o'}")
    assert (code, err) == (0, "")
    assert out.split() == [str(tmp_path / "o" / f"trend.{kind}") for kind in ("svg", "png")]


# ---- style --------------------------------------------------------------------------------------


def ratios(*values):
    return [Estimate(value, value * 0.98, value * 1.02, 8) for value in values]


def test_one_slow_allocator_does_not_squash_the_axis():
    low, high = style.ratio_limits(ratios(0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 6.0))
    assert low < 0.69 and 1.2 < high < 2
    low, high = style.ratio_limits(ratios(0.45, 0.9, 1.0, 1.05))
    assert low < 0.45, "the best one is shown, however good it is within a factor of two"


def test_axis_always_shows_one():
    low, high = style.ratio_limits(ratios(0.3, 0.31, 0.32))
    assert low < 0.3 and high > 1


@pytest.mark.parametrize("low, high", [(0.95, 1.05), (0.8, 1.3), (0.5, 2), (0.3, 3), (0.05, 40)])
def test_ticks_are_few_and_hold_one(low, high):
    ticks = style.ratio_ticks(low, high)
    assert 2 <= len(ticks) <= 15
    assert any(abs(tick - 1) < 1e-9 for tick in ticks)


def test_labels_of_the_pareto_plot_do_not_overlap(data):
    with style.apply():
        made = plots.function("pareto", "draw")(data)
        renderer = made.canvas.get_renderer()
        boxes = [text.get_window_extent(renderer) for text in made.axes[0].texts]
    assert len(boxes) == 4
    for at, box in enumerate(boxes):
        assert made.bbox.count_contains(box.get_points()) == 2
        assert not any(box.overlaps(other) for other in boxes[:at])


def test_colour_is_the_allocators_own_and_stable():
    entry = load.Contender("x:k=1", "x", "#123456")
    assert style.colour_of(entry, "x:k=1") == "#123456"
    for broken in ("", "red", "#12345g", "javascript:"):
        assert style.colour_of(load.Contender("x", "x", broken), "x") in style.PALETTE
    assert style.colour_of(None, "x:k=1") == style.colour_of(None, "x")


def test_an_allocator_looks_the_same_whoever_else_takes_part(data):
    whole = style.markers(data.run, data.labels)
    for label in data.labels:
        assert style.markers(data.run, [label])[label] == whole[label] or ":" in label
    assert whole["jemalloc"] == "s" != whole["jemalloc:narenas=1"]
    pairs = {(style.colours(data.run, [label])[label], whole[label]) for label in data.labels}
    assert len(pairs) == len(data.labels), "no two contenders look alike"


def test_numbers_in_svg_are_short():
    text = '<path d="M 1.234567 2.5 \nL -10.987654 3.000001 \n" style="stroke-width: 1.234567"/>'
    assert style.shorten_numbers(text) == (
        '<path d="M 1.23 2.5 L -10.98 3.00 " style="stroke-width: 1.234567"/>'
    )


def test_lifetimes_of_a_trace_without_times_are_events():
    from heapmark.plots import traces

    text = TRACE.replace("lifetime_ns", traces.EVENTS)
    histograms = traces.parse(text)
    assert traces.describe("lifetimes", histograms) == (
        "95 objects; 50 % at most 1,055 events, 90 % at most 1,081,343 events, 99 % at most "
        "1,081,343 events; 5 more were never freed")
    with style.apply():
        (axes,) = traces.draw("lifetimes", "x", histograms).axes
        axes.figure.canvas.draw()
    assert axes.get_xlabel().endswith("in events")
    assert [one.get_text() for one in axes.get_xticklabels()] == ["10,000", "1,000,000"]
    assert traces.event_name(1) == "1 event"


def test_nothing_of_a_trace_plot_lies_on_its_bars_or_outside():
    from heapmark.plots import traces

    text = "property,low,high,objects,bytes\r\n" + "".join(
        f"size_bytes,{2**place},{2**place},1,{2**(20 - place)}\r\n" for place in range(4, 18))
    with style.apply():
        (axes,) = traces.draw("sizes", "x", traces.parse(text)).axes
        axes.figure.canvas.draw()
    legend = axes.get_legend().get_window_extent()
    assert legend.y0 >= axes.bbox.y1 - 1
    assert not any(text.get_window_extent().overlaps(legend) for text in axes.figure.texts)
    (last,) = [one for one in axes.get_xticklabels() if one.get_text() == "256 KiB"] or axes.get_xticklabels()[-1:]
    assert last.get_window_extent().x1 < axes.figure.bbox.x1 - 5


@pytest.mark.parametrize("ratio, name", [(29.0, "30"), (31.0, "\u226530"), (2000.0, "\u226530")])
def test_ratios_that_the_axis_cuts_are_said_to_be(ratio, name):
    live = np.array([1.0, 1.0])
    assert memory.ratio_name(30, memory.is_cut(memory.ratio_of(live * ratio, live))) == name
    assert memory.ratio_name(10, True) == "10"
    assert not memory.is_cut(np.array([np.nan, 3.0]))
    figure = style.figure(2)
    axes = figure.add_axes([0.2, 0.2, 0.7, 0.7])
    has_cut = memory.draw_ratio(axes, np.array([0, 1]), live * ratio, live, {})
    memory.finish_ratio(axes, has_cut)
    figure.canvas.draw()
    assert [one.get_text() for one in axes.get_yticklabels()][-1:] == [name]


def test_an_error_without_a_file_names_none(heapmark, run, monkeypatch):
    """A write that fails for want of room knows no name."""
    import errno

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("heapmark.report.page.render", full)
    assert heapmark("report", run) == (1, "", "heapmark: no space left on device\n")


def wide(value):
    """An Estimate of two blocks that disagree: its interval says nothing."""
    return Estimate(value, value / 1e6, value * 1e6, 2)


def test_intervals_of_too_few_blocks_do_not_squash_the_values():
    low, high = style.ratio_limits([wide(value) for value in (0.5, 0.8, 0.9, 1.1, 1.3)])
    assert 0.3 < low < 0.5 and 1.3 < high < 2
    low, high = style.ratio_limits([Estimate(value, value / 1.1, value * 1.1, 9) for value in (0.5, 1.3)])
    assert low < 0.5 / 1.1 and high > 1.3 * 1.1, "near ends are on the axis"


def test_an_interval_that_leaves_the_axis_ends_in_an_arrow():
    (axes,) = [style.figure(2).add_axes([0.1, 0.1, 0.8, 0.8])]
    style.ratio_marks(axes, [(1, wide(1)), (2, Estimate(1, 0.9, 1.1, 2)), (3, Estimate(1, 0.9, 99, 2))],
                      "#000000", "o", (0.5, 2))  # fmt: skip
    arrows = {line.get_marker(): line for line in axes.lines if line.get_marker() in "<>"}
    assert list(arrows["<"].get_ydata()) == [1] and list(arrows["<"].get_xdata()) == [0.5]
    assert list(arrows[">"].get_ydata()) == [1, 3] and list(arrows[">"].get_xdata()) == [2, 2]
    (axes,) = [style.figure(2).add_axes([0.1, 0.1, 0.8, 0.8])]
    style.intervals(axes, [(1, wide(1)), (2, Estimate(1, 0.9, 1.1, 2))], "#000000", (0, 2))
    (arrow,) = axes.lines
    assert (arrow.get_marker(), list(arrow.get_xdata()), list(arrow.get_ydata())) == ("^", [1], [2])


def test_the_axis_of_throughput_ends_above_the_highest_in_a_unit_that_fits():
    from heapmark.plots import threads

    (unit, name), top = threads.scale([wide(4e6), wide(3e6)])
    assert (unit, name) == (1e6, "million calls a second") and 4 < top < 5
    (unit, name), top = threads.scale([Estimate(700, 690, 800, 9)])
    assert (unit, name) == (1e3, "thousand calls a second") and 0.8 < top < 1
    assert threads.scale([Estimate(7, 6, 8, 9)])[0][0] == 1
    assert threads.scale([]) == (threads.UNITS[-1], 1.06)


@pytest.fixture(scope="module")
def unsure(tmp_path_factory):
    """Two blocks that disagree, and a baseline that needs more than a thousand nanoseconds."""
    cells = [("larson", "", threads, 123456.0, 64) for threads in (1, 2)]
    path = rich.make(tmp_path_factory.mktemp("run") / "unsure", cells=cells, blocks=2, timeline=False)
    rows = list(csv.DictReader((path / "trials.csv").open(newline="")))
    for row in rows:
        if row["block"] == "1" and row["allocator"] != "system" and row["wall_ns"]:
            row["wall_ns"] = str(int(row["wall_ns"]) * 40)
    with (path / "trials.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return PlotData(load.load_run(str(path)))


@pytest.mark.parametrize("name", ["time", "threads", "pareto", "latency"])
def test_two_blocks_that_disagree_are_readable(unsure, name):
    made = figure(name, unsure)
    made.canvas.draw()
    for axes in made.axes:
        assert not axes.yaxis.get_offset_text().get_text()
        labels = [text for axis in (axes.xaxis, axes.yaxis) for text in axis.get_ticklabels()]
        assert all("e" not in text.get_text() and len(text.get_text()) < 7 for text in labels)
        for text in axes.texts:
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= made.bbox.x1, text.get_text()
    if name == "time":
        shown = [text.get_text() for text in made.axes[0].texts]
        assert any(text.startswith("1 = 12") and text.endswith(" µs an operation") for text in shown)


@pytest.mark.parametrize("value, text", [
    (1460.4, "1,460"), (1460000, "1,460,000"), (13.54, "13.5"), (9.8, "9.8"), (100, "100"), (0, "0"),
    (0.1, "0.1"), (0.0312, "0.0312"), (0.00048828, "0.000488"), (1e-7, "0.0000001"),
])  # fmt: skip
def test_numbers_are_written_without_exponents(value, text):
    assert style.plain(value) == text


@pytest.mark.parametrize("ns, text", [
    (9.8, "9.8 ns"), (999.4, "999 ns"), (999.7, "1 µs"), (1463, "1.46 µs"), (2.19e6, "2.19 ms"), (3e9, "3 s"),
])  # fmt: skip
def test_times_are_in_a_unit_that_fits(ns, text):
    from heapmark.plots import time

    assert time.duration(ns) == text


def test_a_trace_that_frees_nothing_has_no_share_below_zero():
    from heapmark.plots import traces

    text = "\r\n".join(line for line in TRACE.splitlines() if not line.startswith("lifetime"))
    with style.apply():
        (axes,) = traces.draw("lifetimes", "x", traces.parse(text + "\r\n")).axes
    assert axes.get_ylim() == (0, 100)
