"""Baseline files: an allocator's figures relative to system, for gates of later days.

The file holds logarithms of the ratio to `system`, a value a block, for each metric and workload.
Ratios travel better than times, so that it serves on the machine it was taken on, and with the
same job only.
"""

import dataclasses
import json
import math
from pathlib import Path

from heapmark import load
from heapmark.cells import Cell
from heapmark.errors import InputError
from heapmark.evidence import Independent, difference
from heapmark.pairing import MACHINE_FACTS, Pairing, WithinRun, mean_over

VERSION = 1
METRICS = ("time", "total", "memory", "p99")


def is_stored(path):
    return Path(path).is_file() and Path(path).suffix == ".json"


def data_of(pairing, job, machine):
    """What is kept of a WithinRun pairing of some allocator (head) against system (base)."""
    return {
        "heapmark_baseline": VERSION,
        "allocator": pairing.head_label,
        "anchor": pairing.base_label,
        "job": job,
        "machine": {fact: machine.get(fact) for fact in MACHINE_FACTS},
        "cells": [
            {
                "cell": dataclasses.asdict(cell),
                "logs": {
                    metric: [float(v) for v in pairing.evidence(metric, cell).differences]
                    for metric in METRICS
                },
            }
            for cell in pairing.cells
            if not pairing.failure("head", cell) and not pairing.failure("base", cell)
        ],
    }


def write(path, data):
    Path(path).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def read(path):
    """The file's content, checked. Raises InputError."""
    try:
        data = json.loads(load.read_text(Path(path)))
    except (ValueError, RecursionError) as error:
        raise InputError(f"'{path}' is not valid JSON ({error}); save the baseline anew") from None
    if not isinstance(data, dict) or data.get("heapmark_baseline") != VERSION:
        raise InputError(
            f"'{path}' is not a baseline file of version {VERSION}; 'heapmark gate "
            "--save-baseline=FILE' writes one"
        )
    try:
        cells = {Cell(**entry["cell"]): checked(entry["logs"]) for entry in data["cells"]}
        kept = {key: str(data[key]) for key in ("allocator", "anchor", "job")}
        machine = dict(data["machine"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"'{path}' is damaged ({error}); save the baseline anew") from None
    if not cells:
        raise InputError(f"'{path}' holds no workload; save the baseline anew")
    return kept | {"cells": cells, "machine": machine}


def checked(logs):
    result = {metric: [float(value) for value in logs[metric]] for metric in METRICS}
    if any(not math.isfinite(value) for values in result.values() for value in values):
        raise ValueError("a figure is not finite")
    return result


class AgainstStored(Pairing):
    """Head, measured against system now, against what was stored."""

    evidence_kind = Independent

    def __init__(self, run, stored, head_label):
        self.now = WithinRun(run, run.baseline, head_label)
        self.machines = self.now.machines
        self.stored = stored
        cells = [cell for cell in self.now.cells if cell in stored["cells"]]
        if not cells:
            raise InputError("the baseline file has none of the workloads that ran; use its job: "
                             f"--job={stored['job']}")  # fmt: skip
        machine = run.env["machine"]
        then = stored["machine"]
        changed = [fact for fact in MACHINE_FACTS if machine.get(fact) != then.get(fact)]
        notes = [f"relative to {stored['anchor']}, then and now"]
        if changed:
            notes.append(f"the baseline file is of another machine ({', '.join(changed)} differ)")
        super().__init__(stored["allocator"], head_label, cells, notes + self.now.notes)

    def evidence(self, metric, cell):
        kept = self.stored["cells"][cell].get(metric, [])
        return Independent(self.now.evidence(metric, cell).differences, kept)

    def overall(self, metric, cells):
        now = self.now.overall(metric, cells)
        then = [self.stored["cells"][cell].get(metric, []) for cell in cells]
        count = min(map(len, then), default=0)
        then = mean_over([column[:count] for column in then]) if count else None
        return None if now is None or then is None else difference(now, then)

    def noise(self, metric, cell):
        return self.now.noise(metric, cell)

    def overall_noise(self, metric, cells):
        return self.now.overall_noise(metric, cells)

    def has_turns(self, cell):
        return self.now.has_turns(cell)

    def failure(self, side, cell):
        # What fails on system today cannot be judged, whoever is at fault.
        return self.now.failure("base" if side == "base" else "head", cell)

    def live_bytes(self, cell):
        return self.now.live_bytes(cell)
