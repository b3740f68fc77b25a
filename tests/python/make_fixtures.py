"""Writes fixtures/small, the stored run behind the golden files. Run it only when the schema grows.

The run is stored and not made anew in each test, so that a change in numpy's generators cannot
change what the golden files say.
"""

from pathlib import Path

import synthetic

CELLS = [
    ("pair", "size=64", 1, 6.5, 64),
    ("pair", "size=512", 1, 7.5, 512),
    ("larson", "slots=1000", 2, 60.0, 4_900_000),
    ("replay", "trace=workloads/traces/sqlite3.hmt", 1, 33.0, 12_000_000),
]
ALLOCATORS = {
    "system": (1.0, 1.0, 2e6),
    "jemalloc": (0.93, 1.12, 4e6),
    "jemalloc:narenas=1": (0.94, 0.99, 4e6),
    "tcmalloc": (0.68, 1.20, 7e6),
    "scudo": (5.6, 1.30, 3e6),
}
FLOOR_CELLS = [
    ("pair", "size=64", 1, 4.0, 64),
    ("byhand", "size=64", 1, 3.6, 64),
    ("replay", "trace=workloads/traces/sqlite3.hmt", 1, 5.1, 12_000_000),
]
EMPTY_WHEN_FAILED = ("ops", "wall_ns", "ops_per_s", "live_bytes_peak", "rss_bytes_peak")


def failed(row):
    if row["allocator"] != "scudo" or row["workload"] != "larson" or row["block"] not in (2, 5):
        return row
    empty = {name: "" for name in EMPTY_WHEN_FAILED}
    return row | empty | {"status": "timeout", "detail": 'no end within "30 s", stopped'}


def small(directory):
    rows = synthetic.rows(CELLS, ALLOCATORS, 6, noise=0.015, slow_share=0.01, spread=0.05)
    rows = [failed(row) for row in rows]
    rows += synthetic.rows(
        FLOOR_CELLS, {"null": (1.0, 1.0, 1e6)}, 6, noise=0.01, slow_share=0, spread=0, aa=False
    )
    env = synthetic.environment("small", list(ALLOCATORS) + ["null"], 6, aa=True)
    return synthetic.write(directory, rows, env)


if __name__ == "__main__":
    small(Path(__file__).resolve().parent / "fixtures" / "small")
