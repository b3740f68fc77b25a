"""How a recording ends: the program crashes or is killed, a daemon goes on, the disk is full, the recorder dies."""

import os
import resource
import signal
import subprocess
import time

import pytest

from recordings import (HEAPMARK, ROUNDS, SUBJECT, child_of, command, count, info, nothing_left_behind, others, record,
                        recorded, refused, wait_for_events, wait_for_work, wait_until_stopped)


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
        child = child_of(recorder)
        wait_for_events(recorder, tmp_path / "k.hmt.0.part")
        wait_for_work(child, milliseconds / 1000)
        os.kill(child, signal.SIGKILL)
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
    wait_for_work(child_of(recorder), 0.03)
    os.killpg(recorder.pid, signal.SIGINT)
    said = recorder.communicate(timeout=60)[1]
    assert recorder.returncode == 1 and "signal 2" in said
    assert count(info(tmp_path / "k.hmt"), "malloc") > 1000


def record_with_orphans(tmp_path, mode):
    """The recorder, when the program has ended and what it leaves behind has not."""
    recorder = subprocess.Popen([HEAPMARK, "record", "-o", "t.hmt", SUBJECT, mode], cwd=tmp_path,
                                stderr=subprocess.PIPE, text=True)
    said = ""
    while "go on and are recorded" not in said:
        said = recorder.stderr.readline()
        assert said
    return recorder


def test_daemon(tmp_path):
    """It leaves its session and its parents, and is recorded to its end."""
    recorder = record_with_orphans(tmp_path, "becomes_daemon")
    (tmp_path / "go").touch()
    recorder.communicate(timeout=60)
    assert recorder.returncode == 0
    (daemon,) = others(tmp_path)
    figures = info(tmp_path / daemon)
    assert count(figures, "malloc") == count(figures, "free") == ROUNDS + 1


def test_interrupted_while_a_daemon_goes_on(tmp_path):
    """The recording ends, and its traces are whole; the daemon is left alone."""
    recorder = record_with_orphans(tmp_path, "leaves_one_behind")
    daemon = child_of(recorder)
    try:
        wait_for_events(recorder, tmp_path / "t.hmt.1.part")
        wait_for_work(daemon, 0.03)
        recorder.send_signal(signal.SIGINT)
        said = recorder.communicate(timeout=60)[1]
    finally:  # it would fill the disk where nobody drains it
        os.kill(daemon, signal.SIGKILL)
    assert recorder.returncode == 0 and "recording ended first" in said
    figures = info(tmp_path / f"t.{daemon}.hmt")
    assert count(figures, "malloc") > 1000 and "recording stopped" in figures["text"]


def test_daemon_that_calls_late(tmp_path):
    """Its first call comes when all other processes have ended."""
    recorder = record_with_orphans(tmp_path, "becomes_late_daemon")
    time.sleep(0.3)  # one that looks only at who has called ends now
    (tmp_path / "go").touch()
    recorder.communicate(timeout=60)
    assert recorder.returncode == 0
    (daemon,) = others(tmp_path)
    figures = info(tmp_path / daemon)
    assert count(figures, "malloc") == count(figures, "free") == ROUNDS


def test_a_program_whose_ends_are_ignored(tmp_path):
    """SIGCHLD is ignored, as some supervisors leave it: the kernel forgets who ended before anybody asks."""
    ignore = lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # noqa: E731
    ends_with_2 = ["grep", "-hs", "SigIgn", "/proc/self/status", "missing"]
    done = subprocess.run([HEAPMARK, "record", "-o", "t.hmt", "--", *ends_with_2], cwd=tmp_path, text=True, capture_output=True, timeout=60, preexec_fn=ignore)
    assert done.returncode == 1 and "status 2" in done.stderr, done.stderr
    assert int(done.stdout.split()[1], 16) & 1 << (signal.SIGCHLD - 1)  # the program has it as it was


def test_a_namespace_of_the_programs_own(tmp_path):
    """Its pids are others here: whether they run is not looked up by them."""
    if subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True).returncode != 0:
        pytest.skip("a PID namespace needs root")
    done = record(tmp_path, "unshare", "--pid", "--fork", SUBJECT, "pairs")
    assert "stops before" not in done.stderr
    (inside,) = others(tmp_path)
    assert count(info(tmp_path / inside), "malloc") > 0


def test_orphans_that_cannot_be_recorded_are_not_waited_for(tmp_path):
    source = "#include <unistd.h>\nint main(void) { if (fork() == 0) { close(1), close(2), sleep(600); } return 0; }\n"
    subprocess.run(["cc", "-static", "-x", "c", "-o", tmp_path / "orphan", "-"], input=source, text=True, check=True)
    record(tmp_path, "sh", "-c", "./orphan; echo done")  # ends long before its time limit
    subprocess.run(["pkill", "-f", tmp_path / "orphan"])


def test_full_disk(tmp_path):
    """The program goes on, and the trace says that it stops early."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", small],
                             capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting needs root")
    try:
        done = record(tmp_path, SUBJECT, "millions_undrained", output="small/t.hmt")
        assert "stops before the program's end" in done.stderr
        figures = info(small / "t.hmt")
        assert 100000 < count(figures, "malloc") < 200 * ROUNDS
        assert "recording stopped" in figures["text"]
    finally:
        subprocess.run(["umount", small], check=True)


def test_full_disk_with_large_pages(tmp_path):
    """What is given up there shares pages with what is still written: nobody dies of it."""
    small, image = tmp_path / "small", tmp_path / "image"
    small.mkdir()
    with open(image, "wb") as file:
        file.truncate(20 << 20)
    made = subprocess.run(["mkfs.ext4", "-q", "-b", "4096", image], capture_output=True, check=False)
    mounted = made.returncode == 0 and subprocess.run(["mount", "-o", "loop", image, small], capture_output=True)
    if not mounted or mounted.returncode != 0:
        pytest.skip("mounting needs root, and ext4")
    try:
        for _ in range(12):
            done = subprocess.run([HEAPMARK, "record", "-o", "small/t.hmt", SUBJECT, "millions"], cwd=tmp_path,
                                  text=True, capture_output=True, timeout=60)
            assert done.returncode == 0, done.stderr
            assert sorted(os.listdir(small)) == ["lost+found", "t.hmt"]
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_disk_that_takes_no_space_in_advance(tmp_path):
    """ramfs has no fallocate(), as older file systems."""
    plain = tmp_path / "plain"
    plain.mkdir()
    if subprocess.run(["mount", "-t", "ramfs", "none", plain], capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting needs root")
    try:
        record(tmp_path, SUBJECT, "pairs", output="plain/t.hmt")
        figures = info(plain / "t.hmt")
        assert count(figures, "malloc") == count(figures, "free") == ROUNDS
        assert os.listdir(plain) == ["t.hmt"]
    finally:
        subprocess.run(["umount", plain], check=True)


def limited(tmp_path, *command, mib):
    """Under a limit for the size of files, whose signal would end heapmark as well as the program."""
    return subprocess.run(["bash", "-c", f'ulimit -f {mib * 1024}; exec "$@"', "bash", *command], cwd=tmp_path,
                          text=True, capture_output=True, timeout=60)


def test_file_size_limit(tmp_path):
    for mib in (1, 32):
        done = limited(tmp_path, HEAPMARK, "record", "-o", "t.hmt", SUBJECT, "pairs", mib=mib)
        assert done.returncode == 2 and "File too large" in done.stderr and "ulimit -f" in done.stderr
    ignored = limited(tmp_path, HEAPMARK, "record", "-o", "t.hmt", "grep", "SigIgn", "/proc/self/status", mib=100)
    assert ignored.returncode == 0 and count(info(tmp_path / "t.hmt"), "malloc") > 0
    assert not int(ignored.stdout.split()[1], 16) & 1 << (signal.SIGXFSZ - 1)  # the program has it as it was


def test_few_descriptors(tmp_path):
    """Whatever cannot be opened for want of descriptors, that is the reason that is told."""
    told = []
    for most in range(4, 12):
        done = subprocess.run(["bash", "-c", f'ulimit -n {most}; exec "$@"', "bash", HEAPMARK, "record", "-o", "t.hmt",
                               "/bin/echo"], cwd=tmp_path, text=True, capture_output=True, timeout=60)
        assert done.returncode in (0, 2)
        told_why = "Too many open files; raise the limit for open files (ulimit -n)" in done.stderr
        assert done.returncode == 0 or told_why, done.stderr
        told.append(done.stderr)
    assert any("nothing was recorded: '" in text for text in told)


@pytest.mark.parametrize("kib", [64, 255, 256])
def test_small_stack(tmp_path, kib):
    """It is enough, or that is said before there are files; a program can have less of its own."""
    done = subprocess.run(["bash", "-c", f'ulimit -s {kib}; exec "$@"', "bash", HEAPMARK, "record", "--ordered",
                           "--stacks=8", "-o", "t.hmt", "sh", "-c", f"ulimit -s 64; exec {SUBJECT} pairs"],
                          cwd=tmp_path, text=True, capture_output=True, timeout=60)
    if kib < 256:
        assert done.returncode == 2 and f"cannot run with a stack of {kib} KiB" in done.stderr
        assert os.listdir(tmp_path) == []
    else:
        assert done.returncode == 0, done.stderr
        assert ROUNDS in [count(info(tmp_path / name), "malloc") for name in others(tmp_path)]


def test_trace_reaches_the_file_size_limit(tmp_path):
    """It takes the way of a full disk: the program goes on, and what was written is whole."""
    recorder = subprocess.Popen([HEAPMARK, "record", "-o", "t.hmt", SUBJECT, "endless"], cwd=tmp_path,
                                stderr=subprocess.PIPE, start_new_session=True, text=True)
    part = tmp_path / "t.hmt.0.part"
    wait_for_events(recorder, part)
    while part.stat().st_size < 10000:
        assert recorder.poll() is None
    os.kill(recorder.pid, signal.SIGSTOP)
    wait_until_stopped(recorder.pid)
    size = part.stat().st_size
    resource.prlimit(recorder.pid, resource.RLIMIT_FSIZE, (size, size))
    os.kill(recorder.pid, signal.SIGCONT)
    wait_for_work(child_of(recorder), 0.1)
    assert recorder.poll() is None
    os.killpg(recorder.pid, signal.SIGINT)
    said = recorder.communicate(timeout=60)[1]
    assert recorder.returncode == 1 and "stops before the program's end" in said and "--max-size" not in said
    assert (tmp_path / "t.hmt").stat().st_size <= size
    assert count(info(tmp_path / "t.hmt"), "malloc") > 1000


def recover(tmp_path):
    return subprocess.run([HEAPMARK, "trace", "recover", "t.hmt.raw"], cwd=tmp_path, text=True, capture_output=True)


def test_recorder_killed(tmp_path):
    """The program goes on, and all it did is brought together later; traces that were finished stay as they are."""
    script = f"exec sh -c 'exec {SUBJECT} millions_in_two_parts'"
    recorder = subprocess.Popen([HEAPMARK, "record", "-o", "t.hmt", "sh", "-c", script], cwd=tmp_path,
                                stderr=subprocess.DEVNULL)
    child = child_of(recorder)
    finished = [tmp_path / "t.hmt", tmp_path / f"t.{child}.hmt"]
    for name in (tmp_path / "t.hmt.2.part", *finished):
        wait_for_events(recorder, name)
    wait_until_stopped(child)
    recorder.kill()
    recorder.wait()
    before = [name.read_bytes() for name in finished]
    busy = recover(tmp_path)
    assert busy.returncode == 2 and "still being recorded" in busy.stderr
    again = subprocess.run([HEAPMARK, "record", "-o", "t.hmt", "true"], cwd=tmp_path, text=True, capture_output=True)
    assert again.returncode == 2 and "was cut off" in again.stderr
    os.kill(child, signal.SIGCONT)
    deadline = time.monotonic() + 60
    while os.path.exists(f"/proc/{child}") and time.monotonic() < deadline:
        time.sleep(0.05)
    done = recover(tmp_path)
    assert done.returncode == 0, done.stderr
    assert [name.read_bytes() for name in finished] == before
    last = f"t.{child}.2.hmt"
    figures = info(tmp_path / last)
    assert count(figures, "malloc") == count(figures, "free") == 200 * ROUNDS
    assert figures["not events"][2:] == [0, 0]
    assert command(tmp_path / last) == command(tmp_path / "t.hmt")
    assert f"'{last}': {count(figures, 'events')} events" in done.stdout  # as if one drain had seen all


def test_interrupted_at_the_start(tmp_path):
    """As soon as there is a program, a signal ends the recording, not the recorder: nothing is left of it."""
    for _ in range(20):
        recorder = subprocess.Popen([HEAPMARK, "record", "-o", "t.hmt", "sleep", "60"], cwd=tmp_path,
                                    stderr=subprocess.PIPE, start_new_session=True, text=True)
        child_of(recorder)
        os.killpg(recorder.pid, signal.SIGINT)
        recorder.communicate(timeout=60)
        assert recorder.returncode >= 0
        assert not [name for name in os.listdir(tmp_path) if name.endswith((".raw", ".part"))]


def test_two_recorders_at_once(tmp_path):
    first = subprocess.Popen([HEAPMARK, "record", "-o", "t.hmt", "sleep", "60"], cwd=tmp_path,
                             stderr=subprocess.PIPE, start_new_session=True, text=True)
    child_of(first)
    second = subprocess.run([HEAPMARK, "record", "-o", "t.hmt", "true"], cwd=tmp_path, text=True, capture_output=True)
    os.killpg(first.pid, signal.SIGINT)
    first.communicate(timeout=60)
    assert second.returncode == 2 and "another 'heapmark record'" in second.stderr


def test_by_a_link(tmp_path):
    """What it leads to is written, and another recording to there is noticed."""
    (tmp_path / "there").mkdir()
    os.symlink("there/t.hmt", tmp_path / "link.hmt")
    for _ in range(2):  # the second time there is a trace
        record(tmp_path, "echo", output="link.hmt")
        assert os.path.islink(tmp_path / "link.hmt")
        assert os.listdir(tmp_path / "there") == ["t.hmt"]
    first = subprocess.Popen([HEAPMARK, "record", "-o", "link.hmt", "sleep", "60"], cwd=tmp_path,
                             stderr=subprocess.PIPE, start_new_session=True, text=True)
    child_of(first)
    second = subprocess.run([HEAPMARK, "record", "-o", "there/t.hmt", "true"], cwd=tmp_path, text=True,
                            capture_output=True)
    os.killpg(first.pid, signal.SIGINT)
    first.communicate(timeout=60)
    assert second.returncode == 2 and "another 'heapmark record'" in second.stderr


def test_directory_renamed_meanwhile(tmp_path):
    """Its traces go with it; what is begun later does not find the recording, and that is the reason told."""
    (tmp_path / "before").mkdir()
    done = record(tmp_path, "sh", "-c", "mv before after; ls; true", output="before/t.hmt")
    assert count(info(tmp_path / "after" / "t.hmt"), "malloc") > 0
    assert sorted(os.listdir(tmp_path)) == ["after"]
    assert not [name for name in os.listdir(tmp_path / "after") if not name.endswith(".hmt")]
    assert "'/usr/bin/ls', which cannot be recorded: the recording's '.raw' file was deleted or moved" in done.stderr


def test_raw_file_deleted_meanwhile(tmp_path):
    done = record(tmp_path, "sh", "-c", "rm t.hmt.raw; ls; true")
    assert count(info(tmp_path / "t.hmt"), "malloc") > 0
    assert "which cannot be recorded: the recording's '.raw' file was deleted or moved" in done.stderr
    (tmp_path / "all").mkdir()
    done = record(tmp_path, "sh", "-c", "rm -r all", output="all/t.hmt", expect=2)
    assert "all/t.hmt.raw' was deleted while it was written" in done.stderr


def test_events_of_a_part_are_told_as_a_bound(tmp_path):
    """Frees of what was made before the start stand in the file, and are no events."""
    done = subprocess.run([HEAPMARK, "record", "-o", "t.hmt", "--start-after=10ms", "--", "sh", "-c",
                           f"sleep 0.1; {SUBJECT} pairs; true"], cwd=tmp_path, text=True, capture_output=True)
    told = [int(line.split("': ")[1].split(" events at most,")[0]) for line in done.stderr.splitlines()
            if " events at most," in line]
    assert told and max(told) > ROUNDS, done.stderr
    assert " at most" not in record(tmp_path, SUBJECT, "pairs").stderr


def test_no_recording_to_recover(tmp_path):
    assert "its name ends in '.raw'" in refused(tmp_path, "trace", "recover", "x.hmt")
    assert "cannot open 'x.raw'" in refused(tmp_path, "trace", "recover", "x.raw")
    for size in (5, 100_000, 2_000_000):
        (tmp_path / "y.raw").write_bytes((b"no raw file" * 200000)[:size])
        assert "'y.raw' is no raw file of a recording" in refused(tmp_path, "trace", "recover", "y.raw")
    (tmp_path / "y.raw").write_bytes(b"hm-raw\n\0" + bytes(5000))
    assert "'y.raw' is cut off: it ends in its header" in refused(tmp_path, "trace", "recover", "y.raw")
    (tmp_path / "y.raw").write_bytes(b"hm-raw\n\0" + b"\xff" * 2_000_000)
    assert "not left by this version" in refused(tmp_path, "trace", "recover", "y.raw")
    (tmp_path / "y.raw").unlink()
