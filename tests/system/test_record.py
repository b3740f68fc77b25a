"""Recording real programs: known calls are all there, whatever way the program ends."""

import os
import re
import shutil
import signal
import subprocess
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
    left = [name for name in os.listdir(tmp_path) if ".raw-" in name or ".part-" in name]
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
    assert "1 thread," in done.stderr


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


def test_destructor_of_a_thread(tmp_path):
    _, figures, ops = recorded(tmp_path, "late_free")
    assert figures["threads"] == [2]
    assert (ops["malloc"], ops["free"]) == (1, 1)


@pytest.mark.parametrize("run", range(3))
def test_fork(tmp_path, run):
    done, figures, ops = recorded(tmp_path, "forks")
    assert (ops["malloc"], ops["free"]) == (2, 2)
    assert "children are not in the trace" in done.stderr
    assert "children of fork()" in figures["text"]


def test_vfork(tmp_path):
    done, _, ops = recorded(tmp_path, "vforks")
    assert (ops["malloc"], ops["free"]) == (2, 2)
    assert "fork" not in done.stderr


def test_exec(tmp_path):
    done, figures, ops = recorded(tmp_path, "execs")
    assert (ops["malloc"], ops["free"]) == (1, 1)
    assert "replaced itself" in done.stderr
    assert "followed exec()" in figures["text"]


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
    time.sleep(0.3)
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
    script.write_text(f"#!/bin/sh\n{SUBJECT} pairs\nexit 5\n")
    script.chmod(0o755)
    done = record(tmp_path, "./script", expect=1)
    assert "status 5" in done.stderr
    assert count(info(tmp_path / "t.hmt"), "malloc") < ROUNDS  # the shell's, not its child's


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
        assert 100000 < count(figures, "malloc") < 400 * ROUNDS
        assert "recording stopped" in figures["text"]
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.skipif(bool(os.environ.get("SANITIZED")), reason="a sanitizer needs much address space")
def test_address_space_limit(tmp_path):
    done = subprocess.run(["bash", "-c", f"ulimit -v 1000000; {HEAPMARK} record -o t.hmt {SUBJECT} pairs"],
                          cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert count(info(tmp_path / "t.hmt"), "malloc") >= ROUNDS


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
