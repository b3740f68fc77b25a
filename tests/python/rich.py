"""Makes a synthetic run with the data of every plot, and a hostile name among its allocators."""

import csv

import numpy as np
import synthetic

HOSTILE = '/opt/<script>alert("x")</script>/lib&"evil".so'
CELLS = [
    ("larson", "slots=1000", 1, 60.0, 4_900_000),
    ("larson", "slots=1000", 2, 70.0, 4_900_000),
    ("pair", "size=16", 1, 6.0, 16),
    ("pair", "size=64", 1, 6.5, 64),
    ("pair", "size=256", 1, 7.0, 256),
    ("batch", "size=16 count=100", 1, 9.0, 64_000),
    ("batch", "size=64 count=100", 1, 9.3, 64_000),
    ("batch", "size=256 count=100", 1, 9.6, 64_000),
    ("batch", "size=16 count=10000", 1, 10.0, 6_400_000),
    ("batch", "size=64 count=10000", 1, 10.3, 6_400_000),
    ("batch", "size=256 count=10000", 1, 10.6, 6_400_000),
]
ALLOCATORS = {
    "system": (1.0, 1.0, 2e6),
    "jemalloc": (0.8, 1.12, 4e6),
    "jemalloc:narenas=1": (0.85, 0.99, 4e6),
    HOSTILE: (1.3, 1.2, 2e6),
}
LATENCY_EDGES = np.unique(np.geomspace(8, 4000, 60).astype(int))


def failed(row):
    """One contender crashes in one cell."""
    if row["allocator"] != "jemalloc" or row["variant"] or "size=256" not in row["params"]:
        return row
    empty = dict.fromkeys(("ops", "wall_ns", "ops_per_s", "live_bytes_peak", "rss_bytes_peak"), "")
    return row | empty | {"status": "crashed", "detail": "<b>signal</b> 11 & more"}


def make(directory, blocks=6, cells=CELLS, allocators=ALLOCATORS, aa=True, name="rich", fail=True,
         latency=True, timeline=True):  # fmt: skip
    rows = synthetic.rows(cells, allocators, blocks, aa=aa)
    if fail:
        rows = [failed(row) for row in rows]
    env = synthetic.environment(name, allocators, blocks, aa=aa)
    synthetic.write(directory, rows, env)
    good = [(at, row) for at, row in enumerate(rows) if row["status"] == "ok"]
    if latency:
        write_latency(directory, good)
    if timeline:
        write_timeline(directory, name, good)
    return directory


def write_rows(path, header, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def write_latency(directory, good):
    rng = np.random.default_rng(7)
    rows = []
    for trial, row in good:
        for op in ("malloc", "free"):
            middle = 20 if row["allocator"] == "system" else 40
            calls = rng.lognormal(np.log(middle), 0.6, 3000)
            counts, _ = np.histogram(calls, LATENCY_EDGES)
            buckets = zip(LATENCY_EDGES, LATENCY_EDGES[1:], counts)
            rows += [(trial, op, low, high, count) for low, high, count in buckets if count]
    write_rows(directory / "latency.csv", ("trial", "op", "low_ns", "high_ns", "count"), rows)


def write_timeline(directory, name, good):
    rows = []
    for trial, row in good:
        if row["block"]:
            continue
        live = float(row["live_bytes_peak"])
        for step in range(41):
            now = live * np.sin(np.pi * step / 40)
            heap = float(row["rss_bytes_peak"]) - row["harness_bytes"]
            resident = row["harness_bytes"] + heap * min(1, step / 20)
            rows.append((name, 0, trial, step * 1000, step * 250_000, int(now), int(resident)))
    header = ("run", "block", "trial", "t_ns", "calls", "live_bytes", "rss_bytes")
    write_rows(directory / "timeline.csv", header, rows)
