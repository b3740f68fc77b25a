"""What intervals and gates promise, by simulation with fixed seeds; calibration.py has the models.

Bounds allow for what so few repeats can scatter: three standard errors. docs/statistics.md has the
figures of thousands of repeats.
"""

import math

import calibration
import numpy as np
import pytest
from heapmark import statistics
from heapmark.gate.decision import OPEN, PASS, REGRESSION

INTERVALS = 300
GATES = 8  # of each shape
SHAPES = pytest.mark.parametrize("shape", calibration.SHAPES)


def scatter(share, repeats):
    return 3 * math.sqrt(share * (1 - share) / repeats)


@SHAPES
@pytest.mark.parametrize("blocks", [4, 6, 8, 14])
def test_intervals_cover_the_truth(shape, blocks):
    covered = calibration.coverage(statistics.location, shape, blocks, INTERVALS)
    assert 0.93 - scatter(0.93, INTERVALS) <= covered <= 0.97 + scatter(0.97, INTERVALS)


def test_bca_covers_too_little_with_few_blocks_and_with_slow_trials():
    """Why it is not used, although it is the usual choice."""
    assert calibration.coverage(calibration.bca, "normal", 5, 300) < 0.90
    assert calibration.coverage(calibration.bca, "slow trials", 40, 100) < 0.88
    assert calibration.coverage(statistics.location, "slow trials", 40, 300) > 0.91


def pooled(noise, change, limit):
    """Shares of the verdicts over all shapes; each scenario has a seed of its own."""
    shares = [
        calibration.gates(shape, noise, change, limit, GATES, seed)[0]
        for seed, shape in enumerate(calibration.SHAPES)
    ]
    return {verdict: np.mean([share[verdict] for share in shares]) for verdict in shares[0]}


ALL = GATES * len(calibration.SHAPES)


@pytest.mark.parametrize("noise, change", [(0.005, 0.0), (0.02, 0.0), (0.005, 0.015)])
def test_no_change_is_rarely_a_regression(noise, change):
    """At most 1 % of the gates: of half the limit as well, by their definition."""
    found = pooled(noise, change, 0.03)
    assert found[REGRESSION] <= 0.01 + scatter(0.01, ALL)
    assert found[PASS] > 0.85 if noise > 0.01 else found[PASS] > 0.95


@pytest.mark.parametrize("noise, change", [(0.005, 0.03), (0.03, 0.10)])
def test_a_regression_is_found(noise, change):
    found = pooled(noise, change, 0.03)
    assert found[REGRESSION] >= 0.95 - scatter(0.95, ALL)


def test_more_noise_than_the_budget_can_bear_cannot_be_told():
    found, blocks = calibration.gates("normal", 0.3, 0.0, 0.03, GATES)
    assert found == {OPEN: 1, PASS: 0, REGRESSION: 0} and blocks == calibration.BUDGET_BLOCKS
