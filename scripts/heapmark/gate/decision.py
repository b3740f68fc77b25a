"""When the gate may say "regression", when "pass": a sequential test that shares out its errors.

For each comparison (a metric of a workload) with the limit L, a true change c is asked for:

- **regression** is said when c is certainly more than L/2. Over all comparisons and all looks of a
  gate together this is wrong at most ALARM of the time (Holm's correction among the comparisons, a
  share of ALARM for each look). So no change, and any below half of the limit, is let through.
- **pass** is said when c is certainly less than L. Each comparison gets this wrong at most MISS of
  the time over all looks. No correction for their number is needed: a gate passes only if all of
  them do, so one that regressed by L or more must itself be missed.
- Between L/2 and L either may come first. Neither of both: the gate goes on, and at the end of its
  budget it **cannot tell**.
- A guard need not be certain to pass, since it would keep most gates from their end. But one whose
  interval lies above L as a whole is no pass: as long as it does not alarm, it cannot be told.

Why not "regression when the estimate is above L": a true change of L would be found half of the
time. Why not "when c is certainly above 0": a limit would then not limit anything.
"""

import math
from dataclasses import dataclass

from heapmark.comparison import COUNT_MARGIN
from heapmark.multiple import holm

ALARM = 0.01
MISS = 0.025  # the other half of 5 % is for gates that cannot tell in time
EQUAL_LOOKS = 4
ROUNDING = 1e-12  # of the logarithms of counts, so that one equal to its limit is no less
INNOCENT_SHARE = 0.5  # of the limit: what is certainly above it is a regression

REGRESSION, PASS, OPEN = "regression", "pass", "cannot tell"


@dataclass(frozen=True)
class Test:
    """One comparison: its evidence, and the limit as a logarithm of the worst allowed ratio.

    `is_guard`: nobody waits until it is certain. It passes unless it alarms, or its interval lies
    above the limit; each look judges it anew.
    `is_exact`: it is a count that nearly repeats, so that one look at the estimate decides.
    """

    evidence: object
    limit: float
    is_guard: bool = False
    is_exact: bool = False

    @property
    def innocent(self):
        return INNOCENT_SHARE * self.limit


def look_share(look):
    """The part of an error rate that look number 1, 2, 3, ... may spend; all of them add up to 1.

    Equal parts for the looks that a usual budget holds; what is left is halved from then on.
    """
    if look <= EQUAL_LOOKS:
        return 1 / (EQUAL_LOOKS + 1)
    return 0.5 ** (look - EQUAL_LOOKS) / (EQUAL_LOOKS + 1)


def decide(tests, look, settled=()):
    """States of the tests after look number `look`; `settled` are those of the look before.

    What was decided stays so: each look has spent its share of the error rates, and a test that
    passed may not be tried again. A guard's pass is no decision: only its alarm has a rate, which
    the looks share. Exact ones are decided at once.
    """
    states = list(settled) or [OPEN] * len(tests)
    for at, test in enumerate(tests):
        if test.is_guard and states[at] == PASS:
            states[at] = OPEN
    noisy = [at for at, test in enumerate(tests) if not test.is_exact]
    alarms = holm([tests[at].evidence.p_above(tests[at].innocent) for at in noisy])
    for at, p_value in zip(noisy, alarms):
        if states[at] == OPEN and p_value <= ALARM * look_share(look):
            states[at] = REGRESSION
        elif states[at] == OPEN and may_pass(tests[at], look):
            states[at] = PASS
    for at, test in enumerate(tests):
        if test.is_exact:
            states[at] = exact_state(test)
    return states


def may_pass(test, look):
    if test.is_guard:
        estimate = test.evidence.estimate
        return estimate is not None and estimate.low < test.limit  # not without an interval
    return test.evidence.p_below(test.limit) <= MISS * look_share(look)


def exact_state(test):
    """A regression from the limit on; but below COUNT_MARGIN that may be chance, whatever the limit."""
    estimate = test.evidence.estimate
    if estimate is None:
        return OPEN
    value = estimate.value + ROUNDING
    if value < test.limit:
        return PASS
    return REGRESSION if value >= math.log1p(COUNT_MARGIN) else OPEN


def blocks_at_first_look(tests, least_p):
    """Blocks from which a regression can be found at all, when nothing has been spent yet.

    `tests` is their number; `least_p(blocks)` the smallest chance that so many blocks can show.
    Looking earlier would spend the shares on looks that cannot alarm.
    """
    blocks = 2
    while least_p(blocks) * max(1, tests) > ALARM * look_share(1):
        blocks += 1
    return blocks


def blocks_at_next_look(blocks):
    """More than half as many again, so that few looks share the error rates."""
    return math.ceil(1.6 * blocks)
