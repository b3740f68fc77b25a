"""Instruction counts under callgrind: they repeat, they find one per cent, they fail as rows."""

import os
import pathlib

import pytest
from runs import FAULTY, heapmark, rows, table

COUNT = ["--instructions", "--work=2000"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("instructions")
    result = heapmark("run", "pair", "sizemix", "--set", "slots=100", "--allocators=system,jemalloc", *COUNT,
                      "--out=run", cwd=path)
    assert result.returncode == 0, result.stderr
    (path / "said").write_text(result.stdout)
    return path / "run"


def counts(run):
    return {(row["workload"], row["allocator"]): int(row["instructions"]) for row in rows(run)}


def test_a_count_is_a_row_without_times(run):
    found = rows(run)
    assert len(found) == 4, "one block"
    for row in found:
        assert row["status"] == "ok" and "callgrind" in row["flags"].split() and row["work"] == "2000"
        assert int(row["ops"]) > 0 and int(row["live_bytes_peak"]) > 0
        for column in ("wall_ns", "ops_per_s", "cpu_user_ns", "rss_bytes_peak", "faults_minor", "malloc_ns_p50"):
            assert row[column] == ""
    assert 2000 * 20 < counts(run)["pair", "system"] < 2000 * 200


def test_only_the_measured_part_is_counted(run):
    """Set-up of sizemix draws 65,536 random numbers, and warm-up is a tenth of the work."""
    names = {row["function"] for row in table(run / "functions.csv")}
    assert not names & {"setup", "slots_setup", "draw_size", "trial_map", "main"}


def test_functions_are_named_with_their_share(run):
    trials = {row["trial"]: row for row in rows(run)}
    of_pair = [row for row in table(run / "functions.csv") if trials[row["trial"]]["workload"] == "pair"]
    system = [row for row in of_pair if trials[row["trial"]]["allocator"] == "system"]
    assert [int(row["rank"]) for row in system] == list(range(1, len(system) + 1)) and len(system) <= 20
    assert {"malloc", "free", "pair_plain"} <= {row["function"] for row in system}
    assert pathlib.Path(system[0]["object"]).name == "libc.so.6"
    own = sum(int(row["instructions"]) for row in system)
    total = counts(run)["pair", "system"]
    assert 0.95 * total <= own <= total
    said = (run.parent / "said").read_text()
    assert "most of them in" in said and "malloc" in said
    assert heapmark("instructions", run, cwd=run).stdout == said


def test_counts_repeat(run, tmp_path):
    heapmark("run", "pair", "sizemix", "--set", "slots=100", "--allocators=system,jemalloc", *COUNT,
             "--out=again", cwd=tmp_path)
    first, again = counts(run), counts(tmp_path / "again")
    for key, count in first.items():
        assert abs(again[key] - count) <= 0.0001 * count, key
    assert first["pair", "system"] == again["pair", "system"]


def test_valgrinds_launcher_counts_the_same(run, tmp_path):
    """Where callgrind's own program is not beside valgrind, valgrind is started as it is."""
    launcher = tmp_path / "valgrind"
    launcher.write_text('#!/bin/sh\nPATH=/usr/bin:/bin exec valgrind "$@"\n')
    launcher.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    result = heapmark("run", "pair", "--allocators=system,jemalloc", *COUNT, "--out=run", cwd=tmp_path,
                      env=environment)
    assert result.returncode == 0, result.stderr
    for key, count in counts(tmp_path / "run").items():
        assert abs(counts(run)[key] - count) <= 0.0001 * count, key


def test_one_per_cent_is_found(tmp_path):
    """Two builds of a shim over the C library; the second spends some 1 % more instructions."""
    result = heapmark("run", "pair", "batch", f"--allocators={FAULTY}/shim.so,{FAULTY}/shim_more.so",
                      f"--baseline={FAULTY}/shim.so", "--instructions", "--out=run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    found = counts(tmp_path / "run")
    for workload, least in (("pair", 1.005), ("batch", 1.002)):  # batch itself has more of them
        ratio = found[workload, f"{FAULTY}/shim_more.so"] / found[workload, f"{FAULTY}/shim.so"]
        assert least < ratio < 1.02, workload
    assert len({row["work"] for row in rows(tmp_path / "run") if row["workload"] == "pair"}) == 1


def test_who_cannot_live_there_is_a_row(tmp_path):
    result = heapmark("run", "pair", "--allocators", f"system,{FAULTY}/crash.so,{FAULTY}/flags.so", "--instructions",
                      "--work=20000", "--out=run", cwd=tmp_path)
    assert result.returncode == 1
    found = {row["allocator"]: row for row in rows(tmp_path / "run")}
    assert found["system"]["status"] == "ok"
    crashed = found[f"{FAULTY}/crash.so"]
    assert crashed["status"] == "crashed" and "SIGSEGV" in crashed["detail"] and crashed["instructions"] == ""
    assert "did not end ok" in result.stdout
    assert found[f"{FAULTY}/flags.so"]["flags"].endswith("callgrind percpu=thread no-rseq")
    assert not (tmp_path / "run" / ".callgrind.out").exists()


def test_a_counter_of_the_cpu_is_used_where_there_is_one(tmp_path):
    """Virtual machines mostly have none: then the column stays empty, never 0."""
    heapmark("run", "pair", "--allocators=system", "--reps=1", "--work=100000", "--out=run", cwd=tmp_path)
    row, = rows(tmp_path / "run")
    assert "callgrind" not in row["flags"]
    assert row["instructions"] == "" or 100000 * 20 < int(row["instructions"]) < 100000 * 400
    result = heapmark("instructions", "run", cwd=tmp_path)
    assert result.returncode == (2 if row["instructions"] == "" else 0)
    assert "Traceback" not in result.stderr


def test_without_valgrind_the_package_is_named(tmp_path):
    result = heapmark("run", "pair", "--instructions", "--out=run", cwd=tmp_path, env={"PATH": str(tmp_path)})
    assert result.returncode == 2
    assert "install the package 'valgrind'" in result.stderr
    assert not (tmp_path / "run").exists()
