"""Recordings of real programs, as the tests of `heapmark record` make and read them."""

import os
import re
import subprocess
import time

import pytest

HEAPMARK = os.environ["HEAPMARK"]
SUBJECT = os.environ["SUBJECT"]
SUBJECT_CXX = os.environ.get("SUBJECT_CXX", "")
PLAY = os.environ["PLAY"]
ROUNDS = 10000


def record(tmp_path, *command, expect=0, output="t.hmt", environment=None):
    done = subprocess.run([HEAPMARK, "record", "-o", output, "--", *command], cwd=tmp_path,
                          text=True, capture_output=True, timeout=120, env=environment)
    assert done.returncode == expect, done.stderr
    return done


def info(path):
    """The figures of `trace info` by their labels; every number of a line."""
    done = subprocess.run([HEAPMARK, "trace", "info", path], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    figures = {}
    for line in done.stdout.splitlines():
        label, text = line[:18].strip(), line[18:]
        figures[label] = [float(number) for number in re.findall(r"[\d.]*\d", text)]
        figures.setdefault("text", "")
        figures["text"] += line + "\n"
    return figures


def child_of(recorder):
    """The recorded program's pid, as soon as it is there."""
    deadline = time.monotonic() + 60
    while True:
        with open(f"/proc/{recorder.pid}/task/{recorder.pid}/children") as children:
            child = children.read().strip()
        if child:
            return int(child)
        assert recorder.poll() is None and time.monotonic() < deadline
        time.sleep(0.001)


def wait_for_events(recorder, part):
    """Until the first events stand in the unfinished trace."""
    deadline = time.monotonic() + 60
    while not part.exists():
        assert recorder.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)


def stat(pid):
    """What the kernel says of a process, from its state on."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()


def wait_until_stopped(pid):
    deadline = time.monotonic() + 60
    while stat(pid)[0] != "T":
        assert time.monotonic() < deadline
        time.sleep(0.005)


def cpu_seconds(pid):
    return sum(map(int, stat(pid)[11:13])) / os.sysconf("SC_CLK_TCK")


def wait_for_work(pid, seconds):
    """Until it has used so much more processor time, however long a busy machine takes for that."""
    enough, deadline = cpu_seconds(pid) + seconds, time.monotonic() + 60
    while cpu_seconds(pid) < enough:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def command(path):
    """What the trace's process was started as, as `trace info` tells it."""
    (line,) = (line for line in info(path)["text"].splitlines() if line.startswith("command"))
    return line.split(maxsplit=1)[1]


def count(figures, op):
    return int(figures.get(op, [0])[0])


def recorded(tmp_path, mode, expect=0):
    done = record(tmp_path, SUBJECT, mode, expect=expect)
    figures = info(tmp_path / "t.hmt")
    ops = {op: count(figures, op) for op in ("malloc", "calloc", "aligned", "realloc", "free")}
    return done, figures, ops


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path):
    yield
    left = [name for name in os.listdir(tmp_path) if name.endswith((".raw", ".part"))]
    assert left == []


def others(tmp_path):
    """The traces of the processes that the recorded one started."""
    return sorted(name for name in os.listdir(tmp_path) if name.endswith(".hmt") and name != "t.hmt")


def refused(tmp_path, *arguments, environment=None):
    done = subprocess.run([HEAPMARK, *arguments], cwd=tmp_path, text=True, capture_output=True,
                          env=environment)
    assert done.returncode == 2
    assert [name for name in os.listdir(tmp_path) if name.endswith(".hmt")] == []
    return done.stderr
