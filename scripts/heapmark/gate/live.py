"""Runs `heapmark run` for the gate: base and head in turns, block by block, until told to stop.

The program that started the analysis is in HEAPMARK_PROGRAM; it is asked for whole blocks, and to
go on with the same run for more. A budget that ends in the middle of a block ends the program as
Ctrl-C would: finished trials stay.
"""

import os
import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from heapmark import load
from heapmark.errors import InputError

END_SECONDS = 20  # for the trials under way when the budget ends


class OutOfTime(Exception):
    """The budget ended before the first block did: to judge a part of the job would hide the rest."""


@dataclass
class Live:
    """A run that grows. `started` is when the budget began, in time.monotonic()'s seconds."""

    job: str
    base: str
    head: str
    path: Path
    budget: float
    extra: tuple = ()
    started: float = field(default_factory=time.monotonic)
    blocks: int = 0
    block_seconds: float = 0.0

    @property
    def spent(self):
        return time.monotonic() - self.started

    def grow_to(self, blocks, trials=()):
        """Add blocks up to `blocks`, or as many as the budget allows.

        Raises InputError, and OutOfTime where it does not allow one whole block.
        `trials`: only of combinations that these trials ran; all of them where it is empty.
        """
        words = ["--resume=" + str(self.path), f"--reps={blocks}"]
        if trials:
            words.append("--like=" + ",".join(map(str, trials)))
        if self.blocks == 0:
            words = [
                self.job, f"--allocators={self.base},{self.head}", f"--baseline={self.base}",
                f"--reps={blocks}", f"--out={self.path}", *self.extra,
            ]  # fmt: skip
        is_new = not self.path.exists()
        begun = time.monotonic()
        try:
            is_whole = call(["run", *words], max(1.0, self.budget - self.spent))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(*self.left_behind(is_new)) from None
        if self.blocks == 0 and not is_whole:
            if is_new:  # what somebody keeps in a directory of that name stays
                remove_empty(self.path)
            raise OutOfTime
        self.block_seconds = (time.monotonic() - begun) / (blocks - self.blocks)
        self.blocks = blocks if is_whole else self.load().blocks

    def left_behind(self, is_new):
        """What an interrupted gate leaves, as a list of one sentence; none without any trial."""
        if is_new:
            remove_empty(self.path)
        if not self.path.exists():
            return []
        name = shlex.quote(str(self.path))
        return [f"what was measured is kept: 'heapmark gate --base={name} --head={name}' judges it"]

    def fitting(self):
        """Blocks that the rest of the budget holds."""
        return int((self.budget - self.spent) / max(self.block_seconds, 1e-3))

    def load(self):
        return load.load_run(str(self.path))


def remove_empty(path):
    """A run without a trial is of no use, and would stand in the way of the next with its name."""
    try:
        with open(path / "trials.csv", encoding="utf-8") as lines:
            has_trials = sum(1 for _ in lines) > 1
    except FileNotFoundError:
        has_trials = False
    if not has_trials:
        shutil.rmtree(path, ignore_errors=True)


def program():
    path = os.environ.get("HEAPMARK_PROGRAM") or shutil.which("heapmark")
    if path is None:
        raise InputError("cannot find the program 'heapmark' to run; start the gate through it")
    return path


def call(words, seconds):
    """Run heapmark for at most so long; whether it came to its end. Its complaint is raised."""
    # The ranking that a run ends with is not wanted here; any program that does nothing will do.
    environment = os.environ | {"HEAPMARK_PYTHON": shutil.which("true") or "/bin/true"}
    with subprocess.Popen(
        [program(), *words], env=environment, text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            _, complaint = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            end(process)
            return False
        except BaseException:
            process.send_signal(signal.SIGINT)
            end(process)
            raise
    # 1: trials failed, which their rows say.
    if process.returncode not in (0, 1):
        lines = [line for line in complaint.splitlines() if line.strip()]
        reason = lines[-1] if lines else f"it ended with code {process.returncode}"
        raise InputError(f"cannot measure: {reason.removeprefix('heapmark: ')}")
    return True


def end(process):
    try:
        return process.communicate(timeout=END_SECONDS)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[1]
