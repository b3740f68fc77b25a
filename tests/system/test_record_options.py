"""Options of `heapmark record`, and what it refuses to record: said, exit status 2, nothing run."""

import os
import platform
import re
import shutil
import signal
import subprocess
import time

import pytest

from recordings import (HEAPMARK, PLAY, ROUNDS, SUBJECT, child_of, count, info, nothing_left_behind, others, refused,
                        wait_for_events)


def test_a_program_that_never_allocates(tmp_path):
    """Nothing to replay is said, and no file is left."""
    done = subprocess.run([HEAPMARK, "record", "-o", "n.hmt", SUBJECT, "nothing"], cwd=tmp_path,
                          text=True, capture_output=True)
    assert done.returncode == 2
    assert "nothing was recorded" in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_sample_of_which_no_object_is(tmp_path):
    """Not the program's fault, as far as the recorder knows."""
    said = refused(tmp_path, "record", "--sample=1/4", "-o", "n.hmt", SUBJECT, "nothing")
    assert f"none of the objects of '{SUBJECT}' was drawn" in said and "--sample=1/4" in said
    assert "preloaded" not in said


@pytest.mark.parametrize("more", [0, 1])
def test_a_command_line_is_kept_whole_or_not_at_all(tmp_path, more):
    """2,048 bytes with the zero bytes: the last length that is kept, and one byte more."""
    words = ["echo", "a", "x" * (2048 - len("echo a ") - 1 + more)]
    subprocess.run([HEAPMARK, "record", "-o", "t.hmt", "--", *words], cwd=tmp_path, check=True, capture_output=True)
    line, = (line for line in info(tmp_path / "t.hmt")["text"].splitlines() if line.startswith("command"))
    kept = "echo, with more arguments than a recording keeps" if more else " ".join(words)
    assert line.split(maxsplit=1)[1] == kept


def test_a_program_whose_command_line_is_not_kept_has_a_name(tmp_path):
    said = refused(tmp_path, "record", "-o", "n.hmt", SUBJECT, "nothing", "x" * 2048)
    assert f"'{SUBJECT}' made no call to malloc" in said


def test_fork_only_first(tmp_path):
    done = subprocess.run([HEAPMARK, "record", "--only-first", "-o", "t.hmt", SUBJECT, "forks"],
                          cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0 and "its children are not recorded" in done.stderr
    assert others(tmp_path) == []
    assert "were not recorded" in info(tmp_path / "t.hmt")["text"]


def test_exec_only_first(tmp_path):
    subprocess.run([HEAPMARK, "record", "--only-first", "-o", "t.hmt", SUBJECT, "execs"], cwd=tmp_path,
                   check=True, capture_output=True)
    assert others(tmp_path) == []


def test_only_first_leaves_environments_alone(tmp_path):
    done = subprocess.run([HEAPMARK, "record", "--only-first", "-o", "t.hmt", "--", "sh", "-c", "env -i env"],
                          cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0 and done.stdout == "", done.stdout


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


def test_sample(tmp_path):
    """Whole objects: what is allocated in the sample is freed in the sample."""
    _, figures = recorded_with(tmp_path, ["--sample=1/10"], "millions")
    mallocs = count(figures, "malloc")
    assert 0.09 < mallocs / (200 * ROUNDS) < 0.11
    assert count(figures, "free") == mallocs
    assert figures["not events"][2:] == [0, 0]
    assert "one object in 10" in figures["text"]


def test_a_sample_for_which_there_is_no_room(tmp_path):
    """Objects that are moved where the table of the sample is full end there: none lives on by mistake."""
    done = subprocess.run([HEAPMARK, "record", "--sample=1/2", "-o", "t.hmt", "--", SUBJECT, "crowded"], cwd=tmp_path,
                          text=True, capture_output=True, timeout=60, env={**os.environ, "LD_PRELOAD": os.environ["CROWD"]})
    assert done.returncode == 0, done.stderr
    figures = info(tmp_path / "t.hmt")
    assert 32 <= count(figures, "malloc") < 100  # about the half was drawn, and not all of that had room
    assert count(figures, "malloc") == count(figures, "realloc") == count(figures, "free")
    assert figures["not events"][2:] == [0, 0]


def test_sample_of_what_grows(tmp_path):
    """An object stays in the sample through its reallocs, wherever they move it."""
    _, figures = recorded_with(tmp_path, ["--sample=1/10"], "grown")
    mallocs = count(figures, "malloc")
    assert 0.07 < mallocs / ROUNDS < 0.13
    assert count(figures, "realloc") == 2 * mallocs and count(figures, "free") == mallocs
    assert figures["live bytes"][1] == 0
    assert figures["not events"][2:] == [0, 0]


def test_sample_of_what_is_freed_unseen(tmp_path):
    """Addresses that come again are in the sample once: no free is left that nothing was allocated for."""
    _, figures = recorded_with(tmp_path, ["--sample=1/2"], "freed_unseen")
    unknown, lost = figures["not events"][2:]
    assert unknown == 0 and lost > ROUNDS / 10
    assert 0.45 < count(figures, "malloc") / (4 * ROUNDS) < 0.55
    assert figures["live bytes"][1] == 0


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
    for _ in range(5):  # one that gets no processor is recorded too long, or makes few calls: then once more
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
        assert 0 <= count(figures, "malloc") - count(figures, "free") <= 1
        assert "started or stopped" in figures["text"]
        if count(figures, "malloc") > 1000 and figures["duration"][0] < rest - 0.1:
            return
    pytest.fail("the recording did not stop before the program's end")


def test_stop_by_time(tmp_path):
    """The trace tells that it is not the whole one, however the program ends."""
    _, figures = recorded_with(tmp_path, ["--stop-after=250ms"], "pauses")
    assert 0 < count(figures, "malloc") < 5 * 203
    assert "started or stopped" in figures["text"]


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


def test_toggled_at_the_start(tmp_path):
    """A signal that comes as soon as there is a program stops the recording, however early."""
    recorders = []
    for n in range(5):
        recorder = subprocess.Popen([HEAPMARK, "record", "-o", f"{n}.hmt", "--toggle-signal=USR1", "--", "sleep", "1"],
                                    cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        child_of(recorder)
        recorder.send_signal(signal.SIGUSR1)
        recorders.append(recorder)
    for n, recorder in enumerate(recorders):
        said = recorder.communicate(timeout=60)[1]
        if recorder.returncode != 0:
            assert "never allocated while recording was on" in said
        else:
            assert "started or stopped" in info(tmp_path / f"{n}.hmt")["text"]


def test_stacks_and_cpus(tmp_path):
    """They are recorded beside the same calls. That they come back is a unit test's."""
    asked = ["--stacks=8", "--cpu"]
    _, plain = recorded_with(tmp_path, [], "threads")
    _, figures = recorded_with(tmp_path, asked, "threads")
    assert abs(count(figures, "malloc") - count(plain, "malloc")) <= 16
    sizes = []
    for options in ([], asked):  # of one thread: how several mix makes more of a difference than what is asked for
        recorded_with(tmp_path, options, "pairs")
        sizes.append((tmp_path / "t.hmt").stat().st_size)
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("mode", ["exits_among_threads", "main_thread_leaves"])
def test_the_list_of_modules_outlives_the_end(tmp_path, mode):
    """Threads write it anew while the process ends: what the kernel then tells is empty."""
    for _ in range(3):
        recorded_with(tmp_path, ["--stacks=2"], mode)
        maps = (tmp_path / "t.hmt.maps").read_text()
        assert "libhm_record.so" in maps and "[stack]" in maps
        assert sorted(os.listdir(tmp_path)) == ["t.hmt", "t.hmt.maps"]


@pytest.mark.parametrize("mode", ["sets_variables", "least_stack", "calls_in_a_handler"])
def test_the_list_of_modules_is_written_anywhere(tmp_path, mode):
    """Inside setenv(), which moves the environment, and on the least stacks that threads and handlers may have."""
    recorded_with(tmp_path, ["--stacks=2"], mode)
    assert "libhm_record.so" in (tmp_path / "t.hmt.maps").read_text()


@pytest.mark.skipif(shutil.which("sort") is None, reason="no sort")
def test_stacks_without_frame_pointers(tmp_path):
    """A program of the distribution has none: what is recorded stays the same, and it does not crash."""
    for depth in (1, 62):
        done = subprocess.run([HEAPMARK, "record", f"--stacks={depth}", "-o", "t.hmt", "sort", __file__],
                              cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stderr
        figures = info(tmp_path / "t.hmt")
        assert count(figures, "malloc") > 10 and "sort" in figures["text"]


FRAMELESS = r"""
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { STACK = 256 << 10 };
static char *stack;

/* As a compiler may without frame pointers: the register holds a pointer to the end of the stack. */
static void *thread(void *unused)
{
    register char *end __asm__("rbp") = stack + STACK;
    for (int i = 0; i < 1000; i++) {
        __asm__ volatile("" : : "r"(end));
        free(malloc(i));
        __asm__ volatile("" : : "r"(end));
    }
    return unused;
}

int main(void)
{
    pthread_attr_t attributes;
    pthread_t id;
    char *room = mmap(NULL, 4 * STACK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack = room + STACK;
    mprotect(stack, STACK, PROT_READ | PROT_WRITE);
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack, STACK);
    pthread_create(&id, &attributes, thread, NULL);
    return pthread_join(id, NULL);
}
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names a register")
def test_stacks_beside_pages_that_may_not_be_read(tmp_path):
    """Reserved pages are mapped, and reading them is the program's end."""
    subprocess.run(["cc", "-O2", "-fomit-frame-pointer", "-fno-builtin", "-pthread", "-x", "c", "-o", tmp_path / "frameless",
                    "-"], input=FRAMELESS, text=True, check=True)
    for depth in (1, 2, 62):
        done = subprocess.run([HEAPMARK, "record", f"--stacks={depth}", "-o", "t.hmt", "./frameless"], cwd=tmp_path,
                              stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stderr
        assert count(info(tmp_path / "t.hmt"), "malloc") >= 1000


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


HEAPTRACK = next((f"{d}/libheaptrack_preload.so" for d in ("/usr/lib/heaptrack", "/usr/lib64/heaptrack")
                  if os.path.exists(f"{d}/libheaptrack_preload.so")), None)


def refused_beside(tmp_path, library):
    environment = dict(os.environ, LD_PRELOAD=str(library), DUMP_HEAPTRACK_OUTPUT="/dev/null")
    said = refused(tmp_path, "record", SUBJECT, "pairs", environment=environment)
    assert "another recorder, 'libheaptrack_preload'" in said, said


def test_another_recorder_is_asked_for(tmp_path):
    refused_beside(tmp_path, "/nonexistent/libheaptrack_preload.so")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
@pytest.mark.skipif(bool(os.environ.get("SANITIZED")), reason="a sanitizer wants to be the first library")
def test_another_recorder_that_hides(tmp_path):
    """As heaptrack does, whose children are not to be watched: the environment does not tell of it."""
    library = tmp_path / "libheaptrack_preload.so"
    source = """#include <stdlib.h>
                __attribute__((constructor)) static void hide(void) { unsetenv("LD_PRELOAD"); }"""
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-o", library, "-"], input=source, text=True, check=True)
    refused_beside(tmp_path, library)


@pytest.mark.skipif(HEAPTRACK is None, reason="no heaptrack")
@pytest.mark.skipif(bool(os.environ.get("SANITIZED")), reason="a sanitizer wants to be the first library")
def test_heaptrack_is_preloaded(tmp_path):
    refused_beside(tmp_path, HEAPTRACK)


NO_RAW_FILES = {"missing": None, "short": b"short", "other": b"no raw file" * 1000000,
                "older": b"hm-raw\n\0" + b"\x07\0\0\0" + bytes(1 << 24)}


@pytest.mark.parametrize("kind", NO_RAW_FILES)
def test_a_raw_file_that_is_none_of_this_version(tmp_path, kind):
    """The recorder in the program leaves it alone, and the program runs as ever."""
    content = NO_RAW_FILES[kind]
    raw = tmp_path / "x.raw"
    library = subprocess.run([HEAPMARK, "record", "sh", "-c", "echo $LD_PRELOAD"], cwd=tmp_path, text=True,
                             capture_output=True).stdout.strip()
    if content is not None:
        raw.write_bytes(content)
    environment = dict(os.environ, LD_PRELOAD=library, HEAPMARK_RECORD=str(raw))
    done = subprocess.run([SUBJECT, "pairs"], text=True, capture_output=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (raw.read_bytes() if raw.exists() else None) == content
    raw.unlink(missing_ok=True)


def test_no_such_program(tmp_path):
    assert "'nosuchprogram': no such program in PATH" in refused(tmp_path, "record", "nosuchprogram")
    absent = refused(tmp_path, "record", "./nosuchprogram")
    assert "cannot record './nosuchprogram': No such file" in absent and "name if it is in PATH" in absent
    (tmp_path / "plain").write_text("text")
    assert "not an executable file" in refused(tmp_path, "record", "./plain")


def test_not_a_program(tmp_path):
    (tmp_path / "odd").write_text("neither nor")
    (tmp_path / "odd").chmod(0o755)
    said = refused(tmp_path, "record", "./odd")
    assert "neither an ELF program nor a script" in said and "recorded as 'sh SCRIPT'" in said
    (tmp_path / "script").write_text("#!/no/such/interpreter\n")
    (tmp_path / "script").chmod(0o755)
    assert "names the interpreter '/no/such/interpreter': No such file" in refused(tmp_path, "record", "./script")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
def test_a_program_without_its_linker(tmp_path):
    subprocess.run(["gcc", "-Wl,--dynamic-linker=/no/such/ld.so", "-x", "c", "-o", "s", "-"], cwd=tmp_path,
                   input="int main(void) { return 0; }", text=True, check=True)
    assert "its dynamic linker '/no/such/ld.so' is missing" in refused(tmp_path, "record", "./s")


def test_a_program_that_was_cut_off(tmp_path):
    with open("/bin/ls", "rb") as whole:
        (tmp_path / "part").write_bytes(whole.read(100))
    (tmp_path / "part").chmod(0o755)
    assert "it was cut off" in refused(tmp_path, "record", "./part")


def linker_of(program):
    """What the program's headers name."""
    with open(program, "rb") as file:
        head = file.read(4096)
    return re.search(rb"/lib[^\0]*/ld-[^\0]*", head)[0].decode()


def test_the_linker_as_a_program(tmp_path):
    """Given a program, it preloads as ever."""
    shutil.copy(linker_of("/bin/ls"), tmp_path / "linker")
    for command in (["./linker", "/bin/ls", "/"], ["sh", "-c", "./linker /bin/ls /; true"]):
        done = subprocess.run([HEAPMARK, "record", "-o", "t.hmt", "--", *command], cwd=tmp_path, text=True,
                              capture_output=True)
        assert done.returncode == 0 and "became" not in done.stderr, done.stderr
        assert max(count(info(tmp_path / name), "malloc") for name in ["t.hmt", *others(tmp_path)]) > 10


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
    done = subprocess.run([HEAPMARK, "record", "-o", "t.hmt", "sh", "-c", "./rights; ls /"], cwd=tmp_path, text=True,
                          capture_output=True)
    assert done.returncode == 0 and "became './rights', which cannot be recorded" in done.stderr
    assert len(others(tmp_path)) == 1  # of ls


def test_setuid_program_that_gains_no_rights(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs another owner's program")
    shutil.copy("/bin/true", tmp_path / "rights")
    os.chown(tmp_path / "rights", 65534, 65534)
    (tmp_path / "rights").chmod(0o4755)
    done = subprocess.run([HEAPMARK, "record", "-o", "t.hmt", "sh", "-c", f"ls /; exec {SUBJECT} gains_no_rights"],
                          cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0 and "cannot be recorded" not in done.stderr, done.stderr


def test_a_space_in_the_recorders_path(tmp_path):
    """The dynamic linker would take the name for two."""
    home = tmp_path / "a b"
    (home / "lib" / "heapmark").mkdir(parents=True)
    shutil.copy(HEAPMARK, home / "heapmark")
    (home / "lib" / "heapmark" / "libhm_record.so").write_bytes(b"")
    done = subprocess.run([home / "heapmark", "record", "true"], cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 2 and "a space or a colon" in done.stderr


def test_recording_inside_a_recording(tmp_path):
    environment = dict(os.environ, HEAPMARK_RECORD="/somewhere")
    said = refused(tmp_path, "record", "true", environment=environment)
    assert "inside a recording" in said


def test_unwritable_output(tmp_path):
    assert "cannot write '/nonexistent/x.hmt'" in refused(tmp_path, "record", "-o", "/nonexistent/x.hmt", "true")
    assert "not a regular file" in refused(tmp_path, "record", "-o", "/dev/null", "true")


def test_a_directory_that_was_removed(tmp_path):
    done = subprocess.run(["sh", "-c", f"mkdir gone; cd gone; rmdir ../gone; {HEAPMARK} record true"], cwd=tmp_path,
                          text=True, capture_output=True)
    assert done.returncode == 2 and "the working directory was removed: change to another one" in done.stderr


def test_without_proc(tmp_path):
    without = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$0" "$@"']
    if subprocess.run([*without, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("a mount namespace needs root")
    done = subprocess.run([*without, HEAPMARK, "record", "-o", "t.hmt", "true"], cwd=tmp_path, text=True,
                          capture_output=True)
    assert done.returncode == 2 and "by /proc, which is not there" in done.stderr


@pytest.mark.parametrize("more", [0, 1])
def test_the_longest_name(tmp_path, more):
    """What is made beside the trace has its name and more: said before the program runs."""
    most = os.pathconf(tmp_path, "PC_NAME_MAX") - len(".4194304.8191.hmt.maps")
    output = "t" * (most + more)
    done = subprocess.run([HEAPMARK, "record", "--stacks=2", "-o", output, "--", "sh", "-c", "echo ran; ls; true"],
                          cwd=tmp_path, text=True, capture_output=True)
    if more:
        assert done.returncode == 2 and done.stdout == "", done.stderr
        assert f"the name is too long; what is made beside the trace has longer ones, so choose one of at most {most} " \
            "bytes" in done.stderr
        assert os.listdir(tmp_path) == []
    else:
        assert done.returncode == 0, done.stderr
        assert len(os.listdir(tmp_path)) == 4  # two traces, two lists of modules


def test_usage(tmp_path):
    assert "no program to record" in refused(tmp_path, "record")
    assert "did you mean 'verify'" in refused(tmp_path, "trace", "verfy", "x")
    assert "info or verify" in refused(tmp_path, "trace")
    assert "which trace" in refused(tmp_path, "trace", "info")
    assert "cannot open 'x.hmt'" in refused(tmp_path, "trace", "info", "x.hmt")
    assert "unrecognized option" in refused(tmp_path, "record", "--nonsense", "true")
