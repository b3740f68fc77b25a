"""Recording real programs: known calls are all there, whatever way the program ends."""

import os
import platform
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

HEAPMARK = os.environ["HEAPMARK"]
SUBJECT = os.environ["SUBJECT"]
SUBJECT_CXX = os.environ.get("SUBJECT_CXX", "")
PLAY = os.environ["PLAY"]
ROUNDS = 10000


def record(tmp_path, *command, expect=0, output="t.hmt", environment=None):
    done = subprocess.run([HEAPMARK, "record", "-o", output, "--", *command], cwd=tmp_path,
                          text=True, capture_output=True, timeout=120, env=environment)
    assert done.returncode == expect, done.stderr
    return done


def info(path):
    """The figures of `trace info` by their labels; every number of a line."""
    done = subprocess.run([HEAPMARK, "trace", "info", path], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    figures = {}
    for line in done.stdout.splitlines():
        label, text = line[:18].strip(), line[18:]
        figures[label] = [float(number) for number in re.findall(r"[\d.]*\d", text)]
        figures.setdefault("text", "")
        figures["text"] += line + "\n"
    return figures


def wait_for_events(recorder, part):
    """Until the first events stand in the unfinished trace."""
    deadline = time.monotonic() + 20
    while not part.exists():
        assert recorder.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)


def count(figures, op):
    return int(figures.get(op, [0])[0])


def recorded(tmp_path, mode, expect=0):
    done = record(tmp_path, SUBJECT, mode, expect=expect)
    figures = info(tmp_path / "t.hmt")
    ops = {op: count(figures, op) for op in ("malloc", "calloc", "aligned", "realloc", "free")}
    return done, figures, ops


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path):
    yield
    left = [name for name in os.listdir(tmp_path) if name.endswith((".raw", ".part"))]
    assert left == []


def test_a_program_that_never_allocates(tmp_path):
    """Nothing to replay is said, and no file is left."""
    done = subprocess.run([HEAPMARK, "record", "-o", "n.hmt", SUBJECT, "nothing"], cwd=tmp_path,
                          text=True, capture_output=True)
    assert done.returncode == 2
    assert "nothing was recorded" in done.stderr
    assert os.listdir(tmp_path) == []


def test_every_call(tmp_path):
    _, figures, ops = recorded(tmp_path, "every_call")
    # malloc: four, malloc(0), and reallocarray(NULL); realloc(p, 0) is a free.
    assert ops == {"malloc": 5, "calloc": 1, "aligned": 5, "realloc": 1, "free": 11}
    assert figures["not events"][:3] == [1, 1, 0]


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


def test_short_lived_threads(tmp_path):
    _, figures, ops = recorded(tmp_path, "short_lived")
    assert figures["threads"] == [501]
    assert 500 <= ops["malloc"] < 600
    assert count(figures, "thread starts") == 500
    assert count(figures, "thread joins") == 500


def test_many_threads_that_end_at_once(tmp_path):
    """64 of them; what their destructors free is there, and the starts and joins."""
    _, figures, ops = recorded(tmp_path, "crowd")
    assert figures["threads"] == [65]
    assert 64 * 501 <= ops["malloc"] <= 64 * 501 + 128  # the C library allocates a little for each thread
    assert 64 * 501 <= ops["free"] <= 64 * 501 + 128
    assert count(figures, "thread starts") == count(figures, "thread joins") == 64
    assert figures["not events"][2:] == [0, 0]


def test_destructor_of_a_thread(tmp_path):
    _, figures, ops = recorded(tmp_path, "late_free")
    assert figures["threads"] == [2]
    assert (ops["malloc"], ops["free"]) == (1, 1)


def others(tmp_path):
    """The traces of the processes that the recorded one started."""
    return sorted(name for name in os.listdir(tmp_path) if name.endswith(".hmt") and name != "t.hmt")


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


def test_daemon(tmp_path):
    """It leaves its session and its parents, and is recorded to its end."""
    done = record(tmp_path, SUBJECT, "becomes_daemon")
    assert "go on and are recorded" in done.stderr
    (daemon,) = others(tmp_path)
    figures = info(tmp_path / daemon)
    assert count(figures, "malloc") == count(figures, "free") == ROUNDS + 1


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


def test_fork_only_first(tmp_path):
    done = subprocess.run([HEAPMARK, "record", "--only-first", "-o", "t.hmt", SUBJECT, "forks"],
                          cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0 and "its children are not recorded" in done.stderr
    assert others(tmp_path) == []
    assert "were not recorded" in info(tmp_path / "t.hmt")["text"]


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


def test_exec_only_first(tmp_path):
    subprocess.run([HEAPMARK, "record", "--only-first", "-o", "t.hmt", SUBJECT, "execs"], cwd=tmp_path,
                   check=True, capture_output=True)
    assert others(tmp_path) == []


@pytest.mark.parametrize("mode, said", [("killed", "signal 9"), ("crashes", "signal 11"),
                                        ("exits_at_once", "status 3"), ("fails", "status 7")])
def test_bad_ends(tmp_path, mode, said):
    done, figures, ops = recorded(tmp_path, mode, expect=1)
    assert (ops["malloc"], ops["free"]) == (ROUNDS, ROUNDS)
    assert said in done.stderr
    assert said in figures["text"]


def test_killed_in_the_middle(tmp_path):
    """SIGKILL from outside at any moment: a good trace of everything before."""
    for milliseconds in (30, 75, 130):
        recorder = subprocess.Popen([HEAPMARK, "record", "-o", "k.hmt", SUBJECT, "endless"],
                                    cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 10
        child = ""
        while not child and time.monotonic() < deadline:
            with open(f"/proc/{recorder.pid}/task/{recorder.pid}/children") as children:
                child = children.read().strip()
        wait_for_events(recorder, tmp_path / "k.hmt.0.part")
        time.sleep(milliseconds / 1000)
        os.kill(int(child), signal.SIGKILL)
        said = recorder.communicate(timeout=60)[1]
        assert recorder.returncode == 1, said
        figures = info(tmp_path / "k.hmt")
        assert count(figures, "malloc") > 1000
        assert 0 <= count(figures, "malloc") - count(figures, "free") < 20


def test_interrupted_from_the_keyboard(tmp_path):
    """SIGINT goes to both; the program ends by it, the recorder writes the trace."""
    recorder = subprocess.Popen([HEAPMARK, "record", "-o", "k.hmt", SUBJECT, "endless"],
                                cwd=tmp_path, start_new_session=True, stderr=subprocess.PIPE, text=True)
    wait_for_events(recorder, tmp_path / "k.hmt.0.part")
    os.killpg(recorder.pid, signal.SIGINT)
    said = recorder.communicate(timeout=60)[1]
    assert recorder.returncode == 1 and "signal 2" in said
    assert count(info(tmp_path / "k.hmt"), "malloc") > 1000


def test_program_that_closes_all_descriptors(tmp_path):
    _, figures, ops = recorded(tmp_path, "closes_all")
    assert (ops["malloc"], ops["free"]) == (2 * ROUNDS, 2 * ROUNDS)


def test_signal_handlers_that_allocate(tmp_path):
    _, figures, ops = recorded(tmp_path, "signals")
    assert (ops["malloc"], ops["free"]) == (2000, 2000)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the program steps through x86-64 code")
@pytest.mark.parametrize("mode, before", [("interrupted_at_first", 0), ("interrupted_at_end", 247)])
def test_handlers_between_any_two_instructions(tmp_path, mode, before):
    """No thread loses more than one call, and no time is wrong, wherever the handler's call came."""
    _, figures, ops = recorded(tmp_path, mode)
    threads = count(figures, "thread starts")
    own = before + 1 + 600
    assert threads > 100 and figures["threads"] == [threads + 1]
    # the handler's call, in all threads but the last, less the call that may be lost
    assert threads * own <= ops["malloc"] < threads * (own + 1) + 16
    verified = subprocess.run([HEAPMARK, "trace", "verify", "t.hmt"], cwd=tmp_path, text=True, capture_output=True)
    assert verified.returncode == 0, verified.stderr
    assert figures["duration"][0] < 10


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


def test_streams_are_untouched(tmp_path):
    done = subprocess.run([HEAPMARK, "record", "-o", "c.hmt", "cat"], cwd=tmp_path, input="in\n",
                          text=True, capture_output=True)
    assert done.stdout == "in\n"


def test_default_name_and_overwriting(tmp_path):
    for _ in range(2):
        done = subprocess.run([HEAPMARK, "record", "/bin/ls", "/"], cwd=tmp_path, text=True,
                              capture_output=True)
        assert done.returncode == 0
    assert os.listdir(tmp_path) == ["ls.hmt"]
    assert (tmp_path / "ls.hmt").stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_full_disk(tmp_path):
    """The program goes on, and the trace says that it stops early."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", small],
                             capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting needs root")
    try:
        done = record(tmp_path, SUBJECT, "millions", output="small/t.hmt")
        assert "stops before the program's end" in done.stderr
        figures = info(small / "t.hmt")
        assert 100000 < count(figures, "malloc") < 200 * ROUNDS
        assert "recording stopped" in figures["text"]
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.skipif(bool(os.environ.get("SANITIZED")), reason="a sanitizer needs much address space")
def test_address_space_limit(tmp_path):
    done = subprocess.run(["bash", "-c", f"ulimit -v 1000000; {HEAPMARK} record -o t.hmt {SUBJECT} pairs"],
                          cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert count(info(tmp_path / "t.hmt"), "malloc") >= ROUNDS


# ---- when and what: options ---------------------------------------------------------------------------


def recorded_with(tmp_path, options, mode, expect=0):
    done = subprocess.run([HEAPMARK, "record", "-o", "t.hmt", *options, "--", SUBJECT, mode], cwd=tmp_path,
                          text=True, capture_output=True, timeout=120)
    assert done.returncode == expect, done.stderr
    return done, info(tmp_path / "t.hmt")


def test_monotonic_clock(tmp_path):
    """Without an invariant TSC: the same calls, in an order that is never doubtful."""
    _, figures = recorded_with(tmp_path, ["--clock=monotonic"], "threads")
    assert figures["threads"] == [9]
    assert 8 * ROUNDS <= count(figures, "malloc") <= 8 * ROUNDS + 16
    assert figures["not events"][2:] == [0, 0]


def test_times_after_a_pause(tmp_path):
    """Calls that follow closely share a reading of the clock; none takes it over a pause."""
    record(tmp_path, SUBJECT, "pauses")
    done = subprocess.run([HEAPMARK, "trace", "export", "--format=csv", "t.hmt"], cwd=tmp_path, text=True,
                          capture_output=True)
    assert done.returncode == 0, done.stderr
    times = [int(line.split(",")[0]) for line in done.stdout.splitlines()[1:]]
    assert len(times) == 5 * 2 * 203
    late = [at for at in range(1, len(times)) if times[at] - times[at - 1] > 50_000_000]
    assert late == [406, 812, 1218, 1624]
    assert len(set(times)) > len(times) / 20


def test_sample(tmp_path):
    """Whole objects: what is allocated in the sample is freed in the sample."""
    _, figures = recorded_with(tmp_path, ["--sample=1/10"], "millions")
    mallocs = count(figures, "malloc")
    assert 0.09 < mallocs / (200 * ROUNDS) < 0.11
    assert count(figures, "free") == mallocs
    assert figures["not events"][2:] == [0, 0]
    assert "one object in 10" in figures["text"]


def test_sample_with_threads(tmp_path):
    _, figures = recorded_with(tmp_path, ["--sample=1/3"], "threads")
    assert 0.3 < count(figures, "malloc") / (8 * ROUNDS) < 0.37
    assert figures["not events"][2:] == [0, 0]


def test_max_size(tmp_path):
    done, figures = recorded_with(tmp_path, ["--max-size=100k"], "millions")
    assert "--max-size was reached" in done.stderr
    assert (tmp_path / "t.hmt").stat().st_size <= 100 * 1024
    assert 30000 < count(figures, "malloc") < 200 * ROUNDS
    assert "recording stopped" in figures["text"]


def test_start_and_stop_by_time(tmp_path):
    """Of a program that calls without end, one part."""
    for _ in range(5):  # a recorder that gets no processor stops late: then once more
        recorder = subprocess.Popen([HEAPMARK, "record", "-o", "t.hmt", "--start-after=100ms", "--stop-after=300ms",
                                     "--", SUBJECT, "endless"], cwd=tmp_path, stderr=subprocess.PIPE,
                                    start_new_session=True, text=True)
        wait_for_events(recorder, tmp_path / "t.hmt.0.part")
        begin = time.monotonic()
        time.sleep(0.5)
        rest = time.monotonic() - begin
        os.killpg(recorder.pid, signal.SIGINT)
        recorder.communicate(timeout=60)
        figures = info(tmp_path / "t.hmt")
        assert count(figures, "malloc") > 1000
        assert 0 <= count(figures, "malloc") - count(figures, "free") <= 1
        assert "started or stopped" in figures["text"]
        if figures["duration"][0] < rest - 0.1:
            return
    pytest.fail("the recording did not stop before the program's end")


def test_toggle_by_signal(tmp_path):
    """Stopped by one signal, started by the next: no object lives on by mistake."""
    recorder = subprocess.Popen([HEAPMARK, "record", "-o", "t.hmt", "--toggle-signal=USR1", "--",
                                 SUBJECT, "endless"], cwd=tmp_path, stderr=subprocess.PIPE,
                                start_new_session=True, text=True)
    wait_for_events(recorder, tmp_path / "t.hmt.0.part")
    for _ in range(4):
        os.kill(recorder.pid, signal.SIGUSR1)
        time.sleep(0.1)
    os.killpg(recorder.pid, signal.SIGINT)
    recorder.communicate(timeout=60)
    figures = info(tmp_path / "t.hmt")
    assert 0 <= count(figures, "malloc") - count(figures, "free") <= 1
    assert figures["not events"][3] == 0
    assert "started or stopped" in figures["text"]


def test_stacks_and_cpus(tmp_path):
    """They are recorded beside the same calls. That they come back is a unit test's."""
    _, plain = recorded_with(tmp_path, [], "threads")
    size = (tmp_path / "t.hmt").stat().st_size
    _, figures = recorded_with(tmp_path, ["--stacks=8", "--cpu"], "threads")
    assert abs(count(figures, "malloc") - count(plain, "malloc")) <= 16
    assert (tmp_path / "t.hmt").stat().st_size > size


@pytest.mark.skipif(shutil.which("sort") is None, reason="no sort")
def test_stacks_without_frame_pointers(tmp_path):
    """A program of the distribution has none: what is recorded stays the same, and it does not crash."""
    for depth in (1, 62):
        done = subprocess.run([HEAPMARK, "record", f"--stacks={depth}", "-o", "t.hmt", "sort", __file__],
                              cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stderr
        figures = info(tmp_path / "t.hmt")
        assert count(figures, "malloc") > 10 and "sort" in figures["text"]


def test_ordered(tmp_path):
    _, figures = recorded_with(tmp_path, ["--ordered"], "threads")
    assert 8 * ROUNDS <= count(figures, "malloc") <= 8 * ROUNDS + 16
    played = subprocess.run([PLAY, tmp_path / "t.hmt", "2"], text=True, capture_output=True, timeout=120)
    assert played.returncode == 0, played.stderr


@pytest.mark.parametrize("options, said", [
    (["--sample=3"], "not a share"), (["--sample=1/0"], "from 1 to"), (["--stacks=99"], "from 1 to 62"),
    (["--max-size=1"], "not a size"), (["--start-after=soon"], "not a time"),
    (["--start-after=2s", "--stop-after=1s"], "nothing would be recorded"),
    (["--toggle-signal=KILL"], "none of USR1"), (["--clock=sun"], "neither tsc nor")])
def test_bad_options(tmp_path, options, said):
    assert said in refused(tmp_path, "record", *options, "true")


# ---- a recorder that dies, and two at once -------------------------------------------------------------


def test_recorder_killed(tmp_path):
    """The program goes on, and all it did is brought together later."""
    recorder = subprocess.Popen([HEAPMARK, "record", "-o", "t.hmt", SUBJECT, "millions"], cwd=tmp_path,
                                stderr=subprocess.DEVNULL)
    while not (tmp_path / "t.hmt.0.part").exists():
        assert recorder.poll() is None
    with open(f"/proc/{recorder.pid}/task/{recorder.pid}/children") as children:
        child = children.read().strip()
    recorder.kill()
    recorder.wait()
    busy = subprocess.run([HEAPMARK, "trace", "recover", "t.hmt.raw"], cwd=tmp_path, text=True, capture_output=True)
    assert busy.returncode in (0, 2)
    if busy.returncode == 2:
        assert "still being recorded" in busy.stderr
        again = subprocess.run([HEAPMARK, "record", "-o", "t.hmt", "true"], cwd=tmp_path, text=True,
                               capture_output=True)
        assert again.returncode == 2 and "was cut off" in again.stderr
    deadline = time.monotonic() + 60
    while os.path.exists(f"/proc/{child}") and time.monotonic() < deadline:
        time.sleep(0.05)
    if busy.returncode == 2:
        done = subprocess.run([HEAPMARK, "trace", "recover", "t.hmt.raw"], cwd=tmp_path, text=True,
                              capture_output=True)
        assert done.returncode == 0, done.stderr
    figures = info(tmp_path / "t.hmt")
    assert count(figures, "malloc") == count(figures, "free") == 200 * ROUNDS
    assert figures["not events"][2:] == [0, 0]


def test_two_recorders_at_once(tmp_path):
    first = subprocess.Popen([HEAPMARK, "record", "-o", "t.hmt", "sleep", "60"], cwd=tmp_path,
                             stderr=subprocess.PIPE, start_new_session=True, text=True)
    while not (tmp_path / "t.hmt.raw").exists():
        assert first.poll() is None
    time.sleep(0.2)
    second = subprocess.run([HEAPMARK, "record", "-o", "t.hmt", "true"], cwd=tmp_path, text=True, capture_output=True)
    os.killpg(first.pid, signal.SIGINT)
    first.communicate(timeout=60)
    assert second.returncode == 2 and "another 'heapmark record'" in second.stderr


def test_no_recording_to_recover(tmp_path):
    assert "its name ends in '.raw'" in refused(tmp_path, "trace", "recover", "x.hmt")
    assert "cannot open 'x.raw'" in refused(tmp_path, "trace", "recover", "x.raw")
    (tmp_path / "y.raw").write_bytes(b"no raw file" * 200000)
    assert "not left by this version" in refused(tmp_path, "trace", "recover", "y.raw")
    (tmp_path / "y.raw").unlink()


def test_another_recorder_is_preloaded(tmp_path):
    environment = dict(os.environ, LD_PRELOAD="/nonexistent/libheaptrack_preload.so")
    assert "another recorder" in refused(tmp_path, "record", "true", environment=environment)


def test_changed_root(tmp_path):
    """After chroot() neither the program nor its children find the raw file by its path."""
    if os.geteuid() != 0:
        pytest.skip("changing the root needs root")
    _, figures, ops = recorded(tmp_path, "changes_root")
    assert (ops["malloc"], ops["free"]) == (ROUNDS, ROUNDS)
    (child,) = others(tmp_path)
    assert count(info(tmp_path / child), "malloc") == ROUNDS


# ---- what cannot be recorded: said, exit 2, nothing run ------------------------------------------------


def refused(tmp_path, *arguments, environment=None):
    done = subprocess.run([HEAPMARK, *arguments], cwd=tmp_path, text=True, capture_output=True,
                          env=environment)
    assert done.returncode == 2
    assert [name for name in os.listdir(tmp_path) if name.endswith(".hmt")] == []
    return done.stderr


def test_no_such_program(tmp_path):
    assert "'nosuchprogram': no such program in PATH" in refused(tmp_path, "record", "nosuchprogram")
    assert "No such file" in refused(tmp_path, "record", "./nosuchprogram")
    (tmp_path / "plain").write_text("text")
    assert "not an executable file" in refused(tmp_path, "record", "./plain")


def test_not_a_program(tmp_path):
    (tmp_path / "odd").write_text("neither nor")
    (tmp_path / "odd").chmod(0o755)
    assert "neither an ELF program nor a script" in refused(tmp_path, "record", "./odd")
    (tmp_path / "script").write_text("#!/no/such/interpreter\n")
    (tmp_path / "script").chmod(0o755)
    assert "its interpreter does not exist" in refused(tmp_path, "record", "./script")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
def test_static_program(tmp_path):
    (tmp_path / "s.c").write_text("int main(void) { return 0; }")
    subprocess.run(["gcc", "-static", "-o", "s", "s.c"], cwd=tmp_path, check=True)
    assert "statically linked" in refused(tmp_path, "record", "./s")


def test_setuid_program(tmp_path):
    program = tmp_path / "rights"
    shutil.copy("/bin/true", program)
    if os.geteuid() != 0:
        pytest.skip("needs another owner's program")
    os.chown(program, 65534, 65534)
    program.chmod(0o4755)
    assert "setuid" in refused(tmp_path, "record", "./rights")


def test_recording_inside_a_recording(tmp_path):
    environment = dict(os.environ, HEAPMARK_RECORD="/somewhere")
    said = refused(tmp_path, "record", "true", environment=environment)
    assert "inside a recording" in said


def test_unwritable_output(tmp_path):
    assert "cannot write '/nonexistent/x.hmt'" in refused(tmp_path, "record", "-o", "/nonexistent/x.hmt", "true")
    assert "not a regular file" in refused(tmp_path, "record", "-o", "/dev/null", "true")


def test_usage(tmp_path):
    assert "no program to record" in refused(tmp_path, "record")
    assert "did you mean 'verify'" in refused(tmp_path, "trace", "verfy", "x")
    assert "info or verify" in refused(tmp_path, "trace")
    assert "which trace" in refused(tmp_path, "trace", "info")
    assert "cannot open 'x.hmt'" in refused(tmp_path, "trace", "info", "x.hmt")
    assert "unrecognized option" in refused(tmp_path, "record", "--nonsense", "true")


def test_verify(tmp_path):
    record(tmp_path, "/bin/ls", "/")
    good = subprocess.run([HEAPMARK, "trace", "verify", "t.hmt"], cwd=tmp_path, text=True, capture_output=True)
    assert good.returncode == 0 and "is good" in good.stdout
    whole = (tmp_path / "t.hmt").read_bytes()
    (tmp_path / "t.hmt").write_bytes(whole[: len(whole) // 2])
    cut = subprocess.run([HEAPMARK, "trace", "verify", "t.hmt"], cwd=tmp_path, text=True, capture_output=True)
    assert cut.returncode == 2 and f"'t.hmt' is cut off at byte {len(whole) // 2}" in cut.stderr
