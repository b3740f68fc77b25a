"""Evidence of a difference, turns and their variance, and what is said to be detectable."""

import math

import numpy as np
import pytest
import turned
from heapmark import load, pairing, power, statistics, turns
from heapmark.evidence import Independent, Paired, difference
from heapmark.gate import decision


def test_bounds_are_tested_from_both_sides():
    values = np.log(1.05) + np.random.default_rng(1).normal(0, 0.01, 16)
    paired = Paired(values)
    assert paired.p_above(np.log(1.02)) < 0.001 < 0.5 < paired.p_above(np.log(1.08))
    assert paired.p_below(np.log(1.08)) < 0.001 < 0.5 < paired.p_below(np.log(1.02))
    base = np.random.default_rng(2).normal(3, 0.01, 16)
    independent = Independent(values + base, base)
    assert independent.p_above(0) < 0.01 and independent.p_below(0.1) < 0.01
    assert independent.estimate.low < np.log(1.05) < independent.estimate.high


def test_without_values_nothing_is_certain():
    for nothing in (Paired([math.nan] * 4), Independent([], [0.1])):
        assert nothing.estimate is None
        assert nothing.p_above(0) == nothing.p_below(0) == 1
        assert math.isnan(nothing.p_difference())


def test_no_blocks_can_be_more_certain_than_their_number_allows():
    for blocks in (5, 9, 14):
        assert Paired(np.linspace(1, 2, blocks)).p_above(0) == pytest.approx(Paired.least_p(blocks))
        groups = Independent(np.linspace(1, 2, blocks), np.linspace(-2, -1, blocks))
        assert groups.p_above(0) == pytest.approx(Independent.least_p(blocks))


def test_the_first_look_can_find_a_regression_and_none_before():
    for tests in (1, 7, 40):
        blocks = decision.blocks_at_first_look(tests, Paired.least_p)
        at_once = [decision.Test(Paired(np.linspace(0.2, 0.3, blocks)), 0.03)]
        others = [decision.Test(Paired(np.zeros(blocks)), 0.03)] * (tests - 1)
        assert decision.decide(at_once + others, 1)[0] == decision.REGRESSION
        shorter = [
            decision.Test(Paired(test.evidence.values[1:]), 0.03) for test in at_once + others
        ]
        assert decision.decide(shorter, 1)[0] != decision.REGRESSION


@pytest.mark.parametrize("blocks, state", [(7, decision.OPEN), (8, decision.PASS)])
def test_a_pass_may_spend_no_more_than_its_look_has(blocks, state):
    """Of seven blocks the best is 1/128: below what all looks may miss, and above a look's share of it."""
    test = decision.Test(Paired(np.linspace(-0.01, 0.01, blocks)), 0.03)
    assert decision.MISS / decision.EQUAL_LOOKS / 2 < 0.5**7 < decision.MISS
    assert decision.decide([test], 1) == [state]


def test_values_that_are_the_bound_itself_say_nothing():
    values = [0.01, 0.02, 0.03, 0.05, 0.07]
    for bound in (0.0, 0.25):
        shifted = np.array([0.0, *values, 0.0]) + bound
        assert Paired(shifted).p_above(bound) == pytest.approx(Paired(values).p_above(0)) == pytest.approx(1 / 32)
    assert Paired(np.zeros(8)).p_above(0) == Paired(np.zeros(8)).p_below(0) == 1


def test_the_interval_of_a_difference_is_movers():
    """Its low end is of head's low one and base's high one, and the other way round: both may be skewed."""
    head, base = statistics.Estimate(0.5, 0.4, 0.9, 8), statistics.Estimate(0.2, 0.0, 0.25, 6)
    found = difference(head, base)
    assert found.value == pytest.approx(0.3) and found.blocks == 6
    assert found.low == pytest.approx(0.3 - math.hypot(0.1, 0.05))
    assert found.high == pytest.approx(0.3 + math.hypot(0.4, 0.2))


def test_shares_of_the_looks_add_up_to_one():
    shares = [decision.look_share(look) for look in range(1, 60)]
    assert sum(shares) == pytest.approx(1) and min(shares) > 0


def test_what_was_decided_stays():
    low, high = Paired(np.linspace(-0.01, 0.01, 20)), Paired(np.linspace(0.2, 0.3, 20))
    before = decision.decide([decision.Test(low, 0.03)], 1)
    assert before == [decision.PASS]
    assert decision.decide([decision.Test(high, 0.03)], 2, before) == [decision.PASS]


def test_levels_of_variance_are_told_apart(tmp_path):
    known = {"process": 0.02, "turn": 0.05}
    run = load.load_run(str(turned.make(tmp_path / "r", blocks=60, turns=30, **known)))
    pair = pairing.within(run)
    differences = pair.comparison.turns.differences(pair.cells[0], "head", "base")
    found = turns.variance(differences)
    assert found.turn == pytest.approx(0.05 * math.sqrt(2), rel=0.1)
    assert found.process == pytest.approx(0.02, rel=0.5)
    assert (found.blocks, found.turns) == (60, 30)
    assert turns.variance(differences[:1]) is None


def test_what_turns_leave_in_a_median_is_no_noise_of_processes():
    """A median of turns scatters by a quarter more than their mean; all of that is the turns' own."""
    found = turns.variance(np.random.default_rng(3).normal(0, 0.05, (4000, 30)))
    assert found.turn == pytest.approx(0.05, rel=0.05) and found.process < 0.0035


def test_detectable_is_what_a_simulation_detects():
    noise, blocks = 0.01, 12
    change = power.detectable(noise, blocks)
    rng = np.random.default_rng(4)
    found = [
        statistics.location(np.log1p(change) + rng.normal(0, noise, blocks)).low > 0
        for _ in range(400)
    ]
    assert 0.90 < np.mean(found) < 1
    assert power.detectable(noise, 48) < 0.6 * change < change < power.detectable(noise, blocks, 20)
    assert math.isinf(power.detectable(noise, 1))


def test_what_can_be_detected_is_said(heapmark):
    code, out, _ = heapmark("detectable", "pair", "larson", "--blocks=13", "--turns=100")
    assert code == 0 and "13 blocks will tell times apart" in out and "% in larson" in out
    _, out, _ = heapmark("detectable", "pair", "--blocks=1")
    assert "one block cannot tell" in out


def test_no_more_is_promised_than_anybody_could_use(heapmark):
    """Of too few blocks the formula says billions of percent."""
    many = ("pair", "sizemix", "prodcons", "larson", "null")
    _, out, _ = heapmark("detectable", *many, "--blocks=2")
    assert out == "2 blocks are too few to tell a time from its double; use --reps=8 or more\n"
    _, out, _ = heapmark("detectable", *many, "--blocks=5")
    assert out.startswith("5 blocks will tell times apart that differ by 9.0 % in sizemix to 40.4 % in larson ")
    assert out.endswith("; they are too few for prodcons: use --reps=8 or more\n")
    assert power.blocks_needed(["prodcons"] * 99, has_turns=False) > power.BLOCKS_MIN


def test_what_is_not_compared_has_nothing_to_tell_apart(heapmark):
    """A workload without operations counts for no comparison either."""
    of_two = heapmark("detectable", "pair", "larson", "--blocks=20")
    assert heapmark("detectable", "pair", "null", "larson", "byhand", "--blocks=20") == of_two
    assert heapmark("detectable", "null", "--blocks=20") == (0, "", "")
