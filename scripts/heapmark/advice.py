"""The answer to "which allocator for my program?", in words, for runs that replay its trace.

The winner is the fastest allocator, if it is faster than the baseline outside the noise; else the
leanest, if it is leaner and not slower; else the advice is to stay with the baseline. Memory only
counts of trials that made a single pass over the trace, since from pass to pass an allocator may grow
in a way that the program never saw, and whose live bytes stayed near the program's, since else the
memory is that of another program.
"""

import shlex
from pathlib import PurePath

from heapmark import answer, terminal
from heapmark.cells import short_label
from heapmark.comparison import SLOWER, TIE, verdict

HEADLINES = {"time": "fastest", "memory": "leanest", "p99": "best tail (p99 of malloc)"}
LIVE_DRIFT = "replay_live_drift_ppm"
LIVE_DRIFT_PERCENT_MAX = 10  # beyond, the replay's memory is not the program's: it decides nothing
FIDELITY = {
    LIVE_DRIFT: "live bytes off by",
    "replay_order_drift_ppm": "order across threads off in",
    "replay_wait_ppm": "time spent waiting",
}

# What a flag of a recording means for the answer; the harness sets them, see docs/replay.md.
RECORDING = {
    "trace-sampled": "one object in {} was recorded, and the rest of the heap is missing: the answer is for "
    "a heap of that share, and memory, which hardly scales, decides nothing",
    "trace-cut": "the trace is a piece of a longer one: the answer is for that piece of the program's run",
    "trace-truncated": "the recording stopped early, at a full disk or its size limit: what the program did "
    "later, its peak perhaps, is not in the answer",
    "trace-partial": "recording began or ended while the program ran: the answer is for the part between",
    "trace-crashed": "the program ended by a signal while it was recorded: the answer is for what it did "
    "until then",
    "trace-forked": "children of the program called the allocator and were not recorded: the answer is for "
    "the parent alone",
    "trace-replaced": "the program became another one by exec: the answer is for what it did before",
    "trace-lacks-times": "the recording has no fine times: mode=paced cannot follow it, and threads meet as "
    "the replay happens to make them",
    "trace-lacks-threads": "the recording does not tell threads apart: all calls are made by one, and "
    "contention is not in the answer",
    "trace-lacks-calls": "the recording does not tell which function allocated: calloc and aligned calls "
    "are made as malloc",
    "trace-lacks-reallocs": "the recording has no realloc: each is made as a free and a malloc, which copies "
    "nothing",
    "trace-lacks-identity": "the recording does not tell which of several equal objects was freed: the "
    "youngest is, which favours caches",
}


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
    if is_untrue(comparison) or is_sampled(comparison):
        bests.pop("memory", None)
    said = [best_line(comparison, one) for one in bests.values()]
    said.append(many_passes(comparison) if "memory" in bests else "")
    said.append(untrue(comparison))
    said += no_difference(comparison)
    program = programs[0] if len(programs) == 1 else "PROGRAM"
    said += recommendation(comparison, winner(comparison, bests), program)
    said.append(fidelity(comparison))
    said += of_the_recording(comparison)
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


def live_drift(comparison):
    """By how many percent the live bytes of the worst replay strayed; 0 where no row tells."""
    ok = comparison.run.ok
    if LIVE_DRIFT not in ok or not ok[LIVE_DRIFT].notna().any():
        return 0.0
    return float(ok[LIVE_DRIFT].max()) / 1e4


def is_untrue(comparison):
    return live_drift(comparison) > LIVE_DRIFT_PERCENT_MAX


def untrue(comparison):
    """Why memory decides nothing, where replays strayed from the program."""
    if not is_untrue(comparison):
        return ""
    text = (f"nobody is called the leanest: the live bytes of a replay were off by "
            f"{percent(live_drift(comparison))} of the program's, so its memory is not the program's "
            "and decides nothing")  # fmt: skip
    if any(cell.param("mode") != "paced" for cell in comparison.measured_cells):
        text += "; --set mode=paced keeps to the recorded times"
    return text


def recording_flags(comparison):
    """{flag: its value, "" for most} of the trials' trace-* flags, in the order of RECORDING."""
    ok = comparison.run.ok
    words = " ".join(ok["flags"].dropna().unique()).split() if "flags" in ok else []
    found = dict(sorted(word.partition("=")[::2] for word in words))
    return {flag: found[flag] for flag in RECORDING if flag in found}


def is_sampled(comparison):
    return "trace-sampled" in recording_flags(comparison)


def of_the_recording(comparison):
    """A sentence for each thing that the recording itself lacks."""
    return [
        RECORDING[flag].format(value.removeprefix("1/")) + f" ({flag}{'=' * bool(value)}{value})"
        for flag, value in recording_flags(comparison).items()
    ]


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
    counts = passes(comparison) == 1 and not is_untrue(comparison) and not is_sampled(comparison)
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


def percent(share):
    """Two digits, but whole numbers from 100 on: "640 %" and not "6.4e+02 %"."""
    return f"{share:.2g} %" if share < 99.5 else f"{share:,.0f} %"


def fidelity(comparison):
    """How true the replays were, where the run says it: the worst of all trials."""
    ok = comparison.run.ok
    worst = {
        said: float(ok[column].max()) / 1e4
        for column, said in FIDELITY.items()
        if column in ok and ok[column].notna().any()
    }
    if not worst:
        return ""
    return "fidelity, the worst of all replays: " + ", ".join(
        f"{said} {percent(share)}" for said, share in worst.items()
    )
