"""Runs `heapmark run` for the gate: base and head in turns, block by block, until told to stop.

The program that started the analysis is in HEAPMARK_PROGRAM; it is asked for whole blocks, and to
go on with the same run for more. A budget that ends in the middle of a block ends the program as
Ctrl-C would: finished trials stay.
"""

import os
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
    """The budget ended before the first trial did: there is nothing to judge."""


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

        Raises InputError, and OutOfTime where it allows not even one trial.
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
        begun = time.monotonic()
        call(["run", *words], max(1.0, self.budget - self.spent))
        if self.blocks == 0 and not has_trials(self.path):
            raise OutOfTime
        self.block_seconds = (time.monotonic() - begun) / (blocks - self.blocks)
        self.blocks = blocks

    def fitting(self):
        """Blocks that the rest of the budget holds."""
        return int((self.budget - self.spent) / max(self.block_seconds, 1e-3))

    def load(self):
        return load.load_run(str(self.path))


def has_trials(path):
    """Whether a run's file of trials, which may not exist yet, holds more than its header."""
    try:
        with open(path / "trials.csv", encoding="utf-8") as lines:
            return sum(1 for _ in lines) > 1
    except FileNotFoundError:
        return False


def program():
    path = os.environ.get("HEAPMARK_PROGRAM") or shutil.which("heapmark")
    if path is None:
        raise InputError("cannot find the program 'heapmark' to run; start the gate through it")
    return path


def call(words, seconds):
    """Run heapmark for at most so long. Its own complaint becomes the InputError's."""
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
            return
        except BaseException:
            process.send_signal(signal.SIGINT)
            end(process)
            raise
    # 1: trials failed, which their rows say.
    if process.returncode not in (0, 1):
        lines = [line for line in complaint.splitlines() if line.strip()]
        reason = lines[-1] if lines else f"it ended with code {process.returncode}"
        raise InputError(f"cannot measure: {reason.removeprefix('heapmark: ')}")


def end(process):
    try:
        return process.communicate(timeout=END_SECONDS)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[1]
