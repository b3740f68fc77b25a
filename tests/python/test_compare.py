"""compare: verdicts on runs whose truth is known, two machines, and every form of output."""

import json
import math

import numpy as np
import pytest
import synthetic
import turned
from heapmark import load, pairing
from heapmark.compare.judge import BETTER, CANNOT_TELL, SAME, WORSE, verdict
from heapmark.multiple import holm
from heapmark.statistics import Estimate

CELLS = synthetic.CELLS[5:9]
TWO = {"system": (1.0, 1.0, 0), "mine": (0.8, 1.2, 0)}


def compared(heapmark, *words):
    code, out, err = heapmark("compare", *words, "--json")
    assert code == 0, err
    return json.loads(out)["comparisons"]


def verdicts(comparison, metric):
    rows = [row for row in comparison["rows"] if row["metric"] == metric]
    return {row["workload"]: row["verdict"] for row in rows}


def run(directory, truth, blocks=10, seed=1, baseline="system", machine=None, **options):
    options = {"noise": 0.01, "slow_share": 0, "spread": 0, "aa": False} | options
    rows = synthetic.rows(CELLS, truth, blocks, seed=seed, **options)
    return turned.plain(directory, rows, truth, blocks, baseline, machine)


def test_a_known_truth_is_found_within_a_run(heapmark, tmp_path):
    (one,) = compared(heapmark, run(tmp_path / "r", TWO))
    assert (one["base"], one["head"]) == ("system", "mine")
    assert set(verdicts(one, "time").values()) == {BETTER}
    assert set(verdicts(one, "memory").values()) == {WORSE}
    overall = next(r for r in one["rows"] if (r["metric"], r["workload"]) == ("time", "overall"))
    assert overall["low"] < 0.8 < overall["high"] and overall["high"] - overall["low"] < 0.03
    assert "instructions" not in {row["metric"] for row in one["rows"]}, "none were counted"


def test_sides_can_be_named_and_swapped(heapmark, tmp_path):
    path = run(tmp_path / "r", TWO | {"other": (1.0, 1.0, 0)})
    code, _, err = heapmark("compare", path)
    assert code == 2 and "2 contenders besides 'system'" in err
    (one,) = compared(heapmark, path, "--base=mine", "--head=system")
    assert set(verdicts(one, "time").values()) == {WORSE}
    assert compared(heapmark, path, "--allocators=mine,system") == [one]


def test_noise_is_that_of_the_runs_baseline_whoever_is_compared(heapmark, tmp_path):
    """The A/A part is of the baseline: against any other contender it is a difference, and no noise."""
    three = TWO | {"other": (0.5, 1.0, 0)}
    path = run(tmp_path / "r", three, aa=True)
    (own,) = compared(heapmark, path, "--allocators=system,mine")
    (others,) = compared(heapmark, path, "--allocators=other,mine")
    noises = [[row["noise"] for row in one["rows"]] for one in (own, others)]
    assert noises[0] == noises[1] and all(noise is not None and noise < 0.1 for noise in noises[0][:5])
    assert set(verdicts(others, "time").values()) == {WORSE}
    pair = pairing.within(load.load_run(str(path)), "other", "mine")
    assert pair.overall_noise("time", pair.cells) == pair.own.overall_noise < 0.02


@pytest.mark.parametrize("noises", [(0.01, 0.1), (0.1, 0.01)])
def test_the_noise_of_two_runs_is_that_of_the_noisier(heapmark, tmp_path, noises):
    def taken(name, noise, ratio):
        rows = synthetic.rows(CELLS, TWO, 10, noise=0, slow_share=0, spread=0, aa=True)
        for row in rows:
            aa = (1 + noise if row["block"] % 2 else 1 - noise) if row["variant"] else 1
            row["wall_ns"] = round(1e9 * aa * (ratio if row["allocator"] == "mine" else 1))
        return turned.plain(tmp_path / name, rows, TWO, 10)

    (one,) = compared(heapmark, taken("old", noises[0], 1.0), taken("new", noises[1], 1.06))
    assert set(verdicts(one, "time").values()) == {SAME}
    (sure,) = compared(heapmark, tmp_path / "old", taken("worse", noises[1], 1.3))
    assert set(verdicts(sure, "time").values()) == {WORSE}


def test_no_difference_is_the_same_or_unknown_but_never_one(heapmark, tmp_path):
    equal = {"system": (1.0, 1.0, 0), "mine": (1.0, 1.0, 0)}
    (quiet,) = compared(heapmark, run(tmp_path / "quiet", equal))
    assert set(verdicts(quiet, "time").values()) == {SAME}
    (loud,) = compared(heapmark, run(tmp_path / "loud", equal, noise=0.3))
    assert set(verdicts(loud, "time").values()) == {CANNOT_TELL}


def test_two_runs_of_different_machines_need_the_same_baseline(heapmark, tmp_path):
    """One machine is twice as fast, and so is its system: a ratio to that tells the change."""
    before = run(tmp_path / "before", TWO)
    faster = {"system": (0.5, 1.0, 0), "mine": (0.5 * 0.8 * 1.1, 1.2, 0)}
    after = run(tmp_path / "after", faster, seed=2, machine={"hostname": "other", "cpu": "fast"})
    (one,) = compared(heapmark, before, after)
    times = [row for row in one["rows"] if row["metric"] == "time"]
    assert all(row["ratio"] == pytest.approx(1.1, rel=0.03) for row in times)
    assert set(verdicts(one, "time").values()) == {WORSE}
    assert any("different machines" in note and "system" in note for note in one["notes"])
    lone = run(tmp_path / "lone", TWO, baseline="mine", machine={"hostname": "third"})
    code, out, err = heapmark("compare", before, lone)
    assert (code, out) == (2, "")
    assert "different machines (hostname differ) and their baselines differ" in err


def test_a_baseline_that_is_another_file_is_no_common_measure(heapmark, tmp_path):
    before = run(tmp_path / "before", TWO)
    after = run(tmp_path / "after", TWO, machine={"hostname": "other"})
    env = json.loads((after / "env.json").read_text())
    env["allocators"][0]["sha256"] = "1" * 64
    (after / "env.json").write_text(json.dumps(env))
    code, _, err = heapmark("compare", before, after)
    assert code == 2 and "their baseline 'system' is not the same file" in err


def test_two_runs_of_one_machine_without_a_baseline_are_compared_directly(heapmark, tmp_path):
    before = run(tmp_path / "before", {"mine": (1.0, 1.0, 0)}, baseline=None)
    after = run(tmp_path / "after", {"mine": (1.2, 1.0, 0)}, seed=2, baseline=None)
    (one,) = compared(heapmark, before, after)
    assert set(verdicts(one, "time").values()) == {WORSE}
    assert any("what drifted between the runs is in them" in note for note in one["notes"])


def test_paced_replays_have_no_row_of_time(heapmark, tmp_path):
    """It is the recording's; a drift in it is nobody's either."""
    cells = [("replay", f"trace=a.hmt mode={mode}", 1, 20.0, 40_000_000) for mode in ("paced", "serial")]
    rows = synthetic.rows(cells, TWO, 10, noise=0.01, slow_share=0, spread=0, aa=False)
    for row in rows:
        if row["params"].endswith("paced") and row["allocator"] == "mine":
            row["wall_ns"] = round(row["wall_ns"] * 1.1 ** row["block"])
    (one,) = compared(heapmark, turned.plain(tmp_path / "r", rows, TWO, 10))
    assert set(verdicts(one, "time")) == {"overall", "replay a mode=serial"}
    assert set(verdicts(one, "memory")) == {"overall", "replay a mode=serial", "replay a mode=paced"}
    overall = next(r for r in one["rows"] if (r["metric"], r["workload"]) == ("time", "overall"))
    assert overall["ratio"] == pytest.approx(0.8, rel=0.03)
    assert not any("mode=paced" in flag for flag in one["flags"])


def test_turns_give_shorter_intervals_than_whole_trials(heapmark, tmp_path):
    path = turned.make(tmp_path / "r", ratios=1.02, process=0.002, turn=0.05, turns=40)
    (with_turns,) = compared(heapmark, path)
    (path / "turns.csv").unlink()
    (without,) = compared(heapmark, path)
    width = [
        np.mean([r["high"] - r["low"] for r in one["rows"] if r["metric"] == "time"])
        for one in (with_turns, without)
    ]
    assert set(verdicts(with_turns, "time").values()) == {WORSE}
    # The median of 40 turns scatters by a quarter more than their mean, the process little.
    assert 0.5 < width[0] / width[1] < 1.6


def test_a_failed_workload_cannot_tell_and_says_why(heapmark, tmp_path):
    rows = synthetic.rows(CELLS, TWO, 6, noise=0.01, spread=0, aa=False)
    for row in rows:
        if row["allocator"] == "mine" and row["workload"] == "sizemix":
            row.update(status="crashed", detail="SIGSEGV in free")
    (one,) = compared(heapmark, turned.plain(tmp_path / "r", rows, TWO, 6))
    row = next(r for r in one["rows"] if (r["metric"], r["workload"]) == ("time", "sizemix"))
    assert row["verdict"] == CANNOT_TELL and row["ratio"] is None
    assert "head: 6 crashed: SIGSEGV in free" in row["detail"]
    overall = next(r for r in one["rows"] if (r["metric"], r["workload"]) == ("time", "overall"))
    assert overall["detail"] == "without 1 that failed"


def test_what_failed_is_said_once(heapmark, tmp_path):
    """For no metric that nobody has, in a line of its own, and no wider than the terminal."""
    detail = "callgrind gave up: " + "a long story " * 20
    rows = synthetic.rows(CELLS, TWO, 1, aa=False)
    for row in rows:
        row.update(instructions=10**9, wall_ns="", malloc_ns_p99="", rss_bytes_peak="", flags="callgrind")
        if row["allocator"] == "mine":
            row.update(status="crashed", detail=detail, instructions="", ops="")
    path = turned.plain(tmp_path / "r", rows, TWO, 1)
    (one,) = compared(heapmark, path)
    assert {row["metric"] for row in one["rows"]} == {"instructions"}
    again = turned.plain(tmp_path / "s", rows, TWO, 1)
    for words in ((path,), (path, again, "--allocators=mine,mine")):
        _, text, _ = heapmark("compare", *words)
        assert text.count("callgrind gave up") in (1, 2) and max(map(len, text.splitlines())) <= 80, text
        names = [line for line in text.splitlines() if line.startswith("failed: ")]
        assert len(names) == 1 and all(cell[0] in " ".join(text.split()) for cell in CELLS)
        assert "time" not in text and "memory" not in text
    _, markdown, _ = heapmark("compare", path, "--markdown")
    assert markdown.count("callgrind gave up") == 1


def test_drift_and_outliers_are_said_and_kept(heapmark, tmp_path):
    cells = synthetic.CELLS[3:4] + CELLS
    rows = synthetic.rows(cells, TWO, 12, noise=0.003, slow_share=0, spread=0, aa=False)
    for row in rows:
        if row["allocator"] == "mine" and row["workload"] == "sizemix":
            row["wall_ns"] = round(row["wall_ns"] * 1.02 ** row["block"])
        if (row["allocator"], row["workload"], row["block"]) == ("mine", "threadtest", 3):
            row["wall_ns"] *= 3
    (one,) = compared(heapmark, turned.plain(tmp_path / "r", rows, TWO, 12))
    flags = " / ".join(one["flags"])
    assert "sizemix: the ratio drifted by +2" in flags
    assert "threadtest: 1 block of 12 lie far off" in flags and "kept" in flags
    row = next(r for r in one["rows"] if (r["metric"], r["workload"]) == ("time", "threadtest"))
    assert row["blocks"] == 12


def test_markdown_and_text_hold_the_same_rows(heapmark, tmp_path):
    path = run(tmp_path / "r", TWO)
    _, text, _ = heapmark("compare", path)
    _, markdown, _ = heapmark("compare", path, "--markdown")
    table = [line for line in markdown.splitlines() if line.startswith("|")][2:]
    (one,) = compared(heapmark, path)
    assert len(table) == len(one["rows"]) > 12
    assert all(line.count("|") == 7 for line in table)
    better = sum(row["verdict"] == BETTER for row in one["rows"])
    assert text.count(BETTER) == markdown.count(BETTER) == better >= 5
    code, _, err = heapmark("compare", path, "--markdown", "--json")
    assert code == 2 and "exclude each other" in err


def test_holm_is_stepwise():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    with_gap = holm([0.02, math.nan, 0.01])
    assert with_gap[[0, 2]] == pytest.approx([0.02, 0.02]) and math.isnan(with_gap[1])
    assert holm([]).size == 0


@pytest.mark.parametrize("estimate, noise, p, expected", [
    (Estimate(0.9, 0.88, 0.92, 8), 0.02, 0.001, BETTER),
    (Estimate(1.1, 1.08, 1.12, 8), math.nan, math.nan, WORSE),
    (Estimate(1.1, 1.08, 1.12, 8), 0.15, 0.001, SAME),
    (Estimate(1.1, 1.08, 1.12, 8), 0.02, 0.2, CANNOT_TELL),
    (Estimate(1.01, 0.99, 1.03, 8), 0.02, 0.4, SAME),
    (Estimate(1.01, 0.90, 1.13, 8), 0.02, 0.4, CANNOT_TELL),
    (Estimate(1.1, math.nan, math.nan, 1), math.nan, math.nan, CANNOT_TELL),
    (None, math.nan, math.nan, CANNOT_TELL),
])  # fmt: skip
def test_verdicts(estimate, noise, p, expected):
    assert verdict(estimate, noise, p) == expected


def test_replays_of_other_work_are_left_out_and_said(heapmark, tmp_path):
    """Of one pass and of fifty: neither memory nor time is that of the same thing."""
    cells = [("replay", "trace=a.hmt", 1, 20.0, 40_000_000), ("replay", "trace=b.hmt", 1, 20.0, 40_000_000)]

    def taken(name, passes, cells):
        rows = synthetic.rows(cells, TWO, 8, noise=0.01, slow_share=0, spread=0, aa=False)
        for row in rows:
            row["work"] = passes if "a.hmt" in row["params"] else 50
        return turned.plain(tmp_path / name, rows, TWO, 8)

    (one,) = compared(heapmark, taken("many", 50, cells), taken("single", 1, cells))
    assert {row["workload"] for row in one["rows"]} == {"overall", "replay b"}
    assert any("passes over replay a (50 and 1)" in note and "--work=N" in note for note in one["notes"])
    (alike,) = compared(heapmark, tmp_path / "many", taken("again", 40, cells))
    assert "replay a" in {row["workload"] for row in alike["rows"]}
    code, out, err = heapmark("compare", taken("m", 50, cells[:1]), taken("s", 1, cells[:1]))
    assert (code, out) == (2, "") and "passes over replay a (50 and 1)" in err


def test_replays_of_other_recordings_are_left_out_and_said(heapmark, tmp_path):
    """A trace that was recorded anew keeps its name, and is another workload."""
    cells = [("replay", "trace=a.hmt", 1, 20.0, 40_000_000), ("replay", "trace=b.hmt", 1, 20.0, 40_000_000)]

    def taken(name, hashes, cells=cells):
        rows = synthetic.rows(cells, TWO, 8, noise=0.01, slow_share=0, spread=0, aa=False)
        path = turned.plain(tmp_path / name, rows, TWO, 8)
        env = json.loads((path / "env.json").read_text())
        env["traces"] = [{"trace": trace, "command": None, "events": 9, "half_seen": None, "successor": None,
                          "sha256": sha} for trace, sha in hashes.items()]
        (path / "env.json").write_text(json.dumps(env))
        return path

    (one,) = compared(heapmark, taken("old", {"a.hmt": "1", "b.hmt": "2"}), taken("new", {"a.hmt": "3", "b.hmt": "2"}))
    assert {row["workload"] for row in one["rows"]} == {"overall", "replay b"}
    assert any("different recordings of one name in replay a" in note for note in one["notes"])
    (alike,) = compared(heapmark, tmp_path / "old", taken("unknown", {"b.hmt": "2"}))
    assert "replay a" in {row["workload"] for row in alike["rows"]}
    code, out, err = heapmark("compare", taken("o", {"a.hmt": "1"}, cells[:1]), taken("n", {"a.hmt": "3"}, cells[:1]))
    assert (code, out) == (2, "") and "recordings of one name in replay a" in err
    sides = (f"--base={tmp_path / 'old'}", f"--head={tmp_path / 'new'}", "--base-label=mine", "--head-label=mine")
    code, out, err = heapmark("gate", *sides)
    assert (code, out) == (2, "") and "recordings of one name in replay a" in err


@pytest.mark.parametrize("ratio, expected", [(2.1, WORSE), (1.006, WORSE), (0.99, BETTER), (1.0, SAME), (1.0032, SAME), (0.9968, SAME)])
def test_counts_of_one_block_are_told_apart(heapmark, tmp_path, ratio, expected):
    """They nearly repeat: jemalloc's by 0.3 %. Those of several threads do not."""
    cells = [synthetic.CELLS[0], synthetic.CELLS[4]]  # of one thread and of two
    rows = synthetic.rows(cells, TWO, 1, aa=False)
    for row in rows:
        is_mine = row["allocator"] == "mine"
        row.update(instructions=round(1e9 * (ratio if is_mine else 1)), wall_ns="", malloc_ns_p99="",
                   rss_bytes_peak="", flags="callgrind" + " percpu=thread" * is_mine)
    (one,) = compared(heapmark, turned.plain(tmp_path / "r", rows, TWO, 1))
    told = verdicts(one, "instructions")
    assert told == {"overall": CANNOT_TELL, "pair": expected, "prodcons": CANNOT_TELL}
    assert not any("--reps" in note for note in one["notes"])
    (note,) = [note for note in one["notes"] if "percpu=thread" in note]
    assert note.startswith("mine ran with a cache a thread") and note.endswith("in 2 trials")
    (alone,) = compared(heapmark, turned.plain(tmp_path / "s", rows[:0] + [
        row for row in rows if row["workload"] == "pair"], TWO, 1))
    assert verdicts(alone, "instructions") == {"overall": expected, "pair": expected}
    assert "note: mine ran with a cache a thread" in " ".join(heapmark("instructions", tmp_path / "r")[1].split())


def test_counts_of_several_blocks_are_told_by_their_spread(heapmark, tmp_path):
    rows = synthetic.rows(synthetic.CELLS[:1], TWO, 8, aa=False)
    for row in rows:
        mine = 1.002 if row["allocator"] == "mine" else 1 + row["block"] % 3 / 10_000
        row.update(instructions=round(1e9 * mine), wall_ns="", malloc_ns_p99="", rss_bytes_peak="", flags="callgrind")
    (one,) = compared(heapmark, turned.plain(tmp_path / "r", rows, TWO, 8))
    assert verdicts(one, "instructions") == {"overall": WORSE, "pair": WORSE}


def test_instructions_are_listed_by_their_number(heapmark, tmp_path):
    """Who needs the fewest comes first; what failed has its trace's name."""
    cells = [("replay", f"trace={name}.hmt", 1, 20.0, 40_000_000) for name in ("a", "b")]
    factors = {"system": 1.0, "worst": 3.0, "best": 0.5, "near": 1.003, "dead": 1.0}
    rows = synthetic.rows(cells, {label: (1.0, 1.0, 0) for label in factors}, 1, aa=False)
    for row in rows:
        row.update(instructions=round(1e9 * factors[row["allocator"]]), ops=10**7, wall_ns="", flags="callgrind")
        if row["allocator"] == "dead":
            row.update(status="crashed", detail="SIGSEGV", instructions="", ops="")
    _, out, _ = heapmark("instructions", turned.plain(tmp_path / "r", rows, factors, 1))
    lines = [line.split() for line in out.splitlines()]
    start = next(at for at, line in enumerate(lines) if line[:3] == ["rank", "replay", "a"])
    assert [line[:4] for line in lines[start + 1 : start + 5]] == [
        ["1", "best", "50.00", "0.5000"], ["2=", "system", "100.00", "1.0000"], ["2=", "near", "100.30", "1.0030"],
        ["4", "worst", "300.00", "3.0000"]]
    assert [line for line in out.splitlines() if "dead" in line] == [
        "  dead in replay a: crashed: SIGSEGV", "  dead in replay b: crashed: SIGSEGV"]


def test_a_time_of_one_block_still_cannot_be_told(heapmark, tmp_path):
    (one,) = compared(heapmark, run(tmp_path / "r", TWO, blocks=1))
    assert set(verdicts(one, "time").values()) == {CANNOT_TELL}
    assert any("--reps=8" in note for note in one["notes"])
