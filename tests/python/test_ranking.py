"""The ranking: golden output of a stored run, and verdicts on runs whose truth is known."""

import os
import re
import subprocess
import sys
import time
import types

import pytest
import synthetic
from heapmark import answer, load, ranking
from heapmark.cells import Cell, names
from heapmark.comparison import BASELINE, CANNOT_TELL, FASTER, SLOWER, Comparison, verdict
from heapmark.plots import sweep
from heapmark.plots import time as time_plot
from heapmark.report import drawings, page, workload
from heapmark.statistics import Estimate

ONE_CELL = synthetic.CELLS[3:4]


def made(tmp_path, rows, labels, blocks, aa=True):
    env = synthetic.environment("made", labels, blocks, aa)
    return synthetic.write(tmp_path / "made", rows, env)


def compared(path):
    return Comparison(load.load_run(str(path)))


@pytest.mark.parametrize("columns", ["80", "72", "200"])
def test_golden_output(heapmark, golden, fixtures, monkeypatch, columns):
    monkeypatch.chdir(fixtures)
    monkeypatch.setenv("COLUMNS", columns)
    code, out, err = heapmark("ranking", "small")
    assert (code, err) == (0, "")
    golden(f"ranking-{columns}.txt", out)
    assert max(map(len, out.splitlines())) <= int(columns)


def test_known_truth_is_found(tmp_path):
    truth = {"system": (1.0, 1.0, 0), "fast": (0.8, 0.5, 0), "same": (1.0, 1.0, 0),
             "slow": (1.3, 2.0, 0)}  # fmt: skip
    rows = synthetic.rows(synthetic.CELLS[5:9], truth, 12, noise=0.02, spread=0)
    comparison = compared(made(tmp_path, rows, truth, 12))
    standing = {entry.label: entry for entry in comparison.ranking()}
    assert [standing[label].verdict for label in truth] == ["baseline", "faster", "tie", "slower"]
    assert [standing[label].rank for label in ("fast", "same", "system", "slow")] == [1, 2, 2, 4]
    assert standing["same"].shared and not standing["fast"].shared
    for label, (ratio, memory, _) in truth.items():
        assert standing[label].time.value == pytest.approx(ratio, rel=0.03)
        assert standing[label].memory.value == pytest.approx(memory, rel=0.01)


def test_ratio_is_taken_inside_blocks(tmp_path):
    """Blocks that are slow as a whole change nothing."""
    truth = {"system": (1.0, 1.0, 0), "fast": (0.5, 1.0, 0)}
    rows = synthetic.rows(ONE_CELL, truth, 6, noise=0, slow_share=0, spread=0)
    for row in rows:
        row["wall_ns"] *= 1 + 3 * row["block"]
    estimate = compared(made(tmp_path, rows, truth, 6)).overall("time", "fast")
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.5, 0.5, 0.5))


def test_difference_below_the_noise_is_a_tie():
    two_percent_faster = Estimate(0.98, 0.975, 0.985, 8)
    assert verdict(two_percent_faster, 0.01) == "faster"
    assert verdict(two_percent_faster, float("nan")) == "faster"
    assert verdict(two_percent_faster, 0.03) == "tie"
    assert verdict(Estimate(0.98, 0.96, 1.01, 8), 0.001) == "tie"
    assert verdict(Estimate(0.98, 0.95, 1.01, 8), 0.001) == "cannot tell", "5 % is not excluded"
    assert verdict(Estimate(0.98, 0.80, 1.2, 8), 0.03) == "cannot tell"
    assert verdict(Estimate(1.784, 0.872, 2.145, 8), 0.124) == "cannot tell"
    assert verdict(Estimate(0.9, 0.85, 1.1, 8), 0.25) == "tie"
    assert verdict(Estimate(1.02, 1.01, 1.03, 8), 0.001) == "slower"


def test_one_block_cannot_tell(heapmark, tmp_path):
    rows = synthetic.rows(ONE_CELL, synthetic.ALLOCATORS, 1)
    code, out, _ = heapmark("ranking", made(tmp_path, rows, synthetic.ALLOCATORS, 1))
    assert code == 0
    assert out.count("cannot tell") == len(synthetic.ALLOCATORS) - 1
    assert "--reps=8" in out
    assert "faster\n" not in out and "slower\n" not in out


def test_without_aa_it_is_said(heapmark, tmp_path):
    rows = synthetic.rows(ONE_CELL, synthetic.ALLOCATORS, 4, aa=False)
    _, out, _ = heapmark("ranking", made(tmp_path, rows, synthetic.ALLOCATORS, 4, aa=False))
    assert "noise: not measured (no --aa)" in out


def test_failed_trial_is_never_a_figure(tmp_path):
    """Its times are in the file, and must not be read."""
    truth = {"system": (1.0, 1.0, 0), "other": (0.5, 1.0, 0)}
    rows = synthetic.rows(ONE_CELL + synthetic.CELLS[5:6], truth, 6)
    for row in rows:
        if row["allocator"] == "other" and row["workload"] == "sizemix" and row["block"] == 2:
            row.update(status="corrupt", detail="block 7 was overwritten")
    comparison = compared(made(tmp_path, rows, truth, 6))
    broken, whole = (
        next(cell for cell in comparison.cells if cell.workload == name)
        for name in ("sizemix", "threadtest")
    )
    assert comparison.cell_ratio("time", broken, "other") is None
    assert comparison.cell_ratio("time", whole, "other").blocks == 6
    standing = next(entry for entry in comparison.ranking() if entry.label == "other")
    assert (standing.rank, standing.cells) == (0, 1)


def test_failed_baseline_takes_its_block_along(tmp_path):
    truth = {"system": (1.0, 1.0, 0), "other": (0.5, 1.0, 0)}
    rows = synthetic.rows(ONE_CELL, truth, 6, aa=False)
    for row in rows:
        if row["allocator"] == "system" and row["block"] in (1, 4):
            row.update(status="crashed", detail="signal 11")
    comparison = compared(made(tmp_path, rows, truth, 6, aa=False))
    assert comparison.cell_ratio("time", comparison.cells[0], "other").blocks == 4


def test_memory_of_small_live_sets_stays_out(tmp_path):
    truth = {"system": (1.0, 1.0, 0), "other": (1.0, 1.5, 40e6)}
    rows = synthetic.rows([synthetic.CELLS[0], synthetic.CELLS[8]], truth, 6, spread=0)
    comparison = compared(made(tmp_path, rows, truth, 6))
    assert [cell.workload for cell in comparison.big_cells] == ["replay"]
    big = comparison.cell_ratio("memory", comparison.big_cells[0], "other")
    assert comparison.overall("memory", "other").value == pytest.approx(big.value)


def test_memory_without_figures_is_a_dash(heapmark, tmp_path):
    rows = synthetic.rows(ONE_CELL, synthetic.ALLOCATORS, 3)
    rows = [row | {"harness_bytes": "", "malloc_ns_p99": 0} for row in rows]
    code, out, _ = heapmark("ranking", made(tmp_path, rows, synthetic.ALLOCATORS, 3))
    assert code == 0
    assert re.search(r"^\S+ +tcmalloc +0\.\d+ .* - +- +faster$", out, re.MULTILINE)


def test_control_characters_do_not_reach_the_terminal(heapmark, tmp_path):
    truth = {"system": (1.0, 1.0, 0), "other": (0.5, 1.0, 0)}
    rows = synthetic.rows(ONE_CELL, truth, 3)
    rows[0].update(status="crashed", detail="\x1b[2Jgone\nand more")
    _, out, _ = heapmark("ranking", made(tmp_path, rows, truth, 3))
    assert "\x1b" not in out and "?[2Jgone?and more" in out


def test_run_of_the_floor_alone(heapmark, tmp_path):
    cells = [("pair", "size=64", 1, 4.0, 64), ("byhand", "size=64", 1, 3.5, 64)]
    rows = synthetic.rows(cells, {"null": (1, 1, 0)}, 6, noise=0.001, slow_share=0, spread=0,
                          aa=False)  # fmt: skip
    path = made(tmp_path, rows, ["null"], 6, aa=False)
    code, out, _ = heapmark("ranking", path)
    assert code == 0
    assert "pair over null 8.0 ns per malloc/free pair, by hand 7.0 ns" in out
    assert re.search(r"the harness\s+adds 1\.0 ns \[", out)
    for row in rows:
        row["wall_ns"] = round(row["wall_ns"] * (1.5 if (row["workload"] == "pair") == row["block"] % 2 else 1))
    _, out, _ = heapmark("ranking", made(tmp_path / "wild", rows, ["null"], 6, aa=False))
    assert re.search(r"what the harness adds cannot be told \[-\d", " ".join(out.split()))
    code, _, err = heapmark("plot", path)
    assert code == 2 and "nothing to plot" in err


def test_variants_of_the_floor_are_kept_apart(heapmark, tmp_path):
    cells = [("pair", "size=64", 1, 4.0, 64), ("byhand", "size=64", 1, 3.5, 64)]
    both = {"null": (1, 1, 0), "null:populate=1g": (0.5, 1, 0)}
    rows = synthetic.rows(cells, both, 6, noise=0, slow_share=0, spread=0, aa=False)
    _, out, _ = heapmark("ranking", made(tmp_path, rows, both, 6, aa=False))
    assert re.findall(r"pair over null (\S+) ns .* by hand (\S+) ns", out) == [
        ("8.0", "7.0"), ("4.0", "3.5"),
    ]  # fmt: skip


def test_run_without_a_baseline_is_not_compared(heapmark, tmp_path):
    truth = {"system": (1.0, 1.0, 0), "other": (0.5, 1.0, 0)}
    rows = synthetic.rows(ONE_CELL, truth, 3, aa=False)
    env = synthetic.environment("made", truth, 3, aa=False, baseline=None)
    path = synthetic.write(tmp_path / "made", rows, env)
    code, out, _ = heapmark("ranking", path)
    assert code == 0 and "not compared: 1 workload" in out and "rank" not in out
    code, _, err = heapmark("plot", path)
    assert code == 2 and "nothing to plot" in err


def test_cell_without_a_baseline_costs_nobody_a_rank(tmp_path):
    truth = {"system": (1.0, 1.0, 0), "other": (0.5, 1.0, 0)}
    rows = synthetic.rows(synthetic.CELLS[4:6], truth, 3, aa=False)
    rows = [row for row in rows if (row["allocator"], row["workload"]) != ("system", "sizemix")]
    comparison = compared(made(tmp_path, rows, truth, 3, aa=False))
    assert [standing.rank for standing in comparison.ranking()] == [1, 2]
    assert comparison.cells_without_baseline == 1


def test_noise_comes_from_the_second_part_of_a_baseline_with_knobs(tmp_path):
    truth = {"jemalloc:narenas=1": (1.0, 1.0, 0), "jemalloc": (0.5, 1.0, 0)}
    rows = synthetic.rows(ONE_CELL, truth | {"jemalloc:aa": (1.0, 1.0, 0)}, 6, aa=False, spread=0,
                          slow_share=0)  # fmt: skip
    env = synthetic.environment("made", truth, 6, aa=True, baseline="jemalloc:narenas=1")
    comparison = compared(synthetic.write(tmp_path / "made", rows, env))
    assert comparison.labels == list(truth)
    assert 0 < comparison.overall_noise < 0.3


def test_paced_replays_are_ranked_by_their_tail(heapmark, tmp_path):
    """Their time is the recording's: neither a column, nor a matrix, nor a reason to come first."""
    truth = {"system": (1.0, 1.0, 0), "quick": (0.5, 1.0, 0), "calm": (2.0, 1.0, 0)}
    tails = {"system": 900, "quick": 1800, "calm": 300}
    cells = [("replay", "trace=a.hmt mode=paced", 1, 20.0, 40_000_000)]
    rows = synthetic.rows(cells, truth, 8, spread=0)
    for at, row in enumerate(rows):
        row["malloc_ns_p99"] = tails[row["allocator"]] + at % 3
    path = made(tmp_path, rows, truth, 8)
    assert [(one.rank, one.label, one.verdict) for one in compared(path).ranking()] == [
        (1, "calm", FASTER), (2, "system", BASELINE), (3, "quick", SLOWER)]
    code, out, err = heapmark("ranking", path)
    assert code == 0, err
    lines = [line.split() for line in out.splitlines()]
    assert ["rank", "allocator", "p99", "95", "%", "interval", "memory", "verdict"] in lines
    assert [line[-1] for line in lines if line[:1] in (["1"], ["2"], ["3"])] == ["shorter", "baseline", "longer"]
    assert "ns/op" not in out and "faster" not in out
    assert "no time: in paced replays it is the recording's, not the allocator's" in out
    assert "noise of p99: system against itself" in out
    code, _, err = heapmark("plot", path)
    assert code == 2 and "time: all its replays are paced" in err
    assert heapmark("report", path)[0] == 0
    text = (path / "report.html").read_text()
    assert '<td class="v-shorter">shorter</td>' in text and '<td class="v-longer">longer</td>' in text
    answers = text[: text.index('id="ratios"')]
    assert ">faster<" not in answers and ">slower<" not in answers


def test_paced_replays_stay_out_of_the_overall_time(heapmark, tmp_path):
    truth = {"system": (1.0, 1.0, 0), "quick": (0.5, 1.0, 0)}
    cells = [("replay", f"trace=a.hmt mode={mode}", 1, 20.0, 40_000_000) for mode in ("paced", "serial")]
    rows = synthetic.rows(cells, truth, 8, noise=0.01, slow_share=0, spread=0)
    for row in rows:
        if row["params"].endswith("paced"):
            row["wall_ns"] = 10**9
    path = made(tmp_path, rows, truth, 8)
    assert compared(path).overall("time", "quick").value == pytest.approx(0.5, rel=0.03)
    _, out, _ = heapmark("ranking", path)
    (paced,) = [line for line in out.split("peak memory")[0].splitlines() if "mode=paced" in line]
    assert paced.split()[-2:] == ["-", "-"]
    assert "time: without paced replays" in out and "-: paced" in out


def test_the_report_gives_paced_replays_no_time(tmp_path):
    truth = {"system": (1.0, 1.0, 0), "quick": (0.5, 1.0, 0)}
    cells = [("replay", f"trace=a.hmt mode={mode}", 1, 20.0, 40_000_000) for mode in ("paced", "serial")]
    data = compared(made(tmp_path, synthetic.rows(cells, truth, 8, noise=0.01, spread=0), truth, 8))
    nothing = types.SimpleNamespace(by_cell={})
    shown = {cell.param("mode"): page.workload(data, cell, 0, nothing) for cell in data.cells}
    verdicts = {mode: [row["verdict"] for row in one["rows"]] for mode, one in shown.items()}
    assert verdicts == {"paced": ["baseline", "-"], "serial": ["baseline", "faster"]}
    assert "ns a call" in shown["serial"]["baseline"] and "ns a call" not in shown["paced"]["baseline"]
    assert "up to" in shown["serial"]["noise"] and "recording's" in shown["paced"]["noise"]
    charts = {cell.param("mode"): workload.metrics_of(data, cell) for cell in data.cells}
    assert charts == {"paced": ["memory", "p99"], "serial": ["time", "memory", "p99"]}
    assert [name for _, name, _, _ in time_plot.row_data(data, ["quick"])] == ["replay a mode=serial"]
    assert "over all workloads but paced replays" in drawings.describe_overview(data, "time")


@pytest.mark.parametrize("mode, is_swept", [("paced", False), ("serial", True)])
def test_paced_replays_are_no_sweep_of_time(tmp_path, mode, is_swept):
    truth = {"system": (1.0, 1.0, 0), "quick": (0.5, 1.0, 0)}
    cells = [("replay", f"trace=a.hmt mode={mode} speed={speed}", 1, 20.0, 40_000_000) for speed in (100, 200, 400)]
    data = compared(made(tmp_path, synthetic.rows(cells, truth, 2), truth, 2))
    assert (sweep.lacks(data) is None) == is_swept


@pytest.mark.parametrize("column, metric", [("malloc_ns_p99", "p99"), ("rss_bytes_peak", "memory")])
def test_until_asks_paced_replays_for_what_is_theirs(heapmark, tmp_path, column, metric):
    """Their time is narrow from the first blocks on, which says nothing of an allocator."""
    cells = [("replay", "trace=a.hmt mode=paced", 1, 20.0, 40_000_000)]
    truth = {"system": (1.0, 1.0, 0), "quick": (1.0, 1.0, 0)}

    def asked(name, stray):
        rows = synthetic.rows(cells, truth, 8, noise=0, slow_share=0, spread=0)
        for at, row in enumerate(rows):
            row["malloc_ns_p99"] = 10_000 if metric == "p99" else ""
            row[column] = round(10**8 * (1 + stray * (at * 7 % 5)))
        return heapmark("until", made(tmp_path / name, rows, truth, 8), "2%")

    code, _, err = asked("wide", 0.3)
    assert code == 3 and "not yet within 2 %" in err and "no interval" not in err
    assert asked("narrow", 0)[0] == 0


def test_until_is_not_reached_without_an_interval(heapmark, tmp_path):
    truth = {"system": (1.0, 1.0, 0), "other": (1.0, 1.0, 0)}
    rows = synthetic.rows(synthetic.CELLS[:2], truth, 6, noise=0, slow_share=0, spread=0)
    rows = [row for row in rows if (row["allocator"], row["workload"]) != ("other", "batch") or row["block"] == 0]
    code, _, err = heapmark("until", made(tmp_path, rows, truth, 6), "2%")
    assert code == 3 and "no interval yet (other in batch)" in err


def test_threads_of_the_floor_count_each_for_itself(heapmark, tmp_path):
    cells = [("pair", "size=64", 2, 4.0, 64), ("byhand", "size=64", 2, 3.5, 64)]
    rows = synthetic.rows(cells, {"null": (1, 1, 0)}, 6, noise=0.001, slow_share=0, spread=0, aa=False)
    _, out, _ = heapmark("ranking", made(tmp_path, rows, ["null"], 6, aa=False))
    assert "pair over null 8.0 ns per malloc/free pair (2 threads), by hand 7.0 ns" in " ".join(out.split())


def test_what_makes_no_operation_is_in_no_ratio(tmp_path):
    truth = {"system": (1.0, 1.0, 0), "other": (0.5, 1.0, 0)}
    rows = synthetic.rows([*ONE_CELL, ("idle", "size=64", 1, 5.0, 5_000_000)], truth, 6, noise=0, slow_share=0, spread=0)
    for row in rows:
        if row["workload"] == "idle":
            row.update(ops=0, wall_ns=10**9)
    data = compared(made(tmp_path, rows, truth, 6))
    assert [cell.workload for cell in data.cells] == [cell.workload for cell in data.measured_cells] == ["threadtest"]
    assert data.overall("time", "other").value == pytest.approx(0.5, rel=1e-6)
    assert data.run.idle == ["idle"]


@pytest.mark.parametrize("live, is_big", [((4 << 20) - 1, False), (4 << 20, True)])
def test_four_mebibytes_are_enough_for_memory_to_count(tmp_path, live, is_big):
    cells = [("pair", "size=64", 1, 6.5, live), ("sizemix", "slots=1", 1, 45.0, 30_000_000)]
    truth = {"system": (1.0, 1.0, 0), "other": (1.0, 1.5, 0)}
    data = compared(made(tmp_path, synthetic.rows(cells, truth, 3), truth, 3))
    assert ["pair" in [cell.workload for cell in data.big_cells]] == [is_big]


def test_one_workload_is_told_alike_overall_and_by_itself(tmp_path):
    """A difference that stands alone, but not among as many as a table of them has."""
    truth = {"system": (1.0, 1.0, 0)} | {f"a{k}": (1.0, 1.0, 0) for k in range(6)}
    rows = synthetic.rows([("pair", "size=64", 1, 6.5, 5_000_000)], truth, 8, noise=0, spread=0, slow_share=0)
    for row in rows:
        scatter = (row["block"] * 3 % 8 - 3.5) / 100 if row["allocator"] == "a0" else 0
        row["wall_ns"] = round(10**9 * (1 + scatter + (-0.029 if row["allocator"] == "a0" else 0)))
    data = compared(made(tmp_path, rows, truth, 8))
    (cell,) = data.cells
    assert data.adjusted_p_values[cell, "a0"] > 0.05, "else the test shows nothing"
    whole = {one.label: one.verdict for one in data.ranking()}
    assert whole["a0"] == FASTER
    assert whole == {label: data.cell_verdict(cell, label, data.cell_ratio("time", cell, label)) for label in data.labels}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_character_that_the_output_lacks_costs_no_text(tmp_path, encoding):
    truth = {"system": (1.0, 1.0, 0), "schnell-\u0142": (0.5, 1.0, 0)}
    path = made(tmp_path, synthetic.rows(ONE_CELL, truth, 4), truth, 4)
    done = subprocess.run(
        [sys.executable, "-m", "heapmark", "ranking", str(path)], capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": encoding, "PYTHONPATH": str(synthetic.RECORD_DEF.parents[2] / "scripts")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert rb"schnell-\u0142" in done.stdout and b"trials: " in done.stdout


def test_names_are_as_short_as_they_can_be():
    cells = [
        Cell("pair", "size=64", 1, "compact", "default"),
        Cell("pair", "size=512", 1, "compact", "default"),
        Cell("pair", "size=512", 2, "compact", "default"),
        Cell("larson", "slots=10", 2, "compact", "default"),
        Cell("replay", "trace=/a b/x.hmt", 1, "compact", "default"),
    ]
    assert list(names(cells).values()) == [
        "pair size=64 threads=1", "pair size=512 threads=1", "pair size=512 threads=2", "larson",
        "replay x",
    ]  # fmt: skip
    twins = [Cell("replay", f"trace=/{d}/x.hmt", 1, "compact", "default") for d in "ab"]
    assert len(set(names(twins).values())) == 2


def test_ten_thousand_rows_take_less_than_ten_seconds(heapmark, tmp_path):
    cells = [("pair", f"size={16 * k}", 1, 6.5, 5_000_000) for k in range(1, 126)]
    allocators = {f"a{k}": (1.0, 1.0, 0) for k in range(8)} | {"system": (1.0, 1.0, 0)}
    path = made(tmp_path, synthetic.rows(cells, allocators, 8), allocators, 8)
    start = time.process_time()
    code, _, _ = heapmark("ranking", path)
    assert code == 0
    assert time.process_time() - start < 10


def test_who_is_tied_with_the_first_shares_its_rank(tmp_path):
    """Though another is between them that is not: as the words of the answer have it."""
    truth = {"system": (1.0, 1.0, 0), "fast": (1.0, 1.0, 0), "wild": (1.0, 1.0, 0)}
    rows = synthetic.rows([("replay", "trace=a.hmt", 1, 20.0, 40_000_000)], truth, 12, noise=0, spread=0, slow_share=0)
    for row in rows:
        wild = (0.7, 1.02, 1.03, 1.4)[row["block"] % 4]
        factor = {"fast": 0.9, "wild": wild}.get(row["allocator"], 1.0) if not row["variant"] else 1.0
        row["wall_ns"] = round(1e9 * factor * (1 + row["block"] % 5 / 1000))
    data = compared(made(tmp_path, rows, truth, 12))
    ranks = {one.label: (one.rank, one.shared) for one in data.ranking()}
    assert ranks == {"fast": (1, True), "wild": (1, True), "system": (3, False)}
    notes = ranking.overall_notes(data, data.ranking())
    assert any("rows go by rank" in line for line in notes)
    assert ("overall" in ranking.noise(data)) is False, "of one workload there is one figure"
    best = answer.best(data, "time")
    assert {best.label, *best.alike} == {label for label, (rank, _) in ranks.items() if rank == 1}


def test_no_rank_holds_two_that_are_told_apart(heapmark, tmp_path):
    """Wild cannot be told from anybody, which must not lend its rank to who is slower than the baseline."""
    factors = {"wild": [0.2, 0.4, 1.5, 0.3, 1.9, 0.6], "fast": [0.9], "slow": [1.2]}
    truth = {label: (1.0, 1.0, 0) for label in ("system", *factors)}
    rows = synthetic.rows([("replay", "trace=a.hmt", 1, 20.0, 40_000_000)], truth, 12, noise=0, spread=0, slow_share=0)
    for row in rows:
        mine = factors.get(row["allocator"], [1])
        row["wall_ns"] = round(1e9 * mine[row["block"] % len(mine)] * (1 + row["block"] % 5 / 1000))
    path = made(tmp_path, rows, truth, 12)
    data = compared(path)
    standing = {one.label: (one.rank, one.shared, one.verdict) for one in data.ranking()}
    assert data.cannot_be_told_apart("slow", "wild") and data.cannot_be_told_apart("system", "wild")
    assert standing == {"wild": (1, True, "cannot tell"), "fast": (1, True, "faster"),
                        "system": (3, False, "baseline"), "slow": (4, False, "slower")}
    _, out, _ = heapmark("ranking", path)
    assert "=: cannot be told from the others of that rank" in out
    assert "rows go by rank" not in out, "they go by time as well"
    assert "tie: " not in out and "cannot tell: too few blocks to call it faster, slower or a tie" in out


def test_what_is_chance_among_many_is_not_called_noise(heapmark, tmp_path):
    """Beyond the noise and beside 1, but one of many comparisons and of few blocks."""
    truth = {"system": (1.0, 1.0, 0)} | {f"a{k}": (1.0, 1.0, 0) for k in range(6)}
    rows = synthetic.rows(synthetic.CELLS[:2], truth, 8, noise=0, spread=0, slow_share=0)
    for row in rows:
        is_odd = row["allocator"] == "a0" and row["workload"] == "pair"
        scatter = (row["block"] * 3 % 8 - 3.5) / 100 if is_odd else 0
        row["wall_ns"] = round(10**9 * (1 + scatter + (-0.029 if is_odd else 0)))
    path = made(tmp_path, rows, truth, 8)
    data = compared(path)
    pair = next(cell for cell in data.cells if cell.workload == "pair")
    estimate = data.cell_ratio("time", pair, "a0")
    assert estimate.high < 1 and verdict(estimate, data.cell_noise(pair)) == FASTER
    assert data.cell_verdict(pair, "a0", estimate) == CANNOT_TELL
    _, out, _ = heapmark("ranking", path)
    assert "0.97?" in out and "?: too few blocks to tell" in out


def test_traces_of_one_name_are_told_apart_where_they_differ():
    def named(*paths):
        return list(names([Cell("replay", f"trace={path}", 1, "compact", "default") for path in paths]).values())

    assert named("/home/d1/x.hmt", "/home/d2/x.hmt", "/home/y.hmt") == ["replay d1/x", "replay d2/x", "replay y"]
    assert named("/a/q/x.hmt", "/b/q/x.hmt") == ["replay a/q/x", "replay b/q/x"]
    assert named("d1/x.hmt", "x.hmt") == ["replay d1/x.hmt", "replay x.hmt"]
    (short, other) = named("/far/" + "deep/" * 9 + "d1/x.hmt", "/far/" + "deep/" * 9 + "d2/x.hmt")
    assert (short, other) == ("replay d1/x", "replay d2/x")


@pytest.mark.parametrize("null_ns, is_floor", [(10.0, True), (90.0, False)])
def test_a_floor_that_lies_above_others_is_said_to_be_none(heapmark, tmp_path, null_ns, is_floor):
    truth = {"system": (1.0, 1.0, 0), "null": (null_ns / 33.0, 1.0, 0)}
    rows = synthetic.rows(synthetic.CELLS[6:7], truth, 6, noise=0, slow_share=0, spread=0)
    _, out, _ = heapmark("ranking", made(tmp_path, rows, truth, 6))
    text = " ".join(out.split())
    assert f"floor: replay over null {null_ns:.1f} ns per event (sqlite3)" in text
    assert ("no floor here" not in text) == is_floor


@pytest.mark.parametrize("variant, flags, is_said", [
    ("", "percpu=thread", True), ("percpu=thread", "percpu=thread", False), ("", "unpinned", False)])
def test_a_fallback_is_said_unless_it_was_asked_for(heapmark, tmp_path, variant, flags, is_said):
    label = "slub:" + variant if variant else "slub"
    truth = {"system": (1.0, 1.0, 0), label: (0.5, 1.0, 0)}
    rows = synthetic.rows(ONE_CELL, truth, 4)
    for row in rows:
        row["flags"] = flags if row["allocator"] == "slub" else ""
    path = made(tmp_path, rows, truth, 4)
    said = " ".join(heapmark("ranking", path)[1].split())
    assert ("slub ran with a cache a thread" in said) == is_said
    assert bool(page.warnings(load.load_run(str(path)))[1:]) == is_said, "after the one of the machine"
