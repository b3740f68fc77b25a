"""Replays as users run them: modes, fidelity, streaming in bounded memory, faults that end in a status."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from runs import BUILD, FAULTY, HEAPMARK, heapmark, measure, rows

SOURCE = Path(os.environ["HEAPMARK_SOURCE"])

QUICK = ["--reps=1", "--latency=no", "--work=1"]
NULL = "--allocators=null:ring=1m"


def replay(cwd, trace, *words, params=(), code=0, **options):
    """The rows of a run of `trace`, and what was said."""
    sets = [word for param in (f"trace={trace}", *params) for word in ("--set", param)]
    run = measure if code == 1 else heapmark
    result = run("run", "replay", *QUICK, *sets, *words, "--out=run", cwd=cwd, **options)
    assert result.returncode == code, result.stderr
    return (rows(cwd / "run") if (cwd / "run").exists() else []), result.stderr


def text_trace(path, lines):
    """A trace out of its text form."""
    text = path.with_suffix(".txt")
    text.write_text("\n".join(["heapmark trace text 1", *lines]) + "\n")
    subprocess.run([HEAPMARK, "trace", "import", "-o", path, text], check=True, capture_output=True)
    return path


def floor_trace(path, *words):
    subprocess.run([BUILD / "make_floor", path, *map(str, words)], check=True)
    return path


@pytest.fixture(scope="module")
def handover(tmp_path_factory):
    return floor_trace(tmp_path_factory.mktemp("t") / "hand.hmt", 200000, "handover")


# ---- modes -----------------------------------------------------------------------------------------


def test_modes(tmp_path, handover):
    all_rows, _ = replay(tmp_path, handover, "--allocators=system", "--baseline=none",
                         params=["mode=dependency,serial,paced", "touch=pages,first,all,none"])
    assert len(all_rows) == 12 and {row["status"] for row in all_rows} == {"ok"}
    for row in all_rows:
        mode = dict(word.split("=", 1) for word in row["params"].split())["mode"]
        assert int(row["ops"]) == 200000
        assert row["threads"] == ("1" if mode == "serial" else "2")
        assert (row["replay_order_drift_ppm"] == "") == (mode == "serial")
        assert (row["replay_late_ns"] == "") == (mode != "paced")
        assert 0 <= int(row["replay_wait_ppm"]) <= 1000000 and row["replay_read_ppm"] == ""
        if mode == "serial":
            assert row["replay_live_drift_ppm"] == "0" and row["replay_wait_ppm"] == "0"


def test_pace_and_speed(tmp_path):
    """Recorded over 40 ms. Nothing comes early; that it need not come late, the best of five shows."""
    lines = [f"{i * 1000000} {i % 2} malloc {i + 1} 64" for i in range(41)]
    trace = text_trace(tmp_path / "slow.hmt", [*lines, "end 41"])
    took, _ = replay(tmp_path, trace, "--allocators=system", "--baseline=none", "--reps=5",
                     params=["mode=paced", "speed=50,100,400"])
    assert len(took) == 3 * 5
    by_speed = {speed: min(int(row["wall_ns"]) for row in took if f"speed={speed} " in f"{row['params']} ")
                for speed in ("50", "100", "400")}
    assert by_speed["50"] >= 80e6 and by_speed["100"] >= 40e6 and 10e6 <= by_speed["400"] < by_speed["50"]
    assert all(int(row["replay_wait_ppm"]) > 500000 for row in took)


def sleeper(path, seconds):
    """A trace of a program that does next to nothing for so long."""
    return text_trace(path, ["0 0 malloc 1 64", f"{round(seconds * 1e9)} 0 free 1", "end 2"])


@pytest.mark.parametrize("words, minutes", [
    (["--reps=8"], "16m00s"), (["--reps=8", "--latency=no"], "8m00s"), (["--reps=8", "--set", "speed=200"], "8m00s"),
    (["--reps=4", "--exact-peak=yes"], "12m00s"), (["--reps=1", "--work=4"], "5m00s"),
    (["--reps=4", "--turns=4"], "8m00s"), (["--reps=1", "--timeline=yes"], "3m00s"),
])
def test_the_plan_of_a_long_paced_replay(tmp_path, words, minutes):
    """30 s a pass, of which a trial measures one and samples one, by each of two allocators."""
    trace = sleeper(tmp_path / "long.hmt", 30)
    plan = heapmark("run", trace, "--set", "mode=paced", "--allocators=system,null", *words, "--dry-run", cwd=tmp_path)
    assert plan.returncode == 0 and f", {minutes} if all are" in plan.stdout, plan.stdout + plan.stderr


def test_a_paced_replay_longer_than_a_trial(tmp_path):
    """One pass is measured, without another one for finding that out, and the progress knows how long it takes."""
    trace = sleeper(tmp_path / "long.hmt", 2)
    run = measure("run", trace, "--set", "mode=paced", "--allocators=system", "--reps=1", "--out=run", cwd=tmp_path)
    (row,) = rows(tmp_path / "run")
    assert run.returncode == 0 and (row["status"], row["work"]) == ("ok", "1") and int(row["wall_ns"]) >= 2e9
    assert "calibrating" not in run.stderr and "[1/1] 4s left" in run.stderr, run.stderr


def test_calibration_of_a_pace_that_cannot_be_kept(tmp_path):
    """At a speed beyond the allocator's, passes are as many as really fit into a trial."""
    trace = floor_trace(tmp_path / "floor.hmt", 200000)
    (row,), _ = replay(tmp_path, trace, "--allocators=system", "--baseline=none", "--work=0",
                       params=["mode=paced", "speed=1000000"])
    assert row["status"] == "ok" and 1 < int(row["work"]) < 1000, row["work"]


def test_a_timeout_too_short_for_a_paced_replay(tmp_path):
    trace = sleeper(tmp_path / "long.hmt", 30)
    words = ["run", trace, "--set", "mode=paced", "--allocators=system", "--timeout=40s", "--dry-run"]
    refused = heapmark(*words, cwd=tmp_path)
    assert refused.returncode == 2 and refused.stdout == ""
    assert "--timeout: 'timeout' of 40s is too short for a paced replay of" in refused.stderr
    assert "takes 1m00s (2 passes); leave 'timeout' out" in refused.stderr
    assert heapmark(*words, "--latency=no", cwd=tmp_path).returncode == 0, "one pass fits"


def test_timed_and_watched_parts_replay_as_well(tmp_path, handover):
    result = heapmark("run", "replay", "--reps=1", "--work=2", "--timeline=yes", "--turns=2", "--allocators=system",
                      "--baseline=none", "--set", f"trace={handover}", "--set", "mode=dependency,paced",
                      "--out=run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    wrong = [row for row in rows(tmp_path / "run") if row["status"] != "ok" or int(row["malloc_ns_p50"]) == 0]
    assert wrong == []


@pytest.mark.parametrize("mode", ["joins", "timed_joins", "clock_joins", "try_joins", "c11_joins"])
def test_joins_keep_turns_apart(tmp_path, mode):
    """Two threads, then the first one, and so on: without a join's record, a turn begins before the last one's end."""
    subprocess.run([HEAPMARK, "record", "-o", "turns.hmt", "--", BUILD / "trace_subject", mode], cwd=tmp_path,
                   check=True, capture_output=True)
    (row,), _ = replay(tmp_path, tmp_path / "turns.hmt", "--allocators=system", "--baseline=none")
    assert row["status"] == "ok" and int(row["replay_order_drift_ppm"]) < 100000


# ---- streaming -------------------------------------------------------------------------------------


def test_a_trace_much_larger_than_memory(tmp_path):
    """3 million events, 24 MB decoded: within 6 MiB, as 100 million are within 200."""
    limit = 6 << 20
    trace = floor_trace(tmp_path / "big.hmt", 3000000)
    both, _ = replay(tmp_path, trace, NULL, "--baseline=none", params=["ahead=64m,1m"])
    whole, streamed = sorted(both, key=lambda row: "streamed" in row["flags"].split())
    nothing = heapmark("run", "null", *QUICK, NULL, "--baseline=none", "--out=null", cwd=tmp_path)
    assert nothing.returncode == 0
    base = int(rows(tmp_path / "null")[0]["rss_bytes_peak"])
    assert "streamed" in streamed["flags"].split() and int(streamed["replay_read_ppm"]) > 0
    assert int(streamed["rss_bytes_peak"]) - base < limit
    assert int(whole["rss_bytes_peak"]) - base > 20 << 20
    assert streamed["ops"] == whole["ops"] == "3000000"


def test_a_place_for_the_decoded_trace(tmp_path, handover):
    place = tmp_path / "place"
    place.mkdir()
    there, _ = replay(tmp_path, handover, "--allocators=system", "--baseline=none", params=["ahead=0"],
                      env={**os.environ, "TMPDIR": str(place)})
    assert there[0]["status"] == "ok" and "streamed" in there[0]["flags"].split()
    assert list(place.iterdir()) == []


def test_no_room_for_the_decoded_trace(tmp_path, handover):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", small], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting needs root")
    try:
        none, said = replay(tmp_path, handover, params=["ahead=0"], code=2, env={**os.environ, "TMPDIR": str(small)})
        assert none == [] and "$TMPDIR or /var/tmp, which cannot be written: no space left on device" in said
    finally:
        subprocess.run(["umount", small], check=True)


# ---- what can go wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize("param, expected", [
    ("mode=parallel", "one of dependency, paced, serial"),
    ("touch=some", "one of pages, first, all, none"),
    ("speed=0", "a whole number from 1 to 1000000"),
    ("speed=fast", "a whole number from 1 to 1000000"),
    ("ahead=lots", "a size from"),
])
def test_bad_parameters(tmp_path, handover, param, expected):
    none, said = replay(tmp_path, handover, params=[param], code=2)
    name, value = param.split("=")
    assert none == [] and f"'{value}' is not good for '{name}'" in said and expected in said


def test_a_speed_without_a_pace(tmp_path, handover):
    """Refused before anything runs where nothing else is wanted; a row where the rest of a sweep can run."""
    none, said = replay(tmp_path, handover, "--allocators=system", "--baseline=none", params=["speed=200"], code=2)
    assert none == [] and "parameters of workload 'replay' exclude one another" in said and "mode=paced only" in said
    rows, _ = replay(tmp_path, handover, "--allocators=system", "--baseline=none", params=["speed=100,200"], code=1)
    assert sorted(row["status"] for row in rows) == ["ok", "unsupported"]
    assert any("mode=paced only" in row["detail"] for row in rows)


def test_no_memory(tmp_path, handover):
    """An allocator that returns NULL, blocks that no machine has, a live set above the limit."""
    (row,), _ = replay(tmp_path, handover, f"--allocators={FAULTY / 'exhaust.so'}", "--baseline=none", code=1)
    assert row["status"] == "oom" and "returned NULL for" in row["detail"]
    for number, lines in enumerate((["0 0 malloc 1 72057594037927936"],
                                    ["0 0 malloc 1 16", "1 0 realloc 1 2 72057594037927936"])):
        path = tmp_path / str(number)
        path.mkdir()
        trace = text_trace(path / "huge.hmt", [*lines, f"end {len(lines)}"])
        (row,), _ = replay(path, trace, "--allocators=system", "--baseline=none", code=1)
        assert row["status"] == "oom" and "72057594037927936 bytes" in row["detail"]
    path = tmp_path / "much"
    path.mkdir()
    trace = text_trace(path / "much.hmt", [*(f"{i} 0 malloc {i + 1} 4000000" for i in range(200)), "end 200"])
    (row,), _ = replay(path, trace, "--allocators=system", "--baseline=none", "--memory-limit=100m", code=1)
    assert row["status"] == "oom"


def test_corruption_is_found_among_several_threads(tmp_path):
    """One block for many owners: whoever looks at contents finds it, and who does not cannot."""
    count = 8000
    lines = [f"{i} 0 malloc {i + 1} 64" for i in range(count)] + [f"{count + i} 1 free {i + 1}" for i in range(count)]
    trace = text_trace(tmp_path / "t.hmt", [*lines, f"end {2 * count}"])
    found, _ = replay(tmp_path, trace, f"--allocators={FAULTY / 'overlap.so'}", "--baseline=none",
                      params=["touch=pages,first,all,none"], code=1)
    by_touch = {row["params"].split("touch=")[1].split()[0]: row for row in found}
    assert by_touch.pop("none")["status"] == "ok"
    for row in by_touch.values():
        assert row["status"] == "corrupt" and "contents of a live block of 64 bytes" in row["detail"]


def test_hundreds_of_threads(tmp_path):
    """300 that live at one time and free one another's, on the CPUs that there are."""
    count = 300
    lines = [f"{i} {i} malloc {i + 1} 100" for i in range(count)]
    lines += [f"{count + i} {i} free {(i * 7 + 1) % count + 1}" for i in range(count)]
    trace = text_trace(tmp_path / "many.hmt", [*lines, f"end {2 * count}"])
    both, _ = replay(tmp_path, trace, "--allocators=system", "--baseline=none", params=["mode=dependency,serial"])
    assert {row["threads"]: row["status"] for row in both} == {"300": "ok", "1": "ok"}
    assert all("oversubscribed" in row["flags"] for row in both if row["threads"] == "300")


def test_more_threads_than_can_be_replayed(tmp_path):
    count = 1100
    lines = [f"{i} {i} malloc {i + 1} 100" for i in range(count)]
    lines += [f"{count + i} {i} free {i + 1}" for i in range(count)]
    trace = text_trace(tmp_path / "many.hmt", [*lines, f"end {2 * count}"])
    none, said = replay(tmp_path, trace, code=2)
    assert none == [] and "has 1100 threads at one time; heapmark replays up to 1024" in said
    (row,), _ = replay(tmp_path, trace, "--allocators=system", "--baseline=none", params=["mode=serial"])
    assert row["status"] == "ok"


def test_what_a_recording_lacks_stands_in_the_row(tmp_path):
    lines = ["fact flags 79", "fact sample 16", "fact lacks 1", "0 0 malloc 1 10", "1 0 free 1", "end 2"]
    trace = text_trace(tmp_path / "odd.hmt", lines)
    (row,), _ = replay(tmp_path, trace, "--allocators=system", "--baseline=none")
    expected = {"trace-forked", "trace-replaced", "trace-truncated", "trace-crashed", "trace-partial",
                "trace-sampled=1/16", "trace-lacks-times"}
    assert expected <= set(row["flags"].split())
    other = tmp_path / "paced"
    other.mkdir()
    (row,), _ = replay(other, trace, "--allocators=system", "--baseline=none", params=["mode=paced"], code=1)
    assert row["status"] == "unsupported" and "no times" in row["detail"]


def test_an_import_and_a_part_of_it(tmp_path):
    """What other tools wrote, and a cut of one, by `heapmark run FILE` up to the answer in words."""
    app, whole, part = (tmp_path / f"{name}.hmt" for name in ("app", "whole", "part"))
    samples = SOURCE / "tests/unit/trace/samples"
    for words in (["import", "-o", app, samples / "heaptrack-raw.txt"],
                  ["import", "-o", whole, samples / "ltrace-threads.txt"],
                  ["cut", "--from=10ms", "-o", part, whole]):
        subprocess.run([HEAPMARK, "trace", *words], check=True, capture_output=True)
    result = heapmark("run", app, part, "--reps=2", "--latency=no", "--work=2",
                      "--allocators=system,jemalloc", "--out=run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "which allocator for app and part?" in result.stdout and "memory is that of up to 2 passes" in result.stdout
    flags = {name: set() for name in ("app", "part")}
    for row in rows(tmp_path / "run"):
        name = re.search(r"(\w+)\.hmt", row["params"])[1]
        assert row["status"] == "ok" and int(row["ops"]) > 0
        flags[name] |= set(row["flags"].split())
    assert "trace-lacks-threads" in flags["app"] - flags["part"]
    assert "trace-cut" in flags["part"] - flags["app"]


def test_a_damaged_trace(tmp_path, handover):
    damaged = tmp_path / "damaged.hmt"
    content = handover.read_bytes()
    damaged.write_bytes(content[: len(content) // 2])
    none, said = replay(tmp_path, damaged, code=2)
    assert none == [] and "is cut off at byte" in said
