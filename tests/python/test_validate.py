"""Counting how far two rankings agree, on made-up figures, and how the job refuses."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import validate_replay
from heapmark import agreement
from heapmark.agreement import NO_MATTER, OPPOSITE, SAME, UNDECIDED, Pair
from heapmark.comparison import CANNOT_TELL, FASTER, SLOWER, TIE
from programs import PROGRAMS, runs

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "validate_replay.py"


@pytest.mark.parametrize(
    "own, replay, expected",
    [
        (FASTER, FASTER, SAME),
        (SLOWER, SLOWER, SAME),
        (FASTER, SLOWER, OPPOSITE),
        (SLOWER, FASTER, OPPOSITE),
        (FASTER, TIE, UNDECIDED),
        (SLOWER, CANNOT_TELL, UNDECIDED),
        (TIE, FASTER, NO_MATTER),
        (CANNOT_TELL, SLOWER, NO_MATTER),
        (TIE, TIE, NO_MATTER),
    ],
)
def test_outcome_of_a_pair(own, replay, expected):
    assert Pair("a", "b", None, None, own, replay).outcome == expected


def test_outcomes_are_counted_and_pairs_of_one_side_left_out():
    own = {("a", "b"): (1, FASTER), ("a", "c"): (1, FASTER), ("b", "c"): (1, TIE)}
    replayed = {("a", "b"): (1, FASTER), ("b", "c"): (1, SLOWER)}
    assert agreement.outcomes(agreement.pairs(own, replayed)) == {
        SAME: 1, OPPOSITE: 0, UNDECIDED: 0, NO_MATTER: 1,
    }  # fmt: skip


def logs(seed, **centres):
    """12 blocks for each label, scattered by 1 % about a logarithm."""
    random = np.random.default_rng(seed)
    return {label: random.normal(centre, 0.01, 12) for label, centre in centres.items()}


def test_own_runs_tell_apart_only_what_is_larger_than_the_noise():
    found = agreement.own_verdicts(logs(1, a=0, b=0.2, c=0.2), "abc", noise=0.01)
    assert [said for _, said in found.values()] == [FASTER, FASTER, TIE]
    assert found["a", "b"][0].value == pytest.approx(math.exp(-0.2), rel=0.02)
    wide = agreement.own_verdicts(logs(1, a=0, b=0.2, c=0.2), "abc", noise=0.5)
    assert {said for _, said in wide.values()} == {TIE}


def test_many_pairs_without_a_difference_are_not_told_apart():
    """Without the correction some of 45 intervals leave out 1 by chance; no seed was chosen."""
    wrong = bare = 0
    for seed in range(10):
        labels = "abcdefghij"
        figures = logs(seed, **{label: 0 for label in labels})
        for pair, (estimate, said) in agreement.own_verdicts(figures, labels, math.nan).items():
            wrong += said != TIE
            bare += not estimate.low <= 1 <= estimate.high
    assert bare >= 5 and wrong <= 2


def test_a_block_that_is_missing_drops_out_of_its_pairs():
    figures = logs(2, a=0, b=0.3)
    figures["b"][:4] = math.nan
    estimate = agreement.ratio(figures, "b", "a")
    assert estimate.blocks == 8 and estimate.value == pytest.approx(math.exp(0.3), rel=0.02)
    figures["b"][:] = math.nan
    assert agreement.ratio(figures, "b", "a") is None


def test_tau():
    own = {"a": 1.0, "b": 1.1, "c": 1.2, "d": 1.3}
    assert agreement.tau(own, own) == pytest.approx(1)
    assert agreement.tau(own, {"a": 4, "b": 3, "c": 2, "d": 1}) == pytest.approx(-1)
    assert agreement.tau(own, {"a": 1, "b": 3, "c": 2, "d": 4}) == pytest.approx(4 / 6)
    # A tie is neither agreement nor disagreement: 5 of 6 pairs, normed by sqrt(5 * 6).
    assert agreement.tau(own, {"a": 1, "b": 1, "c": 2, "d": 3}) == pytest.approx(5 / math.sqrt(30))
    assert agreement.tau(own, {"a": 1, "other": 2}) != agreement.tau(own, {"a": 1, "other": 2})


def test_shrinkage_is_the_power_between_the_ratios():
    replayed = {"system": 1.0, "a": 0.5, "b": 2.0, "failed in the program": 9.0}
    own = {label: replayed[label] ** 0.25 for label in ("system", "a", "b")}
    assert agreement.shrinkage(own, replayed) == pytest.approx(0.25)
    assert math.isnan(agreement.shrinkage({"system": 1.0}, {"system": 1.0}))


def test_regret():
    own = {"a": 0.9, "b": 0.8, "c": 1.2}
    assert agreement.regret(own, {"a": 0.7, "b": 0.6, "c": 0.9}) == 1
    assert agreement.regret(own, {"a": 0.5, "b": 0.6, "c": 0.9}) == pytest.approx(9 / 8)
    # Who failed under the program cannot be followed; who failed in the replay may be the best.
    assert agreement.regret(own, {"d": 0.1, "a": 0.5, "c": 0.9}) == pytest.approx(9 / 8)
    assert agreement.regret({}, own) is None


@pytest.fixture(scope="module")
def launcher(tmp_path_factory):
    return runs.build_launcher(tmp_path_factory.mktemp("launcher"))


@pytest.mark.parametrize(
    "script, settings, detail",
    [
        ("echo gone >&2; exit 3", [], "exit status 3: gone"),
        ("kill -SEGV $$", [], "signal 11"),
        ("true", ["LD_PRELOAD=/no/such/library.so"], "could not be preloaded"),
        ('test "$KNOB" = on', ["KNOB=on"], ""),
    ],
)
def test_a_run_that_fails_says_how(launcher, script, settings, detail):
    sample = runs.run_once(launcher, ["/bin/sh", "-c", script], settings, 0, "some")
    assert sample.detail == detail
    assert (sample.wall_ns is None) == bool(detail)


def test_memory_of_a_run_is_not_this_process_s(launcher):
    """The kernel lets a program inherit its parent's peak; numpy alone would make that 50 MB."""
    sample = runs.run_once(launcher, ["/bin/true"], [], 0, "some")
    assert 100_000 < sample.rss_bytes_peak < 10_000_000
    assert 0 < sample.wall_ns < 60e9


def test_one_failure_takes_a_label_out_of_all_blocks():
    samples = [
        runs.Sample(block, label, "signal 6" if (block, label) == (1, "b") else "",
                               wall_ns=100 * (block + 1))
        for block in range(3) for label in "ab"
    ]  # fmt: skip
    logs = validate_replay.logarithms(samples, lambda sample: sample.wall_ns)
    assert list(logs) == ["a"]
    assert np.exp(logs["a"]) == pytest.approx([100, 200, 300])


class Replayed:
    """A Comparison of two allocators: `a` has so many times the baseline's time and memory."""

    measured_cells = ("replay",)
    overall_noise = 0.01

    def __init__(self, time, memory):
        self.logs = {
            "time": logs(3, system=0, a=math.log(time)),
            "memory": logs(4, system=0, a=math.log(memory)),
        }

    def table(self, metric):
        return {"replay": self.logs[metric]}

    def overall(self, metric, label, against="system"):
        return agreement.ratio(self.logs[metric], label, against)


def test_times_are_of_all_passes_and_memory_is_of_a_single_one():
    random = np.random.default_rng(5)
    samples = [
        runs.Sample(block, label, "", "", *(int(1e6 * random.normal(1, 0.01)) for _ in range(4)))
        for block in range(10) for label in ("system", runs.SECOND_BASELINE, "a")
    ]  # fmt: skip
    one = validate_replay.Validation("some", samples, Replayed(0.5, 3), Replayed(0.9, 1.2))
    (_, times), (_, memory) = one.figures
    assert times["a"] == pytest.approx(0.5, rel=0.02)
    assert memory["a"] == pytest.approx(1.2, rel=0.02)


def test_runs_are_read_as_they_were_written(tmp_path, monkeypatch):
    monkeypatch.setattr(validate_replay, "load_run", Path)
    monkeypatch.setattr(validate_replay, "Comparison", lambda path: path.name)
    good = runs.Sample(0, "a", "", "", 50, 30, 10, 4096)
    failed = runs.Sample(1, "b", "exit status 3: no, \"never\"")
    validate_replay.write_runs(tmp_path / "runs.csv", [("lua", [good, failed])])
    found = validate_replay.read_measured(tmp_path)
    assert found == [("lua", [good, failed], "replay-lua", "once-lua")]
    assert good.cpu_ns == 40


def test_what_was_measured_in_pieces_is_put_together(tmp_path, monkeypatch):
    monkeypatch.setattr(validate_replay, "load_run", Path)
    monkeypatch.setattr(validate_replay, "Comparison", lambda path: path.parent.name)
    sample = runs.Sample(0, "a", "", "", 50, 30, 10, 4096)
    outs = [tmp_path / name for name in ("one", "two")]
    for out, program in zip(outs, ("lua", "perl")):
        out.mkdir()
        validate_replay.write_runs(out / "runs.csv", [(program, [sample])])
    found = [(name, times) for name, _, times, _ in validate_replay.read_all(outs)]
    assert found == [("lua", "one"), ("perl", "two")]
    with pytest.raises(runs.Failure, match="'lua' was measured in two"):
        validate_replay.read_all([outs[0], outs[0]])


def test_the_program_with_threads_prints_the_same_in_any_schedule(launcher):
    command = PROGRAMS["perl-threads"].command(4, 20, 100)
    samples = [runs.run_once(launcher, command, [], block, "some") for block in range(3)]
    assert {sample.detail for sample in samples} == {""}
    assert len({sample.output for sample in samples}) == 1


def test_tables_go_between_the_markers(tmp_path):
    page = tmp_path / "page.md"
    begin, end = validate_replay.MARKERS
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    validate_replay.replace_between_markers(page, "new\n")
    assert page.read_text() == f"before\n{begin}\nnew\n{end}\nafter\n"
    page.write_text("no markers\n")
    with pytest.raises(runs.Failure, match="once each"):
        validate_replay.replace_between_markers(page, "new\n")
    assert page.read_text() == "no markers\n"


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip


def test_an_unknown_program_is_refused():
    done = run("--programs=lua,sqlite")
    assert done.returncode == 2
    assert "no program 'sqlite'; did you mean 'sqlite3'?" in done.stderr


def test_a_missing_program_is_said(tmp_path):
    done = run("--programs=lua", PATH=str(tmp_path), HEAPMARK="/bin/true")
    assert done.returncode == 2 and "lua5.4 is not installed" in done.stderr


def test_an_unbuilt_heapmark_is_said(tmp_path):
    done = run("--programs=lua", HEAPMARK=str(tmp_path / "none"))
    assert done.returncode == 2 and "is not built" in done.stderr
