"""heapmark record: programs that confine themselves (seccomp), and what the recording makes of it."""

import ctypes
import errno
import os
import re
import struct
import subprocess

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
