"""Trials that take turns: whose turn it is, what is added up, who fails alone; timelines beside them."""

import json
import random
import shutil
import signal
import subprocess
import time
from collections import defaultdict

import pytest
from runs import FAULTY, HEAPMARK, heapmark, measure, rows, table

QUICK = ["--trial-time=5ms", "--latency=no"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Three allocators and the baseline's second part, two workloads, two blocks, eight turns."""
    path = tmp_path_factory.mktemp("turns")
    result = heapmark("run", "pair", "larson", "--allocators=system,jemalloc,ptmalloc", "--threads=2", "--aa",
                      "--reps=2", "--turns=8", "--work=80000", "--latency=no", "--out=run", cwd=path)
    assert result.returncode == 0, result.stderr
    return path / "run"


def rounds_of(run):
    """{(block, workload, turn): its turns, by position}."""
    trials = {row["trial"]: row for row in rows(run)}
    rounds = defaultdict(list)
    for turn in table(run / "turns.csv"):
        trial = trials[turn["trial"]]
        rounds[trial["block"], trial["workload"], int(turn["turn"])].append(turn)
    return {key: sorted(turns, key=lambda turn: int(turn["position"])) for key, turns in rounds.items()}


def test_every_round_holds_everybody_once_in_an_order_of_its_own(run):
    rounds = rounds_of(run)
    assert len(rounds) == 2 * 2 * 8
    orders = set()
    for turns in rounds.values():
        assert [int(turn["position"]) for turn in turns] == [0, 1, 2, 3]
        assert len({turn["trial"] for turn in turns}) == 4
        orders.add(tuple(int(turn["trial"]) % 4 for turn in turns))
    assert len(orders) > 8  # of 24


def test_only_one_process_runs_at_a_time(run):
    """The next turn is released when the one before has ended, with it the last one of a round."""
    by_cell = defaultdict(list)
    for (block, workload, turn), turns in sorted(rounds_of(run).items()):
        by_cell[block, workload] += turns
    for turns in by_cell.values():
        for turn, following in zip(turns, turns[1:]):
            assert int(following["start_ns"]) >= int(turn["start_ns"]) + int(turn["wall_ns"])


def test_a_row_is_the_sum_of_its_turns(run):
    turns, agree = defaultdict(list), []
    for turn in table(run / "turns.csv"):
        turns[turn["trial"]].append(turn)
    for row in rows(run):
        mine = turns[row["trial"]]
        assert row["status"] == "ok" and "turns" in row["flags"].split()
        assert len(mine) == 8 and int(row["work"]) % 8 == 0
        for column in ("wall_ns", "ops"):
            assert sum(int(turn[column]) for turn in mine) == int(row[column])
        assert len({turn["ops"] for turn in mine}) == 1, "turns are of equal work"
        cpu_ns = int(row["cpu_user_ns"]) + int(row["cpu_sys_ns"])
        agree.append(abs(sum(int(turn["cpu_ns"]) for turn in mine) - cpu_ns) < cpu_ns / 10 + 8 * 100000)
    assert len(rows(run)) == 2 * 2 * 4
    # Two clocks, read one after the other: on a busy machine the process's threads may run on in between, now and then.
    assert sum(agree) > len(agree) * 3 / 4


def test_the_ranking_is_made_of_turns(run):
    assert heapmark("ranking", run, cwd=run).returncode == 0


@pytest.mark.parametrize("fault, words, status, detail", [
    ("crash", [], "crashed", "SIGSEGV (Segmentation fault) in the measured part"),
    ("hang", ["--timeout=300ms"], "timeout", "did not end within 300ms (was in the measured part)"),
    ("exhaust", [], "oom", "returned NULL for 64 bytes"),
    ("bloat", ["--memory-limit=200m"], "oom", "passed the limit of 200m"),
])
def test_who_fails_in_its_turn_fails_alone(tmp_path, fault, words, status, detail):
    """The faulty ones are healthy for 5,000 calls: through warm-up and two turns."""
    result = measure("run", "pair", f"--allocators=system,{FAULTY}/{fault}.so", "--reps=2", "--turns=10",
                     "--work=20000", "--latency=no", *words, "--out=run", cwd=tmp_path)
    assert result.returncode == 1
    found = rows(tmp_path / "run")
    assert len(found) == 4
    for row in found:
        if row["allocator"] == "system":
            assert row["status"] == "ok" and row["ops"] == "40000"
        else:
            assert row["status"] == status and detail in row["detail"] and row["wall_ns"] == ""
    healthy = {row["trial"] for row in found if row["allocator"] == "system"}
    assert {turn["trial"] for turn in table(tmp_path / "run" / "turns.csv")} == healthy


def test_a_deadline_does_not_count_the_turns_of_others(tmp_path):
    """Twenty of a kind, each of which may take as long as a quarter of all took together."""
    alike = ",".join(f"system:mmap_threshold={size}" for size in range(200000, 200019))

    def sum_ns(name, *words):
        """0: one did not end in time."""
        measure("run", "batch", f"--allocators=system,{alike}", "--work=8000", "--turns=20",
                "--latency=no", "--reps=1", f"--out={name}", *words, cwd=tmp_path)
        found = rows(tmp_path / name)
        assert len(found) == 20 and {row["status"] for row in found} <= {"ok", "timeout"}
        return sum(int(row["wall_ns"]) for row in found) if all(row["wall_ns"] for row in found) else 0

    for attempt in range(5):  # a busy machine is not always as fast as it was before
        timeout_ns = sum_ns(f"long{attempt}") // 4
        if sum_ns(f"short{attempt}", f"--timeout={timeout_ns}ns") > timeout_ns > 0:
            return
    pytest.fail("the turns of others count, or the machine is never twice of one speed")


def test_memory_is_each_process_s_own(tmp_path):
    measure("run", "batch", "--set", "size=64k", "--set", "count=500", "--allocators=system,jemalloc",
            "--reps=1", "--work=4", "--turns=4", "--out=run", cwd=tmp_path)
    live = 64 * 1024 * 500
    for row in rows(tmp_path / "run"):
        assert int(row["live_bytes_peak"]) == live
        above_base = int(row["rss_bytes_peak"]) - int(row["rss_bytes_base"])
        assert 0.99 * live <= above_base <= (1.2 if row["allocator"] == "system" else 3) * live
        assert int(row["rss_bytes_purged"]) < int(row["rss_bytes_base"]) + live / 5
        assert int(row["malloc_ns_p50"]) > 0, "the sampled part comes after the turns"


def test_a_turn_of_a_replay_is_a_whole_pass(tmp_path):
    result = measure("run", "sqlite3", "--allocators=system", "--reps=1", "--trial-time=10ms", "--turns=500",
                     "--latency=no", "--out=run", cwd=tmp_path)
    row, = rows(tmp_path / "run")
    assert "a turn is at least one iteration" in result.stderr
    turns = table(tmp_path / "run" / "turns.csv")
    assert len(turns) == int(row["work"]) < 500
    assert len({turn["ops"] for turn in turns}) == 1


def test_more_blocks_leave_the_first_as_they_were(tmp_path):
    words = ["run", "pair", "batch", "--allocators=system,jemalloc", "--turns=4", *QUICK]
    assert heapmark(*words, "--reps=2", "--out=run", cwd=tmp_path).returncode == 0
    before = {name: (tmp_path / "run" / name).read_bytes() for name in ("trials.csv", "turns.csv", "latency.csv")}
    result = heapmark("run", "--resume=run", "--reps=4", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for name, text in before.items():
        assert (tmp_path / "run" / name).read_bytes().startswith(text)
    assert heapmark(*words, "--reps=4", "--out=whole", cwd=tmp_path).returncode == 0
    planned = [
        [(row["trial"], row["block"], row["workload"], row["allocator"], row["pad_bytes"]) for row in rows(tmp_path / run)]
        for run in ("run", "whole")
    ]
    assert len(planned[0]) == 4 * 4 and planned[0] == planned[1]
    works = {(row["workload"], row["work"]) for row in rows(tmp_path / "run")}
    assert len(works) == 2, "work is not calibrated again"
    assert json.loads((tmp_path / "run" / "env.json").read_text())["run"]["blocks"] == 4
    assert heapmark("run", "--resume=run", "--reps=3", cwd=tmp_path).returncode == 2


def test_kills_and_resumes_lose_and_repeat_no_unit(tmp_path):
    words = ["run", "pair", "larson", "--allocators=system,jemalloc", "--reps=6", "--turns=10",
             "--trial-time=30ms", "--work=20000", "--out=run"]
    draw = random.Random(5)
    command = words
    kills = 0
    for _ in range(6):
        process = subprocess.Popen([HEAPMARK, *command], cwd=tmp_path, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        time.sleep(draw.uniform(0.1, 0.4))
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        command = ["run", "--resume=run"] if (tmp_path / "run" / "job.ini").exists() else words
        if command is words:
            subprocess.run(["rm", "-rf", tmp_path / "run"], check=True)
    result = heapmark(*command, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert kills >= 3, "the machine was too quick for this test: make the run longer"
    found = rows(tmp_path / "run")
    assert [int(row["trial"]) for row in found] == list(range(6 * 2 * 2))
    turns = [(int(turn["trial"]), int(turn["turn"])) for turn in table(tmp_path / "run" / "turns.csv")]
    assert sorted(turns) == [(trial, turn) for trial in range(24) for turn in range(10)]


# ---- timelines ----------------------------------------------------------------------------------


def test_a_timeline_shows_what_lives(tmp_path):
    result = heapmark("run", "batch", "larson", "sqlite3", "--allocators=system,jemalloc", "--threads=2", "--reps=2",
                      "--trial-time=50ms", "--timeline=yes", "--out=run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    trials = {row["trial"]: row for row in rows(tmp_path / "run")}
    points = defaultdict(list)
    for point in table(tmp_path / "run" / "timeline.csv"):
        points[point["trial"]].append({key: int(value) for key, value in point.items() if key != "run"})
    assert set(points) == {trial for trial, row in trials.items() if row["block"] == "0"}
    assert sum(len(mine) for mine in points.values()) >= 20 * len(points)
    for trial, mine in points.items():
        row = trials[trial]
        assert 2 <= len(mine) <= 512
        for column in ("t_ns", "calls"):
            assert [point[column] for point in mine] == sorted(point[column] for point in mine)
        assert mine[0]["live_bytes"] == mine[0]["calls"] == mine[-1]["live_bytes"] == 0
        # A replay's clearing up between two passes is no part of the recording.
        assert 0 <= mine[-1]["calls"] - int(row["ops"]) <= 0.01 * int(row["ops"])
        peak = max(point["live_bytes"] for point in mine)
        assert peak <= int(row["live_bytes_peak"])
        if len(mine) >= 20:  # else the watching thread got no CPU
            assert peak > 0.5 * int(row["live_bytes_peak"])
        for point in mine:
            assert point["rss_bytes"] > int(row["rss_bytes_base"]) / 2


def test_a_timeline_changes_no_other_figure(tmp_path):
    """The rows' own memory and work are those of a run without one."""
    figures = []
    for option in ("yes", "no"):
        measure("run", "larson", "--allocators=jemalloc", "--baseline=none", "--reps=1", "--work=20000", "--seed=3",
                f"--timeline={option}", f"--out={option}", cwd=tmp_path)
        figures += rows(tmp_path / option)
    for column in ("ops", "live_bytes_peak", "work"):
        assert figures[0][column] == figures[1][column]
    # The points lie in the memory that is shared with the parent, and count as harness memory.
    assert int(figures[0]["harness_bytes"]) - int(figures[1]["harness_bytes"]) == 512 * 32
    for column in ("rss_bytes_peak", "rss_bytes_purged"):
        assert abs(int(figures[0][column]) - int(figures[1][column])) < 512 * 1024


def test_more_blocks_of_some_combinations_only(tmp_path):
    """--like leaves the others to be added later, and then the run is the one made at once."""
    words = ["run", "pair", "batch", "--allocators=system,jemalloc", "--turns=4", *QUICK]
    assert heapmark(*words, "--reps=2", "--out=run", cwd=tmp_path).returncode == 0
    one = next(row["trial"] for row in rows(tmp_path / "run") if row["workload"] == "batch")
    result = heapmark("run", "--resume=run", "--reps=4", f"--like={one}", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    blocks = {name: [row["block"] for row in rows(tmp_path / "run") if row["workload"] == name] for name in ("pair", "batch")}
    assert sorted(blocks["pair"]) == sorted("0011") and sorted(blocks["batch"]) == sorted("00112233")
    assert heapmark("run", "--resume=run", cwd=tmp_path).returncode == 0
    assert heapmark(*words, "--reps=4", "--out=whole", cwd=tmp_path).returncode == 0
    planned = [
        sorted((int(row["trial"]), row["workload"], row["allocator"]) for row in rows(tmp_path / run))
        for run in ("run", "whole")
    ]
    assert planned[0] == planned[1]


@pytest.fixture(scope="module")
def one_block(tmp_path_factory):
    path = tmp_path_factory.mktemp("one_block")
    result = heapmark("run", "pair", "--allocators=system", *QUICK, "--reps=1", "--out=run", cwd=path)
    assert result.returncode == 0, result.stderr
    return path / "run"


@pytest.mark.parametrize("words, said", [
    (["--resume=run", "--reps=3", "--like=99"], "which are 0 to"),
    (["--resume=run", "--reps=3", "--like=pair"], "is no list of trials"),
    (["--resume=run", "--reps=3", "--like="], "is no list of trials"),
    (["--resume=run", "--like=0"], "stands with these two"), (["pair", "--like=0"], "stands with these two")])
def test_like_refuses_what_is_no_trial(tmp_path, one_block, words, said):
    shutil.copytree(one_block, tmp_path / "run")
    result = heapmark("run", *words, cwd=tmp_path)
    assert result.returncode == 2 and said in result.stderr
