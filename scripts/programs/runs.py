"""Runs of a program under one allocator after the other, in randomised blocks.

What goes wrong in a run is a Sample's detail, and no error: the others go on.
"""

import hashlib
import os
import random
import shlex
import subprocess
import sys
from dataclasses import dataclass

from heapmark.cells import AA, label_of

from programs import HERE

BASELINE = "system"
SECOND_BASELINE = label_of(BASELINE, AA)
TIMEOUT_S = 60
PAD_BYTES = 4096  # most by which the environment grows at random: the place of the stack matters

# The same for recording and running. Python's own allocator would hide the heap from all others.
ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "LC_ALL": "C",
    "PYTHONMALLOC": "malloc",
    "PYTHONHASHSEED": "0",
    "PERL_HASH_SEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class Failure(Exception):
    """What ends the job; one line, with the remedy."""


def progress(text):
    print(text, file=sys.stderr, flush=True)


def call(words, what, **options):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise Failure(f"{what} ended with {done.returncode}: {said}")
    return done


@dataclass
class Sample:
    """One run of a program; figures are None where it failed."""

    block: int
    label: str
    detail: str  # "" where it went well
    output: str = ""  # its digest
    wall_ns: int = None
    user_ns: int = None
    sys_ns: int = None
    rss_bytes_peak: int = None

    @property
    def cpu_ns(self):
        return self.user_ns + self.sys_ns


def build_launcher(directory):
    launcher = directory / "launch"
    call(["gcc", "-O2", "-o", launcher, HERE / "launch.c"], "gcc")
    return launcher


def preload(entry):
    """What heapmark gives a trial of an allocator of env.json: NAME=VALUE words."""
    words = shlex.split(entry.get("environment") or "")
    return words if entry["allocator"] == BASELINE else [*words, f"LD_PRELOAD={entry['path']}"]


def run_once(launcher, command, settings, block, label):
    """One run as a Sample; what goes wrong becomes its detail."""
    result = launcher.with_name("result")
    result.unlink(missing_ok=True)
    try:
        done = subprocess.run([launcher, result, *settings, "--", *command], env=ENVIRONMENT,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False,
                              timeout=TIMEOUT_S)  # fmt: skip
    except subprocess.TimeoutExpired:
        return Sample(block, label, f"longer than {TIMEOUT_S} s")
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode != 0:
        return Sample(block, label, f"could not be started: {said}")
    status, *figures = map(int, result.read_text(encoding="ascii").split())
    if "cannot be preloaded" in said:
        return Sample(block, label, "could not be preloaded")
    if status != 0:
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else \
            f"exit status {os.WEXITSTATUS(status)}"  # fmt: skip
        return Sample(block, label, f"{how}: {said[-80:]}".rstrip(": "))
    return Sample(block, label, "", hashlib.sha256(done.stdout).hexdigest(), *figures)


def run_blocks(launcher, command, entries, blocks, seed):
    """[Sample] of all blocks; each holds every allocator of env.json's entries once, in an order
    drawn anew, and the baseline twice."""
    settings = {entry["label"]: preload(entry) for entry in entries}
    settings[SECOND_BASELINE] = settings[BASELINE]
    order = random.Random(seed)
    expected = run_once(launcher, command, settings[BASELINE], -1, BASELINE)
    if expected.detail:
        raise Failure(f"{command[0]} fails under the C library: {expected.detail}")
    samples = []
    for block in range(blocks):
        for label in order.sample(list(settings), len(settings)):
            words = [*settings[label], "PAD=" + "x" * order.randrange(PAD_BYTES)]
            sample = run_once(launcher, command, words, block, label)
            if not sample.detail and sample.output != expected.output:
                sample.detail = "another output than under the C library"
            samples.append(sample)
        progress(f"  block {block + 1} of {blocks}")
    return samples
