"""The command `heapmark history FILE`: each series' levels and where they changed."""

import json
from pathlib import Path

import numpy as np

from heapmark import terminal
from heapmark.errors import InputError
from heapmark.history import changes, table

HEADINGS = ("metric", "workload", "gates", "ratio now", "changed at", "by")


def command(options):
    found = table.read(Path(options.file))
    for name in ("metric", "workload"):
        wanted = getattr(options, name)
        if wanted is not None:
            found = found[found[name] == wanted]
            if found.empty:
                raise InputError(f"'{options.file}' has no row of the {name} '{wanted}'")
    described = [describe(key, rows) for key, rows in table.series(found)]
    print(as_json(described) if options.json else as_text(described), end="")


def describe(key, rows):
    """A series as a dictionary: what it is of, its gates, its changes."""
    rows = rows[rows["ratio"].notna()]
    marks = [
        {
            "at": change.at,
            "taken": rows["taken"].iloc[change.at],
            "commit": rows["commit"].iloc[change.at],
            "factor": change.factor,
            "p": change.p_value,
        }
        for change in changes.find(np.log(rows["ratio"].to_numpy(dtype=float)))
    ]
    last = float(rows["ratio"].iloc[-1]) if len(rows) else None
    return key | {"gates": len(rows), "ratio": last, "changes": marks}


def as_json(described):
    return json.dumps({"version": 1, "series": described}, indent=1) + "\n"


def as_text(described):
    rows, styles = [list(HEADINGS)], {(0, column): "bold" for column in range(len(HEADINGS))}
    for series in described:
        for mark in series["changes"] or [None]:
            if mark:
                styles[len(rows), 5] = "red" if mark["factor"] > 1 else "green"
            rows.append(line(series, mark))
    lines = terminal.table(rows, "<<>><>", styles)
    if all(series["gates"] < 2 * changes.SEGMENT + 2 for series in described):
        lines += terminal.paragraph(
            f"too few gates for a change to stand out: some {2 * changes.SEGMENT + 4} are needed"
        )
    return "\n".join(lines) + "\n"


def line(series, mark):
    ratio = "-" if series["ratio"] is None else f"{series['ratio']:.3f}"
    where = (mark["commit"] or mark["taken"]) if mark else "-"
    by = f"{100 * (mark['factor'] - 1):+.1f} %" if mark else "-"
    name = terminal.shorten(series["workload"], 30)
    return [series["metric"], name, str(series["gates"]), ratio, terminal.printable(where), by]
