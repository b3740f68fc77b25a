"""Several processes in one recording: which of them a trace is of, and what one meets is said of all."""

import os
import re
import subprocess

import pytest
from recordings import HEAPMARK, ROUNDS, SUBJECT, count, info, nothing_left_behind, others, record  # noqa: F401


def needs_namespaces():
    if subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True).returncode != 0:
        pytest.skip("a PID namespace needs root")


def test_pids_that_are_used_in_two_namespaces(tmp_path):
    """Both are process 1 of their own: the one that comes later does not end the recording of the other."""
    needs_namespaces()
    script = f"unshare --pid --fork {SUBJECT} pauses & sleep 0.15; unshare --pid --fork {SUBJECT} every_call; wait"
    alone = record(tmp_path, SUBJECT, "pauses")
    wanted = count(info(tmp_path / "t.hmt"), "malloc")
    done = record(tmp_path, "sh", "-c", script)
    inside = [name for name in others(tmp_path) if name.startswith("t.1.")]
    assert len(inside) == 2, done.stderr
    assert wanted in [count(info(tmp_path / name), "malloc") for name in inside], alone.stderr + done.stderr
    for name in inside:
        assert "exec()" not in info(tmp_path / name)["text"]


def test_a_pid_that_is_used_again(tmp_path):
    """Each is process 1 where it runs, one after the other: none became the next one."""
    needs_namespaces()
    record(tmp_path, "sh", "-c", f"for i in 1 2 3; do unshare --pid --fork {SUBJECT} every_call; done")
    inside = [name for name in others(tmp_path) if name.startswith("t.1.")]
    assert len(inside) == 3
    assert not any("exec()" in info(tmp_path / name)["text"] for name in inside)


def test_a_time_namespace(tmp_path):
    """There the same start has another time, to whom that is told from outside."""
    if subprocess.run(["unshare", "--time", "--boottime", "100000", "true"], capture_output=True).returncode != 0:
        pytest.skip("a time namespace needs root, and Linux 5.6")
    record(tmp_path, SUBJECT, "pauses")
    wanted = count(info(tmp_path / "t.hmt"), "malloc")
    record(tmp_path, "unshare", "--time", "--boottime", "100000", SUBJECT, "pauses")
    (inside,) = others(tmp_path)
    assert count(info(tmp_path / inside), "malloc") == wanted
    assert "exec()" in info(tmp_path / "t.hmt")["text"]  # unshare became the program


@pytest.mark.parametrize("ahead", ["100000", "-100"])
def test_the_clock_of_a_time_namespace(tmp_path, ahead):
    """Its times are told as everybody else's: when it began, and what the trace holds before its end."""
    inside = ["unshare", "--time", "--monotonic", ahead, "--fork"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("a time namespace needs root, and Linux 5.6")
    for outer, inner in (([], inside), (inside, [])):
        done = subprocess.run([*outer, HEAPMARK, "record", "--clock=monotonic", "-o", "t.hmt", "--", "sh", "-c",
                               f"sleep 0.1; {' '.join(inner)} {SUBJECT} pairs"], cwd=tmp_path, text=True,
                              capture_output=True)
        assert done.returncode == 0, done.stderr
        (trace,) = [name for name in others(tmp_path) if count(info(tmp_path / name), "malloc") == ROUNDS]
        table = subprocess.run([HEAPMARK, "trace", "info", "--format=csv", "--table=summary", trace], cwd=tmp_path,
                               text=True, capture_output=True, check=True).stdout
        start = int(re.search(r"start_ns,(\d+)", table)[1])
        assert 100_000_000 < start < 60_000_000_000
        for name in others(tmp_path):
            os.remove(tmp_path / name)


def test_more_processes_than_descriptors(tmp_path):
    """They go on when the program has ended, and are recorded to their ends whatever `ulimit -n` says."""
    script = "".join(f"{SUBJECT} pauses & " for _ in range(30))
    done = subprocess.run(["bash", "-c", f'ulimit -Sn 24; exec {HEAPMARK} record -o t.hmt -- sh -c "{script}"'],
                          cwd=tmp_path, text=True, capture_output=True, timeout=100)
    assert done.returncode == 0, done.stderr
    calls = [count(info(tmp_path / name), "malloc") for name in others(tmp_path)]
    assert calls.count(max(calls)) == 30 and sorted(calls)[-31] < 100
    limits = record(tmp_path, "sh", "-c", "ulimit -Sn 24; exec sh -c 'ulimit -Sn'")
    assert limits.stdout.strip() == "24"
    assert record(tmp_path, "sh", "-c", "ulimit -Sn").stdout == subprocess.run(
        ["sh", "-c", "ulimit -Sn"], text=True, capture_output=True).stdout  # the program's own stays


def test_a_size_limit_is_said_of_all_that_it_cuts_off(tmp_path):
    """The shell and the sleeper go on meanwhile, and are over when their last calls are not recorded."""
    done = subprocess.run([HEAPMARK, "record", "--max-size=1m", "-o", "t.hmt", "--", "sh", "-c",
                           f"{SUBJECT} pauses & {SUBJECT} millions_of_sizes; wait; true"],
                          cwd=tmp_path, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    cut = [name for name in os.listdir(tmp_path) if "recording stopped" in info(tmp_path / name)["text"]]
    without = re.search(r"(\d) process(?:es)? beside them ha", done.stderr)  # those of which nothing was written yet
    assert len(cut) + (int(without[1]) if without else 0) == 3, done.stderr
    assert done.stderr.count("ends early: --max-size was reached") == len(cut)


def test_a_limit_does_not_cut_off_what_had_ended(tmp_path):
    """Nor where a namespace hides it: who had ended is looked up, and the one that runs is found."""
    needs_namespaces()
    inner = f"{SUBJECT} every_call; {SUBJECT} pauses & sleep 0.3; {SUBJECT} millions_of_sizes; wait; true"
    done = subprocess.run([HEAPMARK, "record", "--max-size=1m", "-o", "t.hmt", "--", "unshare", "--pid", "--fork", "sh", "-c",
                           inner], cwd=tmp_path, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    figures = [info(tmp_path / name) for name in others(tmp_path)]
    (whole,) = [each for each in figures if count(each, "aligned") > 0]  # of every_call
    assert "recording stopped" not in whole["text"]
    assert len([each for each in figures if "recording stopped" in each["text"] and count(each, "malloc") > 50]) >= 1


def test_processes_without_a_trace_are_counted(tmp_path):
    """There is room for a block of one of the three."""
    done = subprocess.run([HEAPMARK, "record", "--max-size=64k", "-o", "t.hmt", "--", "sh", "-c",
                           f"for i in 1 2 3; do {SUBJECT} millions_of_sizes & done; wait; true"],
                          cwd=tmp_path, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert re.search(r"[2-9] processes beside them have no trace: recording had ended first", done.stderr), done.stderr


def test_a_full_disk_is_said_of_all_that_it_cuts_off(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", small], capture_output=True).returncode != 0:
        pytest.skip("mounting needs root")
    try:
        script = f"for i in 1 2 3; do {SUBJECT} millions_of_sizes & done; wait; true"
        done = record(tmp_path, "sh", "-c", script, output="small/t.hmt")
        if (small / "t.hmt").exists():  # the shell's, which asked for no more space
            assert "recording stopped" in info(small / "t.hmt")["text"]
        else:
            assert "beside them" in done.stderr
        figures = [info(small / name) for name in os.listdir(small)]
        cut = [count(each, "malloc") for each in figures if "recording stopped" in each["text"]]
        whole = [count(each, "malloc") for each in figures if "recording stopped" not in each["text"]]
        assert len([calls for calls in cut if calls > ROUNDS]) >= 2
        assert all(calls >= 200 * ROUNDS or calls < 1000 for calls in whole)  # whole ones, or before exec()
    finally:
        subprocess.run(["umount", small], check=True)


def test_nobody_reads_what_is_said(tmp_path):
    """As in `heapmark record ... 2>&1 | head`: the files are put away all the same."""
    recorder = subprocess.Popen([HEAPMARK, "record", "-o", "t.hmt", "--", "sh", "-c", "kill -PIPE $$"],
                                cwd=tmp_path, stderr=subprocess.PIPE)
    recorder.stderr.close()
    assert recorder.wait(timeout=60) == 1  # the program has the signal as it was
    assert os.listdir(tmp_path) == ["t.hmt"]
