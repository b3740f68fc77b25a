"""Simulates what the intervals and the gate promise, on noise of many shapes.

As a program it prints the tables of docs/statistics.md: python3 tests/python/calibration.py --full
(some minutes). The test suite runs the same with fewer repeats.

`noise` below is half of the width that holds the middle 68 % of the block ratios' logarithms, for
every shape: the heavier the tails, the further out the rest lies.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from scipy import stats

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "scripts")]

from heapmark import statistics  # noqa: E402
from heapmark.evidence import Independent, Paired  # noqa: E402
from heapmark.gate import decision  # noqa: E402

COMPARISONS = 20  # of a gate: some seven workloads with time, whole trials and memory
FULL = 400  # repeats for the tables
BUDGET_BLOCKS = 68  # what 120 s hold
STORED = HERE / "fixtures" / "noise.csv"


# ---- noise --------------------------------------------------------------------------------------


def difference(one_trial):
    """Log ratios of two trials of the same noise: what a block of A against A shows."""
    return lambda rng, shape: one_trial(rng, shape) - one_trial(rng, shape)


def normal(rng, shape):
    return rng.normal(0, 1, shape)


def heavy(rng, shape):
    return rng.standard_t(3, shape)


def slow_trials(rng, shape):
    """One trial in twenty met a neighbour, and took 1.3 to 3 times as long."""
    slow = np.log(rng.uniform(1.3, 3, shape)) * (rng.random(shape) < 0.05)
    return rng.normal(0, 0.03, shape) + slow


def bimodal(rng, shape):
    """Two levels, as addresses and pages fall."""
    return rng.normal(0, 0.01, shape) + 0.08 * (rng.random(shape) < 0.4)


def drifting(rng, shape):
    """The machine's speed walks at random; of a block's two trials either may be the first."""
    step = rng.normal(0, 1, shape) + np.cumsum(rng.normal(0, 0.1, shape), axis=-1)
    return np.where(rng.random(shape) < 0.5, 1, -1) * step + rng.normal(0, 0.5, shape)


def measured(rng, shape):
    """Blocks of one allocator against a copy of itself that were really measured."""
    cells = stored_noise()
    flat = rng.integers(0, len(cells), shape[:-1] + (1,))
    at = rng.integers(0, min(map(len, cells)), shape)
    table = np.array([cell[: min(map(len, cells))] for cell in cells])
    return table[np.broadcast_to(flat, shape), at] * np.where(rng.random(shape) < 0.5, 1, -1)


def stored_noise():
    """Each workload's log ratios about their median, scaled to the same spread."""
    cells = {}
    with open(STORED, newline="") as file:
        for row in csv.DictReader(file):
            cells.setdefault(row["workload"], []).append(float(row["log_ratio"]))
    centred = [np.array(values) - np.median(values) for values in cells.values()]
    return [values / statistics.spread(values) for values in centred]


SHAPES = {
    "normal": difference(normal),
    "heavy-tailed": difference(heavy),
    "slow trials": difference(slow_trials),
    "bimodal": difference(bimodal),
    "drifting": drifting,
    "measured": measured,
}


def unit(shape):
    """The shape's generator, scaled to a noise of 1."""
    draw = SHAPES[shape]
    wide = np.quantile(np.abs(draw(np.random.default_rng(0), (400, 250))), 0.6827)
    return lambda rng, size: draw(rng, size) / wide


# ---- intervals ----------------------------------------------------------------------------------


def coverage(estimate, shape, blocks, repeats, seed=1):
    """Share of intervals that hold the truth, 0; `estimate` makes an Estimate of blocks' values."""
    draws = unit(shape)(np.random.default_rng(seed), (repeats, blocks))
    found = [estimate(values) for values in draws]
    return np.mean([one.low <= 0 <= one.high for one in found])


def overall_coverage(shape, blocks, cells, repeats, seed=1):
    rng, draw = np.random.default_rng(seed), unit(shape)
    found = [statistics.mean_location(draw(rng, (cells, blocks)).T) for _ in range(repeats)]
    return np.mean([one.low <= 0 <= one.high for one in found])


def bca(values):
    """The mean of the logarithms with a BCa interval: what the package does not use."""
    low, high = stats.bootstrap(
        (values,), np.mean, n_resamples=999, method="BCa", random_state=1
    ).confidence_interval
    return statistics.Estimate(float(values.mean()), low, high, len(values))


def independent(values):
    half = len(values) // 2
    return Independent(values[:half], values[half:]).estimate


# ---- gates --------------------------------------------------------------------------------------


def gate(draw, rng, noise, change, limit):
    """One gate in which one of COMPARISONS changed; returns (verdict, blocks)."""
    values = noise * draw(rng, (COMPARISONS, BUDGET_BLOCKS))
    values[0] += np.log1p(change)
    blocks = decision.blocks_at_first_look(COMPARISONS, Paired.least_p)
    states, look = [], 0
    while True:
        look += 1
        tests = [decision.Test(Paired(row[:blocks]), np.log1p(limit)) for row in values]
        states = decision.decide(tests, look, states)
        if decision.REGRESSION in states:
            return decision.REGRESSION, blocks
        if decision.OPEN not in states:
            return decision.PASS, blocks
        if blocks == BUDGET_BLOCKS:
            return decision.OPEN, blocks
        blocks = min(BUDGET_BLOCKS, decision.blocks_at_next_look(blocks))


def gates(shape, noise, change, limit, repeats, seed=1):
    """({verdict: share}, mean of blocks) of many gates."""
    rng, draw = np.random.default_rng(seed), unit(shape)
    found = [gate(draw, rng, noise, change, limit) for _ in range(repeats)]
    shares = {
        verdict: sum(one == verdict for one, _ in found) / repeats
        for verdict in (decision.REGRESSION, decision.PASS, decision.OPEN)
    }
    return shares, float(np.mean([blocks for _, blocks in found]))


# noise, true change, limit
GATES = ((0.005, 0.0, 0.03), (0.03, 0.0, 0.03), (0.005, 0.015, 0.03), (0.005, 0.03, 0.03),
         (0.03, 0.10, 0.03), (0.03, 0.10, 0.10))  # fmt: skip


# ---- the tables of docs/statistics.md -----------------------------------------------------------


def print_table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + " --- |" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
    print()


def print_coverage(name, estimate, sizes, repeats):
    print(f"{name}\n")
    print_table(["blocks", *SHAPES], (
        [str(blocks)]
        + [f"{100 * coverage(estimate, shape, blocks, repeats):.1f}" for shape in SHAPES]
        for blocks in sizes
    ))


def main(repeats):
    head = ["noise", "change", "limit", "shape", "regression", "pass", "cannot tell", "blocks"]
    print_table(head, (
        [f"{100 * noise:g} %", f"{100 * change:g} %", f"{100 * limit:g} %", shape]
        + [f"{100 * share:.1f}" for share in found[0].values()] + [f"{found[1]:.0f}"]
        for noise, change, limit in GATES
        for shape in SHAPES
        for found in [gates(shape, noise, change, limit, repeats // 2)]
    ))
    few = (3, 4, 5, 6, 8, 10, 14, 20, 40)
    print_coverage("median, order statistics (used)", statistics.location, few, 4 * repeats)
    print_coverage("mean, BCa", bca, (5, 8, 14, 20, 40), repeats)
    print_coverage("two runs", independent, (12, 20, 40), 2 * repeats)
    print("mean over 8 workloads\n")
    print_table(["blocks", *SHAPES], (
        [str(blocks)]
        + [f"{100 * overall_coverage(shape, blocks, 8, repeats // 2):.1f}" for shape in SHAPES]
        for blocks in (3, 5, 8, 14, 20)
    ))


if __name__ == "__main__":
    main(FULL if "--full" in sys.argv[1:] else FULL // 10)
