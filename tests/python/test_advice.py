"""The answer in words: who is recommended, with which command, and when to stay with the baseline."""

import re

import pytest
import synthetic
from heapmark import advice, fidelity, load
from heapmark.comparison import Comparison

CELLS = [("replay", "trace=/home/me/my app.hmt", 1, 20.0, 40_000_000)]
SAME = (1.0, 1.0, 0)


def said(tmp_path, truth, cells=CELLS, blocks=12, change=lambda rows, env: None):
    rows = [{**row, "work": 1} for row in synthetic.rows(cells, truth, blocks, noise=0.01, spread=0)]
    env = synthetic.environment("made", truth, blocks, True)
    change(rows, env)
    path = synthetic.write(tmp_path / "made", rows, env)
    return " ".join(" ".join(advice.lines(Comparison(load.load_run(str(path))))).split())


def test_the_fastest_is_recommended_with_its_command_and_risks(tmp_path):
    def change(_, env):
        for entry in env["allocators"]:
            if entry["label"] == "fast:k=1":
                entry.update(environment="FAST=k:1", path="/opt/a b/fast.so", risks="bites")

    text = said(tmp_path, {"system": SAME, "fast:k=1": (0.8, 1.2, 0), "same": SAME}, change=change)
    assert text.startswith("which allocator for my app?")
    assert "fastest: fast:k=1, 0.8" in text
    assert "FAST=k:1 LD_PRELOAD='/opt/a b/fast.so' 'my app'" in text
    assert "its risks: bites" in text
    assert "inside the noise: same" in text


def test_leaner_at_the_same_speed(tmp_path):
    text = said(tmp_path, {"system": SAME, "lean": (1.0, 0.6, 0)})
    assert "to use lean:" in text and "risks" not in text


@pytest.mark.parametrize("other", [SAME, (1.3, 0.6, 0), (1.3, 1.3, 0)])
def test_stay_where_nothing_is_better(tmp_path, other):
    """A leaner one that is slower is no better."""
    text = said(tmp_path, {"system": SAME, "other": other})
    assert "stay with system" in text and "LD_PRELOAD" not in text


def test_one_block_is_no_answer(tmp_path):
    text = said(tmp_path, {"system": SAME, "fast": (0.5, 1.0, 0)}, blocks=1)
    assert "no answer; take the run with --reps=8" in text and "fastest" not in text


def test_only_for_recorded_programs(tmp_path):
    assert said(tmp_path, {"system": SAME, "fast": (0.5, 1.0, 0)}, cells=synthetic.CELLS[:1]) == ""
    mixed = [*CELLS, *synthetic.CELLS[:1]]
    assert said(tmp_path / "m", {"system": SAME, "fast": (0.5, 1.0, 0)}, cells=mixed) == ""


def test_fidelity_is_said_where_it_was_measured(tmp_path):
    def change(rows, _):
        for at, row in enumerate(rows):
            row["replay_wait_ppm"] = 1000 * at

    text = said(tmp_path, {"system": SAME, "fast": (0.5, 1.0, 0)}, change=change)
    assert "time spent waiting 3.5 %" in text, text


@pytest.mark.parametrize("passes, is_said", [(1, False), (40, True), (None, False)])
def test_memory_of_many_passes_is_called_so(tmp_path, passes, is_said):
    def change(rows, _):
        for row in rows:
            row["work"] = passes

    text = said(tmp_path, {"system": SAME, "lean": (1.0, 0.6, 0)}, change=change)
    assert ("memory is that of up to 40 passes" in text and "--work=1" in text) == is_said
    assert ("stay with system: no other is faster outside" in text) == is_said
    assert ("to use lean:" in text) != is_said


@pytest.mark.parametrize("percent, decides", [(9.9, True), (10.5, False), (1658, False)])
@pytest.mark.parametrize("params, is_remedy_left", [("", True), (" mode=paced", False)])
def test_memory_of_an_untrue_replay_decides_nothing(tmp_path, percent, decides, params, is_remedy_left):
    """One replay is enough: whoever ran it may look lean or fat by that alone."""
    def change(rows, _):
        for row in rows:
            row["replay_live_drift_ppm"] = 100
        rows[3]["replay_live_drift_ppm"] = round(percent * 1e4)

    cells = [("replay", f"trace=app.hmt{params}", 1, 20.0, 40_000_000)]
    text = said(tmp_path, {"system": SAME, "lean": (1.0, 0.6, 0)}, cells=cells, change=change)
    assert ("leanest: lean" in text) == ("to use lean:" in text) == decides, text
    assert ("stay with system: no other is faster outside" in text) != decides
    assert ("nobody is called the leanest" in text and f"off by {fidelity.percent(percent)}" in text) != decides
    assert ("--set mode=paced" in text) == (is_remedy_left and not decides)


def test_an_untrue_replay_still_names_the_fastest(tmp_path):
    def change(rows, _):
        for row in rows:
            row["replay_live_drift_ppm"] = 6_430_000

    text = said(tmp_path, {"system": SAME, "fast": (0.5, 1.0, 0)}, change=change)
    assert "fastest: fast" in text and "to use fast:" in text and "643 %" in text


def test_every_flag_of_a_recording_has_its_sentence(tmp_path):
    """The harness is asked which flags there are, so that a new one is not forgotten."""
    source = (synthetic.RECORD_DEF.parents[2] / "workloads" / "replay.c").read_text()
    assert set(re.findall(r'"(trace-[a-z-]+)', source)) == set(fidelity.RECORDING)
    for flag in fidelity.RECORDING:
        word = flag + ("=1/50" if flag == "trace-sampled" else "")

        def change(rows, _, word=word):
            rows[0]["flags"] = f"unpinned {word}"

        text = said(tmp_path / flag, {"system": SAME, "lean": (1.0, 0.6, 0)}, change=change)
        assert f"({word})" in text, text
        assert sum(f"({other}" in text for other in fidelity.RECORDING) == 1
        assert ("leanest" in text) == ("to use lean:" in text) == (flag != "trace-sampled"), text
    assert "one object in 50 was recorded" in said(
        tmp_path / "s", {"system": SAME, "lean": SAME},
        change=lambda rows, _: rows[0].update(flags="trace-sampled=1/50"))


def test_a_recording_without_faults_is_not_talked_of(tmp_path):
    def change(rows, _):
        for row in rows:
            row["flags"] = "unpinned streamed"

    text = said(tmp_path, {"system": SAME, "lean": (1.0, 0.6, 0)}, change=change)
    assert "recording" not in text and "(trace-" not in text


def test_a_command_for_knobs_of_the_system_allocator():
    entry = {"environment": "GLIBC_TUNABLES=glibc.malloc.arena_max=1", "path": ""}
    assert advice.command(entry, "app") == "GLIBC_TUNABLES=glibc.malloc.arena_max=1 app"


@pytest.mark.parametrize("share, shown", [(0.012, "0.012 %"), (3.21, "3.2 %"), (99.7, "100 %"), (1640, "1,640 %")])
def test_a_share_is_never_an_exponent(share, shown):
    assert fidelity.percent(share) == shown
