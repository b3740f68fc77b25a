"""The history: what is appended, and the changes found in series whose truth is known."""

import json

import numpy as np
import pytest
import turned
from heapmark.history import changes, table


def level(rng, parts, noise=0.01):
    """A series of logarithms; `parts` are (length, log level)."""
    return np.concatenate([rng.normal(log, noise, length) for length, log in parts])


def test_a_step_is_found_where_it_happened():
    """Parts left and right of it are searched too, each with its 1 % of false alarms."""
    found = [
        changes.find(level(np.random.default_rng(seed), [(12, 0.0), (9, 0.06)]))
        for seed in range(20)
    ]
    steps = [[change for change in one if change.at == 12] for one in found]
    assert all(len(step) == 1 for step in steps)
    assert sum(map(len, found)) <= 22
    factors = [step[0].factor for step in steps]
    assert np.median(factors) == pytest.approx(np.exp(0.06), rel=0.01)


def test_two_steps_are_both_found():
    found = changes.find(level(np.random.default_rng(1), [(12, 0.0), (12, 0.08), (12, 0.02)]))
    assert [change.at for change in found] == [12, 24]
    assert found[0].factor > 1 > found[1].factor


def test_noise_alone_is_rarely_a_change():
    """Also heavy-tailed noise; 1 % is promised, and 2 of 200 series are more likely than not."""
    rng = np.random.default_rng(5)
    found = [changes.find(rng.standard_t(2, 25) * 0.01) for _ in range(200)]
    assert sum(map(bool, found)) <= 7


def test_one_odd_value_is_no_change():
    series = level(np.random.default_rng(2), [(20, 0.0)], 0.005)
    for at in (0, 9, 19):
        odd = series.copy()
        odd[at] += 0.5
        assert changes.find(odd) == []


@pytest.mark.parametrize("values", [[], [0.1], [0.1] * 30, [0.1, 0.2, 0.1, 0.2, 0.1]])
def test_short_and_constant_series_have_no_change(values):
    assert changes.find(values) == []


def gates(heapmark, tmp_path, file, ratios):
    for number, ratio in enumerate(ratios):
        path = turned.make(tmp_path / str(number), ratios=ratio, seed=number, process=0.002)
        code, _, err = heapmark("gate", f"--base={path}", f"--head={path}", f"--history={file}",
                                f"--commit=c{number}", "--max-regress=50%")  # fmt: skip
        assert code == 0, err


def test_a_history_of_gates_shows_its_change(heapmark, tmp_path):
    file = tmp_path / "history.csv"
    gates(heapmark, tmp_path, file, [1.0] * 6 + [1.05] * 6)
    found = table.read(file)
    assert len(found) == 12 * len(set(zip(found["metric"], found["workload"])))
    assert file.read_text().count("taken,") == 1, "one header"
    code, out, _ = heapmark("history", file, "--json", "--metric=time")
    series = json.loads(out)["series"]
    assert code == 0 and len(series) == len(turned.BIG)
    for one in series:
        assert [change["commit"] for change in one["changes"]] == ["c6"]
        assert one["changes"][0]["factor"] == pytest.approx(1.05, rel=0.01)
    _, text, _ = heapmark("history", file, "--workload=sizemix")
    assert "c6" in text and "threadtest" not in text


def test_nothing_is_appended_to_another_file(heapmark, tmp_path):
    file = tmp_path / "notes.csv"
    file.write_text("a,b\n1,2\n")
    path = turned.make(tmp_path / "r")
    code, _, err = heapmark("gate", f"--base={path}", f"--head={path}", f"--history={file}")
    assert code == 2 and "is not a history" in err
    assert file.read_text() == "a,b\n1,2\n"


def test_a_metric_that_the_history_lacks_is_named(heapmark, tmp_path):
    file = tmp_path / "history.csv"
    gates(heapmark, tmp_path, file, [1.0])
    code, _, err = heapmark("history", file, "--metric=speed")
    assert code == 2 and "no row of the metric 'speed'" in err
