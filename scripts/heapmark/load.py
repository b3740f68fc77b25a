"""The one loader: a run directory becomes a Run whose every value can be relied on, or is refused.

What the rest may take for granted: the columns of CONTRACT exist; numbers are numbers, NaN where
the file is empty; every status is known; a row that is `ok` took more than 0 ns; no combination
occurs twice in a block; the baseline took part. Everything else is an InputError that names the
file, the line and the remedy.
"""

import csv
import io
import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType

import numpy as np
import pandas as pd

from heapmark.cells import AA, Cell, is_floor, label_of, order
from heapmark.errors import InputError, nearest

SCHEMA_VERSION = 1
RESULTS = Path("results")  # where a bare run name is looked up
OK = "ok"
STATUSES = (OK, "crashed", "timeout", "oom", "corrupt", "preload-failed", "unsupported")
TYPES = ("text", "count", "real")
COUNT_MAX = float(2**64 - 1)
# What a number's text must look like, and what to call it; "nan" and "inf" are none.
NUMBERS = {
    "count": (re.compile("[0-9]{1,20}").fullmatch, "a whole number"),
    "real": (
        re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?").fullmatch,
        "a finite number",
    ),
}

CELL_COLUMNS = ("workload", "params", "threads", "placement", "mempolicy")
# Columns the analysis reads. A figure may be empty in any row; the column itself must be there.
CONTRACT = (
    ("run", "block", "trial", "allocator", "variant", "status", "detail", "ops", "wall_ns")
    + CELL_COLUMNS
    + ("live_bytes_peak", "rss_bytes_peak", "harness_bytes", "malloc_ns_p99")
)
ALWAYS_FILLED = ("block", "trial", "threads")
FILLED_WHEN_OK = ("ops", "wall_ns")
CALLGRIND = "callgrind"  # the flag of a trial that was counted and not timed


@dataclass(frozen=True)
class Contender:
    """An allocator with its knobs, as env.json describes it."""

    label: str
    allocator: str
    colour: str  # "" where env.json gives none


@dataclass(frozen=True)
class Run:
    """A valid run.

    `trials` has the columns of trials.csv and three more: `cell` (a Cell), `label` (allocator and
    variant; the baseline's second part in an A/A run has the variant "aa") and `floor` (the trial
    measures the harness and not an allocator, or makes no operation that a ratio could be of).
    """

    path: Path
    name: str
    baseline: str  # None where no job of the run has one
    env: dict
    trials: pd.DataFrame
    contenders: list = field(default_factory=list)

    @property
    def ok(self):
        return self.trials[self.trials["status"] == OK]

    @property
    def failed(self):
        return self.trials[self.trials["status"] != OK]

    @property
    def compared(self):
        """The trials that contend; the others are the harness's own floor."""
        return self.trials[~self.trials["floor"]]

    @property
    def blocks(self):
        return self.trials["block"].nunique()

    @property
    def idle(self):
        """Names of the workloads that made no operation."""
        return sorted({cell.workload for cell in idle_cells(self.trials)})


def load_run(name):
    """Load the run `name`: a directory, or the name of one under results/. Raises InputError."""
    path = find_run(name)
    env = read_env(path / "env.json")
    trials = read_trials(path / "trials.csv", env["columns"])
    run = Run(
        path=path,
        name=env["run"]["name"],
        baseline=env["run"]["baseline"],
        env=env,
        trials=trials,
        contenders=contenders_of(env),
    )
    check_runs_agree(run)
    check_baseline(run)
    return run


# ---- the run directory --------------------------------------------------------------------------


def find_run(name):
    for path in (Path(name), RESULTS / name):
        if path.is_dir():
            return path
    if Path(name).is_file():
        raise InputError(f"'{name}' is a file; give the run directory that holds it")
    known = sorted(entry.name for entry in RESULTS.iterdir()) if RESULTS.is_dir() else []
    raise InputError(
        f"cannot find run '{name}': neither it nor '{RESULTS / name}' is a directory"
        + (nearest(name, known) or "; 'heapmark run quick' makes a run")
    )


def read_text(path):
    try:
        # File names in a row may be in any encoding; what is not UTF-8 stays visible as \xNN.
        return path.read_bytes().decode("utf-8", errors="backslashreplace")
    except FileNotFoundError:
        raise InputError(
            f"cannot open '{path}': no such file; give a directory that 'heapmark run' wrote"
        ) from None
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror.lower()}") from None


# ---- env.json -----------------------------------------------------------------------------------

# What must be there and its type; "allocators[].label" holds for every member of the list.
ENV_CONTRACT = {
    "run": dict,
    "run.name": str,
    "run.baseline": (str, NoneType),
    "machine": dict,
    "allocators": list,
    "allocators[].label": str,
    "allocators[].allocator": str,
    "columns": list,
    "columns[].name": str,
    "columns[].type": str,
    "traces": list,
    "traces[].trace": str,
    "traces[].command": (str, NoneType),
    "traces[].events": int,
    "traces[].half_seen": (int, NoneType),
    "traces[].successor": (str, NoneType),
}
TYPE_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a string",
    (str, NoneType): "a string or null",
    int: "a whole number",
    (int, NoneType): "a whole number or null",
}


def read_env(path):
    text = read_text(path)
    try:
        env = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"'{path}' is not valid JSON ({error}); take the run anew") from None
    if not isinstance(env, dict):
        raise InputError(f"'{path}' does not hold a JSON object; take the run anew")
    check_schema_version(env.get("schema_version"), path)
    env.setdefault("traces", [])  # a run from before they were described
    for key, kind in ENV_CONTRACT.items():
        check_env_key(env, key, kind, path)
    for column in env["columns"]:
        if column["type"] not in TYPES:
            raise InputError(
                f"'{path}': column '{column['name']}' has the unknown type '{column['type']}'; "
                f"known are {', '.join(TYPES)}"
            )
    return env


def check_schema_version(version, path):
    if version == SCHEMA_VERSION:
        return
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise InputError(
            f"'{path}' has schema version {version}, this heapmark reads up to {SCHEMA_VERSION}; "
            "use the heapmark that made the run, or a newer one"
        )
    raise InputError(f"'{path}' has no schema version that is known; take the run anew")


MISSING = object()  # of none of the types


def check_env_key(env, key, kind, path):
    prefix, is_list, member = key.partition("[].")
    if is_list:
        holders = env[prefix]
    else:
        *parents, member = key.split(".")
        holders = [env[parents[0]] if parents else env]
    for holder in holders:
        if not isinstance(holder, dict) or not isinstance(holder.get(member, MISSING), kind):
            raise InputError(f"'{path}': '{key}' must be {TYPE_NAMES[kind]}; take the run anew")


def contenders_of(env):
    return [
        Contender(entry["label"], entry["allocator"], str(entry.get("colour") or ""))
        for entry in env["allocators"]
    ]


# ---- trials.csv ---------------------------------------------------------------------------------


def read_trials(path, columns):
    lines, rows = read_rows(path)
    names = check_header(rows[0], columns, path)
    if len(rows) == 1:
        raise InputError(f"'{path}' holds a header and no trial; 'heapmark run' fills it")
    check_widths(rows, lines, path)
    data = dict(zip(names, zip(*rows[1:])))
    lines = np.array(lines[1:])
    for column in columns:
        if column["type"] != "text":
            data[column["name"]] = numbers(column, data[column["name"]], lines, path)
    trials = pd.DataFrame(data)
    check_values(trials, lines, path)
    return with_names(trials, lines, path)


def read_rows(path):
    """All rows with the number of the line on which each ends."""
    text = read_text(path)
    if not text.strip():
        raise InputError(f"'{path}' is empty; 'heapmark run' fills it")
    lines, rows = [], []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            rows.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        if reader.line_num < text.count("\n"):
            raise InputError(
                f"'{path}' line {reader.line_num} is not CSV ({error}); the file was damaged"
            ) from None
        raise torn(path, reader.line_num) from None
    if not text.endswith("\n"):
        raise torn(path, lines[-1])
    return lines, rows


def torn(path, line):
    return InputError(
        f"'{path}' line {line} is torn: the run was stopped while writing it; "
        f"'heapmark run --resume={path.parent}' mends it and goes on"
    )


def check_header(header, columns, path):
    described = [column["name"] for column in columns]
    missing = [name for name in CONTRACT if name not in header]
    missing += [name for name in described if name not in header and name not in missing]
    if missing:
        raise InputError(
            f"'{path}' lacks the column{'s' * (len(missing) > 1)} "
            + ", ".join(f"'{name}'" for name in missing)
            + "; it is not the file that 'heapmark run' wrote"
        )
    for name in header:
        if name not in described:
            raise InputError(f"'{path}': column '{name}' is not described in env.json")
        if header.count(name) > 1:
            raise InputError(f"'{path}' has the column '{name}' twice")
    check_contract_types(columns, path)
    return header


def check_contract_types(columns, path):
    text = ("run", "allocator", "variant", "status", "detail", "workload", "params", "placement")
    text += ("mempolicy",)
    for column in columns:
        if column["name"] in CONTRACT and (column["type"] == "text") != (column["name"] in text):
            raise InputError(
                f"'{path.parent / 'env.json'}': column '{column['name']}' cannot be of the type "
                f"'{column['type']}'"
            )


def check_widths(rows, lines, path):
    expected = len(rows[0])
    for row, line in zip(rows, lines):
        if len(row) != expected:
            if line == lines[-1] and len(row) < expected:
                raise torn(path, line)
            raise InputError(
                f"'{path}' line {line} has {len(row)} fields, the header {expected}; "
                "the file was edited or damaged"
            )


def numbers(column, texts, lines, path):
    """A column's texts as floats, empty as NaN; refuses what is no number of the column's type."""
    matches, expected = NUMBERS[column["type"]]
    values = np.full(len(texts), math.nan)
    for row, text in enumerate(texts):
        if text == "":
            continue
        value = float(text) if matches(text) else math.nan
        if not value <= COUNT_MAX:  # true for NaN and infinity as well
            raise InputError(
                f"'{path}' line {lines[row]}: '{column['name']}' is '{text}', not {expected}"
            )
        values[row] = value
    return values


def refuse_first(bad, lines, path, describe):
    """Raise InputError for the first row that is bad; `describe` says what is wrong with it."""
    rows = np.flatnonzero(np.asarray(bad, dtype=bool))
    if rows.size:
        raise InputError(f"'{path}' line {lines[rows[0]]}: {describe(rows[0])}")


def check_values(trials, lines, path):
    refuse_first(~trials["status"].isin(STATUSES), lines, path, lambda row: (
        f"unknown status '{trials['status'][row]}'; known are {', '.join(STATUSES)}"
    ))
    for name in ALWAYS_FILLED:
        refuse_first(trials[name].isna(), lines, path, lambda row: f"'{name}' is empty")
    ok = trials["status"] == OK
    counted = is_counted(trials)
    instructions = trials.get("instructions", pd.Series(math.nan, trials.index))
    refuse_first(ok & counted & ~(instructions > 0), lines, path, lambda row: (
        "'instructions' is empty in a trial under callgrind that is 'ok'"
    ))
    for name in FILLED_WHEN_OK:
        timed = ok & ~counted if name == "wall_ns" else ok
        refuse_first(timed & trials[name].isna(), lines, path, lambda row: (
            f"'{name}' is empty in a trial that is 'ok'; no trial without a figure is a result"
        ))
    refuse_first(ok & (trials["wall_ns"] == 0), lines, path, lambda row: (
        "'wall_ns' is 0 in a trial that is 'ok'; no ratio can be taken, give the workload more work"
    ))


def is_counted(trials):
    """Whether a trial's instructions were counted under callgrind: it has no times then."""
    if not {"flags", "instructions"} <= set(trials):  # a run from before there were counts
        return pd.Series(False, trials.index)
    return trials["flags"].str.split().map(lambda words: CALLGRIND in words)


def with_names(trials, lines, path):
    keys = list(zip(*(trials[name] for name in CELL_COLUMNS)))
    cells = {key: Cell(key[0], key[1], int(key[2]), key[3], key[4]) for key in set(keys)}
    labels = [label_of(*pair) for pair in zip(trials["allocator"], trials["variant"])]
    floor = [is_floor(*pair) for pair in zip(trials["workload"], trials["allocator"])]
    trials = trials.assign(cell=[cells[key] for key in keys], label=labels, floor=floor)
    trials["floor"] |= trials["cell"].isin(idle_cells(trials))
    trials["block"] = trials["block"].astype(int)
    refuse_first(trials.duplicated(["cell", "label", "block"]), lines, path, lambda row: (
        f"'{trials['label'][row]}' ran '{trials['workload'][row]}' a second time in block "
        f"{trials['block'][row]}; the file was edited, or two runs were joined"
    ))
    return trials


def idle_cells(trials):
    """Cells in which trials went well and nobody made an operation."""
    most = trials[trials["status"] == OK].groupby("cell", sort=False)["ops"].max()
    return list(most.index[most == 0])


# ---- both together ------------------------------------------------------------------------------


def check_runs_agree(run):
    names = sorted(run.trials["run"].unique())
    if len(names) > 1:
        raise InputError(
            f"'{run.path / 'trials.csv'}' holds rows of the runs '{names[0]}' and '{names[1]}'; "
            "a run directory holds one"
        )


def check_baseline(run):
    labels = set(run.compared["label"])
    if labels and run.baseline is not None and run.baseline not in labels:
        known = sorted(set(run.compared.loc[run.compared["variant"] != AA, "label"]))
        raise InputError(
            f"run '{run.name}' has no trial of its baseline '{run.baseline}'; it holds "
            f"{', '.join(known)}: take it anew with one of them as --baseline"
        )
    if run.ok.empty:
        first = run.failed.iloc[0]
        raise InputError(
            f"run '{run.name}' has no trial that went well: {describe_failures(run.failed)}; "
            f"the first: {first['label']} in {first['workload']}: "
            f"{first['detail'] or first['status']}"
        )


def describe_failures(failed):
    """The statuses of failed trials with their counts, as "2 crashed, 1 timeout"."""
    counts = failed["status"].value_counts()
    return ", ".join(f"{counts[name]} {name}" for name in STATUSES if name in counts)


def cells_of(trials):
    """The cells of the trials in the order in which people expect them."""
    return sorted(trials["cell"].unique(), key=order)
