"""The answer to "which allocator for my program?", in words, for runs that replay its trace.

The winner is the first allocator, in the order of time, that is faster than the baseline outside
the noise; else the first, in the order of memory, that is leaner and not slower; else the advice is
to stay with the baseline. The first of an order need not be it: its own noise may hide it. Memory
only counts of trials that made a single pass over the trace, since from pass to pass an allocator
may grow in a way that the program never saw, and whose live bytes stayed near the program's, since
else the memory is that of another program. Time does not count of paced replays, where it is the
recording's: with nothing else, the tail stands in its place.
"""

import shlex
from pathlib import PurePath

from heapmark import answer, fidelity, terminal
from heapmark.cells import short_label
from heapmark.comparison import FASTER, SLOWER, TIE, verdict

HEADLINES = {"time": "fastest", "memory": "leanest", "p99": "best tail (p99 of malloc)"}
# Why to stay with the baseline, by what decides, and what those are called that it is tied with.
NO_BETTER = {
    ("time", "memory"): "no other is faster, or leaner at its speed, outside the noise",
    ("time",): "no other is faster outside the noise",
    ("p99", "memory"): "no other has a shorter tail, or is leaner with its tail, outside the noise",
    ("p99",): "no other has a shorter tail outside the noise",
    ("memory",): "no other is leaner outside the noise",
    (): "nothing that was measured can decide",
}
TIED = {
    "time": "neither faster nor slower than {}",
    "p99": "of a tail neither shorter nor longer than that of {}",
    "memory": "neither leaner nor fatter than {}",
}
FIGURES = {"time": "best time", "p99": "best tail", "memory": "least memory"}
WORSE = {"time": "is slower than {}", "p99": "has a longer tail than {}"}
NOT_WORSE = {"time": "not slower", "p99": "of no longer tail"}


def lines(comparison):
    """Lines for the terminal; none unless every workload of the run replays a trace."""
    traces = traces_of(comparison)
    if not all(traces) or len(comparison.labels) < 2:
        return []
    programs = list(dict.fromkeys(PurePath(trace).stem for trace in traces))
    title = f"which allocator for {answer.listed(programs)}?"
    if comparison.run.blocks == 1:
        return [terminal.paint(title, "bold")] + paragraphs(
            ["one block gives no interval, and so no answer; take the run with --reps=8"]
        )
    bests = {one.metric: one for one in answer.answers(comparison)}
    if not is_programs_memory(comparison.run):
        bests.pop("memory", None)
    said = [best_line(comparison, one) for one in bests.values()]
    said.append(paced(comparison))
    said.append(many_passes(comparison) if "memory" in bests else "")
    said.append(untrue(comparison))
    said += no_difference(comparison)
    program = program_of(comparison.run, traces)
    doubts = [fidelity.of_replays(comparison.run), *fidelity.of_recording(comparison.run)]
    return (
        [terminal.paint(title, "bold")]
        + paragraphs(said)
        + recommendation(comparison, bests, program)
        + paragraphs(doubts)
    )


def traces_of(comparison):
    """The traces that were replayed, "" among them where a workload is no replay."""
    return list(dict.fromkeys(cell.param("trace") for cell in comparison.measured_cells))


def cautions(comparison):
    """What must be said beside any answer of a run that holds replays: sentences."""
    if not any(traces_of(comparison)):
        return []
    said = [
        paced(comparison),
        many_passes(comparison),
        untrue(comparison),
        *fidelity.of_recording(comparison.run),
        fidelity.of_replays(comparison.run),
    ]
    return list(filter(None, said))


def paragraphs(texts):
    return [line for text in texts if text for line in terminal.paragraph("  " + text, 4)]


def program_of(run, traces):
    """The shell's words that start the recorded program; a name where it is not known, None of the kernel's own
    traffic."""
    if any(is_kernels(one) for one in run.env["traces"] if one["trace"] in traces):
        return None
    if len(traces) > 1:
        return "PROGRAM"
    commands = [one["command"] for one in run.env["traces"] if one["trace"] == traces[0]]
    return next(filter(None, commands), shlex.quote(PurePath(traces[0]).stem))


def is_kernels(trace):
    """Whether it tells of the running kernel's allocations, under which nothing can be preloaded."""
    return (trace.get("source") or "").startswith("kmem")


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
    ok = comparison.run.ok
    most = ok.loc[ok["cell"].map(lambda cell: bool(cell.param("trace"))), "work"].max()
    return int(most) if most > 1 else 1


def paced(comparison):
    """Why time decides nothing, or not that of all replays."""
    if not comparison.paced_cells:
        return ""
    if comparison.overall_cells("time"):
        return "time is that of the other replays: a paced one takes the recording's time"
    return ("nobody is called the fastest: a paced replay takes the recording's time, not the "
            "allocator's; its p99 counts from when a call should have begun")  # fmt: skip


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
    """Who cannot be told from the baseline by what the ranking is by."""
    ties = [one.label for one in comparison.ranking() if one.verdict == TIE]
    if not ties:
        return []
    tied = TIED[comparison.ranked_by].format(short_label(comparison.baseline))
    return [f"{tied}, inside the noise: {answer.listed(ties)}"]


def winner(comparison):
    """The label to recommend and the metric that it wins by, or two None for the baseline."""
    for metric in deciding(comparison):
        for label in better(comparison, metric):
            if metric == comparison.ranked_by or not is_worse(comparison, label):
                return label, metric
    return None, None


def better(comparison, metric):
    """Labels that beat the baseline by a metric outside its noise, the best first."""
    ordered = answer.ordered(comparison, metric)
    return [label for label, figure in ordered if is_better(comparison, metric, label, figure)]


def is_better(comparison, metric, label, figure):
    noise = comparison.noise_of(comparison.overall_cells(metric), metric)
    return label != comparison.baseline and verdict(figure, noise) == FASTER


def reason(comparison, bests, label, metric):
    """Why `label` is recommended, where that is not the best by what decides: a sentence or ""."""
    metrics = deciding(comparison)
    metrics = metrics[: metrics.index(metric) + 1]
    excuses = [why_not(comparison, bests[one]) for one in metrics if one in bests
               and bests[one].label not in (label, comparison.baseline)]  # fmt: skip
    if metric != comparison.ranked_by:
        fair = NOT_WORSE[comparison.ranked_by]
        excuses.append(f"{short_label(label)} is leaner outside the noise, and {fair}")
    elif excuses:
        excuses.append(f"{short_label(label)} has the {FIGURES[metric]} of those that can be told")
    return "; ".join(excuses)


def why_not(comparison, one):
    """Why the best by a metric is not recommended: its noise, or that it is bought with time."""
    baseline = short_label(comparison.baseline)
    text = f"{short_label(one.label)} has the {FIGURES[one.metric]}, but "
    if is_better(comparison, one.metric, one.label, one.estimate):
        return text + WORSE[comparison.ranked_by].format(baseline)
    return text + f"too uncertain to be told from {baseline}'s"


def deciding(comparison):
    """The metrics that a winner may win by, the first one first."""
    is_memory_good = passes(comparison) == 1 and is_programs_memory(comparison.run)
    metrics = dict.fromkeys((comparison.ranked_by, "memory"))
    return tuple(metric for metric in metrics if metric != "memory" or is_memory_good)


def is_worse(comparison, label):
    """By what the ranking is by: slower, or of a longer tail."""
    figure = comparison.overall(comparison.ranked_by, label)
    return verdict(figure, comparison.overall_noise) == SLOWER


def recommendation(comparison, bests, program):
    """Lines; the command is one of them and not wrapped, so that it can be copied."""
    baseline = short_label(comparison.baseline)
    label, metric = winner(comparison)
    if label is None:
        return paragraphs([f"stay with {baseline}: {NO_BETTER[deciding(comparison)]}"])
    entry = next(one for one in comparison.run.env["allocators"] if one["label"] == label)
    said = paragraphs([reason(comparison, bests, label, metric)])
    if program is None:
        return said + paragraphs(["the trace is the kernel's own: it tells how these designs would serve it, "
                                  "and there is no program to start under one"])  # fmt: skip
    said += [*paragraphs([f"to use {short_label(label)}:"]),
             "      " + terminal.printable(command(entry, program))]  # fmt: skip
    if entry.get("risks"):
        said += paragraphs([f"its risks: {entry['risks']}"])
    return said


def command(entry, program):
    """The shell's words that start `program`, quoted already, under an allocator of env.json."""
    words = [str(entry.get("environment") or "")]
    if entry.get("path"):
        words.append(f"LD_PRELOAD={shlex.quote(entry['path'])}")
    return " ".join(word for word in (*words, program) if word)
