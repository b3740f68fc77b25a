"""A workload, an allocator and a result column: each is added in one place and appears everywhere."""

import csv
import os
import pathlib
import shutil
import subprocess

import pytest

SOURCE = pathlib.Path(os.environ["HEAPMARK_SOURCE"])

WORKLOAD = """
#include "include/workload.h"

static int setup(struct trial *trial)
{
    trial_flag(trial, "sample-flag");
    trial_flag(trial, "sample-flag");
    return 0;
}

HM_INLINE void sample(struct worker *w, bool timed)
{
    for (uint64_t i = 0; i < w->work; i++) {
        uint64_t begin = sample_begin(w, timed);
        void *block = calloc(4, 8);
        sample_end(w, OP_REALLOC, begin);
        op_free(w, block, timed);
    }
    w->ops += 2 * w->work;
}
WORKLOAD_INSTANCES(sample)

const struct workload workload_sample = {
    .name = "sample",
    .summary = "a sample",
    .source = "the tests",
    .work_unit = "pairs",
    .setup = setup,
    .run = sample_plain,
    .run_timed = sample_timed,
};
"""

ALLOCATOR = """
#include "include/allocator.h"

const struct allocator allocator_sample = {
    .name = "sample",
    .summary = "a sample: the null allocator under another name",
    .package = "sample-package",
    .colour = "#123456",
    .risks = "none",
    .libraries = (const char *const[]){"libhm_null.so", NULL},
};
"""


def append(path, text):
    with open(path, "a") as file:
        file.write(text)


@pytest.fixture(scope="module")
def heapmark(tmp_path_factory):
    """heapmark with the three samples added, built in a copy of the tree."""
    tree = tmp_path_factory.mktemp("plugins") / "tree"
    for part in ("harness", "workloads", "allocators", "scripts"):
        shutil.copytree(SOURCE / part, tree / part)
    shutil.copy(SOURCE / "CMakeLists.txt", tree)
    (tree / "tests").mkdir()
    (tree / "tests" / "CMakeLists.txt").write_text("")
    (tree / "workloads" / "sample.c").write_text(WORKLOAD)
    append(tree / "workloads" / "list.def", "WORKLOAD(sample)\n")
    (tree / "allocators" / "external" / "sample.c").write_text(ALLOCATOR)
    append(tree / "allocators" / "list.def", "ALLOCATOR(sample)\n")
    append(tree / "harness" / "results" / "record.def", 'COLUMN(COUNT, sample_bytes, "bytes", "a sample")\n')
    build = tree / "build"
    # Not optimised, and one file after the other: other tests run meanwhile.
    subprocess.run(["cmake", "-S", tree, "-B", build, "-G", "Ninja", "-Wno-dev", "-DCMAKE_BUILD_TYPE=None"],
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", build, "--parallel", "1", "--target", "heapmark"], check=True,
                   stdout=subprocess.DEVNULL)

    def run(*words):
        return subprocess.run([build / "heapmark", *words], cwd=tree, text=True, check=True,
                              capture_output=True).stdout
    return run


def test_they_are_listed(heapmark):
    assert "sample,a sample,the tests,pairs," in heapmark("list", "workloads", "--csv")
    assert "sample,installed," in heapmark("list", "allocators", "--csv")
    assert "sample_bytes,count,bytes,a sample" in heapmark("list", "metrics", "--csv")


def test_they_run(heapmark, tmp_path):
    heapmark("run", "sample", "--allocators=sample", "--baseline=none", "--work=1000", "--reps=1",
             f"--out={tmp_path}/run")
    with open(tmp_path / "run" / "trials.csv", newline="") as file:
        row, = csv.DictReader(file)
    assert (row["workload"], row["allocator"], row["status"], row["ops"]) == ("sample", "sample", "ok", "2000")
    assert row["sample_bytes"] == ""  # nobody fills it yet: empty, not 0
    assert row["flags"].replace("coarse-timer ", "") == "sample-flag"
    assert row["calloc_ns_p50"] == "" and int(row["realloc_ns_p50"]) <= int(row["realloc_ns_max"])
