"""What is recorded: known calls of real programs are all there, of all threads and processes."""

import csv
import ctypes.util
import os
import platform
import re
import resource
import shutil
import subprocess
import tempfile
import time

import pytest

from recordings import (HEAPMARK, PLAY, ROUNDS, SUBJECT, SUBJECT_CXX, command, count, info, nothing_left_behind,
                        others, record, recorded)


JEMALLOC = ctypes.util.find_library("jemalloc") or ""


def test_every_call(tmp_path):
    _, figures, ops = recorded(tmp_path, "every_call")
    # malloc: four, malloc(0), and reallocarray(NULL); realloc(p, 0) is a free.
    assert ops == {"malloc": 5, "calloc": 1, "aligned": 5, "realloc": 1, "free": 11}
    assert figures["not events"][:3] == [1, 1, 0]
    rows, _ = exported(tmp_path / "t.hmt")
    assert [row["size_bytes"] for row in rows if row["op"] == "aligned"] == \
        ["100011", "100032", "100013", str(100 * 1024), "100017"]  # what pvalloc() rounds up to pages


def test_sized_frees(tmp_path):
    """C23's are free() with a hint, also where the C library has none."""
    _, figures, ops = recorded(tmp_path, "sized_frees")
    assert (ops["malloc"], ops["aligned"], ops["free"]) == (100, 100, 200)
    assert figures["not events"][2:] == [0, 0]


def test_pairs(tmp_path):
    done, figures, ops = recorded(tmp_path, "pairs")
    assert ops == {"malloc": ROUNDS, "calloc": 0, "aligned": 0, "realloc": 0, "free": ROUNDS}
    assert figures["threads"] == [1]
    assert "'t.hmt': " in done.stderr


def test_threads(tmp_path):
    _, figures, ops = recorded(tmp_path, "threads")
    assert figures["threads"] == [9]
    # the C library allocates a little for each thread
    assert 8 * ROUNDS <= ops["malloc"] <= 8 * ROUNDS + 16
    assert 8 * ROUNDS <= ops["free"] <= 8 * ROUNDS + 16
    assert count(figures, "thread starts") == 8
    assert count(figures, "thread joins") == 8
    assert figures["not events"][2:] == [0, 0]  # no order was doubtful
    played = subprocess.run([PLAY, tmp_path / "t.hmt", "2"], text=True, capture_output=True, timeout=120)
    assert played.returncode == 0, played.stderr


@pytest.mark.skipif(bool(os.environ.get("SANITIZED")), reason="a sanitizer has its own allocator")
def test_replay_makes_the_recorded_calls(tmp_path):
    record(tmp_path, SUBJECT, "pairs", output="short.hmt")
    record(tmp_path, SUBJECT, "every_call")
    figures = {}
    for trace in ("short.hmt", "t.hmt"):
        record(tmp_path, PLAY, trace, "1", output="again.hmt")
        figures[trace] = info(tmp_path / trace), info(tmp_path / "again.hmt")
    for op in ("malloc", "calloc", "aligned", "realloc", "free"):
        recorded_more = count(figures["t.hmt"][0], op) - count(figures["short.hmt"][0], op)
        replayed_more = count(figures["t.hmt"][1], op) - count(figures["short.hmt"][1], op)
        assert replayed_more == 2 * recorded_more, op  # the stand-in plays each pass twice


@pytest.mark.parametrize("mode", ["every_call", "threads", "short_lived", "joined_parents"])
def test_the_number_of_events_that_is_told(tmp_path, mode):
    """It is what `trace info` counts: with the starts of threads, and a realloc as one."""
    done, figures, _ = recorded(tmp_path, mode)
    (told,) = re.findall(r"'t\.hmt': (\d+) events", done.stderr)
    assert [int(told)] == figures["events"]


def test_a_process_whose_only_call_fails(tmp_path):
    """Its trace holds no event, and is not thrown away."""
    done = record(tmp_path, SUBJECT, "child_fails")
    (child,) = others(tmp_path)
    assert f"'{child}': no events, as all that was called failed" in done.stderr
    assert info(tmp_path / child)["events"] == [0]


def test_short_lived_threads(tmp_path):
    _, figures, ops = recorded(tmp_path, "short_lived")
    assert figures["threads"] == [501]
    assert 500 <= ops["malloc"] < 600
    assert count(figures, "thread starts") == 500
    assert count(figures, "thread joins") == 500


def test_more_threads_than_a_trace_holds(tmp_path):
    """The later ones are left out, which has its own words; the others' calls are there to the end."""
    done, figures, ops = recorded(tmp_path, "more_threads_than_numbers")
    assert ops["malloc"] == 65534 + ROUNDS and "recording stopped" in figures["text"]
    assert "lacks the calls of the threads after the first 65535" in done.stderr, done.stderr
    assert "disk was full" not in done.stderr


def test_many_threads_that_end_at_once(tmp_path):
    """64 of them; what their destructors free is there, and the starts and joins."""
    _, figures, ops = recorded(tmp_path, "crowd")
    assert figures["threads"] == [65]
    assert 64 * 501 <= ops["malloc"] <= 64 * 501 + 128  # the C library allocates a little for each thread
    assert 64 * 501 <= ops["free"] <= 64 * 501 + 128
    assert count(figures, "thread starts") == count(figures, "thread joins") == 64
    assert figures["not events"][2:] == [0, 0]


@pytest.mark.parametrize("mode", ["joins", "timed_joins", "clock_joins", "try_joins", "c11_joins"])
def test_every_way_to_join(tmp_path, mode):
    """A join that was tried in vain is none, and a start function's result comes through."""
    _, figures, ops = recorded(tmp_path, mode)
    assert figures["threads"] == [17]
    assert count(figures, "thread starts") == count(figures, "thread joins") == 16
    assert 24 * ROUNDS <= ops["malloc"] <= 24 * ROUNDS + 16
    _, events = exported(tmp_path / "t.hmt")
    ended = set()
    for event in events:
        time, thread, op, *rest = event.split()
        assert thread not in ended
        if op == "join":
            ended.add(rest[0])
    assert len(ended) == 16


def test_destructor_of_a_thread(tmp_path):
    _, figures, ops = recorded(tmp_path, "late_free")
    assert figures["threads"] == [2]
    assert (ops["malloc"], ops["free"]) == (1, 1)


@pytest.mark.skipif(not SUBJECT_CXX, reason="no g++")
def test_new_and_delete(tmp_path):
    record(tmp_path, SUBJECT_CXX)
    figures = info(tmp_path / "t.hmt")
    assert figures["threads"] == [2]
    assert count(figures, "aligned") == 1
    assert figures["sizes"][-1] == 100032
    assert count(figures, "malloc") >= 4
    assert figures["ended elsewhere"][0] > 0


def test_script(tmp_path):
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\n{SUBJECT} pairs\n{SUBJECT} pairs\nexit 5\n")
    script.chmod(0o755)
    done = record(tmp_path, "./script", expect=1)
    assert "status 5" in done.stderr
    assert count(info(tmp_path / "t.hmt"), "malloc") < ROUNDS  # the shell's own
    found = [count(info(tmp_path / name), "malloc") for name in others(tmp_path)]
    assert found.count(ROUNDS) == 2


def test_signal_handlers_that_allocate(tmp_path):
    _, figures, ops = recorded(tmp_path, "signals")
    assert (ops["malloc"], ops["free"]) == (2000, 2000)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the program steps through x86-64 code")
@pytest.mark.parametrize("mode, before", [("interrupted_at_first", 0), ("interrupted_at_end", 247)])
def test_handlers_between_any_two_instructions(tmp_path, mode, before):
    """No thread loses more than one call, and no time is wrong, wherever the handler's call came."""
    begin = time.monotonic()
    _, figures, ops = recorded(tmp_path, mode)
    took = time.monotonic() - begin
    threads = count(figures, "thread starts")
    own = before + 1 + 600
    assert threads > 100 and figures["threads"] == [threads + 1]
    # the handler's call, in all threads but the last, less the call that may be lost
    assert threads * own <= ops["malloc"] < threads * (own + 1) + 16
    verified = subprocess.run([HEAPMARK, "trace", "verify", "t.hmt"], cwd=tmp_path, text=True, capture_output=True)
    assert verified.returncode == 0, verified.stderr
    assert figures["duration"][0] < took


def test_program_that_closes_all_descriptors(tmp_path):
    _, figures, ops = recorded(tmp_path, "closes_all")
    assert (ops["malloc"], ops["free"]) == (2 * ROUNDS, 2 * ROUNDS)


LOCKS = r"""
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
int main(void)
{
    free(malloc(100));
    int wrong = mlockall(64) == 0, result = mlockall(MCL_CURRENT | MCL_FUTURE);
    free(malloc(1 << 20));
    perror("mlockall");
    return wrong || result;
}
"""


@pytest.mark.parametrize("limit, status", [(8 << 20, 0), (64 << 10, 1), (0, 1)])
def test_program_that_locks_its_memory(tmp_path, limit, status):
    """The room for a recording of any length is not made pages of, nor counts for the program's limit."""
    if shutil.which("setpriv") is None or os.geteuid() != 0:
        pytest.skip("giving up the right to lock without limit needs root and setpriv")
    subprocess.run(["cc", "-fno-builtin", "-x", "c", "-o", tmp_path / "locks", "-"], input=LOCKS, text=True, check=True)
    plain = ["prlimit", f"--memlock={limit}:{limit}", "setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", "./locks"]
    assert subprocess.run(plain, cwd=tmp_path, capture_output=True).returncode == status
    record(tmp_path, *plain, expect=status)


def test_changed_root(tmp_path):
    """After chroot() neither the program nor its children find the raw file by its path."""
    if os.geteuid() != 0:
        pytest.skip("changing the root needs root")
    _, figures, ops = recorded(tmp_path, "changes_root")
    assert (ops["malloc"], ops["free"]) == (ROUNDS, ROUNDS)
    (child,) = others(tmp_path)
    assert count(info(tmp_path / child), "malloc") == ROUNDS


@pytest.mark.parametrize("run", range(3))
def test_fork(tmp_path, run):
    """Parent and child have a trace each, the child's named by its pid."""
    done, figures, ops = recorded(tmp_path, "forks")
    assert (ops["malloc"], ops["free"]) == (2, 2)
    assert "fork" not in done.stderr
    (child,) = others(tmp_path)
    assert re.fullmatch(r"t\.\d+\.hmt", child)
    figures = info(tmp_path / child)
    assert count(figures, "malloc") == ROUNDS and count(figures, "free") == 0
    assert "nobody knows how" in figures["text"]


def test_fork_among_threads(tmp_path):
    """Each child has a trace of its own calls; the parent's threads lose none."""
    _, figures, ops = recorded(tmp_path, "forks_among_threads")
    own = 4 * ROUNDS + 20 * 100
    assert own <= ops["malloc"] <= own + 16 and own <= ops["free"] <= own + 16
    assert figures["threads"] == [5] and figures["not events"][2:] == [0, 0]
    children = [info(tmp_path / name) for name in others(tmp_path)]
    assert len(children) == 20
    assert [count(child, "malloc") for child in children] == [100] * 20
    assert all(child["threads"] == [1] for child in children)


def test_vfork(tmp_path):
    done, _, ops = recorded(tmp_path, "vforks")
    assert (ops["malloc"], ops["free"]) == (2, 2)
    assert "fork" not in done.stderr


def test_exec(tmp_path):
    """What a process was before exec() and what it is after are two traces."""
    done, figures, ops = recorded(tmp_path, "execs")
    assert (ops["malloc"], ops["free"]) == (1, 1)
    assert "replaced itself" in done.stderr
    assert "followed exec()" in figures["text"]
    (after,) = others(tmp_path)
    figures = info(tmp_path / after)
    assert count(figures, "malloc") > 10 and "status 0" in figures["text"]


def commands(tmp_path, names):
    return sorted(command(tmp_path / name) for name in names)


def test_each_process_is_told(tmp_path):
    """Its pid is its name's, its parent is the first one, and it began later; as text and as a table."""
    record(tmp_path, "sh", "-c", "ls /; ls /; true")
    first = info(tmp_path / "t.hmt")["process"]
    for name in others(tmp_path):
        pid, parent, after = info(tmp_path / name)["process"]
        assert name == f"t.{int(pid)}.hmt" and parent == first[0] != pid and after > 0
        table = subprocess.run([HEAPMARK, "trace", "info", "--format=csv", "--table=summary", tmp_path / name],
                               text=True, capture_output=True, check=True).stdout
        assert f"pid,{int(pid)}" in table and f"parent_pid,{int(parent)}" in table
        assert int(re.search(r"start_ns,(\d+)", table)[1]) > 0


def test_each_process_has_its_own_command(tmp_path):
    """What it runs, after exec() too; of a child of fork() what its parent runs. The first one's stays what was typed."""
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\n{SUBJECT} pairs\n(ls / ; :) >ls.out\nexec {SUBJECT} forks\n")
    script.chmod(0o755)
    record(tmp_path, "./script")
    assert command(tmp_path / "t.hmt") == "./script"
    found = commands(tmp_path, others(tmp_path))
    assert [one for one in found if one != "/bin/sh ./script"] == [
        "./script", f"{SUBJECT} forks", f"{SUBJECT} pairs", "ls /"]


def test_a_command_of_a_child_that_is_out_of_reach(tmp_path):
    """It cannot look at itself any more, and is told by what it was forked from."""
    if os.geteuid() != 0:
        pytest.skip("changing the root needs root")
    record(tmp_path, SUBJECT, "changes_root")
    assert commands(tmp_path, others(tmp_path)) == [f"{SUBJECT} changes_root"]


@pytest.mark.parametrize("more", [0, 1])
def test_a_childs_long_command(tmp_path, more):
    """2,048 bytes with the zero bytes: the last length that is kept, and one byte more, as of the first process."""
    long = "x" * (2048 - len("echo a ") - 1 + more)
    record(tmp_path, "sh", "-c", f"env echo a {long}; :")
    kept = "echo, with more arguments than a recording keeps" if more else f"echo a {long}"
    assert kept in commands(tmp_path, others(tmp_path))


def mallocs(tmp_path, names):
    return [count(info(tmp_path / name), "malloc") for name in names]


def test_exec_with_an_environment_of_its_own(tmp_path):
    """Each function of the family begins a program that is recorded, and that sees its own variables."""
    record(tmp_path, SUBJECT, "execs_anew")
    assert mallocs(tmp_path, others(tmp_path)) == [ROUNDS] * 11


def test_vfork_and_exec_with_an_environment_of_its_own(tmp_path):
    record(tmp_path, SUBJECT, "vforks_anew")
    assert mallocs(tmp_path, others(tmp_path)) == [ROUNDS] * 3


@pytest.mark.parametrize("words", [["-i"], ["-u", "LD_PRELOAD"], ["-i", "LD_PRELOAD="]])
def test_env(tmp_path, words):
    done = record(tmp_path, "env", *words, SUBJECT, "pairs")
    assert "the largest is 't." in done.stderr and ": heapmark run t." in done.stderr
    assert ROUNDS in mallocs(tmp_path, others(tmp_path))


@pytest.mark.skipif(not JEMALLOC, reason="no jemalloc")
def test_another_allocator_is_preloaded_later(tmp_path):
    """The recorder stands in front of it, and it serves the program."""
    record(tmp_path, "env", f"LD_PRELOAD={JEMALLOC}", SUBJECT, "pairs")
    assert ROUNDS <= mallocs(tmp_path, others(tmp_path))[0] <= ROUNDS + 4  # the C++ library's own
    done = subprocess.run([HEAPMARK, "record", "-o", "again.hmt", "--", "env", f"LD_PRELOAD={JEMALLOC}",
                           "sh", "-c", "echo $LD_PRELOAD"], cwd=tmp_path, text=True, capture_output=True)
    first, second = done.stdout.strip().split(":")
    assert first.endswith("libhm_record.so") and second == JEMALLOC


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
def test_programs_that_cannot_be_recorded(tmp_path):
    """They are named, and the others recorded; not one that never began."""
    source = "int main(void) { return 0; }"
    subprocess.run(["gcc", "-static", "-x", "c", "-o", "static", "-"], input=source, text=True, cwd=tmp_path,
                   check=True)
    script = f"./static; env -i ./static; {SUBJECT} pairs; ./static; exec ./static"
    done = record(tmp_path, "sh", "-c", script)
    assert len(re.findall(r"process \d+ became './static', which cannot be recorded", done.stderr)) == 4
    assert ROUNDS in mallocs(tmp_path, others(tmp_path))
    done = record(tmp_path, "sh", "-c", "for i in 1 2 3 4 5 6 7 8; do ./static; done")
    assert done.stderr.count("became './static'") == 6 and "and 2 more became programs" in done.stderr
    done = record(tmp_path, SUBJECT, "fails_to_exec")
    assert "became" not in done.stderr and mallocs(tmp_path, ["t.hmt"]) == [ROUNDS]
    done = record(tmp_path, SUBJECT, "spawns_static")
    assert done.stderr.count("became './static'") == 1


def test_a_spawned_program_in_another_directory(tmp_path):
    """It is looked at where it is, and not where the caller is."""
    (tmp_path / "there").mkdir()
    subprocess.run(["gcc", "-static", "-x", "c", "-o", "there/static", "-"], text=True, cwd=tmp_path, check=True,
                   input="#include <unistd.h>\nint main(void) { return (int)sleep(1); }")
    done = record(tmp_path, SUBJECT, "spawns_static_elsewhere")
    assert done.stderr.count("became './static', which cannot be recorded") == 1


@pytest.mark.parametrize("mode", ["forks_on_least_stack", "execs_in_a_handler"])
def test_large_environment_on_a_small_stack(tmp_path, mode):
    record(tmp_path, SUBJECT, mode)
    assert ROUNDS in mallocs(tmp_path, others(tmp_path))


def test_calls_on_a_handlers_small_stack(tmp_path):
    _, figures, ops = recorded(tmp_path, "calls_in_a_handler")
    assert figures["threads"] == [2]
    assert ROUNDS <= ops["malloc"] <= ROUNDS + 2 and ROUNDS <= ops["free"] <= ROUNDS + 2


@pytest.mark.parametrize("mode", ["execs_at_the_edge", "spawns_at_the_edge"])
def test_environment_that_has_no_room(tmp_path, mode):
    """It begins its program without the recorder, and that is said; not of one that never began."""
    done = subprocess.run([HEAPMARK, "record", "-o", "t.hmt", "sh", "-c", f"ls /; exec {SUBJECT} {mode}"],
                          cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("became '/bin/true', which cannot be recorded: its environment leaves no room") == 1


def test_exec_of_a_pipe(tmp_path):
    """It fails at once, as it does without the recorder, which does not wait for a writer."""
    os.mkfifo(tmp_path / "pipe", 0o777)
    done = record(tmp_path, SUBJECT, "execs_pipe")
    assert "became" not in done.stderr and mallocs(tmp_path, ["t.hmt"]) == [ROUNDS]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
def test_exec_of_a_program_without_a_name(tmp_path):
    subprocess.run(["gcc", "-static", "-x", "c", "-o", "static", "-"], input="int main(void) { return 0; }", text=True,
                   cwd=tmp_path, check=True)
    done = subprocess.run([HEAPMARK, "record", "-o", "t.hmt", SUBJECT, "execs_unnamed"], cwd=tmp_path, text=True,
                          capture_output=True)
    assert "became '/memfd:unnamed (deleted)', which cannot be recorded" in done.stderr


def test_rights_given_up(tmp_path):
    """The recording is out of reach for the program that comes next, and that is said."""
    if os.geteuid() != 0:
        pytest.skip("needs rights to give up")
    done = subprocess.run([HEAPMARK, "record", "-o", "t.hmt", "sh", "-c", f"ls /; exec {SUBJECT} gives_up_rights"],
                          cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0
    assert "became '/bin/true', which cannot be recorded: with its rights" in done.stderr


@pytest.mark.parametrize("kept", [[], ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]])
def test_rights_given_up_by_exec(tmp_path, kept):
    """What allows a process more than its user, it loses by exec() itself, but for ambient capabilities."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs rights to give up, and setpriv")
    done = record(tmp_path, "setpriv", "--reuid=65534", *kept, "ls", "/")
    told = "became '/usr/bin/ls', which cannot be recorded: with its rights"
    assert (told in done.stderr, len(others(tmp_path))) == ((False, 1) if kept else (True, 0))


def test_more_processes_than_a_recording_holds(tmp_path):
    done = record(tmp_path, SUBJECT, "fills_table")
    assert "2 processes are not recorded: one recording holds 8192" in done.stderr
    assert others(tmp_path) == []


def exported(path):
    """The rows of the CSV form, and the lines of the text form that are events."""
    forms = [subprocess.run([HEAPMARK, "trace", "export", f"--format={form}", path], text=True, capture_output=True,
                            check=True).stdout for form in ("csv", "text")]
    events = [line for line in forms[1].splitlines() if line[0].isdigit()]
    return list(csv.DictReader(forms[0].splitlines())), events


def test_reallocs_that_move_and_that_do_not(tmp_path):
    record(tmp_path, SUBJECT, "reallocs")
    rows, events = exported(tmp_path / "t.hmt")
    found = [(row["size_bytes"], row["moved"]) for row in rows if row["op"] == "realloc"]
    assert found == [("80003", "0"), ("70001", "1")]
    assert ["moved" in event for event in events if " realloc " in event] == [False, True]


def test_cpus(tmp_path):
    """On each row of the table stands the CPU that the program was bound to, and its node."""
    cpu = max(os.sched_getaffinity(0))
    node = [name[4:] for name in os.listdir(f"/sys/devices/system/cpu/cpu{cpu}") if re.fullmatch(r"node\d+", name)]
    done = subprocess.run([HEAPMARK, "record", "--cpu", "-o", "t.hmt", SUBJECT, "threads"], cwd=tmp_path, text=True,
                          capture_output=True, preexec_fn=lambda: os.sched_setaffinity(0, {cpu}))
    assert done.returncode == 0, done.stderr
    rows, events = exported(tmp_path / "t.hmt")
    told = [event for event in events if f" cpu={cpu}/" in event]
    assert len(rows) == len(events) > 16 * ROUNDS and 8 <= len(told) < len(events) / 10
    made = [row for row in rows if row["op"] not in ("spawn", "join")]
    assert {row["cpu"] for row in made} == {str(cpu)}
    assert {row["node"] for row in made} == {node[0] if node else "0"}


def test_cpus_of_frees(tmp_path):
    """They may be others than their objects were made on."""
    cpus = os.sched_getaffinity(0)
    if len(cpus) < 2:
        pytest.skip("there is one CPU")
    done = subprocess.run([HEAPMARK, "record", "--cpu", "-o", "t.hmt", SUBJECT, "frees_elsewhere"], cwd=tmp_path, text=True,
                          capture_output=True)
    assert done.returncode == 0, done.stderr
    rows, _ = exported(tmp_path / "t.hmt")
    found = {(row["op"], row["cpu"]) for row in rows}
    assert found == {("malloc", str(min(cpus))), ("free", str(max(cpus)))}


def test_times_after_a_pause(tmp_path):
    """Calls that follow closely share a reading of the clock; none takes it over a pause."""
    record(tmp_path, SUBJECT, "pauses")
    done = subprocess.run([HEAPMARK, "trace", "export", "--format=csv", "t.hmt"], cwd=tmp_path, text=True,
                          capture_output=True)
    assert done.returncode == 0, done.stderr
    times = [int(line.split(",")[0]) for line in done.stdout.splitlines()[1:]]
    assert len(times) == 5 * 2 * 203
    late = {at for at in range(1, len(times)) if times[at] - times[at - 1] > 50_000_000}
    assert late >= {406, 812, 1218, 1624}  # and where a busy machine interrupted it
    assert len(set(times)) > len(times) / 20


def test_sparse_calls_have_times_of_their_own(tmp_path):
    """Only calls that follow closely share a reading of the clock, not a few that do between others."""
    record(tmp_path, SUBJECT, "sparse")
    done = subprocess.run([HEAPMARK, "trace", "export", "--format=csv", "t.hmt"], cwd=tmp_path, text=True,
                          capture_output=True)
    assert done.returncode == 0, done.stderr
    rows = [line.split(",") for line in done.stdout.splitlines()[1:]]
    times = [int(row[0]) for row in rows if row[2] == "malloc"]
    assert len(times) == 1000
    assert sum(after - before > 20_000 for before, after in zip(times, times[1:])) > 900


def test_streams_are_untouched(tmp_path):
    done = subprocess.run([HEAPMARK, "record", "-o", "c.hmt", "cat"], cwd=tmp_path, input="in\n",
                          text=True, capture_output=True)
    assert done.stdout == "in\n"


def test_no_more_tasks():
    """A user who may start no other process is told so; one who may start no thread is recorded."""
    if os.geteuid() != 0:
        pytest.skip("another user's limits need root")
    stranger = 20000 + os.getpid() % 40000  # whose tasks are nobody else's; namespaces often end at 65536

    def limited(tasks, mode):
        def become():
            os.setgid(stranger)
            resource.setrlimit(resource.RLIMIT_NPROC, (tasks, tasks))
            os.setuid(stranger)
        return subprocess.run([HEAPMARK, "record", "-o", "t.hmt", SUBJECT, mode], cwd=directory, text=True,
                              capture_output=True, preexec_fn=become, timeout=120)

    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        try:
            done = limited(1, "pairs")
        except PermissionError:
            pytest.skip("the build lies where no other user can run it")
        assert done.returncode == 2 and "cannot run" in done.stderr and "unavailable" in done.stderr
        assert os.listdir(directory) == []
        done = limited(2, "cannot_start_threads")
        assert done.returncode == 0, done.stderr
        figures = info(os.path.join(directory, "t.hmt"))
        assert ROUNDS <= count(figures, "malloc") <= ROUNDS + 4 and figures["threads"] == [1]


@pytest.mark.skipif(bool(os.environ.get("SANITIZED")), reason="a sanitizer needs much address space")
def test_address_space_limit(tmp_path):
    done = subprocess.run(["bash", "-c", f"ulimit -v 1000000; {HEAPMARK} record -o t.hmt {SUBJECT} pairs"],
                          cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert count(info(tmp_path / "t.hmt"), "malloc") >= ROUNDS


def test_verify(tmp_path):
    record(tmp_path, "/bin/ls", "/")
    good = subprocess.run([HEAPMARK, "trace", "verify", "t.hmt"], cwd=tmp_path, text=True, capture_output=True)
    assert good.returncode == 0 and "is good" in good.stdout
    whole = (tmp_path / "t.hmt").read_bytes()
    (tmp_path / "t.hmt").write_bytes(whole[: len(whole) // 2])
    cut = subprocess.run([HEAPMARK, "trace", "verify", "t.hmt"], cwd=tmp_path, text=True, capture_output=True)
    assert cut.returncode == 2 and f"'t.hmt' is cut off at byte {len(whole) // 2}" in cut.stderr
