"""Where a gate's figures come from: a measurement, two runs, or one and a baseline file."""

import datetime
import os
import re
from dataclasses import dataclass
from pathlib import Path

from heapmark import load, pairing, power
from heapmark.errors import InputError
from heapmark.gate import decision, judge, live, stored
from heapmark.terminal import plural

ANCHOR = "system"
COUNTED = "instructions"
DEFAULT_TURNS = 16  # of a job that does not say; some milliseconds each


@dataclass(frozen=True)
class Outcome:
    """What remains after the last look. `pairing` is the last one, of the timed run if any."""

    findings: list
    pairing: object
    blocks: int
    looks: int
    seconds: float
    notes: list
    run: str = ""


def is_run(name):
    return Path(name).is_dir() or (load.RESULTS / name).is_dir()


def decide(options, budget, the_judge, say):
    """The Outcome for the command's options; `say` prints a line as the gate goes on."""
    if is_run(options.base) or is_run(options.head):
        return from_runs(options, the_judge)
    if stored.is_stored(options.base):
        return against_stored(options, budget, the_judge, say)
    base, head = allocator(options.base), allocator(options.head)
    refuse_same(base, head)
    return measured(options, base, head, out_path(options), budget, the_judge, say,
                    lambda run: pairing.within(run, *labels(run)))  # fmt: skip


def labels(run):
    """(base, head) of a run that the gate made: its baseline and the only other."""
    others = [label for label in pairing.contenders(run) if label != run.baseline]
    if len(others) != 1:
        raise InputError(f"run '{run.name}' does not hold one contender besides its baseline")
    return run.baseline, others[0]


def allocator(name):
    """A file by its absolute path, so that its label does not depend on where the gate runs."""
    is_file = "/" in name or (name.endswith(".so") and os.path.isfile(name))
    return os.path.abspath(name) if is_file else name


def refuse_same(base, head):
    if base == head or all(map(os.path.exists, (base, head))) and os.path.samefile(base, head):
        raise InputError(f"both sides are '{head}'; copy the file to judge it against itself")


def out_path(options):
    if options.out:
        return Path(options.out)
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    return load.RESULTS / f"gate-{stamp}"


def turns_of(options):
    """The words that make trials take turns, unless the job says how many itself."""
    if options.turns is None and job_has_turns(options.job):
        return ()
    return (f"--turns={options.turns or DEFAULT_TURNS}",)


def job_has_turns(job):
    """Whether the job's file says how many turns its trials take."""
    beside = Path(live.program()).parent
    shipped = [place / "share/heapmark/jobs" / f"{job}.ini" for place in (beside, beside.parent)]
    for path in (Path(job), *shipped):
        if path.is_file():
            return re.search(r"^\s*turns\s*=", load.read_text(path), re.MULTILINE) is not None
    return False


# ---- what was measured before -------------------------------------------------------------------


def from_runs(options, the_judge):
    if not is_run(options.base) or not is_run(options.head):
        other = options.head if is_run(options.base) else options.base
        raise InputError(
            f"'{other}' is not a run, but the other side is; give two runs or two allocators"
        )
    base, head = load.load_run(options.base), load.load_run(options.head)
    if base.path.resolve() == head.path.resolve():
        pair = pairing.within(base, options.base_label, options.head_label)
    else:
        pairs = pairing.across(base, head, options.base_label, options.head_label)
        if len(pairs) > 1:
            names = ", ".join(pair.head_label for pair in pairs)
            raise InputError(
                f"the runs share several contenders ({names}); pick one with --head-label"
            )
        pair = pairs[0]
        if pairing.what_differs(pair):
            raise InputError(pairing.what_differs(pair))
    findings = the_judge.look(pair)
    blocks = min(base.blocks, head.blocks)
    return Outcome(findings, pair, blocks, 1, 0.0, pair.notes + too_few(the_judge, pair, blocks))


def too_few(the_judge, pair, blocks):
    alarms = the_judge.alarms(pair)
    if not alarms:
        return []
    needed = decision.blocks_at_first_look(alarms, pair.evidence_kind.least_p)
    if blocks >= needed:
        return []
    return [f"{plural(blocks, 'block')} cannot show a regression among "
            f"{plural(alarms, 'comparison')}; take the run with --reps={needed} or more"]  # fmt: skip


# ---- what is measured now -----------------------------------------------------------------------


def against_stored(options, budget, the_judge, say):
    kept = stored.read(options.base)
    if kept["anchor"] == options.head:
        raise InputError(f"head is '{options.head}', which the baseline file is relative to")
    if COUNTED in the_judge.limits.metrics:
        raise InputError("a baseline file holds no instruction counts; give both allocators")
    return measured(options, kept["anchor"], allocator(options.head), out_path(options), budget,
                    the_judge, say,
                    lambda run: stored.AgainstStored(run, kept, labels(run)[1]))  # fmt: skip


def measured(options, base, head, path, budget, the_judge, say, make_pairing):
    metrics = the_judge.limits.metrics
    timed = [metric for metric in metrics if metric != COUNTED]
    counted = None
    if COUNTED in metrics:
        where = path if not timed else path.with_name(path.name + "-instructions")
        run = live.Live(options.job, base, head, where, budget, ("--instructions",))
        say(f"counting instructions of {options.job}, one run of each side")
        run.grow_to(1)
        counted = outcome_of(run, the_judge.restricted([COUNTED]), make_pairing)
        counted.notes.clear()  # that one block gives no interval: a count needs none
        if not timed or judge.verdict(counted.findings) == decision.REGRESSION:
            return counted
    try:
        timing = look_by_look(options, base, head, path, budget, the_judge.restricted(timed), say,
                              make_pairing, "p99" in metrics)  # fmt: skip
    except live.OutOfTime:
        if counted is None:
            raise
        counted.findings.append(judge.out_of_time(options.job, budget))
        return counted
    if counted is None:
        return timing
    return Outcome(timing.findings + counted.findings, timing.pairing, timing.blocks,
                   timing.looks, timing.seconds + counted.seconds, timing.notes,
                   timing.run)  # fmt: skip


def outcome_of(run, a_judge, make_pairing):
    pair = make_pairing(run.load())
    findings = a_judge.look(pair)
    return Outcome(findings, pair, run.blocks, a_judge.look_number, run.spent, pair.notes,
                   str(run.path))  # fmt: skip


def look_by_look(options, base, head, path, budget, a_judge, say, make_pairing, with_latency):
    extra = (f"--latency={'yes' if with_latency else 'no'}", *turns_of(options))
    run = live.Live(options.job, base, head, path, budget, extra)
    # One block first: it says how many comparisons there are, and what a block costs.
    run.grow_to(1)
    pair = make_pairing(run.load())
    blocks = decision.blocks_at_first_look(a_judge.alarms(pair), pair.evidence_kind.least_p)
    say(power.line([cell.workload for cell in pair.cells], 1 + run.fitting(), has_turns=True))
    if 1 + run.fitting() < blocks:
        say(f"the budget holds about {plural(1 + run.fitting(), 'block')}; a regression can be "
            f"found from {blocks} on: raise --time-budget, or give a smaller job")  # fmt: skip
    say(f"{plural(len(pair.cells), 'workload')}, {plural(a_judge.alarms(pair), 'comparison')}; "
        f"looking after {plural(blocks, 'block')}, about {blocks * run.block_seconds:.0f} s")
    trials = ()
    while True:
        while run.blocks < blocks and run.fitting() >= 1:
            run.grow_to(min(blocks, run.blocks + run.fitting()), trials)
        outcome = outcome_of(run, a_judge, make_pairing)
        if judge.can_stop(outcome.findings) or run.fitting() < 1:
            return outcome
        blocks = decision.blocks_at_next_look(run.blocks)
        # What is decided stays so; only the others need more.
        cells = a_judge.open_cells
        trials = first_trials(run.load(), cells)
        say(f"{len(cells)} of {plural(len(pair.cells), 'workload')} not decided after "
            f"{plural(run.blocks, 'block')} "
            f"({run.spent:.0f} s); going on with them to {blocks}")  # fmt: skip


def first_trials(run, cells):
    """A trial's number for each cell, which stands for the cell in heapmark's --like."""
    first = run.trials.drop_duplicates("cell").set_index("cell")["trial"]
    return [int(first[cell]) for cell in cells]
