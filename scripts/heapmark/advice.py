"""The answer to "which allocator for my program?", in words, for runs that replay its trace.

The winner is the fastest allocator, if it is faster than the baseline outside the noise; else the
leanest, if it is leaner and not slower; else the advice is to stay with the baseline. Memory only
counts of trials that made a single pass over the trace, since from pass to pass an allocator may
grow in a way that the program never saw, and whose live bytes stayed near the program's, since
else the memory is that of another program.
"""

import shlex
from pathlib import PurePath

from heapmark import answer, fidelity, terminal
from heapmark.cells import short_label
from heapmark.comparison import SLOWER, TIE, verdict

HEADLINES = {"time": "fastest", "memory": "leanest", "p99": "best tail (p99 of malloc)"}


def lines(comparison):
    """Lines for the terminal; none unless every workload of the run replays a trace."""
    cells = comparison.measured_cells
    programs = list(dict.fromkeys(PurePath(cell.param("trace")).stem for cell in cells))
    if not all(programs) or len(comparison.labels) < 2:
        return []
    title = f"which allocator for {answer.listed(programs)}?"
    if comparison.run.blocks == 1:
        return [terminal.paint(title, "bold")] + terminal.paragraph(
            "  one block gives no interval, and so no answer; take the run with --reps=8", 4
        )
    bests = {one.metric: one for one in answer.answers(comparison)}
    if not is_programs_memory(comparison.run):
        bests.pop("memory", None)
    said = [best_line(comparison, one) for one in bests.values()]
    said.append(many_passes(comparison) if "memory" in bests else "")
    said.append(untrue(comparison))
    said += no_difference(comparison)
    program = programs[0] if len(programs) == 1 else "PROGRAM"
    said += recommendation(comparison, winner(comparison, bests), program)
    said.append(fidelity.of_replays(comparison.run))
    said += fidelity.of_recording(comparison.run)
    wrapped = [line for text in said if text for line in terminal.paragraph("  " + text, 4)]
    return [terminal.paint(title, "bold")] + wrapped


def best_line(comparison, one):
    baseline = short_label(comparison.baseline)
    text = f"{HEADLINES[one.metric]}: {short_label(one.label)}"
    if one.label != comparison.baseline:
        text += f", {one.estimate.value:.3g} times {baseline}"
        if one.estimate.has_interval:
            text += f" ({one.estimate.low:.3g} to {one.estimate.high:.3g})"
    if one.alike:
        text += f"; inside the noise of it: {answer.listed(one.alike)}"
    return text


def passes(comparison):
    """The most passes over a trace that a trial made; 1 where the rows do not tell."""
    most = comparison.run.ok["work"].max()
    return int(most) if most > 1 else 1


def many_passes(comparison):
    count = passes(comparison)
    if count == 1:
        return ""
    return (f"memory is that of up to {count} passes over the trace in one process, where the "
            "program makes one, and decides nothing here; --work=1 tells that of one")  # fmt: skip


def is_programs_memory(run):
    """Whether what the replays held resembles what the program held."""
    return not fidelity.is_untrue(run) and not fidelity.is_sampled(run)


def untrue(comparison):
    """Why memory decides nothing, where replays strayed from the program."""
    if not fidelity.is_untrue(comparison.run):
        return ""
    drift = fidelity.percent(fidelity.live_drift(comparison.run))
    text = (f"nobody is called the leanest: the live bytes of a replay were off by {drift} of the "
            "program's peak, so its memory is not the program's and decides nothing")  # fmt: skip
    if any(cell.param("mode") != "paced" for cell in comparison.measured_cells):
        text += "; --set mode=paced keeps to the recorded times"
    return text


def no_difference(comparison):
    """Who is neither faster nor slower than the baseline."""
    ties = [one.label for one in comparison.ranking() if one.verdict == TIE]
    if not ties:
        return []
    return [f"neither faster nor slower than {short_label(comparison.baseline)}, inside the noise: "
            + answer.listed(ties)]  # fmt: skip


def winner(comparison, bests):
    """The label to recommend, or None for the baseline."""
    for metric in deciding(comparison):
        one = bests.get(metric)
        if one and comparison.baseline not in (one.label, *one.alike):
            if metric == "time" or not is_slower(comparison, one.label):
                return one.label
    return None


def deciding(comparison):
    counts = passes(comparison) == 1 and is_programs_memory(comparison.run)
    return ("time", "memory") if counts else ("time",)


def is_slower(comparison, label):
    noise = comparison.noise_of(comparison.overall_cells("time"))
    return verdict(comparison.overall("time", label), noise) == SLOWER


def recommendation(comparison, label, program):
    baseline = short_label(comparison.baseline)
    if label is None:
        leaner = ", or leaner at its speed," if "memory" in deciding(comparison) else ""
        return [f"stay with {baseline}: no other is faster{leaner} outside the noise"]
    entry = next(one for one in comparison.run.env["allocators"] if one["label"] == label)
    said = [f"to use {short_label(label)}: {command(entry, program)}"]
    if entry.get("risks"):
        said.append(f"its risks: {entry['risks']}")
    return said


def command(entry, program):
    """The shell's words that start a program under an allocator of env.json."""
    words = [str(entry.get("environment") or "")]
    if entry.get("path"):
        words.append(f"LD_PRELOAD={shlex.quote(entry['path'])}")
    return " ".join(word for word in (*words, shlex.quote(program)) if word)
