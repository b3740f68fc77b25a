"""Whole runs: every status, the same seed, kills and resumes, a full disk, the harness's silence."""

import csv
import json
import os
import random
import re
import resource
import signal
import subprocess
import time

import pytest
from runs import BUILD, FAULTY, HEAPMARK, heapmark, measure, rows


def run_faulty(tmp_path, fault, *words):
    """One trial of `batch` on a faulty allocator; its row."""
    result = measure("run", "batch", "--allocators", FAULTY / f"{fault}.so", "--baseline=none",
                     "--work=100", "--reps=1", "--out=run", *words, cwd=tmp_path)
    found = rows(tmp_path / "run")
    assert len(found) == 1
    assert found[0]["wall_ns"] == "", "a failed trial has no figures"
    assert result.returncode == 1
    return found[0]


@pytest.mark.parametrize("fault, words, status, detail", [
    ("crash", [], "crashed", "SIGSEGV"),
    ("abort", [], "crashed", 'faulty allocator: "double free", or so'),
    ("hang", ["--timeout=300ms"], "timeout", "did not end within 300ms"),
    ("exhaust", [], "oom", "returned NULL for 64 bytes"),
    ("bloat", ["--memory-limit=200m"], "oom", "passed the limit of 200m"),
    ("overlap", [], "corrupt", "contents of a live block of 64 bytes"),
])
def test_each_way_to_end_is_a_status(tmp_path, fault, words, status, detail):
    row = run_faulty(tmp_path, fault, *words)
    assert row["status"] == status
    assert detail in row["detail"]


def test_a_preload_that_fails_is_not_glibc_under_another_name(tmp_path):
    """The object passes every check before the run, but the dynamic linker cannot load it."""
    source = tmp_path / "needy.c"
    source.write_text("#include <stddef.h>\nextern int missing_function(void);\n"
                      "void *malloc(size_t n) { return n ? 0 : (void *)(size_t)missing_function(); }\n"
                      "void free(void *p) { (void)p; }\n"
                      "void *calloc(size_t n, size_t m) { return malloc(n * m); }\n"
                      "void *realloc(void *p, size_t n) { (void)p; return malloc(n); }\n")
    (tmp_path / "dependency.c").write_text("int missing_function(void) { return 1; }\n")
    cc = ["cc", "-shared", "-fPIC", "-fno-builtin"]
    subprocess.run([*cc, "-o", "libdependency.so", "dependency.c"], cwd=tmp_path, check=True)
    subprocess.run([*cc, "-o", "needy.so", "needy.c", "-L.", "-ldependency"], cwd=tmp_path, check=True)
    (tmp_path / "libdependency.so").unlink()
    result = measure("run", "pair", "--allocators=./needy.so", "--baseline=none", "--work=10",
                     "--reps=1", "--out=run", cwd=tmp_path)
    row, = rows(tmp_path / "run")
    # The linker either drops the preload or refuses to start the program; neither is a measurement.
    assert row["status"] in ("preload-failed", "crashed")
    assert "libdependency.so" in row["detail"]
    assert row["wall_ns"] == ""
    assert result.returncode == 1


def test_a_failure_does_not_end_the_run(tmp_path):
    result = measure("run", "batch", "pair", f"--allocators=system,{FAULTY}/crash.so", "--work=100",
                     "--reps=2", "--out=run", cwd=tmp_path)
    found = rows(tmp_path / "run")
    assert len(found) == 8
    assert result.returncode == 1
    statuses = {(row["workload"], row["allocator"]): row["status"] for row in found}
    assert statuses["batch", "system"] == statuses["pair", "system"] == "ok"
    assert statuses["batch", f"{FAULTY}/crash.so"] == "crashed"


def tally(tmp_path, workload, *words, seed=1):
    """Calls in the measured part as the allocator counted them, the hash of their order, the row."""
    name = f"run{len(list(tmp_path.iterdir()))}"
    measure("run", workload, "--allocators", FAULTY / "tally.so", "--baseline=none", "--reps=1",
            f"--seed={seed}", "--latency=no", f"--out={name}", *words, cwd=tmp_path)
    row, = rows(tmp_path / name)
    calls, digest = re.search(r"tally: (\d+) calls, hash (\w+)", row["detail"]).groups()
    return int(calls), digest


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_harness_makes_no_call_of_its_own(tmp_path, threads):
    """With the null workload the counting allocator must see nothing between start and end."""
    assert tally(tmp_path, "null", "--work=100000", f"--threads={threads}")[0] == 0


@pytest.mark.parametrize("workload, words, calls", [
    ("pair", ["--work=1000"], 2000),
    ("byhand", ["--work=1000"], 2000),
    ("batch", ["--work=3", "--threads=2"], 2 * 3 * 2000),
    ("larson", ["--work=5000", "--threads=2"], 2 * 2 * (5000 + 1000)),
    ("threadtest", ["--work=2", "--threads=3"], 2 * 2 * 30000),
    ("prodcons", ["--work=5000", "--threads=2"], 2 * 5000),
    ("prodcons", ["--work=5000", "--threads=3"], 4 * 5000),
    ("sizemix", ["--work=5000"], 2 * 5000),
])
def test_the_allocator_sees_exactly_the_workloads_calls(tmp_path, workload, words, calls):
    assert tally(tmp_path, workload, *words)[0] == calls
    result = heapmark("run", workload, "--allocators=system", "--reps=1", "--out=ok", *words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert rows(tmp_path / "ok")[0]["ops"] == str(calls)


@pytest.mark.parametrize("workload", ["batch", "larson", "sizemix"])
def test_the_seed_decides_the_sequence_of_requests(tmp_path, workload):
    words = ["--work=2000"] + (["--set", "order=shuffled", "--work=3"] if workload == "batch" else [])
    first = tally(tmp_path, workload, *words, seed=7)
    assert tally(tmp_path, workload, *words, seed=7) == first
    if workload != "batch":  # all its blocks are of one size: another order looks the same
        assert tally(tmp_path, workload, *words, seed=8)[1] != first[1]


def planned(run):
    with open(run / "env.json") as file:
        return json.load(file)["run"]["blocks"]


def test_ten_kills_and_resumes_lose_and_repeat_nothing(tmp_path):
    words = ["run", "pair", "batch", "larson", "--allocators=system,null", "--aa", "--reps=6",
             "--trial-time=10ms", "--out=run"]
    draw = random.Random(4)
    process = subprocess.Popen([HEAPMARK, *words], cwd=tmp_path, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    kills = 0
    while kills < 10:
        time.sleep(draw.uniform(0.02, 0.35))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        if not (tmp_path / "run" / "job.ini").exists():  # killed before there was anything
            process = subprocess.Popen([HEAPMARK, *words], cwd=tmp_path, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            subprocess.run(["rm", "-rf", tmp_path / "run"], check=True)
            continue
        process = subprocess.Popen([HEAPMARK, "run", "--resume=run"], cwd=tmp_path,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process.wait()
    result = heapmark("run", "--resume=run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    found = rows(tmp_path / "run")
    assert sorted(int(row["trial"]) for row in found) == list(range(6 * 3 * 3))
    assert all(row["status"] == "ok" for row in found)
    with open(tmp_path / "run" / "latency.csv", newline="") as file:
        samples = [(row["trial"], row["op"], row["low_ns"]) for row in csv.DictReader(file)]
    assert {int(trial) for trial, _, _ in samples} == set(range(6 * 3 * 3))
    assert kills >= 5, "the machine was too quick for this test: make the run longer"


def test_a_resumed_run_insists_on_the_same_allocator(tmp_path):
    copy = tmp_path / "copy.so"
    copy.write_bytes((BUILD / "lib" / "heapmark" / "libhm_null.so").read_bytes())
    words = ["--allocators=./copy.so", "--baseline=none", "--work=1000", "--reps=2"]
    assert heapmark("run", "pair", *words, "--out=run", cwd=tmp_path).returncode == 0
    trials = tmp_path / "run" / "trials.csv"
    trials.write_bytes(b"".join(trials.read_bytes().splitlines(keepends=True)[:-1]))
    copy.write_bytes(copy.read_bytes() + b"\0")
    result = heapmark("run", "--resume=run", cwd=tmp_path)
    assert result.returncode == 2
    assert "has changed since the run began" in result.stderr


def test_a_full_disk_keeps_finished_rows(tmp_path):
    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (45000, 45000))

    result = measure("run", "null", "--allocators=system", "--work=1000", "--reps=400", "--out=run",
                     cwd=tmp_path, preexec_fn=small_files)
    assert result.returncode == 1
    assert "cannot write" in result.stderr and "finished rows are kept" in result.stderr
    before = rows(tmp_path / "run")
    assert 0 < len(before) < 400
    assert all(row["pad_bytes"] for row in before), "no row is torn"
    assert heapmark("run", "--resume=run", cwd=tmp_path).returncode == 0
    assert [row["trial"] for row in rows(tmp_path / "run")] == [str(i) for i in range(400)]


def test_an_interrupt_keeps_what_ended_and_says_how_to_go_on(tmp_path):
    process = subprocess.Popen([HEAPMARK, "run", "pair", "--allocators=system", "--reps=100", "--out=run"],
                               cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    given_up = time.monotonic() + 60
    while not ((tmp_path / "run/trials.csv").exists() and rows(tmp_path / "run")):
        assert time.monotonic() < given_up, "no trial ended within a minute"
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "--resume=" in said
    assert all(row["status"] == "ok" for row in rows(tmp_path / "run"))


def test_a_time_budget_ends_between_blocks(tmp_path):
    result = heapmark("run", "pair", "--allocators=system,null", "--trial-time=20ms", "--reps=500",
                      "--time-budget=1s", "--out=run", cwd=tmp_path)
    found = rows(tmp_path / "run")
    assert result.returncode == 0
    assert 0 < len(found) < 1000 and len(found) % 2 == 0
    assert "time budget" in result.stderr


@pytest.mark.parametrize("variant, said", [("jemalloc:narenas=foo", "narenas:foo"), ("jemalloc:no_such=1", "no_such:1"),
                                           ("scudo:no_such=1", "unrecognized flag")])
def test_a_knob_that_the_library_ignores_is_no_measurement(tmp_path, variant, said):
    """What the default does must not stand under the variant's name."""
    result = measure("run", "pair", f"--allocators={variant}", "--reps=1", "--work=2000", "--out=run", cwd=tmp_path)
    tried = [row for row in rows(tmp_path / "run") if row["variant"]]
    assert result.returncode == 1 and tried
    for row in tried:
        assert row["status"] == "unsupported" and said in row["detail"] and row["wall_ns"] == "", row


def test_rows_say_what_was_run(tmp_path):
    measure("run", "pair", "--allocators=jemalloc:narenas=1", "--threads=1,5", "--placement=none,compact",
            "--aa", "--reps=1", "--work=2000", "--out=run", cwd=tmp_path)
    found = rows(tmp_path / "run")
    assert len(found) == 2 * 2 * 3
    assert {row["variant"] for row in found} == {"", "aa", "narenas=1"}
    for row in found:
        flags = row["flags"].split()
        room = len(os.sched_getaffinity(0))
        assert ("unpinned" in flags) == (row["placement"] == "none")
        assert ("oversubscribed" in flags) == (int(row["threads"]) > room)
        assert row["status"] == "ok" and int(row["ops"]) == 2 * 2000 * int(row["threads"])
        assert row["faults_major"] != "" and row["calloc_ns_p50"] == ""
        assert int(row["malloc_ns_p50"]) <= int(row["malloc_ns_p99"]) <= int(row["malloc_ns_max"])
    env = json.loads((tmp_path / "run" / "env.json").read_text())
    variant, = [a for a in env["allocators"] if a["label"] == "jemalloc:narenas=1"]
    assert variant["environment"] == "MALLOC_CONF=narenas:1"
    assert re.fullmatch("[0-9a-f]{64}", variant["sha256"])
    assert [column["name"] for column in env["columns"]] == list(found[0])
    step_ns = env["machine"]["timer_step_ns"]
    is_coarse = env["machine"]["timer"] != "tsc" or step_ns >= 5
    assert step_ns > 0 and all(("coarse-timer" in row["flags"].split()) == is_coarse for row in found)


def test_an_allocator_may_say_what_it_is(tmp_path):
    measure("run", "pair", "--allocators", f"{FAULTY}/flags.so", "--baseline=none", "--placement=none",
            "--reps=1", "--work=1000", "--out=run", cwd=tmp_path)
    row, = rows(tmp_path / "run")
    assert row["status"] == "ok" and row["flags"].replace(" coarse-timer", "") == "unpinned percpu=thread no-rseq"


def test_figures_are_plausible(tmp_path):
    """The memory that a workload holds must show, and be gone after a purge."""
    measure("run", "batch", "--set", "size=64k", "--set", "count=1000", "--allocators=system", "--reps=1",
            "--work=3", "--out=run", cwd=tmp_path)
    row, = rows(tmp_path / "run")
    live = 64 * 1024 * 1000
    assert int(row["live_bytes_peak"]) == live
    above_base = int(row["rss_bytes_peak"]) - int(row["rss_bytes_base"])
    assert 0.99 * live <= above_base <= 1.1 * live  # the kernel counts in batches
    assert int(row["rss_bytes_purged"]) < int(row["rss_bytes_base"]) + live / 10
    assert int(row["faults_minor"]) > 0


def test_the_peak_of_the_parent_is_not_inherited(tmp_path):
    """ru_maxrss and VmHWM of a fat parent pass through fork and exec unless they are reset."""
    fat = bytearray(300 << 20)
    fat[::4096] = b"x" * len(fat[::4096])
    measure("run", "pair", "--allocators=system", "--reps=1", "--work=1000", "--out=run", cwd=tmp_path)
    row, = rows(tmp_path / "run")
    assert int(row["rss_bytes_peak"]) < 50 << 20


@pytest.mark.parametrize("words", [["--allocators=system", "--baseline=none"], ["--baseline=none", "--allocators=system"]])
def test_the_order_of_options_does_not_matter(tmp_path, words):
    planned = heapmark("run", "pair", *words, "--reps=1", "--dry-run", cwd=tmp_path)
    assert planned.returncode == 0 and "1 trial in 1 block," in planned.stdout, planned.stdout


def build_program_past_preloading(path):
    """A program whose library, opened with RTLD_DEEPBIND, has glibc's malloc whatever is preloaded."""
    (path / "past.c").write_text("#include <stdlib.h>\nvoid *make(size_t n) { return malloc(n); }\n")
    (path / "prog.c").write_text(
        "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <stdlib.h>\nint main(void)\n{\n"
        '    void *library = dlopen("./past.so", RTLD_NOW | RTLD_DEEPBIND);\n'
        '    void *(*make)(size_t) = (void *(*)(size_t))dlsym(library, "make");\n'
        "    for (int i = 0; i < 1000; i++)\n        free(make(50));\n    return 0;\n}\n")
    for words in (["-shared", "-fPIC", "-o", "past.so", "past.c"], ["-o", "prog", "prog.c"]):
        subprocess.run(["cc", *words], cwd=path, check=True)


def test_what_is_known_of_a_trace_is_in_env_json_and_in_the_answer(tmp_path):
    build_program_past_preloading(tmp_path)
    heapmark("record", "-o", "app.hmt", "--", "env", "A= b", "env", "B=2", "./prog", cwd=tmp_path)
    process, = {path.name.split(".")[1] for path in tmp_path.glob("app.*.hmt")}
    names = ["app.hmt", f"app.{process}.hmt", f"app.{process}.2.hmt"]
    traces = []
    for at, name in enumerate(names):
        result = heapmark("run", name, "--allocators=system,slub", "--reps=2", "--work=1",
                          f"--out=run{at}", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        trace, = json.loads((tmp_path / f"run{at}" / "env.json").read_text())["traces"]
        traces.append(trace)
        said = " ".join(result.stdout.split())
        assert (f"what it became has the trace '{names[2]}'" in said) == (at < 2), said
        assert ("RTLD_DEEPBIND" in said) == (at == 2), said
    assert [trace["trace"] for trace in traces] == names
    assert {trace["command"] for trace in traces} == {"env 'A= b' env B=2 ./prog"}
    last = str(tmp_path / names[2])
    assert [trace["successor"] for trace in traces] == [last, last, None]
    assert [trace["half_seen"] for trace in traces] == [0, 0, 1000]


def test_a_trace_whose_name_and_command_no_json_can_hold(tmp_path):
    """Bytes that are no UTF-8 are escaped; a command that was not recorded whole is none."""
    name = os.fsdecode(b"odd\xff.hmt")
    heapmark("record", "-o", name, "--", "env", "A=1", "echo", "x" * 2048, cwd=tmp_path, errors="replace")
    measure("run", name, "--reps=1", "--work=1", "--baseline=none", "--allocators=system", "--out=run",
            cwd=tmp_path, errors="replace")
    trace, = json.loads((tmp_path / "run" / "env.json").read_text())["traces"]
    assert (trace["trace"], trace["command"]) == ("odd\\xff.hmt", None)
    assert re.fullmatch(r".*/odd\\xff\.\d+\.hmt", trace["successor"])


def test_a_successor_of_another_process_is_none(tmp_path):
    """An older recording may have left a file of that name."""
    heapmark("record", "-o", "app.hmt", "--", "env", "A=1", "ls", cwd=tmp_path)
    follower, = tmp_path.glob("app.*.hmt")
    heapmark("record", "-o", follower.name, "ls", cwd=tmp_path)
    measure("run", "app.hmt", "--reps=1", "--work=1", "--baseline=none", "--allocators=system", "--out=run", cwd=tmp_path)
    trace, = json.loads((tmp_path / "run" / "env.json").read_text())["traces"]
    assert trace["successor"] is None
