"""heapmark record: programs that confine themselves (seccomp), and what the recording makes of it."""

import ctypes
import errno
import os
import re
import struct
import subprocess

import pytest
from recordings import HEAPMARK, ROUNDS, SUBJECT, count, info, nothing_left_behind, others, record  # noqa: F401


def test_a_filter_of_one_process_ends_no_other_recording(tmp_path):
    """It may not madvise(): its pages come otherwise, as far as there are any, and the disk is not full."""
    done = record(tmp_path, SUBJECT, "child_without_madvise")
    figures = info(tmp_path / "t.hmt")
    assert count(figures, "malloc") == 21 * ROUNDS and "recording stopped" not in figures["text"]
    assert "disk was full" not in done.stderr
    (child,) = others(tmp_path)
    figures = info(tmp_path / child)
    if "recording stopped" in figures["text"]:
        assert re.search(r"stops before the program's end: process \d+ forbids system calls", done.stderr)
    else:
        assert count(figures, "malloc") == 20 * ROUNDS + 1


def test_a_filter_from_the_beginning(tmp_path):
    """Without madvise() a program cannot be recorded, and is named."""
    done = record(tmp_path, SUBJECT, "replaced_without_madvise")
    assert count(info(tmp_path / "t.hmt"), "malloc") == 1
    assert re.search(r"process \d+ has no trace: it forbids system calls", done.stderr), done.stderr


def forbid_madvise():
    """In this process and all that come from it."""
    number = {"x86_64": 28, "aarch64": 233}[os.uname().machine]
    words = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x50000 | errno.EPERM), (0x06, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *word) for word in words))
    program = struct.pack("HxxxxxxQ", len(words), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0  # no new rights; the filter


def test_a_filter_around_it_all(tmp_path):
    """Then nothing is recorded, and it is said why."""
    done = subprocess.run([HEAPMARK, "record", "-o", "t.hmt", "--", SUBJECT, "every_call"], cwd=tmp_path, text=True,
                          capture_output=True, timeout=60, preexec_fn=forbid_madvise)
    assert done.returncode == 2 and "nothing was recorded" in done.stderr
    assert "forbids system calls that recording needs" in done.stderr


@pytest.mark.parametrize("mode", ["confines_itself", "confines_itself_by_number"])
def test_a_program_that_confines_itself_goes_on(tmp_path, mode):
    """Of the recorder's own system calls each would be its end. As a rule it is recorded to its last call."""
    done = record(tmp_path, SUBJECT, mode)
    figures = info(tmp_path / "t.hmt")
    if "recording stopped" in figures["text"]:
        assert re.search(r"process \d+ forbids system calls", done.stderr)
        assert count(figures, "malloc") > 2 * ROUNDS
    else:
        assert count(figures, "malloc") == count(figures, "free") == 6 * ROUNDS


@pytest.mark.parametrize("options", [["--stacks=8"], ["--cpu"], ["--sample=1/3"], ["--clock=monotonic"]])
def test_what_is_described_of_a_program_that_confines_itself(tmp_path, options):
    done = subprocess.run([HEAPMARK, "record", *options, "-o", "t.hmt", "--", SUBJECT, "confines_itself"], cwd=tmp_path,
                          text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert count(info(tmp_path / "t.hmt"), "malloc") > ROUNDS / 3


def test_children_of_a_program_that_has_confined_itself(tmp_path):
    """They are left out, and counted."""
    done = record(tmp_path, SUBJECT, "forks_confined")
    assert count(info(tmp_path / "t.hmt"), "malloc") == 2 * ROUNDS and others(tmp_path) == []
    assert "1 process was forked by one that had confined itself" in done.stderr, done.stderr


def test_children_that_confine_themselves(tmp_path):
    """One is recorded from then on; one of vfork() does not confine its parent, whose next child is recorded."""
    done = record(tmp_path, SUBJECT, "children_confine_themselves")
    assert count(info(tmp_path / "t.hmt"), "malloc") == ROUNDS
    assert [count(info(tmp_path / child), "malloc") for child in others(tmp_path)] == [ROUNDS, ROUNDS]
    assert "confined itself" not in done.stderr


@pytest.mark.parametrize("mode", ["puts_on_filters", "fails_to_run_programs"])
def test_under_a_filter_it_is_not_even_asked_who_it_is(tmp_path, mode):
    """By further filters and exec() that fail, too."""
    record(tmp_path, SUBJECT, mode)
    assert count(info(tmp_path / "t.hmt"), "malloc") == 2 * ROUNDS


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="its clock cannot be shut off")
@pytest.mark.parametrize("mode", ["shuts_the_clock_off_confined", "confines_itself_unrecorded"])
def test_a_clock_that_is_shut_off_and_a_filter(tmp_path, mode):
    record(tmp_path, SUBJECT, mode)
    assert count(info(tmp_path / "t.hmt"), "malloc") == ROUNDS


@pytest.mark.parametrize("mode", ["tries_filters", "fails_for_all_threads"])
def test_filters_that_are_tried_in_vain(tmp_path, mode):
    record(tmp_path, SUBJECT, mode)
    (child,) = others(tmp_path)
    assert count(info(tmp_path / child), "malloc") == ROUNDS


def test_filters_that_are_tried_where_nobody_can_make_room(tmp_path):
    """60 tries take less than 2 s."""
    record(tmp_path, SUBJECT, "tries_filters_alone")


def test_strict_mode(tmp_path):
    """There the clock is shut off as well: the recording ends."""
    done = record(tmp_path, SUBJECT, "goes_strict")
    (child,) = others(tmp_path)
    figures = info(tmp_path / child)
    assert count(figures, "malloc") == 1 and "recording stopped" in figures["text"]
    assert re.search(r"process \d+ shut itself off from the clock", done.stderr)


def test_strict_mode_that_is_refused(tmp_path):
    """As it is under a filter: then nothing is shut off."""
    record(tmp_path, SUBJECT, "goes_strict_in_vain")
    assert count(info(tmp_path / "t.hmt"), "malloc") == 2 * ROUNDS


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="its clock cannot be shut off")
def test_a_clock_that_is_shut_off(tmp_path):
    """In its children, too."""
    done = record(tmp_path, SUBJECT, "shuts_the_clock_off")
    figures = info(tmp_path / "t.hmt")
    assert count(figures, "malloc") == ROUNDS and "recording stopped" in figures["text"]
    assert re.search(r"process \d+ shut itself off from the clock", done.stderr) and others(tmp_path) == []


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="its clock cannot be shut off")
def test_a_clock_that_is_shut_off_before_the_first_call(tmp_path):
    """It is said once."""
    done = record(tmp_path, SUBJECT, "shuts_the_clock_off_at_once", expect=2)
    assert "nothing was recorded" in done.stderr and done.stderr.count("shut itself off") == 1, done.stderr


def test_system_calls_by_number(tmp_path):
    """With as many arguments as they have; what does not confine is the program's business."""
    record(tmp_path, SUBJECT, "calls_by_number")
    assert count(info(tmp_path / "t.hmt"), "malloc") == ROUNDS
