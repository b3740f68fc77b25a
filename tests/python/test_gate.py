"""gate: its decision on runs whose truth is known, limits, exceptions, and every output."""

import datetime
import json
import math
import re
import types
import xml.etree.ElementTree as xml

import numpy as np
import pytest
import synthetic
import turned
from heapmark import load, pairing
from heapmark.errors import InputError
from heapmark.evidence import Paired
from heapmark.gate import allow, decision, judge, limits, sources

PASS, REGRESSION, CANNOT_TELL = 0, 1, 3


def judged(heapmark, *words):
    """(exit code, the JSON) of a gate on finished runs."""
    code, out, err = heapmark("gate", *words, "--json=-")
    assert code in (PASS, REGRESSION, CANNOT_TELL), err
    data = json.loads(out)
    assert data["exit_code"] == code
    return code, data


def sides(path):
    return f"--base={path}", f"--head={path}"


def states(data, metric="time"):
    return {f["workload"]: f["verdict"] for f in data["findings"] if f["metric"] == metric}


# ---- decisions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio, code", [(1.0, PASS), (0.9, PASS), (1.01, PASS), (1.03, REGRESSION),
                                         (1.1, REGRESSION)])  # fmt: skip
def test_time_is_judged_by_its_limit(heapmark, tmp_path, ratio, code):
    path = turned.make(tmp_path / "r", ratios=[1.0, ratio])
    found, data = judged(heapmark, *sides(path))
    assert found == code
    assert states(data)["sizemix"] == ("regression" if code else "pass")
    assert states(data)["threadtest"] in ("pass", "cannot tell"), "a regression ends the gate"


def test_noise_that_hides_the_limit_cannot_be_told(heapmark, tmp_path):
    path = turned.make(tmp_path / "r", process=0.2, turn=0.05)
    code, data = judged(heapmark, *sides(path))
    assert code == CANNOT_TELL
    assert any("too noisy for its limit" in note for note in data["notes"])


def test_only_what_is_open_gets_more_blocks(tmp_path):
    path = turned.make(tmp_path / "r", process=[0.2, 0.001])
    run = load.load_run(str(path))
    a_judge = judge.Judge(limits.parse([], [], None))
    a_judge.look(pairing.within(run))
    (cell,) = a_judge.open_cells
    assert cell.workload == turned.BIG[0][0]
    (trial,) = sources.first_trials(run, a_judge.open_cells)
    assert trial == run.trials.loc[run.trials["cell"] == cell, "trial"].min()


def test_too_few_blocks_cannot_tell_and_say_how_many_are_needed(heapmark, tmp_path):
    path = turned.make(tmp_path / "r", ratios=1.2, blocks=5)
    code, data = judged(heapmark, *sides(path))
    assert code == CANNOT_TELL
    needed = int(re.search(r"--reps=(\d+)", " ".join(data["notes"]))[1])
    again = turned.make(tmp_path / "again", ratios=1.2, blocks=needed)
    assert judged(heapmark, *sides(again))[0] == REGRESSION


def test_a_cost_in_few_turns_is_found_by_the_whole_trials(heapmark, tmp_path):
    """One turn of eight takes twice as long: no median of turns sees it."""
    trials, parts = turned.rows(turned.BIG, 1.0, 14, turn=0.002)
    heads = {t["trial"]: t for t in trials if t["allocator"] == "head"}
    for part in parts:
        if part["turn"] == 7 and part["trial"] in heads:
            heads[part["trial"]]["wall_ns"] += part["wall_ns"]
            part["wall_ns"] *= 2
    env = synthetic.environment("r", turned.LABELS, 14, aa=False, baseline="base")
    path = synthetic.write(tmp_path / "r", trials, env)
    turned.write_turns(path, parts, "r")
    code, data = judged(heapmark, *sides(path))
    assert code == REGRESSION
    assert set(states(data).values()) == {"pass"}
    assert set(states(data, "total").values()) == {"regression"}


def test_memory_is_judged_where_enough_is_live(heapmark, tmp_path):
    fat = turned.make(tmp_path / "fat", memory=1.08)
    code, data = judged(heapmark, *sides(fat))
    assert code == REGRESSION and set(states(data, "memory").values()) == {"regression"}
    assert judged(heapmark, *sides(fat), "--max-regress=rss=20%")[0] == PASS
    assert judged(heapmark, *sides(fat), "--max-regress=rss=off")[0] == PASS
    small = turned.make(tmp_path / "small", cells=synthetic.CELLS[1:2])
    findings = judged(heapmark, *sides(small))[1]["findings"]
    assert [f["guard"] for f in findings if f["metric"] == "memory"] == [True]


@pytest.mark.parametrize("memory, blocks, code, verdict", [
    (3.0, 3, CANNOT_TELL, "cannot tell"), (3.0, 1, CANNOT_TELL, "cannot tell"),
    (3.0, 14, REGRESSION, "regression"), (1.0, 14, PASS, "pass"), (1.02, 14, PASS, "pass"),
])  # fmt: skip
def test_a_guard_above_its_limit_is_no_pass(heapmark, tmp_path, memory, blocks, code, verdict):
    """Three blocks cannot alarm; that makes what lies above the limit no pass."""
    trials, _ = turned.rows(synthetic.CELLS[:1], 1.0, blocks)
    for row in trials:
        heap = 10e6 * (memory if row["allocator"] == "head" else 1) * (1 + row["block"] % 5 / 1e4)
        row["rss_bytes_peak"] = round(row["harness_bytes"] + heap)
    path = turned.plain(tmp_path / "r", trials, turned.LABELS, blocks, "base")
    found, data = judged(heapmark, *sides(path), "--max-regress=time=off,rss=5%")
    assert found == code
    (finding,) = data["findings"]
    assert finding["guard"] and finding["verdict"] == verdict
    assert ("above its limit" in finding["detail"]) == (verdict == "cannot tell")
    assert not any("too noisy" in note for note in data["notes"]), "it is not noise that keeps it open"


def test_a_guard_whose_interval_holds_the_limit_passes(heapmark, tmp_path):
    """A gate does not wait for it: it would wait for ever."""
    path = turned.make(tmp_path / "r", process=0.0001, turn=0.0001)
    trials = load.load_run(str(path)).trials
    heads = trials["label"] == "head"
    trials.loc[heads, "wall_ns"] *= [(0.7, 1.5)[block % 2] for block in trials.loc[heads, "block"]]
    run = load.load_run(str(path))
    pair = pairing.within(load.Run(run.path, run.name, run.baseline, run.env, trials, run.contenders))
    findings = judge.Judge(limits.parse(["time=3%"], [], None)).look(pair)
    total = [one for one in findings if one.metric == "total"]
    assert total and all(one.estimate.low < 1.03 < one.estimate.high for one in total)
    assert all(one.state == judge.PASS for one in total)


def test_a_guard_is_judged_anew_at_each_look():
    """Its pass was no decision, so that later blocks may still show a regression."""
    quiet = decision.Test(Paired(np.linspace(-0.01, 0.01, 14)), 0.03, is_guard=True)
    before = decision.decide([quiet], 1)
    assert before == [decision.PASS]
    worse = decision.Test(Paired(np.linspace(0.09, 0.11, 22)), 0.03, is_guard=True)
    assert decision.decide([worse], 2, before) == [decision.REGRESSION]
    assert decision.decide([quiet], 3, [decision.REGRESSION]) == [decision.REGRESSION]


@pytest.mark.parametrize("passes, is_refused", [((50, 1), True), ((50, 25), True), ((50, 40), False)])
def test_runs_of_other_work_are_refused(heapmark, tmp_path, passes, is_refused):
    paths = []
    for name, count in zip(("one", "other"), passes):
        trials, _ = turned.rows([("replay", "trace=a.hmt", 1, 20.0, 40_000_000)], 1.0, 14)
        rows = [row | {"work": count} for row in trials]
        paths.append(turned.plain(tmp_path / name, rows, turned.LABELS, 14, "base"))
    words = (f"--base={paths[0]}", f"--head={paths[1]}", "--base-label=head", "--head-label=head")
    code, out, err = heapmark("gate", *words)
    assert (code == 2) == is_refused
    assert not is_refused or (out == "" and f"numbers of passes over replay a (50 and {passes[1]})" in err)


def test_a_workload_without_operations_is_not_judged(heapmark, tmp_path):
    """And does not keep the others from it, though its turns hold no operations either."""
    cells = [*turned.BIG, ("idle", "size=64", 1, 5.0, 5_000_000)]
    trials, parts = turned.rows(cells, [1.0, 1.0, 2.0], 14)
    idle = {row["trial"] for row in trials if row["workload"] == "idle"}
    for row in [row for row in [*trials, *parts] if row["trial"] in idle]:
        row["ops"] = 0
    env = synthetic.environment("r", turned.LABELS, 14, aa=False, baseline="base")
    path = synthetic.write(tmp_path / "r", trials, env)
    turned.write_turns(path, parts, "r")
    code, data = judged(heapmark, *sides(path))
    assert code == PASS and set(states(data)) == {"threadtest", "sizemix"}
    assert [note for note in data["notes"] if "idle" in note] == [
        "idle: no operations, and so no part in the comparison"]
    _, text, _ = heapmark("ranking", path)
    assert text.count("idle") == 1 and "not compared: idle" in text


def test_an_interrupted_gate_says_what_it_leaves(heapmark, tmp_path, monkeypatch):
    path = turned.make(tmp_path / "a run")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sources.live, "call", interrupted)
    monkeypatch.setattr(sources, "job_has_turns", lambda _: True)
    kept = ["gate", "--base=a", "--head=b", "--job=ci", f"--out={path}"]
    code, _, err = heapmark(*kept)
    assert code == 130 and f"'heapmark gate --base='{path}' --head='{path}'' judges it" in err
    code, _, err = heapmark(*kept[:-1], f"--out={tmp_path / 'new'}")
    assert (code, err) == (130, "heapmark: interrupted\n")


def test_a_workload_that_breaks_on_head_is_a_regression(heapmark, tmp_path):
    for side, code in (("head", REGRESSION), ("base", CANNOT_TELL)):
        trials, _ = turned.rows(turned.BIG, 1.0, 14)
        for row in trials:
            if (row["allocator"], row["workload"], row["block"]) == (side, "sizemix", 4):
                row.update(status="corrupt", detail="block 7 was overwritten")
        path = turned.plain(tmp_path / side, trials, turned.LABELS, 14, "base")
        found, data = judged(heapmark, *sides(path))
        assert found == code
        (status,) = [f for f in data["findings"] if f["metric"] == "status"]
        assert status["workload"] == "sizemix" and "1 corrupt: block 7" in status["detail"]


def test_the_time_of_paced_replays_is_not_judged(heapmark, tmp_path):
    """Neither that of the turns nor that of the whole trials: it is the recording's."""
    cells = [("replay", f"trace=a.hmt mode={mode}", 1, 20.0, 40_000_000) for mode in ("paced", "serial")]
    both = turned.make(tmp_path / "both", cells=cells, ratios=[1.5, 1.0])
    code, data = judged(heapmark, *sides(both))
    assert code == PASS
    assert set(states(data)) == set(states(data, "total")) == {"replay a mode=serial"}
    assert set(states(data, "memory")) == {"replay a mode=serial", "replay a mode=paced"}
    assert any("recording's and is not judged: replay a mode=paced" in note for note in data["notes"])
    alone = turned.make(tmp_path / "alone", cells=cells[:1], ratios=1.5)
    code, data = judged(heapmark, *sides(alone), "--metrics=time")
    assert (code, data["findings"]) == (CANNOT_TELL, [])
    assert "nothing was judged" in heapmark("gate", *sides(alone), "--metrics=time")[1]


def test_instructions_are_judged_by_one_run(heapmark, tmp_path):
    cells = [synthetic.CELLS[3], synthetic.CELLS[5]]  # of two threads, and of one

    def counted(name, ratio):
        trials, _ = turned.rows(cells, 1.0, 1)
        for row in trials:
            row["instructions"] = round(1e8 * (ratio if row["allocator"] == "head" else 1))
        return turned.plain(tmp_path / name, trials, turned.LABELS, 1, "base")

    words = ("--metrics=instructions",)
    assert judged(heapmark, *sides(counted("same", 1.0)), *words)[0] == PASS
    below = sides(counted("below", 1.004))
    assert judged(heapmark, *below, *words)[0] == PASS
    # Jemalloc's counts differ by 0.3 % from run to run: no limit makes that a regression.
    code, data = judged(heapmark, *below, *words, "--max-regress=instructions=0.1%")
    assert code == CANNOT_TELL and "differ that much by chance: below 0.5 %" in data["findings"][0]["detail"]
    assert judged(heapmark, *below, *words, "--max-regress=instructions=0.4%")[0] == CANNOT_TELL, "equal to it"
    assert judged(heapmark, *sides(counted("at", 1.005)), *words)[0] == REGRESSION, "equal to the limit"
    code, data = judged(heapmark, *sides(counted("more", 1.01)), *words)
    assert code == REGRESSION and states(data, "instructions") == {"sizemix": "regression"}
    assert any("several threads" in note and "threadtest" in note for note in data["notes"])
    uncounted = turned.make(tmp_path / "uncounted")
    code, data = judged(heapmark, *sides(uncounted), *words)
    assert code == CANNOT_TELL
    assert all("without --instructions" in f["detail"] for f in data["findings"])


def test_what_was_never_measured_keeps_no_gate_open(tmp_path):
    """More blocks would not bring it."""
    the_judge = judge.Judge(limits.parse([], [], "instructions"))
    findings = the_judge.look(pairing.within(load.load_run(str(turned.make(tmp_path / "r")))))
    assert findings and {one.state for one in findings} == {judge.OPEN} and the_judge.open_cells == []
    assert judge.can_stop(findings)
    estimate = Paired(np.linspace(-0.01, 0.01, 5)).estimate
    assert not judge.can_stop([judge.Finding("time", "pair", judge.OPEN, estimate, 0.03, 0.01)])


@pytest.mark.parametrize("at", ["base", "head"])
def test_a_common_baseline_that_fails_in_one_run_is_nobodys_regression(heapmark, tmp_path, at):
    """Without it the run's figures are relative to nothing, and head is not to blame."""
    truth = {"system": (1.0, 1.0, 0), "mine": (1.0, 1.0, 0)}
    paths = {}
    for side in ("base", "head"):
        rows = synthetic.rows(turned.BIG, truth, 14, noise=0.005, slow_share=0, spread=0, aa=False)
        for row in rows:
            if side == at and (row["allocator"], row["workload"]) == ("system", "sizemix"):
                row.update(status="crashed", detail="SIGBUS")
        paths[side] = turned.plain(tmp_path / side, rows, truth, 14)
    code, data = judged(heapmark, f"--base={paths['base']}", f"--head={paths['head']}")
    (status,) = [one for one in data["findings"] if one["metric"] == "status"]
    assert status["workload"] == "sizemix" and "the common baseline: 14 crashed: SIGBUS" in status["detail"]
    assert code == CANNOT_TELL
    detail = " ".join(heapmark("compare", paths["base"], paths["head"])[1].split())
    assert "failed: sizemix: base: the common baseline: 14 crashed: SIGBUS" in detail


def test_two_runs_are_compared_through_their_baseline(heapmark, tmp_path):
    def run(name, ratio, seed, hostname):
        truth = {"system": (1.0, 1.0, 0), "mine": (ratio, 1.0, 0)}
        rows = synthetic.rows(turned.BIG, truth, 14, seed=seed, noise=0.005, slow_share=0, spread=0,
                              aa=False)  # fmt: skip
        return turned.plain(tmp_path / name, rows, truth, 14, machine={"hostname": hostname})

    before = run("before", 0.8, 1, "one")
    same, worse = run("same", 0.8, 2, "two"), run("worse", 0.88, 3, "two")
    code, data = judged(heapmark, f"--base={before}", f"--head={same}")
    assert code == PASS and any("different machines" in note for note in data["notes"])
    assert judged(heapmark, f"--base={before}", f"--head={worse}")[0] == REGRESSION


# ---- limits and exceptions ----------------------------------------------------------------------


def test_limits_of_some_workloads_override_the_general_ones(heapmark, tmp_path):
    path = turned.make(tmp_path / "r", ratios=[1.0, 1.06])
    assert judged(heapmark, *sides(path))[0] == REGRESSION
    assert judged(heapmark, *sides(path), "--limit=size*:time=20%")[0] == PASS
    assert judged(heapmark, *sides(path), "--limit=thread*:time=20%")[0] == REGRESSION
    assert judged(heapmark, *sides(path), "--max-regress=20%")[0] == PASS
    words = ("--max-regress=20%", "--limit=sizemix:time=3%")
    assert judged(heapmark, *sides(path), *words)[0] == REGRESSION


def test_limits_are_parsed():
    found = limits.parse(["time=2%,rss=off", "p99=10%"], ["a*:time=off"], None)
    assert found.general == {"time": 0.02, "p99": 0.1}
    assert found.log("time", ["abc"]) is None and found.log("time", ["b"]) > 0
    assert limits.parse([], [], "instructions").metrics == ["instructions"]


@pytest.mark.parametrize("general, special, metrics, complaint", [
    (["3"], [], None, "--max-regress is '3'; expected a percentage"),
    (["time=-1%"], [], None, "time of --max-regress is '-1%'"),
    (["tiem=3%"], [], None, "unknown metric 'tiem' in --max-regress; did you mean 'time'?"),
    (["time=off,rss=off"], [], None, "every metric is off"),
    ([], ["larson"], None, "expected WORKLOAD:METRIC=P"),
    ([], [], "speed", "unknown metric 'speed' in --metrics"),
])  # fmt: skip
def test_wrong_limits_are_refused(general, special, metrics, complaint):
    with pytest.raises(InputError, match=re.escape(complaint)):
        limits.parse(general, special, metrics)


def exception(path, until, name="size*", more="metric = time\n"):
    path.write_text(f"[{name}]\n{more}until = {until}\nreason = known, to be mended\n")
    return f"--allow={path}"


def test_an_exception_counts_until_its_last_day(heapmark, tmp_path):
    path = turned.make(tmp_path / "r", ratios=[1.0, 1.06])
    today = None
    while today != datetime.date.today():  # anew, if midnight came between
        today = datetime.date.today()
        code, data = judged(heapmark, *sides(path), exception(tmp_path / "a.ini", today))
    assert code == PASS and states(data)["sizemix"] == "allowed"
    assert any(f"allowed until {today}: known" in f["detail"] for f in data["findings"])
    yesterday = today - datetime.timedelta(days=1)
    code, data = judged(heapmark, *sides(path), exception(tmp_path / "a.ini", yesterday))
    assert code == REGRESSION
    assert any(f"expired on {yesterday}" in note for note in data["notes"])
    assert any(f"its exception expired on {yesterday}" in f["detail"] for f in data["findings"])


def test_an_exception_for_nothing_is_said(heapmark, tmp_path):
    path = turned.make(tmp_path / "r")
    _, data = judged(heapmark, *sides(path), exception(tmp_path / "a.ini", "2999-01-01", "lorsan"))
    assert "the exception [lorsan] matches nothing that was run" in data["notes"]


@pytest.mark.parametrize("text, complaint", [
    ("[a]\nuntil = 2999-01-01\n", "'reason' is missing"),
    ("[a]\nreason = x\n", "'until' is missing"),
    ("[a]\nuntil = soon\nreason = x\n", "until is 'soon'; expected a day"),
    ("[a]\nuntil = 2999-01-01\nreason = x\nmetrik = time\n", "did you mean 'metric'?"),
    ("[a]\nuntil = 2999-01-01\nreason = x\nmetric = tmie\n", "unknown metric 'tmie'"),
    ("until = 2999-01-01\n", "no section headers"),
])  # fmt: skip
def test_wrong_exceptions_are_refused(tmp_path, text, complaint):
    path = tmp_path / "allow.ini"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(complaint)):
        allow.read(path)


# ---- outputs ------------------------------------------------------------------------------------


def test_every_form_says_the_same(heapmark, tmp_path):
    path = turned.make(tmp_path / "r", ratios=[1.0, 1.06])
    files = {name: tmp_path / f"gate.{name}" for name in ("json", "junit", "markdown")}
    words = [f"--{name}={file}" for name, file in files.items()]
    code, text, _ = heapmark("gate", *sides(path), *words, "--github")
    assert code == REGRESSION
    data = json.loads(files["json"].read_text())
    failed = [f for f in data["findings"] if f["verdict"] == "regression"]
    assert {f["workload"] for f in failed} == {"sizemix"}
    suite = xml.parse(files["junit"]).getroot().find("testsuite")
    assert int(suite.get("tests")) == len(suite) == len(data["findings"])
    assert int(suite.get("failures")) == len(suite.findall("testcase/failure")) == len(failed)
    table = [line for line in files["markdown"].read_text().splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(data["findings"])
    annotations = [line for line in text.splitlines() if line.startswith("::")]
    assert len(annotations) == len(failed)
    assert all(a.startswith("::error title=heapmark%3A regression%2C t") for a in annotations)
    assert "limit +3 %25" in annotations[0]


@pytest.mark.parametrize("words, complaint", [
    (["--json=-", "--junit=-"], "only one of"),
    (["--json=/nowhere/x.json"], "'/nowhere' is not a directory"),
    (["--time-budget=soon"], "--time-budget is 'soon'"),
    (["--turns=1"], "--turns is 1"),
    (["--save-baseline=x.json"], "relative to 'system'"),
])  # fmt: skip
def test_wrong_options_are_refused_before_a_measurement(heapmark, tmp_path, words, complaint):
    path = turned.make(tmp_path / "r")
    code, out, err = heapmark("gate", *sides(path), *words)
    assert (code, out) == (2, "") and complaint in err


def test_sides_must_be_of_one_kind(heapmark, tmp_path):
    path = turned.make(tmp_path / "r")
    code, _, err = heapmark("gate", f"--base={path}", "--head=./x.so")
    assert code == 2 and "'./x.so' is not a run, but the other side is" in err
    code, _, err = heapmark("gate", "--base=system", "--head=system")
    assert code == 2 and "copy the file to judge it against itself" in err


def test_counts_are_kept_where_no_time_is_left(monkeypatch, tmp_path):
    """The budget held the instruction counts, and not one block of trials that are timed."""
    def out_of_time(*_):
        raise sources.live.OutOfTime

    passed = judge.Finding("instructions", "pair", judge.PASS, None, 0.005, math.nan)
    counted = sources.Outcome([passed], None, 1, 1, 2.0, [])
    monkeypatch.setattr(sources.live.Live, "grow_to", lambda self, blocks: None)
    monkeypatch.setattr(sources, "outcome_of", lambda *_: counted)
    monkeypatch.setattr(sources, "look_by_look", out_of_time)
    the_judge = judge.Judge(limits.parse([], [], "time,instructions"))
    options = types.SimpleNamespace(job="ci")
    found = sources.measured(options, "a", "b", tmp_path / "r", 5, the_judge, print, None).findings
    assert [one.metric for one in found] == ["instructions", "status"]
    assert judge.verdict(found) == judge.OPEN
