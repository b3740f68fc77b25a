"""The gate on real trials: how it measures and decides, and that the CI files' commands run."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest
import yaml

BUILD = pathlib.Path(os.environ["HEAPMARK_BUILD"])
SOURCE = pathlib.Path(os.environ["HEAPMARK_SOURCE"])
HEAPMARK = BUILD / "heapmark"
FAULTY = BUILD / "tests" / "faulty"
SHIM = SOURCE / "tests" / "faulty" / "slow.c"
JOB = "[global]\ntrial-time = 8ms\nturns = 10\n[pair]\nworkload = pair\nsize = 64\n"
CLEAR = 100  # multiplications, some 100 ns each call, where the call takes 10: no noise hides that


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    library = tmp_path_factory.mktemp("slow") / "slow.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-fno-builtin", f"-DSPIN={CLEAR}", "-o", library, SHIM],
                   check=True)
    return library


@pytest.fixture
def place(tmp_path, slow):
    (tmp_path / "small.ini").write_text(JOB)
    shutil.copy(FAULTY / "slow0.so", tmp_path / "base.so")
    shutil.copy(FAULTY / "slow0.so", tmp_path / "same.so")
    shutil.copy(slow, tmp_path / "slow.so")
    return tmp_path


def gate(place, *words, **options):
    return subprocess.run([HEAPMARK, "gate", *words], cwd=place, text=True, capture_output=True,
                          timeout=200, **options)


def judged(place, base, head, *words):
    """(exit code, findings) of a gate on the small job."""
    result = gate(place, f"--base={base}", f"--head={head}", "--job=small.ini", "--json=-", *words)
    assert result.returncode in (0, 1, 3), result.stderr
    return result.returncode, json.loads(result.stdout)


def test_a_clear_regression_is_found_in_turns(place):
    code, found = judged(place, "./base.so", "./slow.so", "--out=run")
    assert code == 1 and found["verdict"] == "regression"
    (time,) = [f for f in found["findings"] if f["metric"] == "time"]
    assert time["verdict"] == "regression" and time["ratio"] > 1.5
    assert (place / "run" / "turns.csv").exists() and found["blocks"] >= 8
    trials = (place / "run" / "trials.csv").read_text()
    assert str(place / "base.so") in trials and str(place / "slow.so") in trials
    # The same run, judged again, says the same; the other way round it passes.
    assert gate(place, "--base=run", "--head=run").returncode == 1
    sides = ("--base-label=slow.so", "--head-label=base.so")
    assert gate(place, "--base=run", "--head=run", *sides).returncode == 0


def running(word):
    """Command lines of processes that have the word in theirs."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line:
            found.append(line)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_gate_alone_ends_all_of_it(place, number):
    """As a CI system sends it, not a terminal, which sends it to all."""
    out = place / "stopped"
    process = subprocess.Popen([HEAPMARK, "gate", "--base=./base.so", "--head=./same.so", "--job=small.ini",
                                f"--out={out}", "--time-budget=120s"], cwd=place, text=True, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (out / "trials.csv").exists() or len((out / "trials.csv").read_text().splitlines()) < 2:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number and said.startswith("heapmark: interrupted"), said
    assert running(str(place)) == []


@pytest.mark.parametrize("python", ["/nonexistent/python", "no-such-python"])
def test_a_gate_without_its_other_half_is_no_regression(place, python):
    done = gate(place, "--base=./base.so", "--head=./same.so", env=os.environ | {"HEAPMARK_PYTHON": python})
    assert done.returncode == 2 and f"cannot start '{python}'" in done.stderr


def test_a_wide_limit_lets_an_allocator_pass_against_itself(place):
    """Half of the time more would be a regression: no noise of these machines reaches that."""
    code, found = judged(place, "./base.so", "./same.so", "--max-regress=time=100%,rss=off")
    assert code == 0 and found["blocks"] >= 7


def test_one_run_of_instruction_counts_finds_one_instruction_a_call(place):
    only = "--metrics=instructions"
    code, found = judged(place, "./base.so", "./same.so", only, "--out=same")
    assert code == 0 and found["blocks"] == 1
    (count,) = found["findings"]
    assert count["metric"] == "instructions" and count["ratio"] == pytest.approx(1, abs=1e-4)
    code, found = judged(place, "./base.so", FAULTY / "slow1.so", only, "--out=more")
    (count,) = found["findings"]
    assert code == 1 and 1.005 < count["ratio"] < 1.05


def test_an_allocator_that_breaks_on_head_is_a_regression(place):
    code, found = judged(place, "./base.so", FAULTY / "crash.so")
    assert code == 1
    assert any(f["metric"] == "status" and "SIGSEGV" in f["detail"] for f in found["findings"])


def test_a_stored_baseline_serves_a_later_gate(place):
    kept = ("--max-regress=time=900%,rss=off", "--save-baseline=kept.json")
    assert judged(place, "system", "./base.so", *kept, "--out=first")[0] == 0
    code, found = judged(place, "kept.json", "./slow.so", "--out=second")
    assert code == 1 and found["base"].endswith("base.so")
    assert any("relative to system" in note for note in found["notes"])


def test_a_budget_that_ends_cannot_tell(place):
    """Some two blocks fit, and so few decide nothing: with more, chance passes one gate in 40."""
    (place / "small.ini").write_text(JOB.replace("8ms", "600ms"))
    code, found = judged(place, "./base.so", "./same.so", "--time-budget=3s", "--max-regress=0.01%")
    assert code == 3 and found["seconds"] < 30 and found["blocks"] < 5


@pytest.mark.parametrize("trial_time, kept", [("30s", False), ("1100ms", None)])
def test_a_budget_shorter_than_a_block_cannot_tell(place, trial_time, kept):
    """Neither before the first trial nor between base and head; every form of the result says so."""
    (place / "small.ini").write_text(JOB.replace("8ms", trial_time) + "[batch]\nworkload = batch\n")
    words = ("--time-budget=3s", "--junit=gate.xml", "--history=history.csv", "--out=run")
    code, found = judged(place, "./base.so", "./same.so", *words)
    assert code == 3 and found["blocks"] == 0
    (finding,) = found["findings"]
    assert finding["verdict"] == "cannot tell" and "raise --time-budget" in finding["detail"]
    assert "raise --time-budget" in (place / "gate.xml").read_text()
    assert not (place / "history.csv").exists()
    assert kept is None or (place / "run").exists() == kept


def test_what_lay_in_the_output_directory_stays(place):
    (place / "small.ini").write_text(JOB.replace("8ms", "30s"))
    (place / "run").mkdir()
    (place / "run" / "mine").write_text("kept")
    assert judged(place, "./base.so", "./same.so", "--time-budget=1s", "--out=run")[0] == 3
    assert (place / "run" / "mine").read_text() == "kept"


@pytest.mark.parametrize("words, complaint", [
    (["--base=./base.so", "--head=./missing.so"], "missing.so"),
    (["--base=./base.so", "--head=./base.so"], "copy the file"),
    (["--base=./base.so", "--head=./same.so", "--job=no-such-job"], "no-such-job"),
    (["--base=no-such-name", "--head=./same.so"], "no-such-name"),
    (["--base=./base.so"], "--head"),
])
def test_wrong_usage_is_one_line_and_exit_2(place, words, complaint):
    result = gate(place, *words)
    assert result.returncode == 2 and result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if not line.startswith("gate: ")]
    assert len(lines) == 1 and lines[0].startswith("heapmark: ") and complaint in lines[0]


# ---- the CI files -------------------------------------------------------------------------------


def github_steps():
    steps = yaml.safe_load((SOURCE / "docs/ci/github.yml").read_text())["jobs"]["gate"]["steps"]
    return {step["name"]: step["run"] for step in steps if "run" in step}


def gitlab_script():
    (script,) = yaml.safe_load((SOURCE / "docs/ci/gitlab-ci.yml").read_text())["heapmark"]["script"]
    return script


def test_the_shell_in_the_ci_files_is_correct(tmp_path):
    for number, text in enumerate([*github_steps().values(), gitlab_script()]):
        file = tmp_path / f"{number}.sh"
        file.write_text("#!/bin/bash\n" + text + "\n")
        subprocess.run(["bash", "-n", file], check=True)
        if shutil.which("shellcheck"):
            subprocess.run(["shellcheck", file], check=True)


@pytest.mark.parametrize("name", ["github", "gitlab"])
def test_the_gate_of_the_ci_files_runs_as_it_stands(place, name):
    """Their very command, on a small job with limits that no noise reaches."""
    (place / "head").mkdir(), (place / "base").mkdir()
    shutil.copy(place / "base.so", place / "base" / "liballoc.so")
    for head in (place / "head", place):
        shutil.copy(place / "same.so", head / "liballoc.so")
    command = github_steps()["Gate"] if name == "github" else gitlab_script()
    small = re.sub(r"time=3%,rss=5%", "time=100%,rss=off", command)
    small = small.replace("--job=ci", "--job=small.ini")
    assert small != command
    path = {"PATH": f"{BUILD}:{os.environ['PATH']}"}
    result = subprocess.run(["bash", "-e", "-c", small], cwd=place, env=os.environ | path,
                            text=True, capture_output=True, timeout=200)
    assert result.returncode == 0, result.stderr
    assert json.loads((place / "gate.json").read_text())["verdict"] == "pass"
    assert (place / "gate.xml").exists() and "| time |" in (place / "gate.md").read_text()
