"""The gate's result on the terminal, as Markdown, and as annotations of GitHub Actions."""

import math

from heapmark import terminal
from heapmark.cells import short_label
from heapmark.compare.render import escape
from heapmark.gate.decision import OPEN, PASS, REGRESSION
from heapmark.gate.judge import ALLOWED
from heapmark.terminal import plural

STYLES = {PASS: "green", REGRESSION: "red", OPEN: "yellow", ALLOWED: "yellow"}
HEADINGS = ("metric", "workload", "ratio", "95 % interval", "limit", "noise", "verdict")
NAME_SIZE = 30


def fields(finding):
    """Texts of a table's line."""
    estimate = finding.estimate
    interval = "-"
    if estimate and estimate.has_interval:
        interval = f"{estimate.low:.3f} .. {estimate.high:.3f}"
    return [
        finding.metric,
        finding.workload,
        f"{estimate.value:.3f}" if estimate else "-",
        interval,
        "-" if math.isnan(finding.limit) else f"+{100 * finding.limit:.3g} %",
        "-" if math.isnan(finding.spread) else f"{100 * finding.spread:.1f} %",
        finding.state,
    ]


def how(result):
    """How it was found out, as a sentence."""
    parts = [plural(result.blocks, "block"), plural(result.looks, "look")]
    if result.seconds:
        parts.append(f"{result.seconds:.0f} s")
    return ", ".join(parts)


def terminal_text(result):
    title = f"gate: {short_label(result.head)} against {short_label(result.base)}"
    lines = terminal.paragraph(f"{title} ({how(result)})")
    rows, styles = [list(HEADINGS)], {(0, column): "bold" for column in range(len(HEADINGS))}
    for finding in result.sorted():
        styles[len(rows), 6] = STYLES[finding.state]
        row = fields(finding)
        rows.append([row[0], terminal.shorten(row[1], NAME_SIZE)] + row[2:])
    lines += terminal.table(rows, "<<>>>><", styles)
    for finding in result.sorted():
        if finding.detail:
            lines += terminal.paragraph(f"{finding.metric} of {finding.workload}: {finding.detail}")
    for note in result.notes:
        lines += terminal.paragraph(f"note: {note}")
    lines.append(terminal.paint(result.summary, STYLES[result.verdict]))
    return "\n".join(lines) + "\n"


def markdown(result):
    mark = {PASS: "✅", REGRESSION: "❌", OPEN: "❔", ALLOWED: "⚠️"}
    lines = [f"## {mark[result.verdict]} heapmark gate: {result.summary}", ""]
    sides = f"`{short_label(result.head)}` against `{short_label(result.base)}`"
    lines += [f"{sides}, {how(result)}.", ""]
    lines += ["| " + " | ".join(HEADINGS) + " |", "| --- | --- | ---: | ---: | ---: | ---: | --- |"]
    for finding in result.sorted():
        row = [escape(text) for text in fields(finding)]
        lines.append("| " + " | ".join(row[:-1] + [f"{mark[finding.state]} {row[-1]}"]) + " |")
    details = [
        f"{finding.metric} of {finding.workload}: {finding.detail}"
        for finding in result.sorted()
        if finding.detail
    ]
    lines += [""] + [f"- {escape(text)}" for text in details + result.notes]
    return "\n".join(lines).rstrip() + "\n"


LEVELS = {REGRESSION: "error", OPEN: "warning", ALLOWED: "notice"}


def github(result):
    """Workflow commands; GitHub shows each at the pull request."""
    lines = [
        f"::{LEVELS[finding.state]} title={property_text(title(finding))}"
        f"::{data(sentence(finding))}"
        for finding in result.sorted()
        if finding.state in LEVELS
    ]
    return "".join(line + "\n" for line in lines)


def title(finding):
    return f"heapmark: {finding.state}, {finding.metric} of {finding.workload}"


def sentence(finding):
    row = fields(finding)
    text = f"ratio {row[2]}, 95 % interval {row[3]}, limit {row[4]}, noise {row[5]}"
    return text + (f"; {finding.detail}" if finding.detail else "")


def data(text):
    """Text of a workflow command."""
    return terminal.printable(text).replace("%", "%25")


def property_text(text):
    return data(text).replace(":", "%3A").replace(",", "%2C")
