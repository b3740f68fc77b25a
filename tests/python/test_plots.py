"""Plots: written, the same twice, readable where the data are awkward; and the command line."""

import os
import shutil
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest
from heapmark import load, plots, style
from heapmark.comparison import Comparison
from heapmark.statistics import Estimate

FILES = ["time.svg", "time.png", "pareto.svg", "pareto.png"]


@pytest.fixture
def run(tmp_path, fixtures):
    return shutil.copytree(fixtures / "small", tmp_path / "small")


def test_paths_are_printed_and_the_files_are_there(heapmark, run):
    code, out, err = heapmark("plot", run)
    assert (code, err) == (0, "")
    assert out.splitlines() == [str(run / "plots" / name) for name in FILES]
    for name in FILES[1::2]:
        picture = matplotlib.image.imread(run / "plots" / name)
        assert picture.shape[1] == 1000
        assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 20


def test_plots_are_deterministic_across_processes(run):
    def draw(seed):
        env = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-m", "heapmark", "plot", str(run)]
        subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
        return [(run / "plots" / name).read_bytes() for name in FILES]

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
    code, _, err = heapmark("plot", run)
    assert code == 1
    assert err == f"heapmark: '{run / 'plots'}': file exists\n"


def test_help_does_not_wait_for_matplotlib():
    code = "import heapmark.__main__ as m, sys; m.main(['--help']); print(sorted(sys.modules))"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert "'heapmark.__main__'" in out.stdout
    assert "'matplotlib'" not in out.stdout and "'scipy'" not in out.stdout


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


def test_labels_of_the_pareto_plot_do_not_overlap(run):
    with style.apply():
        figure = plots.PLOTS["pareto"](Comparison(load.load_run(str(run))))
        renderer = figure.canvas.get_renderer()
        boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    assert len(boxes) == 5
    for at, box in enumerate(boxes):
        assert figure.bbox.count_contains(box.get_points()) == 2
        assert not any(box.overlaps(other) for other in boxes[:at])


def test_colour_is_the_allocators_own_and_stable():
    entry = load.Contender("x:k=1", "x", "#123456")
    assert style.colour_of(entry, "x:k=1") == "#123456"
    for broken in ("", "red", "#12345g", "javascript:"):
        assert style.colour_of(load.Contender("x", "x", broken), "x") in style.PALETTE
    assert style.colour_of(None, "x:k=1") == style.colour_of(None, "x")
