"""Judges a pairing: which comparisons there are, what each look says, what stands at the end."""

import datetime
import math
from dataclasses import dataclass, field

from heapmark.cells import full_name
from heapmark.comparison import COUNT_MARGIN, SMALL_LIVE_BYTES
from heapmark.gate import decision
from heapmark.gate.decision import OPEN, PASS, REGRESSION

ALLOWED = "allowed"
TOTAL = "total"  # the whole trials' time: a guard beside the turns' one, under the limit of time
STATUS = "status"  # whether a workload still runs
EXACT = ("instructions",)


@dataclass(frozen=True)
class Finding:
    """What is said of a metric of a workload at the end. `limit` is a fraction, NaN for STATUS."""

    metric: str
    workload: str
    state: str
    estimate: object  # of the ratio, or None
    limit: float
    spread: float  # robust standard deviation of a block's ratio, NaN where unknown
    is_guard: bool = False
    detail: str = ""


@dataclass
class Judge:
    """The gate's memory from look to look. `today` decides which exceptions have expired."""

    limits: object
    allowed: list = field(default_factory=list)
    today: datetime.date = field(default_factory=datetime.date.today)
    states: dict = field(default_factory=dict)  # (metric, cell): state
    look_number: int = 0
    open_cells: list = field(default_factory=list)  # that the last look left open

    def restricted(self, metrics):
        """A judge of these metrics only, with the same limits and exceptions."""
        return Judge(self.limits.only(metrics), self.allowed, self.today)

    def look(self, pairing):
        """Take one look at all that was measured so far; returns its Findings."""
        self.look_number += 1
        tests = self.tests(pairing)
        before = [self.states.get(key, OPEN) for key in tests]
        after = decision.decide(list(tests.values()), self.look_number, before)
        self.states.update(zip(tests, after))
        self.open_cells = self.open_cells_of(tests)
        found = [self.broken(pairing, cell) for cell in pairing.cells]
        found = [finding for finding in found if finding]
        return found + [self.finding(pairing, *key, test) for key, test in tests.items()]

    def tests(self, pairing):
        """{(metric, cell): Test} of all comparisons that a limit is about."""
        tests = {}
        for metric in self.limits.metrics:
            for cell in pairing.cells:
                limit = self.limits.log(metric, names_of(pairing, cell))
                if limit is not None and not pairing.failure("base", cell):
                    tests |= self.tests_of(pairing, metric, cell, limit)
        return tests

    def open_cells_of(self, tests):
        """Cells that more blocks may decide: what was never measured stays open."""
        cells = [
            cell
            for (metric, cell), test in tests.items()
            if self.states[metric, cell] == OPEN and test.evidence.estimate is not None
        ]
        return list(dict.fromkeys(cells))

    def tests_of(self, pairing, metric, cell, limit):
        if pairing.failure("head", cell):
            return {}  # broken() says it
        if metric in EXACT and cell.threads > 1:
            return {}  # unrepeatable() says it
        if metric == "time" and cell.is_paced:
            return {}  # paced() says it
        # Where little is live, memory is the allocator's fixed cost: a few pages more or less.
        is_small = metric == "memory" and not pairing.live_bytes(cell) >= SMALL_LIVE_BYTES
        evidence = pairing.evidence(metric, cell)
        tests = {(metric, cell): decision.Test(evidence, limit, is_small, metric in EXACT)}
        if metric == "time" and pairing.has_turns(cell):
            guard = pairing.evidence(TOTAL, cell)
            tests[TOTAL, cell] = decision.Test(guard, limit, is_guard=True)
        return tests

    def broken(self, pairing, cell):
        """A Finding for a workload that did not run on one of the sides, or None."""
        head, base = pairing.failure("head", cell), pairing.failure("base", cell)
        name = pairing.names[cell]
        if base:
            detail = f"cannot be judged, since it fails on base: {base}"
            return Finding(STATUS, name, OPEN, None, math.nan, math.nan, detail=detail)
        if head:
            state, why = self.excused(REGRESSION, STATUS, names_of(pairing, cell))
            detail = f"fails on head only: {head}" + why
            return Finding(STATUS, name, state, None, math.nan, math.nan, detail=detail)
        return None

    def finding(self, pairing, metric, cell, test):
        estimate = test.evidence.estimate
        state = self.states[metric, cell]
        gated = "time" if metric == TOTAL else metric
        detail = ""
        if test.is_guard and state == OPEN:
            detail = "above its limit, which so few blocks do not prove"
        if test.is_exact and state == OPEN:
            detail = (f"above its limit, but counts of some allocators differ that much by chance: below "
                      f"{100 * COUNT_MARGIN:g} % they tell nothing")  # fmt: skip
        if estimate is None:
            state, detail = OPEN, "not measured in this run"
            if metric == "instructions":
                detail = "not counted: the run was taken without --instructions"
        state, why = self.excused(state, gated, names_of(pairing, cell))
        return Finding(
            metric=metric,
            workload=pairing.names[cell],
            state=state,
            estimate=estimate.exp() if estimate else None,
            limit=math.expm1(test.limit),
            spread=test.evidence.spread if estimate else math.nan,
            is_guard=test.is_guard,
            detail=(detail + why).strip("; "),
        )

    def excused(self, state, metric, names):
        """(state, why): a regression that the allow list names is ALLOWED until its last day."""
        covering = [entry for entry in self.allowed if entry.covers(metric, names)]
        if state != REGRESSION or not covering:
            return state, ""
        valid = [entry for entry in covering if not entry.is_expired(self.today)]
        if valid:
            return ALLOWED, f"; allowed until {valid[0].until}: {valid[0].reason}"
        return state, f"; its exception expired on {covering[0].until}: {covering[0].reason}"

    def alarms(self, pairing):
        """How many comparisons share the alarm rate."""
        return sum(not test.is_exact for test in self.tests(pairing).values())

    def unrepeatable(self, pairing):
        """Notes about counts that are not judged: threads that wait count otherwise each time."""
        names = [pairing.names[cell] for cell in pairing.cells if cell.threads > 1]
        if not names or not set(EXACT) & set(self.limits.metrics):
            return []
        which = ", ".join(names)
        return [f"instructions of several threads do not repeat and are not judged: {which}"]

    def paced(self, pairing):
        """Notes about time that is not judged: a paced replay takes the recording's."""
        names = [pairing.names[cell] for cell in pairing.cells if cell.is_paced]
        if not names or "time" not in self.limits.metrics:
            return []
        which = ", ".join(names)
        return [f"the time of paced replays is the recording's and is not judged: {which}"]

    def unused(self, pairing):
        """Notes about exceptions that are over, or that match no workload."""
        notes = []
        for entry in self.allowed:
            if entry.is_expired(self.today):
                notes.append(f"the exception [{entry.pattern}] expired on {entry.until} and does "
                             "not count")  # fmt: skip
            elif not any(
                entry.covers(metric, names_of(pairing, cell))
                for metric in (*self.limits.metrics, STATUS)
                for cell in pairing.cells
            ):
                notes.append(f"the exception [{entry.pattern}] matches nothing that was run")
        return notes


def out_of_time(job, budget):
    """The Finding of a gate whose budget, in seconds, was over before the first block was."""
    detail = (f"the budget of {budget:g} s ended before the first block did: raise --time-budget, "
              "or give a job of fewer or shorter trials")  # fmt: skip
    return Finding(STATUS, job, OPEN, None, math.nan, math.nan, detail=detail)


def names_of(pairing, cell):
    """All that a workload may be called in --limit and in the allow list."""
    return pairing.names[cell], cell.workload, full_name(cell)


def verdict(findings):
    """The gate's answer: a regression outweighs all, then what is undecided."""
    states = {finding.state for finding in findings}
    if REGRESSION in states:
        return REGRESSION
    return OPEN if OPEN in states or not findings else PASS


def can_stop(findings):
    """Whether more blocks could not change the verdict."""
    answer = verdict(findings)
    undecided = [f for f in findings if f.state == OPEN and f.estimate is not None]
    return answer != OPEN or not undecided


def widest(findings):
    """The undecided Finding with the most noise: what keeps the gate from deciding."""
    undecided = [
        f for f in findings if f.state == OPEN and not f.is_guard and not math.isnan(f.spread)
    ]
    return max(undecided, key=lambda finding: finding.spread, default=None)
