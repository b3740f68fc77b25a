"""Instruction counts on the terminal: who needs how many a call, against whom, and where they go."""

import math

from heapmark import fallbacks, side, terminal
from heapmark.cells import AA, names, short_label
from heapmark.comparison import COUNT_MARGIN
from heapmark.errors import InputError
from heapmark.load import OK, cells_of, load_run

TOP = 3  # functions named for each trial


def command(options):
    print(render(load_run(options.run)), end="")


def render(run):
    """One table for each workload. Ends with a newline."""
    counted = run.ok[run.ok["instructions"] > 0] if "instructions" in run.ok else run.ok[:0]
    if counted.empty:
        raise InputError(f"run '{run.name}' has no instruction counts; run with --instructions")
    functions = side.read(run, "functions.csv")
    titles = names(cells_of(run.trials))
    sections = []
    for cell in cells_of(counted):
        trials = counted[(counted["cell"] == cell) & (counted["variant"] != AA)]
        rows = [["rank", titles[cell], "instructions/call", "ratio", "most of them in"]]
        rows += ranked_rows(run, trials, functions)
        sections.append(terminal.table(rows, "<<>><", {(0, c): "bold" for c in range(5)}))
    failed = [
        f"  {short_label(trial['label'])} in {titles[trial['cell']]}: {trial['status']}: {trial['detail']}"
        for trial in run.trials[run.trials["status"] != OK].to_dict("records")
    ]
    if failed:
        failed = [line for text in failed for line in terminal.paragraph(text, 4)]
        sections.append(["did not end ok:"] + failed)
    notes = [f"note: {text}" for text in fallbacks.sentences(run)]
    if notes:
        sections.append([line for note in notes for line in terminal.paragraph(note)])
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def ranked_rows(run, trials, functions):
    """A row a trial, who needs the fewest first; who differs by less than counts may share a rank."""
    found, rank, first = [], 0, math.nan
    per_call = trials["instructions"] / trials["ops"].where(trials["ops"] > 0)
    for at in per_call.sort_values().index:
        if not per_call[at] <= first * (1 + COUNT_MARGIN):
            rank, first = len(found) + 1, per_call[at]
        found.append([rank, *row(run, trials, trials.loc[at], functions)])
    ranks = [one[0] for one in found]
    return [[f"{one[0]}{'=' * (ranks.count(one[0]) > 1)}", *one[1:]] for one in found]


def row(run, trials, trial, functions):
    base = trials.loc[trials["label"] == run.baseline, "instructions"]
    ratio = f"{trial['instructions'] / base.iloc[0]:.4f}" if len(base) else "-"
    return [
        short_label(trial["label"]),
        f"{trial['instructions'] / trial['ops']:.2f}" if trial["ops"] else "-",
        ratio,
        top_functions(trial, functions),
    ]


def top_functions(trial, functions):
    """ "_int_free 42 %, malloc 27 %, ..." of a trial's own instructions."""
    if functions is None:
        return ""
    mine = functions[functions["trial"] == trial["trial"]].nsmallest(TOP, "rank")
    return ", ".join(
        f"{name} {100 * count / trial['instructions']:.0f} %"
        for name, count in zip(mine["function"], mine["instructions"])
    )
