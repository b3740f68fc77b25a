"""What the tests of whole runs share: starting the program, reading what it wrote."""

import csv
import os
import pathlib
import subprocess

BUILD = pathlib.Path(os.environ["HEAPMARK_BUILD"])
HEAPMARK = BUILD / "heapmark"
FAULTY = BUILD / "tests" / "faulty"


def heapmark(*words, cwd, **options):
    return subprocess.run([HEAPMARK, *map(str, words)], cwd=cwd, text=True, capture_output=True,
                          timeout=120, **options)


def measure(*words, cwd, **options):
    """The same without the analysis behind a run, which takes longer than small runs do: for tests that do not
    read its words, nor an exit code that it could change (which is from 0 to 1)."""
    environment = {**(options.pop("env", None) or os.environ), "HEAPMARK_PYTHON": "/bin/true"}
    return heapmark(*words, cwd=cwd, env=environment, **options)


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def rows(run):
    return table(run / "trials.csv")
