"""The page's content: all that the template shows, as texts and numbers that are ready to print."""

import math
import shlex
from pathlib import Path

import jinja2

from heapmark import advice, answer, fallbacks, fidelity, floor
from heapmark.cells import short_label
from heapmark.comparison import BASELINE, CANNOT_TELL, FASTER, SLOWER, TIE, band_words
from heapmark.load import describe_failures
from heapmark.ranking import WORDS, failed_in_order, noise
from heapmark.report import drawings, figures
from heapmark.terminal import plural, printable

HERE = Path(__file__).resolve().parent
OPEN_MAX = 15  # workloads that are shown unfolded
MEBI = 1 << 20
VERDICTS = {FASTER: "faster", SLOWER: "slower", TIE: "no different",
            CANNOT_TELL: "cannot tell", BASELINE: "baseline"}  # fmt: skip
MACHINE = {
    "hostname": "host", "cpu": "CPU", "cpus": "CPUs", "cores": "cores", "nodes": "NUMA nodes",
    "memory_bytes": "memory", "kernel": "kernel", "architecture": "architecture",
    "libc": "C library", "governor": "frequency governor", "thp": "transparent huge pages",
    "virtual": "hypervisor", "timer": "timer", "timer_hz": "timer frequency",
    "timer_step_ns": "timer step",
}  # fmt: skip


def render(data):
    """The whole page as HTML. Every text that comes from the run is escaped by the template."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"ratio": ratio, "interval": interval, "short": short}
    return environment.get_template("template.html").render(**content(data))


def content(data):
    run = data.run
    drawn = drawings.all_of(data)
    light, dark = figures.colour_rules(drawings.contender_colours(data))
    return {
        "run": run,
        "title": f"heapmark: {printable(run.name)}",
        "facts": facts(data),
        "answers": answers(data),
        "cautions": advice.cautions(data),
        "overall": overall(data),
        "ranked_by": data.ranked_by,
        "ratios": ratios(data),
        "labels": [short(label) for label in data.labels],
        "verdicts": [VERDICTS[name] for name in (FASTER, SLOWER, TIE, CANNOT_TELL)],
        "overviews": drawn.overviews,
        "workloads": [
            workload(data, cell, at, drawn) for at, cell in enumerate(data.measured_cells)
        ],
        "unfolded": len(data.measured_cells) <= OPEN_MAX,
        "failures": failures(data),
        "warnings": warnings(run),
        "floors": list(floor.lines(run)),
        "machine": machine(run),
        "command": command(run),
        "job": job_file(run),
        "allocators": run.env["allocators"],
        "heapmark": run.env.get("heapmark") or {},
        "css": jinja2.utils.markupsafe.Markup(
            (HERE / "style.css").read_text().replace("/*light*/", light).replace("/*dark*/", dark)
        ),
        "script": jinja2.utils.markupsafe.Markup((HERE / "script.js").read_text()),
    }


# ---- figures as text ----------------------------------------------------------------------------


def short(label):
    return printable(short_label(label))


def ratio(estimate):
    return "" if estimate is None else f"{estimate.value:.3g}"


def interval(estimate):
    """"low to high"; nothing where there is none, as for the baseline against itself."""
    if estimate is None or not estimate.has_interval or estimate.low == estimate.high:
        return ""
    return f"{estimate.low:.3g} to {estimate.high:.3g}"


# ---- the answer ---------------------------------------------------------------------------------


def facts(data):
    run = data.run
    parts = [plural(len(data.measured_cells), "workload"), plural(len(data.labels), "allocator"),
             plural(run.blocks, "block")]  # fmt: skip
    machine_facts = run.env["machine"]
    where = ", ".join(
        str(machine_facts[key]) for key in ("cpu", "kernel", "libc") if machine_facts.get(key)
    )
    return [", ".join(parts), where, noise(data)]


def answers(data):
    """Sentences of the answer, each with its headline, figure, and what cannot be told apart."""
    found = []
    for one in answer.answers(data):
        if one.metric == "memory" and not advice.is_memory_answered(data):
            continue
        if one.metric == "time" and not advice.is_time_answered(data):
            continue
        baseline = short(data.baseline)
        times = f"{ratio(one.estimate)} times {baseline}"
        if one.label == data.baseline:
            times = f"nobody beats the baseline {baseline}"
        found.append({
            "question": one.question,
            "label": short(one.label),
            "figure": times,
            "interval": "" if one.label == data.baseline else interval(one.estimate),
            "alike": alike(one),
            "scope": scope(data, one),
        })  # fmt: skip
    return found


def scope(data, one):
    text = plural(one.workloads, "workload")
    if one.metric == "memory" and data.big_cells:
        text += " with at least 4 MiB of live data"
    if one.metric == "time" and data.paced_cells:
        text += "; without paced replays, whose time is the recording's"
    if one.metric == "memory" and fidelity.is_untrue(data.run):
        drift = fidelity.percent(fidelity.live_drift(data.run))
        text += f"; not a program's memory: the live bytes of a replay were off by {drift}"
    return text


def alike(one):
    if not one.alike:
        return "Every other allocator can be told from it."
    if not one.has_intervals:
        return "One block gives no interval, so nothing can be told apart; run with --reps=8."
    same = f"No different, {band_words(one.noise)}: {answer.listed(one.same)}. " if one.same else ""
    untold = f"Cannot be told apart from it: {answer.listed(one.untold)}." if one.untold else ""
    return (same + untold).strip()


def overall(data):
    rows = []
    for standing in data.ranking():
        rows.append({
            "label": short(standing.label),
            "rank": f"{standing.rank}{'=' if standing.shared else ''}" if standing.rank else "",
            "order": standing.rank or math.inf,
            "figures": [standing.time, standing.memory, standing.p99],
            "verdict": WORDS[data.ranked_by].get(standing.verdict, VERDICTS[standing.verdict]),
            "cells": f"{standing.cells} of {len(data.measured_cells)}",
        })  # fmt: skip
    return rows


# ---- the table of all ratios --------------------------------------------------------------------


def ratios(data):
    return [row for cell in data.measured_cells for row in ratio_rows(data, cell)]


def ratio_rows(data, cell):
    for label in data.labels:
        failed = data.failures.get((cell, label))
        if failed is None and data.cell_ratio("time", cell, label) is None:
            continue
        yield {
            "workload": data.names[cell],
            "label": short(label),
            "verdict": time_is(data, cell, label),
            "figures": [
                None if metric == "time" and cell.is_paced else data.cell_ratio(metric, cell, label)
                for metric in answer.QUESTIONS
            ],
        }


def time_is(data, cell, label):
    """A verdict on time, or what failed; "-" in a paced replay, whose time is the recording's."""
    failed = data.failures.get((cell, label))
    if failed is not None and label != data.baseline:
        return describe_failures(failed)
    if cell.is_paced and label != data.baseline:
        return "-"
    return VERDICTS[data.cell_verdict(cell, label, data.cell_ratio("time", cell, label))]


def workload(data, cell, at, drawn):
    base = data.baseline_figures.get(cell, {})
    notes = [f"{key} {value}" for key, value in cell.settings().items()]
    cost = math.nan if cell.is_paced else base.get("ns_per_op", math.nan)
    heap = base.get("heap_bytes", math.nan)
    costs = [f"{cost:.3g} ns a call" if not math.isnan(cost) else "",
             f"{heap / MEBI:.1f} MiB at the peak" if not math.isnan(heap) else ""]  # fmt: skip
    return {
        "id": f"w{at}",
        "name": data.names[cell],
        "settings": ", ".join(notes),
        "baseline": f"{short(data.baseline)}: " + ", ".join(filter(None, costs)),
        "noise": noise_of_time(data, cell),
        "plots": drawn.by_cell.get(cell, []),
        "rows": list(ratio_rows(data, cell)),
    }


def noise_of_time(data, cell):
    if cell.is_paced:
        return "no time, as a paced replay takes the recording's"
    spread = data.cell_noise(cell)
    figure = "not measured" if math.isnan(spread) else f"up to {100 * spread:.1f} %"
    return f"noise of time: {figure}"


# ---- what else must be said ---------------------------------------------------------------------


def failures(data):
    total = data.run.trials.groupby(["cell", "label"], sort=False).size()
    rows = []
    for (cell, label), part in failed_in_order(data) if len(data.run.failed) else ():
        detail = next((text for text in part["detail"] if text), "no detail was recorded")
        rows.append({
            "label": short(label),
            "workload": data.names.get(cell, cell.workload),
            "status": describe_failures(part),
            "of": int(total[cell, label]),
            "detail": printable(detail),
        })  # fmt: skip
    return rows


def warnings(run):
    found = run.env.get("warnings")
    found = [str(text) for text in found] if isinstance(found, list) else []
    return found + fallbacks.sentences(run)


def machine(run):
    found = run.env["machine"]
    rows = [(MACHINE.get(key, key), machine_text(key, value)) for key, value in found.items()]
    return [(name, text) for name, text in rows if text]


def machine_text(key, value):
    if value is None:
        return "unknown"
    if key == "memory_bytes":
        return f"{value / 2**30:.1f} GiB"
    if key == "timer_hz":
        return f"{value / 1e9:.3f} GHz"
    if key == "timer_step_ns":
        return f"{value:.1f} ns"
    return str(value)


def command(run):
    """The command as it was given, to be pasted into a shell."""
    words = run.env["run"].get("command") or []
    if not isinstance(words, list) or not words:
        return ""
    # The program's own name and its sub-command are one word there.
    return " ".join([str(words[0])] + [shlex.quote(str(word)) for word in words[1:]])


def job_file(run):
    path = run.path / "job.ini"
    return path.read_text(errors="backslashreplace") if path.is_file() else ""

