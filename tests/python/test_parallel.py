"""Work in forked processes: in order, with what they raise, and without a fork on one CPU."""

import os

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
