"""Makes run directories whose truth is known, for tests and for looking at plots.

Figures are drawn from a seeded generator, so the same call makes the same files. The shape of the
noise follows what shared machines do: a few per cent of scatter, now and then a slow trial.
"""

import csv
import json
import re
from pathlib import Path

import numpy as np

RECORD_DEF = Path(__file__).resolve().parents[2] / "harness" / "results" / "record.def"

COLOURS = {
    "system": "#777777",
    "jemalloc": "#d55e00",
    "tcmalloc": "#0072b2",
    "tcmalloc-full": "#56b4e9",
    "mimalloc": "#009e73",
    "tbb": "#cc79a7",
    "scudo": "#e69f00",
    "null": "#000000",
}

# workload, params, threads, ns an operation under the baseline, live bytes
CELLS = [
    ("pair", "size=64", 1, 6.5, 64),
    ("batch", "size=64 count=10000 order=fifo", 1, 9.3, 640_000),
    ("larson", "slots=1000", 2, 60.0, 4_900_000),
    ("threadtest", "size=64 count=100000", 2, 21.0, 6_400_000),
    ("prodcons", "size=128", 2, 90.0, 1_000_000),
    ("sizemix", "slots=100000", 1, 45.0, 30_000_000),
    ("replay", "trace=workloads/traces/sqlite3.hmt", 1, 33.0, 12_000_000),
    ("replay", "trace=workloads/traces/lua.hmt", 1, 28.0, 5_500_000),
    ("replay", "trace=workloads/traces/zstd-T2.hmt", 3, 70.0, 41_000_000),
]

# label: time and memory ratio to the baseline, fixed cost in bytes
ALLOCATORS = {
    "system": (1.0, 1.0, 2e6),
    "jemalloc": (0.93, 1.12, 4e6),
    "jemalloc:narenas=1": (1.02, 0.99, 4e6),
    "tcmalloc": (0.68, 1.20, 7e6),
    "mimalloc": (0.72, 1.06, 3e6),
    "tbb": (1.01, 1.45, 5e6),
    "scudo": (5.6, 1.30, 3e6),
}


def columns():
    """The schema as the harness writes it into env.json, read from where it is defined."""
    pattern = r'^COLUMN\((\w+),\s*(\w+),\s*"([^"]*)",\s*"([^"]*)"\)'
    found = re.findall(pattern, RECORD_DEF.read_text(), re.MULTILINE)
    return [
        {"name": name, "type": kind.lower(), "unit": unit, "help": text}
        for kind, name, unit, text in found
    ]


def environment(name, labels, blocks, aa, baseline="system"):
    return {
        "schema_version": 1,
        "heapmark": {"version": "0.1.0", "git": "0123abc"},
        "run": {
            "name": name,
            "command": ["heapmark", "run", "quick"],
            "started": "2026-11-21T23:15:00Z",
            "seed": 42,
            "baseline": baseline,
            "aa": aa,
            "blocks": blocks,
        },
        "machine": {
            "hostname": "example",
            "cpu": "Intel Xeon Processor 2.50 GHz",
            "cpus": 2,
            "nodes": 1,
            "memory_bytes": 8 << 30,
            "kernel": "Linux 6.18",
            "libc": "glibc 2.36",
            "governor": None,
            "thp": "madvise",
            "virtual": "kvm",
            "tsc_hz": 2_500_000_000,
            "timer": "tsc",
        },
        "allocators": [
            {
                "label": label,
                "allocator": label.partition(":")[0],
                "variant": label.partition(":")[2],
                "path": "/usr/lib/x86_64-linux-gnu/libexample.so",
                "version": "1.0",
                "sha256": "0" * 64,
                "colour": COLOURS.get(label.partition(":")[0], ""),
                "environment": "",
            }
            for label in labels
        ],
        "columns": columns(),
        "calibration": [],
        "warnings": ["the CPU frequency governor is not known"],
    }


def slow_factor(rng, noise, slow_share):
    """A trial's time over its true one: scatter, and now and then a neighbour in the way."""
    slow = rng.uniform(1.3, 3) if rng.random() < slow_share else 1.0
    return slow * np.exp(rng.normal(0, noise))


def trial(rng, cell, label, truth, noise, slow_share):
    """The figures of one good trial as a dictionary of texts."""
    workload, params, threads, ns_per_op, live = cell
    time_ratio, memory_ratio, fixed = truth
    ops = round(2e8 / ns_per_op) * threads
    wall = ops / threads * ns_per_op * time_ratio * slow_factor(rng, noise, slow_share)
    harness = 8 << 20
    peak = harness + fixed + live * 1.1 * memory_ratio * np.exp(rng.normal(0, 0.004))
    allocator, _, variant = label.partition(":")
    p99 = 25 * time_ratio**0.5 * np.exp(rng.normal(0, 0.1))
    return {
        "workload": workload,
        "params": params,
        "allocator": allocator,
        "variant": variant,
        "threads": threads,
        "placement": "compact",
        "mempolicy": "default",
        "seed": 42,
        "status": "ok",
        "ops": ops,
        "wall_ns": round(wall),
        "ops_per_s": f"{ops / wall * 1e9:.17g}",
        "live_bytes_peak": live,
        "rss_bytes_base": harness + (1 << 20),
        "rss_bytes_peak": round(peak),
        "malloc_ns_p99": round(p99),
        "harness_bytes": harness,
        "work": ops // 2,
    }


def cell_truth(rng, truth, spread):
    """Allocators are not equally good everywhere: a cell's own truth around the overall one."""
    time_ratio, memory_ratio, fixed = truth
    return time_ratio * np.exp(rng.normal(0, spread)), memory_ratio, fixed


def rows(cells, allocators, blocks, seed=1, noise=0.03, slow_share=0.04, spread=0.15, aa=True):
    """Good trials of every combination in every block, in a random order inside blocks."""
    rng = np.random.default_rng(seed)
    truths = {
        (cell, label): truth if label == "system" else cell_truth(rng, truth, spread)
        for cell in cells
        for label, truth in allocators.items()
    }
    if aa:
        truths |= {(cell, "system:aa"): allocators["system"] for cell in cells}
    result = []
    for block in range(blocks):
        for at in rng.permutation(len(truths)):
            (cell, label), truth = list(truths.items())[at]
            result.append(trial(rng, cell, label, truth, noise, slow_share) | {"block": block})
    return result


def write(directory, rows, env):
    """Write a run directory; a row is a dictionary, and what it lacks stays empty."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "env.json").write_text(json.dumps(env, indent=1) + "\n")
    with open(directory / "trials.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, [column["name"] for column in env["columns"]], restval="")
        writer.writeheader()
        for number, row in enumerate(rows):
            writer.writerow(row | {"run": env["run"]["name"], "trial": number})
    return directory


def quick(directory, name="quick-20261121-231500", cells=CELLS, allocators=ALLOCATORS, blocks=8):
    """A run as the job `quick` makes it."""
    env = environment(name, allocators, blocks, aa=True)
    return write(directory, rows(cells, allocators, blocks), env)
