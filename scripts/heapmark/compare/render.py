"""The comparison as a terminal table, as JSON, and as Markdown."""

import json
import math

from heapmark import terminal
from heapmark.compare.judge import BETTER, CANNOT_TELL, OVERALL, SAME, WORSE

STYLES = {BETTER: "green", WORSE: "red", SAME: "dim", CANNOT_TELL: "yellow"}
HEADINGS = ("metric", "workload", "ratio", "95 % interval", "noise", "verdict")
NAME_SIZE = 30
VERSION = 1  # of the JSON's form


def text(sections):
    """`sections`: (pairing, rows, flags) of each comparison. Ends with a newline."""
    return "\n\n".join("\n".join(section(*parts)) for parts in sections) + "\n"


def section(pairing, rows, flags):
    lines = terminal.paragraph(f"{pairing.title}: ratios below 1 are faster, leaner, fewer")
    table = [list(HEADINGS)]
    styles = {(0, column): "bold" for column in range(len(HEADINGS))}
    for row in rows:
        styles[len(table), 5] = STYLES[row.verdict]
        if row.workload == OVERALL:
            styles[len(table), 1] = "bold"
        table.append(fields(row, terminal.shorten(row.workload, NAME_SIZE)))
    lines += terminal.table(table, "<<>>><", styles)
    for text in failures(rows):
        lines += terminal.paragraph(f"failed: {text}")
    for note in pairing.notes:
        lines += terminal.paragraph(f"note: {note}")
    for flag in flags:
        lines += terminal.paragraph(f"flag: {flag}")
    return lines


def fields(row, name):
    return [row.metric, name, ratio(row), interval(row), noise(row), row.verdict]


def failures(rows):
    """What failed on a side and why, once for all workloads and metrics that lack a figure by that."""
    where = {}
    for row in rows:
        if row.detail and row.workload != OVERALL:
            where.setdefault(row.detail, {})[row.workload] = None
    return [f"{', '.join(names)}: {detail}" for detail, names in where.items()]


def ratio(row):
    return f"{row.estimate.value:.3f}" if row.estimate else "-"


def interval(row):
    if row.estimate is None or not row.estimate.has_interval:
        return "-"
    return f"{row.estimate.low:.3f} .. {row.estimate.high:.3f}"


def noise(row):
    return "-" if math.isnan(row.noise) else f"{100 * row.noise:.1f} %"


# ---- for programs -------------------------------------------------------------------------------


def number(value):
    """A float for JSON, which has no NaN."""
    return None if value is None or not math.isfinite(value) else value


def estimate_data(estimate):
    """The same four fields wherever a ratio is written; empty where there is none."""
    return {
        "ratio": number(estimate.value) if estimate else None,
        "low": number(estimate.low) if estimate else None,
        "high": number(estimate.high) if estimate else None,
        "blocks": estimate.blocks if estimate else 0,
    }


def row_data(row):
    return {
        "metric": row.metric,
        "workload": row.workload,
        **estimate_data(row.estimate),
        "noise": number(row.noise),
        "p": number(row.p_value),
        "verdict": row.verdict,
        "detail": row.detail,
    }


def as_json(sections):
    data = [
        {
            "base": pairing.base_label,
            "head": pairing.head_label,
            "notes": pairing.notes,
            "flags": flags,
            "rows": [row_data(row) for row in rows],
        }
        for pairing, rows, flags in sections
    ]
    return json.dumps({"version": VERSION, "comparisons": data}, indent=1) + "\n"


# ---- for pull requests --------------------------------------------------------------------------


def escape(value):
    """Text of a Markdown table's field."""
    return terminal.printable(value).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def as_markdown(sections):
    return "\n".join(line for parts in sections for line in markdown_section(*parts)) + "\n"


def markdown_section(pairing, rows, flags):
    lines = [f"### {escape(pairing.title)}", ""]
    lines += ["| " + " | ".join(HEADINGS) + " |", "| --- | --- | ---: | ---: | ---: | --- |"]
    for row in rows:
        name = f"**{OVERALL}**" if row.workload == OVERALL else escape(row.workload)
        cells = fields(row, name)
        lines.append("| " + " | ".join(cells[:5] + [escape(cells[5])]) + " |")
    lines += ["", "A ratio below 1 is faster, leaner, fewer.", ""]
    said = [f"failed: {text}" for text in failures(rows)] + list(pairing.notes) + flags
    lines += [f"- {escape(text)}" for text in said]
    return lines + [""]
