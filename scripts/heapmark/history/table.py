"""The history file: a row for each comparison of each gate, RFC 4180, only ever appended."""

import csv
import io
import math
import subprocess

import numpy as np
import pandas as pd

from heapmark import load
from heapmark.errors import InputError
from heapmark.gate.judge import STATUS

COLUMNS = ("taken", "commit", "machine", "job", "base", "head", "metric", "workload", "ratio",
           "low", "high", "limit", "verdict")  # fmt: skip
NUMBERS = ("ratio", "low", "high", "limit")
KEY = ["machine", "job", "base", "metric", "workload"]  # what makes one series


def text_of(value):
    return "" if value is None or math.isnan(value) else f"{value:.6g}"


def rows_of(result, commit):
    for finding in result.findings:
        estimate = finding.estimate
        if finding.metric == STATUS:
            continue
        yield [
            result.taken.isoformat(timespec="seconds"), commit, result.machine, result.job,
            result.base, result.head, finding.metric, finding.workload,
            text_of(estimate.value if estimate else None),
            text_of(estimate.low if estimate else None),
            text_of(estimate.high if estimate else None), text_of(finding.limit), finding.state,
        ]  # fmt: skip


def append(path, result, commit):
    """Add a gate's rows in one write, so that two gates that end together cannot mix theirs."""
    check(path)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if not path.exists() or path.stat().st_size == 0:
        writer.writerow(COLUMNS)
    writer.writerows(rows_of(result, commit))
    with open(path, "a", encoding="utf-8", newline="") as file:
        file.write(out.getvalue())


def check(path):
    """Refuse a file that is not a history before anything is appended to it."""
    if path.exists() and path.stat().st_size > 0:
        _, rows = load.read_rows(path)
        check_header(rows[0], path)


def check_header(header, path):
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise InputError(f"'{path}' lacks the column '{missing[0]}'; it is not a history that "
                         "'heapmark gate --history' wrote")  # fmt: skip


def read(path):
    """The history as a table with COLUMNS, in the file's order; figures are floats, NaN if empty.

    Raises InputError. What plots of trends read as well.
    """
    lines, rows = load.read_rows(path)
    check_header(rows[0], path)
    load.check_widths(rows, lines, path)
    if len(rows) == 1:
        raise InputError(f"'{path}' holds a header and no gate; 'heapmark gate --history' adds one")
    data = dict(zip(rows[0], zip(*rows[1:])))
    for name in NUMBERS:
        column = {"name": name, "type": "real"}
        data[name] = load.numbers(column, data[name], lines[1:], path)
        load.refuse_first(np.asarray(data[name]) <= 0, lines[1:], path, lambda row, name=name: (
            f"'{name}' is not above 0; the file was edited"
        ))
    return pd.DataFrame(data)


def series(table):
    """(key, rows) of each series of a history: one metric of one workload on one machine."""
    return [(dict(zip(KEY, key)), part) for key, part in table.groupby(KEY, sort=False)]


def git_head():
    """The commit that is checked out where the gate runs, or ""."""
    try:
        found = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True,
                               text=True, timeout=10)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
