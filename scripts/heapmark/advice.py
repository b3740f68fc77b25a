"""The answer to "which allocator for my program?", in words, for runs that replay its trace.

The winner is the first allocator, in the order of time, that is faster than the baseline outside
the noise; else the first, in the order of memory, that is leaner and not slower (those that are known
not to be go before those that may be); else the advice is to stay with the baseline, and says for
whom the blocks were too few. The first of an order need not be it: its own noise may hide it. Memory
only counts of trials that made a single pass over the trace, since from pass to pass an allocator
may grow in a way that the program never saw, and whose live bytes stayed near the program's, since
else the memory is that of another program. Time does not count of paced replays, where it is the
recording's: with nothing else, the tail stands in its place. Nor does it where threads mostly waited
for one another, or made their calls in an order of their own.
"""

import shlex
from pathlib import PurePath

from heapmark import answer, fidelity, remedy, terminal
from heapmark.cells import short_label
from heapmark.comparison import CANNOT_TELL, FASTER, SLOWER, TIE, band_words, verdict

HEADLINES = {"time": "fastest", "memory": "leanest", "p99": "best tail (p99 of malloc)"}
# What nobody is to whom the baseline is preferred, by what decides; with the words for a thing known.
NO_BETTER = {
    ("time", "memory"): ("is", "faster, or leaner at its speed,"),
    ("time",): ("is", "faster"),
    ("p99", "memory"): ("has", "a shorter tail, or less memory with its tail,"),
    ("p99",): ("has", "a shorter tail"),
    ("memory",): ("is", "leaner"),
}
KNOWN = {"is": "is known to be", "has": "is known to have"}
TIED = {
    "time": "neither faster nor slower than {}",
    "p99": "of a tail neither shorter nor longer than that of {}",
    "memory": "neither leaner nor fatter than {}",
}
FIGURES = {"time": "best time", "p99": "best tail", "memory": "least memory"}
TELL = {
    "time": "whether {} is faster or slower than {}",
    "p99": "whether {} has a shorter or a longer tail than {}",
    "memory": "whether {} is leaner or fatter than {}",
}
WORSE = {"time": "is slower than {}", "p99": "has a longer tail than {}"}
UNSURE = {"time": "may be slower than {}", "p99": "may have a longer tail than {}"}
NOT_WORSE = {"time": "not slower", "p99": "of no longer tail"}
MAYBE_WORSE = {"time": "may be slower, for all that so few blocks tell",
               "p99": "may have a longer tail, for all that so few blocks tell"}  # fmt: skip


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
    if not is_time_answered(comparison):
        bests.pop("time", None)
    if not is_memory_answered(comparison):
        bests.pop("memory", None)
    said = [best_line(comparison, one) for one in bests.values()]
    said += [paced(comparison), scheduled(comparison)]
    said.append(many_passes(comparison) if is_programs_memory(comparison.run) else "")
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
        scheduled(comparison),
        many_passes(comparison),
        untrue(comparison),
        *fidelity.of_recording(comparison.run),
        fidelity.of_replays(comparison.run),
    ]
    return list(filter(None, said))


def paragraphs(texts):
    return [line for text in texts if text for line in terminal.paragraph("  " + text, 4)]


def program_of(run, traces):
    """The shell's words that start the recorded program; PROGRAM where they are not known, None of the
    kernel's own traffic."""
    if any(is_kernels(one) for one in run.env["traces"] if one["trace"] in traces):
        return None
    if len(traces) > 1:
        return "PROGRAM"
    commands = [one["command"] for one in run.env["traces"] if one["trace"] == traces[0]]
    return next(filter(None, commands), "PROGRAM")


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
    if one.same:
        text += f"; no different, {band_words(one.noise)}: {answer.listed(one.same)}"
    if one.untold:
        text += f"; cannot be told from it: {answer.listed(one.untold)}"
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


def scheduled(comparison):
    """Why time decides nothing, where it is mostly that of threads that wait for one another."""
    found = fidelity.hand_overs(comparison.run)
    if found is None:
        return ""
    order, wait = map(fidelity.percent, found)
    who = "nobody is called the fastest: " if not is_time_answered(comparison) else ""
    return (f"{who}the threads of a replay spent {wait} of their time waiting for one another, and "
            f"their order was off in {order}: its time is mostly that of scheduling and hand-overs, not the "
            "allocator's, and decides nothing; --set mode=serial times the calls alone")  # fmt: skip


def is_time_answered(comparison):
    """Whether anybody may be called the fastest: not of replays alone whose time decides nothing."""
    return not all(traces_of(comparison)) or fidelity.hand_overs(comparison.run) is None


def many_passes(comparison):
    count = passes(comparison)
    if count == 1:
        return ""
    return (f"memory is that of up to {count} passes over the trace in one process, where the "
            "program makes one, and decides nothing here; --work=1 tells that of one")  # fmt: skip


def is_programs_memory(run):
    """Whether what the replays held resembles what the program held."""
    return not fidelity.is_untrue(run) and not fidelity.is_sampled(run)


def is_memory_answered(comparison):
    """Whether anybody may be called the leanest: not of replays alone whose memory decides nothing."""
    return not all(traces_of(comparison)) or is_memory_good(comparison)


def is_memory_good(comparison):
    return passes(comparison) == 1 and is_programs_memory(comparison.run)


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
    """Who is like the baseline by what the ranking is by, and of whom that is not known."""
    if not ruling(comparison):
        return []
    metric, baseline = comparison.ranked_by, short_label(comparison.baseline)
    said = []
    ties = [one.label for one in comparison.ranking() if one.verdict == TIE]
    if ties:
        tied = TIED[metric].format(baseline)
        said.append(f"{tied}, {band_words(comparison.overall_noise)}: {answer.listed(ties)}")
    untold = [one for one in comparison.ranking() if one.verdict == CANNOT_TELL]
    if untold:
        names = answer.listed([one.label for one in untold], "or")
        what = TELL[metric].format(names, baseline)
        more = remedy.words([one.ranked for one in untold], comparison.overall_noise)
        blocks = terminal.plural(comparison.run.blocks, "block")
        said.append(f"{blocks} cannot tell {what}{more}")
    return said


def winner(comparison):
    """The label to recommend and the metric that it wins by, or two None for the baseline."""
    for metric in deciding(comparison):
        able = [label for label in better(comparison, metric) if not is_worse(comparison, label)]
        # Who is known not to be slower goes before whoever may be.
        for label in sorted(able, key=lambda label: not is_no_worse(comparison, label)):
            return label, metric
    return None, None


def undecided(comparison):
    """Labels that may be better by what decides, for all that the blocks tell."""
    found = [
        label
        for metric in deciding(comparison)
        for label, figure in answer.ordered(comparison, metric)
        if label != comparison.baseline
        and verdict_of(comparison, metric, figure) == CANNOT_TELL
        and not is_worse(comparison, label)
    ]
    return list(dict.fromkeys(found))


def verdict_of(comparison, metric, figure):
    return verdict(figure, comparison.noise_of(comparison.overall_cells(metric), metric))


def better(comparison, metric):
    """Labels that beat the baseline by a metric outside its noise, the best first."""
    ordered = answer.ordered(comparison, metric)
    return [label for label, figure in ordered if is_better(comparison, metric, label, figure)]


def is_better(comparison, metric, label, figure):
    return label != comparison.baseline and verdict_of(comparison, metric, figure) == FASTER


def reason(comparison, bests, label, metric):
    """Why `label` is recommended, where that is not the best by what decides: a sentence or ""."""
    metrics = deciding(comparison)
    metrics = metrics[: metrics.index(metric) + 1]
    excuses = [why_not(comparison, bests[one]) for one in metrics if one in bests
               and bests[one].label not in (label, comparison.baseline)]  # fmt: skip
    if metric != comparison.ranked_by and ruling(comparison):
        fair = (NOT_WORSE if is_no_worse(comparison, label) else MAYBE_WORSE)[comparison.ranked_by]
        excuses.append(f"{short_label(label)} is leaner outside the noise, and {fair}")
    elif excuses:
        excuses.append(f"{short_label(label)} has the {FIGURES[metric]} of those that can be told")
    return "; ".join(excuses)


def why_not(comparison, one):
    """Why the best by a metric is not recommended: its noise, or that it is bought with time."""
    baseline = short_label(comparison.baseline)
    text = f"{short_label(one.label)} has the {FIGURES[one.metric]}, but "
    if is_better(comparison, one.metric, one.label, one.estimate):
        words = WORSE if is_worse(comparison, one.label) else UNSURE
        return text + words[comparison.ranked_by].format(baseline)
    if verdict_of(comparison, one.metric, one.estimate) == TIE:
        return text + f"{band_words(one.noise)} of {baseline}'s"
    return text + f"too uncertain to be told from {baseline}'s"


def deciding(comparison):
    """The metrics that a winner may win by, the first one first."""
    memory = "memory" if is_memory_good(comparison) else None
    ruler = ruling(comparison)
    return tuple(dict.fromkeys(filter(None, (ruler if ruler != "memory" else memory, memory))))


def ruling(comparison):
    """What the ranking is by, or None where that is a time that decides nothing."""
    is_withdrawn = comparison.ranked_by == "time" and not is_time_answered(comparison)
    return None if is_withdrawn else comparison.ranked_by


def is_worse(comparison, label):
    """By what the ranking is by: slower, or of a longer tail."""
    return ruling(comparison) is not None and ranked_verdict(comparison, label) == SLOWER


def is_no_worse(comparison, label):
    """That is known, and not only nothing else; or nobody asks."""
    return ruling(comparison) is None or ranked_verdict(comparison, label) in (FASTER, TIE)


def ranked_verdict(comparison, label):
    figure = comparison.overall(comparison.ranked_by, label)
    return verdict_of(comparison, comparison.ranked_by, figure)


def recommendation(comparison, bests, program):
    """Lines; the command is one of them and not wrapped, so that it can be copied."""
    baseline = short_label(comparison.baseline)
    label, metric = winner(comparison)
    if label is None:
        return paragraphs([f"stay with {baseline}: {why_stay(comparison)}"])
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


def why_stay(comparison):
    """That nobody is better, or that the blocks were too few to tell."""
    if not deciding(comparison):
        return "nothing that was measured can decide"
    verb, better_words = NO_BETTER[deciding(comparison)]
    unknown = undecided(comparison)
    if not unknown:
        return f"no other {verb} {better_words} outside the noise"
    blocks = terminal.plural(comparison.run.blocks, "block")
    return (f"no other {KNOWN[verb]} {better_words.rstrip(',')}, but {blocks} cannot tell whether "
            f"{answer.listed(unknown, 'or')} {verb}")  # fmt: skip


def command(entry, program):
    """The shell's words that start `program`, quoted already, under an allocator of env.json."""
    words = [str(entry.get("environment") or "")]
    if entry.get("path"):
        words.append(f"LD_PRELOAD={shlex.quote(entry['path'])}")
    return " ".join(word for word in (*words, program) if word)
