"""heapmark record: threads that are cancelled are so where the program's own calls have them cancelled."""

import os
import subprocess

import pytest
from recordings import HEAPMARK, SUBJECT, nothing_left_behind, record  # noqa: F401


def test_the_recorder_calls_no_cancellation_point():
    """The joins that it stands for are the program's, and are looked up by name."""
    points = os.path.join(os.path.dirname(__file__), "cancellation_points.sh")
    done = subprocess.run([points, os.environ["RECORDER"]], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("options", [[], ["--stacks=4"], ["--sample=1/3"], ["--clock=monotonic"]])
def test_what_is_no_cancellation_point(tmp_path, options):
    """A thread that is to end goes on through filters, calls, exec() that fails, posix_spawn(), fork() and mlockall()."""
    done = subprocess.run([HEAPMARK, "record", *options, "-o", "t.hmt", "--", SUBJECT, "is_cancelled"], cwd=tmp_path,
                          text=True, capture_output=True, timeout=20)
    assert done.returncode == 0, done.stderr


def test_a_killed_child_of_vfork_leaves_its_parent_cancellable(tmp_path):
    record(tmp_path, SUBJECT, "stays_cancellable")
