"""The files beside trials.csv that hold several rows for a trial, checked as strictly as it is."""

import numpy as np
import pandas as pd

from heapmark import load
from heapmark.errors import InputError

# Columns the analysis reads of each file; all are whole numbers but those of TEXT.
CONTRACTS = {
    "turns.csv": ("trial", "turn", "wall_ns", "ops"),
    "timeline.csv": ("trial", "t_ns", "live_bytes", "rss_bytes"),
    "functions.csv": ("trial", "rank", "function", "object", "instructions"),
}
TEXT = ("run", "function", "object")


def read(run, name):
    """The rows of file `name` of a run as a table, or None where the run has no such file.

    Raises InputError for what is damaged, and for rows of trials that trials.csv does not have.
    """
    path = run.path / name
    if not path.exists():
        return None
    lines, rows = load.read_rows(path)
    check_header(rows[0], CONTRACTS[name], path)
    load.check_widths(rows, lines, path)
    columns = zip(*rows[1:]) if len(rows) > 1 else [()] * len(rows[0])
    data = {
        column: texts if column in TEXT else filled(column, texts, lines[1:], path)
        for column, texts in zip(rows[0], columns)
    }
    table = pd.DataFrame(data)
    load.refuse_first(~table["trial"].isin(run.trials["trial"]), lines[1:], path, lambda row: (
        f"trial {table['trial'][row]:.0f} is not in trials.csv; the file was edited or damaged"
    ))
    return table


def check_header(header, contract, path):
    missing = [name for name in contract if name not in header]
    if missing or len(set(header)) != len(header):
        what = f"lacks the column '{missing[0]}'" if missing else "has a column twice"
        raise InputError(f"'{path}' {what}; it is not the file that 'heapmark run' wrote")


def filled(name, texts, lines, path):
    values = load.numbers({"name": name, "type": "count"}, texts, lines, path)
    load.refuse_first(np.isnan(values), lines, path, lambda row: f"'{name}' is empty")
    return values


def turns(run):
    """The run's turns with their trial's `cell`, `label` and `block`, or None.

    Of good trials that contend only.
    """
    table = read(run, "turns.csv")
    if table is None or table.empty:
        return None
    path = run.path / "turns.csv"
    if table.duplicated(["trial", "turn"]).any():
        raise InputError(f"'{path}' holds a turn of a trial twice; the file was edited")
    ok = run.ok[~run.ok["floor"]]  # what makes no operations has turns too, and takes no part
    table = table[["trial", "turn", "wall_ns", "ops"]]
    table = table.merge(ok[["trial", "cell", "label", "block"]], on="trial")
    for name in ("wall_ns", "ops"):
        if (table[name] == 0).any():
            raise InputError(f"'{path}': '{name}' is 0 in a turn; no ratio can be taken")
    return table
