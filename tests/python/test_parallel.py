"""Work in forked processes: in order, with what they raise, and without a fork on one CPU."""

import os
import signal
import subprocess
import sys
import time

import pytest
from heapmark import parallel


def square(value):
    if value < 0:
        raise ValueError(f"{value} is negative")
    return value * value, os.getpid()


def test_results_come_in_order_from_other_processes(monkeypatch):
    monkeypatch.setattr(parallel, "cpus", lambda: 2)
    found = list(parallel.each(square, [(value,) for value in range(9)]))
    assert [value for value, _ in found] == [value * value for value in range(9)]
    assert os.getpid() not in {pid for _, pid in found}


def test_one_cpu_needs_no_process(monkeypatch):
    monkeypatch.setattr(parallel, "cpus", lambda: 1)
    assert {pid for _, pid in parallel.each(square, [(1,), (2,)])} == {os.getpid()}
    with parallel.started(square, 3) as result:
        assert result() == (9, os.getpid())


def test_a_started_call_is_waited_for(monkeypatch):
    monkeypatch.setattr(parallel, "cpus", lambda: 2)
    with parallel.started(square, 4) as result:
        assert result()[0] == 16


@pytest.mark.parametrize("cpus", [1, 2])
def test_what_is_raised_there_is_raised_here(monkeypatch, cpus):
    monkeypatch.setattr(parallel, "cpus", lambda: cpus)
    with pytest.raises(ValueError, match="-1 is negative"):
        list(parallel.each(square, [(1,), (-1,)]))


LEAVES_A_SLEEPER = """
import signal, sys, time
from heapmark import __main__, parallel
parallel.cpus = lambda: 2
signal.signal(signal.SIGTERM, __main__.terminated)
with parallel.started(time.sleep, 60) as result:
    print("started", flush=True)
    if len(sys.argv) > 1:
        result()
    time.sleep(0.5)
"""


def start(*arguments):
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", LEAVES_A_SLEEPER, *arguments], env=env, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    assert process.stdout.readline() == "started\n"
    return process


def test_ending_a_pool_leaves_no_trace():
    process = start()
    assert process.communicate(timeout=30) == ("", "") and process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_is_told_by_the_parent_alone_and_ends_all(number):
    process = start("wait")
    time.sleep(0.3)
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=30)  # which ends only when no child holds the pipe
    assert "ForkPoolWorker" not in err and err.count("Traceback") <= 1
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
