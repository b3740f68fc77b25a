"""Two contenders as two sides, base and head, whatever files they come from.

A Pairing has the cells both took part in, their evidence for each metric (logarithms of head over
base), what failed on either side, and notes that must be said with every figure. Ratios are taken:

- within one run, inside blocks;
- across two runs that carry the same baseline: each side relative to it, inside its own blocks;
- across two runs of one machine without that: directly, which leaves the drift between them in.
"""

import dataclasses
import math

import numpy as np

from heapmark import fallbacks, load, statistics
from heapmark.cells import AA, names, short_label
from heapmark.comparison import Comparison
from heapmark.errors import InputError, nearest
from heapmark.evidence import Independent, Paired, difference
from heapmark.load import describe_failures

# What must be equal for two runs to be of one machine.
MACHINE_FACTS = ("hostname", "cpu", "cpus", "memory_bytes")
SYSTEM_FACTS = ("kernel", "libc", "governor", "thp")  # what may change on it, and matter


class Pairing:
    """What all kinds share: names, notes, and cells in the order in which people expect them."""

    other_work = {}  # cells that are left out, since the two sides did other work in them
    other_traces = ()  # and those in which they replayed other recordings
    is_counted = False

    def turn_differences(self, cell):
        return None  # turns of different runs do not pair

    def has_figures(self, metric):
        """Whether anybody has the metric, so that its want says something of who failed."""
        return any(one.has_figures(metric) for one in self.comparisons())

    def __init__(self, base_label, head_label, cells, notes):
        self.base_label, self.head_label = base_label, head_label
        self.names = names(cells)
        self.cells = cells
        self.notes = notes

    @property
    def title(self):
        return f"{short_label(self.head_label)} against {short_label(self.base_label)}"


class WithinRun(Pairing):
    """Two contenders of one run."""

    evidence_kind = Paired

    def __init__(self, run, base_label, head_label):
        self.comparison = Comparison(dataclasses.replace(run, baseline=base_label))
        # Noise is of the run's own baseline, whose second part the A/A trials are.
        self.own = Comparison(run)
        part = self.comparison
        trials = run.compared
        took_part = set(trials.loc[trials["label"] == head_label, "cell"])
        cells = [cell for cell in part.cells if cell in took_part]
        super().__init__(base_label, head_label, cells,
                         notes_of(run, (base_label, head_label)) + few_blocks(run))  # fmt: skip
        self.machines = [run.env["machine"]]
        self.is_counted = is_counted(run)

    def comparisons(self):
        return [self.own]

    def evidence(self, metric, cell):
        return Paired(self.comparison.log_ratios(metric, cell, self.head_label))

    def overall(self, metric, cells):
        """Estimate of the geometric mean over the cells, as a logarithm, or None."""
        logs = self.comparison.log_ratios
        return mean_over(logs(metric, cell, self.head_label) for cell in cells)

    def noise(self, metric, cell):
        """A/A noise as a fraction (0.02: 2 %); NaN where it was not measured."""
        return self.own.noise_of([cell], metric)

    def overall_noise(self, metric, cells):
        return self.own.noise_of(cells, metric)

    def has_turns(self, cell):
        """Whether time is the turns' own, and not already that of the whole trials."""
        return self.turn_differences(cell) is not None

    def turn_differences(self, cell):
        """Log ratios of time, a row a block and a column a turn, or None where none were taken."""
        turns = self.comparison.turns
        return turns and turns.differences(cell, self.head_label, self.base_label)

    def failure(self, side, cell):
        """What went wrong with "base" or "head" in a cell, or ""."""
        label = self.base_label if side == "base" else self.head_label
        return failure_of(self.comparison, cell, label)

    def live_bytes(self, cell):
        return live_bytes(self.comparison, cell)


class AcrossRuns(Pairing):
    """A contender of one run against one of another; `anchor` is the baseline of both, or None."""

    evidence_kind = Independent

    def __init__(self, base, head, base_label, head_label, anchor, notes):
        self.sides = {"base": Comparison(base), "head": Comparison(head)}
        self.labels = {"base": base_label, "head": head_label}
        self.anchor = anchor
        took_part = [
            set(side.run.compared.loc[side.run.compared["label"] == self.labels[name], "cell"])
            for name, side in self.sides.items()
        ]
        cells = [cell for cell in self.sides["base"].names if all(cell in s for s in took_part)]
        self.other_traces = other_traces(base, head, cells)
        cells = [cell for cell in cells if cell not in self.other_traces]
        self.other_work = other_work(self.sides, self.labels, cells)
        cells = [cell for cell in cells if cell not in self.other_work]
        notes = [*notes, *notes_of(base, [base_label]), *notes_of(head, [head_label])]
        notes = list(dict.fromkeys(notes))
        super().__init__(base_label, head_label, cells, notes)
        self.is_counted = is_counted(base) and is_counted(head)
        self.notes += filter(None, [what_differs(self)])
        self.machines = [run.env["machine"] for run in (base, head)]

    def comparisons(self):
        return list(self.sides.values())

    def logs(self, side, metric, cell):
        comparison, label = self.sides[side], self.labels[side]
        if self.anchor is not None:
            return comparison.log_ratios(metric, cell, label)
        return direct_logs(comparison, metric, cell, label)

    def evidence(self, metric, cell):
        return Independent(self.logs("head", metric, cell), self.logs("base", metric, cell))

    def overall(self, metric, cells):
        """As WithinRun's: each side's mean by its own blocks, then their difference."""
        sides = [mean_over(self.logs(s, metric, cell) for cell in cells) for s in ("head", "base")]
        return None if None in sides else difference(*sides)

    def noise(self, metric, cell):
        return self.overall_noise(metric, [cell])

    def overall_noise(self, metric, cells):
        noises = [side.noise_of(cells, metric) for side in self.sides.values()]
        return max((value for value in noises if not math.isnan(value)), default=math.nan)

    def has_turns(self, cell):
        turns = self.sides["head"].turns
        return bool(self.anchor and turns) and (cell, self.anchor) in turns.columns

    def failure(self, side, cell):
        failed = failure_of(self.sides[side], cell, self.labels[side])
        # Where the common baseline failed, in whichever run, head is not to blame.
        if not failed and side == "base" and self.anchor is not None:
            found = [failure_of(one, cell, one.baseline) for one in self.sides.values()]
            failed = next((f"the common baseline: {text}" for text in found if text), "")
        return failed

    def live_bytes(self, cell):
        return live_bytes(self.sides["base"], cell)


def failure_of(comparison, cell, label):
    failed = comparison.failures.get((cell, label))
    if failed is None:
        return ""
    detail = next((text for text in failed["detail"] if text), "no detail was recorded")
    return f"{describe_failures(failed)}: {detail}"


def live_bytes(comparison, cell):
    ok = comparison.run.ok
    return float(ok.loc[ok["cell"] == cell, "live_bytes_peak"].median())


def direct_logs(comparison, metric, cell, label):
    """Logarithms of a figure itself, one a block; times are of one call, as runs do other work."""
    columns = comparison.table(metric).get(cell, {})
    if label not in columns:
        return np.full(len(comparison.block_rows), math.nan)
    if metric not in ("time", "total", "instructions"):
        return columns[label]
    ok = comparison.run.ok
    ops = ok.loc[(ok["cell"] == cell) & (ok["label"] == label), "ops"].median()
    return columns[label] - math.log(max(ops, 1))


def mean_over(columns):
    """mean_location of the columns that hold any value, or None."""
    columns = [column for column in columns if not np.isnan(column).all()]
    return statistics.mean_location(np.column_stack(columns)) if columns else None


def notes_of(run, labels):
    """What must be said where `labels` of a run are compared."""
    notes = fallbacks.sentences(run, labels)
    if run.idle:
        notes.append(f"{', '.join(run.idle)}: no operations, and so no part in the comparison")
    return notes


def few_blocks(run):
    return [] if run.blocks > 1 or is_counted(run) else [
        f"run '{run.name}' has one block, which gives no interval; use --reps=8 or more"
    ]


def is_counted(run):
    """Whether its instructions were counted under callgrind, of which one block is all there is."""
    return bool(load.is_counted(run.ok).all())


# ---- work --------------------------------------------------------------------------------------

WORK_RATIO = 2  # from there on two replays of a trace are two different workloads


def other_work(sides, labels, cells):
    """{cell: (base's, head's passes)} of the replays whose runs made others.

    Each pass leaves its traces in the heap, and the first finds it empty: neither memory nor time
    is that of another number. Workloads that are not replays reach a state that stays.
    """
    found = {}
    for cell in cells:
        if cell.param("trace"):
            passes = [passes_of(sides[side].run, cell, labels[side]) for side in ("base", "head")]
            if min(passes) > 0 and max(passes) >= WORK_RATIO * min(passes):
                found[cell] = passes
    return found


def passes_of(run, cell, label):
    """A trial's passes; NaN where its rows do not tell."""
    ok = run.ok
    if "work" not in ok:
        return math.nan
    return float(ok.loc[(ok["cell"] == cell) & (ok["label"] == label), "work"].median())


def other_traces(base_run, head_run, cells):
    """The replays of recordings that go by one name in both runs and are not the same."""
    return [
        cell for cell in cells
        if len(hashes_of_trace(base_run, cell) | hashes_of_trace(head_run, cell)) > 1
    ]  # fmt: skip


def hashes_of_trace(run, cell):
    """Of the cell's recording, where the run knows."""
    listed = [entry for entry in run.env["traces"] if entry["trace"] == cell.param("trace")]
    return {entry["sha256"] for entry in listed if entry.get("sha256")}


def what_differs(pairing):
    """Sentences on the cells that are left out, "" where there are none."""
    return "; ".join(filter(None, [traces_differ(pairing), work_differs(pairing)]))


def traces_differ(pairing):
    if not pairing.other_traces:
        return ""
    return (
        f"the two runs replayed different recordings of one name in "
        f"{', '.join(names(list(pairing.other_traces)).values())}, which cannot be compared; "
        "take both with one file"
    )


def work_differs(pairing):
    parts = [
        f"{name} ({base:.0f} and {head:.0f})"
        for name, (base, head) in zip(
            names(list(pairing.other_work)).values(), pairing.other_work.values()
        )
    ]
    if not parts:
        return ""
    return (
        f"the two runs made different numbers of passes over {', '.join(parts)}, which cannot be "
        "compared; take both with one --work=N"
    )


# ---- from runs to a pairing ---------------------------------------------------------------------


def contenders(run):
    """Labels that took part, in env.json's order; neither the floor nor an A/A part is one."""
    compared = run.compared
    present = set(compared.loc[compared["variant"] != AA, "label"])
    listed = [entry.label for entry in run.contenders if entry.label in present]
    return list(dict.fromkeys(listed + sorted(present)))


def pick(run, wanted):
    """The label of `run` that `wanted` means: itself, or a path's file name. Raises InputError."""
    known = contenders(run)
    if wanted in known:
        return wanted
    matches = [label for label in known if short_label(label) == short_label(wanted)]
    if len(matches) == 1:
        return matches[0]
    raise InputError(
        f"run '{run.name}' has no trial of '{wanted}'"
        + (nearest(wanted, known) or f"; it holds {', '.join(known)}")
    )


def within(run, base=None, head=None):
    """The Pairing of two contenders of a run: those named, or the baseline and the only other."""
    base = pick(run, base) if base else run.baseline
    if base is None:
        raise InputError(f"run '{run.name}' has no baseline; name a contender of it with --base")
    others = [label for label in contenders(run) if label != base]
    if head is None and len(others) != 1:
        what = "no other contender" if not others else f"{len(others)} contenders besides '{base}'"
        raise InputError(f"run '{run.name}' has {what}; name two with --base and --head")
    head = pick(run, head) if head else others[0]
    if head == base:
        raise InputError(f"'{head}' cannot be compared with itself; name another as --head")
    return checked(WithinRun(run, base, head), run, run)


def across(base_run, head_run, base=None, head=None):
    """The Pairings of two runs: of the labels named, or of each contender that both have."""
    anchor, notes = anchor_of(base_run, head_run)
    if base or head:
        pairs = [(pick(base_run, base or head), pick(head_run, head or base))]
    else:
        pairs = shared_contenders(base_run, head_run, anchor)
    return [
        checked(AcrossRuns(base_run, head_run, one, other, anchor, notes), base_run, head_run)
        for one, other in pairs
    ]


def shared_contenders(base_run, head_run, anchor):
    ours, theirs = (
        [label for label in contenders(run) if anchor is None or label != run.baseline]
        for run in (base_run, head_run)
    )
    shared = [label for label in ours if label in theirs]
    if shared:
        return [(label, label) for label in shared]
    if len(ours) == len(theirs) == 1:
        return [(ours[0], theirs[0])]
    raise InputError(
        f"runs '{base_run.name}' and '{head_run.name}' share no contender to compare: one has "
        f"{', '.join(ours) or 'none'}, the other {', '.join(theirs) or 'none'} (besides the "
        "baseline); name them with --base and --head"
    )


def checked(pairing, base_run, head_run):
    if not pairing.cells and what_differs(pairing):
        raise InputError(what_differs(pairing))
    if not pairing.cells:
        raise InputError(
            f"nothing to compare: '{pairing.base_label}' of run '{base_run.name}' and "
            f"'{pairing.head_label}' of run '{head_run.name}' ran no workload with the same "
            "parameters; run the same job for both"
        )
    return pairing


def anchor_of(base_run, head_run):
    """(the baseline both carry or None, notes). Raises InputError where nothing can be compared."""
    same_machine = not differing(base_run, head_run, MACHINE_FACTS)
    mismatch = baseline_mismatch(base_run, head_run)
    changed = differing(base_run, head_run, SYSTEM_FACTS)
    notes = [f"between the runs the machine's {', '.join(changed)} changed"] if changed else []
    if not mismatch:
        where = "one machine" if same_machine else "different machines"
        return base_run.baseline, notes + [
            f"two runs of {where}: every figure is relative to {short_label(base_run.baseline)} "
            "of its own run"
        ]
    if not same_machine:
        raise InputError(
            f"runs '{base_run.name}' and '{head_run.name}' are of different machines "
            f"({', '.join(differing(base_run, head_run, MACHINE_FACTS))} differ) and {mismatch}; "
            "take both with the same --baseline, or on one machine"
        )
    return None, notes + [
        f"{mismatch}: figures are compared directly, and what drifted between the runs is in them"
    ]


def differing(base_run, head_run, facts):
    one, other = base_run.env["machine"], head_run.env["machine"]
    return [fact for fact in facts if one.get(fact) != other.get(fact)]


def baseline_mismatch(base_run, head_run):
    """Why their baselines cannot serve as a common measure, or ""."""
    one, other = base_run.baseline, head_run.baseline
    if one is None or other is None:
        return "not both runs have a baseline"
    if one != other:
        return f"their baselines differ ('{short_label(one)}' and '{short_label(other)}')"
    hashes = [sha256_of(run, one) for run in (base_run, head_run)]
    if hashes[0] != hashes[1]:
        return f"their baseline '{short_label(one)}' is not the same file"
    return ""


def sha256_of(run, label):
    entries = [entry for entry in run.env["allocators"] if entry["label"] == label]
    return entries[0].get("sha256") if entries else None
