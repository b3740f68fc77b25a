"""Makes runs whose trials took turns, of which the truth and the noise of every level are known."""

import csv

import numpy as np
import synthetic

COLUMNS = ("run", "block", "trial", "turn", "position", "start_ns", "wall_ns", "cpu_ns", "ops")
LABELS = ("base", "head")
BIG = [synthetic.CELLS[3], synthetic.CELLS[5]]  # with enough live data for memory to count


def turn_rows(rng, trial, log_ratio, noise, turns):
    """The turns of one trial of 40 ms; `noise` is from turn to turn."""
    ns = 40e6 / turns * np.exp(log_ratio + rng.normal(0, noise, turns))
    return [
        {"block": trial["block"], "trial": trial["trial"], "turn": turn, "position": 0,
         "start_ns": 5_000_000 * turn, "wall_ns": round(wall), "cpu_ns": round(wall),
         "ops": trial["ops"] // turns}
        for turn, wall in enumerate(ns)
    ]  # fmt: skip


def rows(cells, ratios, blocks, seed=1, turns=8, process=0.005, turn=0.01, memory=None):
    """(trials, turns): `ratios` and `memory` hold head's ratio to base, a cell or all of them.

    `process` is the noise from trial to trial, of each cell or of all.
    """
    rng = np.random.default_rng(seed)
    trials, parts = [], []
    for block in range(blocks):
        for at, cell in enumerate(cells):
            for label in LABELS:
                is_head = label == "head"
                ratio = np.broadcast_to(ratios, len(cells))[at] if is_head else 1.0
                fat = np.broadcast_to(memory or 1.0, len(cells))[at] if is_head else 1.0
                row = synthetic.trial(rng, cell, label, (1.0, fat, 2e6), 0, 0)
                row |= {"block": block, "trial": len(trials), "allocator": label}
                log = np.log(ratio) + rng.normal(0, np.broadcast_to(process, len(cells))[at] / np.sqrt(2))
                own = turn_rows(rng, row, log, turn, turns)
                row["wall_ns"] = sum(part["wall_ns"] for part in own)
                trials.append(row)
                parts += own
    return trials, parts


def write_turns(directory, parts, name):
    with open(directory / "turns.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(part | {"run": name} for part in parts)


def make(directory, cells=BIG, ratios=1.0, blocks=14, **options):
    """A run of base and head in turns; returns its directory."""
    trials, parts = rows(cells, ratios, blocks, **options)
    env = synthetic.environment(directory.name, LABELS, blocks, aa=False, baseline="base")
    synthetic.write(directory, trials, env)
    write_turns(directory, parts, directory.name)
    return directory


def plain(directory, rows, labels, blocks, baseline="system", machine=None):
    """A run without turns from rows of synthetic.rows(), on a machine with the given facts."""
    env = synthetic.environment(directory.name, labels, blocks, aa=False, baseline=baseline)
    env["machine"] |= machine or {}
    return synthetic.write(directory, rows, env)
