"""Exact peaks: what is resident for a moment only is counted to the page."""

import pytest
from runs import FAULTY, heapmark, rows

SWING_BYTES = 256 << 10
SWINGS = ["pair", f"--allocators={FAULTY}/swing.so", "--baseline=none", "--latency=no", "--exact-peak",
          "--out=run"]
FEW = ["--work=4700", "--reps=2"]  # and a tenth to warm up; the first 5,000 calls are healthy


def measure(path, *arguments):
    result = heapmark("run", *arguments, cwd=path)
    return result, rows(path / "run")


@pytest.mark.parametrize("shape", [[], ["--turns=10"]], ids=["whole", "turns"])
def test_a_moment_is_counted_to_the_page(tmp_path, shape):
    """Each call maps 256 KiB, touches it and unmaps it; nothing else is ever given back."""
    result, found = measure(tmp_path, *SWINGS, *FEW, *shape)
    assert result.returncode == 0, result.stderr
    assert len(found) == 2
    for row in found:
        assert "exact-peak" in row["flags"].split() and int(row["wall_ns"]) > 0
        grown = int(row["rss_bytes_peak"]) - int(row["rss_bytes_end"])
        assert SWING_BYTES - 4096 <= grown <= SWING_BYTES, "the last call may bump into a new page"


def of(name):
    return [word.replace("swing.so", name) for word in SWINGS]


def test_threads_are_all_watched(tmp_path):
    """The main thread gives nothing back here."""
    result, found = measure(tmp_path, *of("swing_threads.so"), "--work=4000", "--threads=2", "--reps=2")
    assert result.returncode == 0, result.stderr
    for row in found:
        assert int(row["rss_bytes_peak"]) - int(row["rss_bytes_end"]) >= SWING_BYTES - 2 * 4096


def test_a_purge_is_no_part_of_the_peak(tmp_path):
    result, found = measure(tmp_path, *of("swing_purge.so"), *FEW)
    assert result.returncode == 0, result.stderr
    for row in found:
        assert row["rss_bytes_purged"] != ""
        assert int(row["rss_bytes_peak"]) == int(row["rss_bytes_end"])


def test_watching_that_takes_too_long_costs_no_times(tmp_path):
    """The process that is watched sleeps until its deadline."""
    result, (row,) = measure(tmp_path, *of("swing_sleeps.so"), "--work=4700", "--reps=1", "--timeout=3s")
    assert result.returncode == 0, result.stderr
    assert row["status"] == "ok" and "no-exact-peak" in row["flags"].split() and int(row["wall_ns"]) > 0
    for column in ("rss_bytes_base", "rss_bytes_peak", "rss_bytes_end", "rss_bytes_purged"):
        assert row[column] == ""


def test_who_dies_while_the_peak_is_read_is_a_row(tmp_path):
    result, found = measure(tmp_path, "pair", f"--allocators={FAULTY}/shy.so,system", "--exact-peak", "--out=run",
                            "--latency=no", *FEW)
    assert result.returncode == 1
    for row in found:
        if row["allocator"] == "system":
            assert row["status"] == "ok"
        else:
            assert row["status"] == "crashed" and row["detail"].startswith("while its peak was read: ")
            assert row["rss_bytes_peak"] == "" and row["wall_ns"] == ""


def test_counts_of_instructions_have_no_peak(tmp_path):
    result, found = measure(tmp_path, "pair", "--allocators=system", "--work=100", "--instructions", "--exact-peak",
                            "--out=run")
    assert result.returncode == 0, result.stderr
    assert found[0]["rss_bytes_peak"] == "" and "exact-peak" not in found[0]["flags"].split()
