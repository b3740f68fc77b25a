"""Workloads that speak the kernel's interface: over it, over the adapter, and over faulty ones."""

import pytest

from runs import FAULTY, heapmark, measure, rows
from test_run import tally

SLUB = "slub"
WORKLOADS = {  # enough parameters to reach every call, and few enough that it takes no time
    "objcache": ["--set", "object=fs_struct,task_struct,inode", "--set", "ctor=0,100", "--set", "objects=50"],
    "kmalloc-mix": ["--set", "slots=500", "--set", "realloc=20", "--set", "atomic=0,50"],
    "vmalloc-vs-kmalloc": ["--set", "size=4k,100000", "--set", "via=kmalloc,vmalloc",
                           "--set", "touch=none,ends,pages,all"],
    "page-orders": ["--set", "slots=50", "--set", "order=mix,halves,2", "--set", "touch=ends,pages"],
}


def run(tmp_path, workload, allocators, *words):
    """Rows of a short run; the caller looks at their status."""
    measure("run", workload, f"--allocators={allocators}", "--baseline=none", "--reps=1", "--work=200",
            f"--out=run-{workload}", *words, cwd=tmp_path)
    return rows(tmp_path / f"run-{workload}")


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_allocator_takes_part_and_the_adapter_is_named(tmp_path, workload):
    found = run(tmp_path, workload, "all", "--threads=1,2", *WORKLOADS[workload])
    assert {row["threads"] for row in found} == {"1", "2"}
    assert [(row["allocator"], row["params"], row["detail"]) for row in found if row["status"] != "ok"] == []
    allocators = {row["allocator"] for row in found}
    assert {"system", SLUB} <= allocators
    for row in found:
        assert ("adapter" in row["flags"].split()) == (row["allocator"] != SLUB), row["allocator"]


@pytest.mark.parametrize("workload", WORKLOADS)
def test_the_interface_is_used_where_there_is_one(tmp_path, workload):
    """The healthy sample serves as slub does; its malloc is beside the point."""
    row, = run(tmp_path, workload, f"{FAULTY}/kernel_healthy.so", "--set", "size=4k" if "vmalloc" in workload
               else "touch=ends" if workload == "page-orders" else "slots=500" if "mix" in workload else "ctor=5")
    assert row["status"] == "ok", row["detail"]
    assert "adapter" not in row["flags"].split()


@pytest.mark.parametrize("fault, words, detail", [
    ("ctor", ["objcache", "--set", "ctor=1"], "byte 0 of an object of 616 bytes"),
    ("ctor", ["objcache", "--set", "ctor=1000"], "is not as the constructor left it"),
    ("twice", ["objcache", "--set", "ctor=0"], "contents of a live block of 616 bytes"),
    ("kzalloc", ["kmalloc-mix"], "does not read as zero"),
    ("pages", ["page-orders"], "is not aligned to its size"),
    ("vmalloc", ["vmalloc-vs-kmalloc", "--set", "via=vmalloc"], "contents of a live block of 65536 bytes"),
])
def test_a_fault_of_the_interface_is_a_corrupt_row(tmp_path, fault, words, detail):
    row, = run(tmp_path, words[0], f"{FAULTY}/kernel_{fault}.so", *words[1:])
    assert row["status"] == "corrupt"
    assert detail in row["detail"]


def test_one_fault_is_no_other(tmp_path):
    """Each of the samples is healthy in all but its own part."""
    for fault, workload in [("ctor", "page-orders"), ("pages", "objcache"), ("twice", "kmalloc-mix")]:
        assert run(tmp_path, workload, f"{FAULTY}/kernel_{fault}.so")[0]["status"] == "ok"


def test_what_cannot_wait_is_asked_for_again(tmp_path):
    """The sample's kmalloc serves nobody who cannot wait: every allocation is two calls."""
    words = ["--set", "slots=10000", "--set", "realloc=0", "--set", "transient=0"]
    patient, = run(tmp_path, "kmalloc-mix", f"{FAULTY}/kernel_healthy.so", "--set", "atomic=0", *words)
    (tmp_path / "run-kmalloc-mix").rename(tmp_path / "patient")
    hasty, = run(tmp_path, "kmalloc-mix", f"{FAULTY}/kernel_healthy.so", "--set", "atomic=100", *words)
    assert int(patient["ops"]) == 2 * 200
    assert int(hasty["ops"]) == 3 * 200


@pytest.mark.parametrize("workload, words, calls", [
    ("objcache", ["--work=5000", "--threads=2"], 2 * 2 * (5000 + 500)),
    ("kmalloc-mix", ["--work=3000", "--set", "realloc=0", "--set", "transient=2"], 3 * 2 * 3000),
    ("vmalloc-vs-kmalloc", ["--work=3"], 2 * 3 * 16),
    ("page-orders", ["--work=3000", "--set", "order=0"], 2 * 3000),
])
def test_the_allocator_sees_exactly_the_adapters_calls(tmp_path, workload, words, calls):
    if workload != "page-orders":  # the counting allocator has no aligned blocks
        assert tally(tmp_path, workload, *words)[0] == calls
    result = heapmark("run", workload, "--allocators=system", "--reps=1", "--out=ok", *words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert rows(tmp_path / "ok")[0]["ops"] == str(calls)


@pytest.mark.parametrize("workload", ["objcache", "kmalloc-mix"])
def test_the_seed_decides_what_is_asked_for(tmp_path, workload):
    first = tally(tmp_path, workload, "--work=2000", seed=7)
    assert tally(tmp_path, workload, "--work=2000", seed=7) == first
    if workload == "kmalloc-mix":  # objects of a cache are all of one size
        assert tally(tmp_path, workload, "--work=2000", seed=8)[1] != first[1]
