"""heapmark record --kernel: the running kernel's own traffic; where that may be read."""

import os
import signal
import subprocess
import time

import pytest

from recordings import HEAPMARK, child_of, count, info

WORK = ("sh", "-c", "for i in 1 2 3 4 5 6 7 8; do ls -R /proc/self /etc; done >/dev/null 2>&1; true")


def record_kernel(tmp_path, *words, expect=0):
    done = subprocess.run([HEAPMARK, "record", *words], cwd=tmp_path, text=True, capture_output=True, timeout=120)
    assert done.returncode == expect, done.stderr
    return done


@pytest.fixture(scope="module", autouse=True)
def may_be_read(tmp_path_factory):
    where = tmp_path_factory.mktemp("try")
    done = subprocess.run([HEAPMARK, "record", "--kernel", "--", "true"], cwd=where, text=True, capture_output=True)
    if done.returncode == 2 and "cannot record the kernel" in done.stderr:
        pytest.skip(done.stderr.strip())


def instances(tmp_path):
    """The buffers of recordings that there are."""
    at = tmp_path / "tracefs"
    at.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tracefs", "nodev", at], check=True)
    try:
        return {name for name in os.listdir(at / "instances") if name.startswith("heapmark-")}
    finally:
        subprocess.run(["umount", at], check=True)


def test_slab_and_pages_while_a_program_runs(tmp_path):
    before = instances(tmp_path)
    done = record_kernel(tmp_path, "--kernel", "--", *WORK)
    slab, pages = info(tmp_path / "kernel.hmt"), info(tmp_path / "kernel.pages.hmt")
    for trace in ("kernel.hmt", "kernel.pages.hmt"):
        verified = subprocess.run([HEAPMARK, "trace", "verify", tmp_path / trace], text=True, capture_output=True)
        assert verified.returncode == 0, verified.stderr
        assert f"'{trace}': " in done.stderr
    assert count(slab, "malloc") + count(slab, "calloc") > 5000  # names of files alone are some thousands
    assert "the kernel's kmem events" in slab["text"] and "the kernel's page events" in pages["text"]
    assert count(pages, "aligned") > 500 and "malloc" not in pages["text"].split("objects", maxsplit=1)[0]
    assert not instances(tmp_path) - before


def test_one_kind_and_its_name(tmp_path):
    record_kernel(tmp_path, "--kernel=slab", "-o", "a.hmt", "--", "true")
    record_kernel(tmp_path, "--kernel=pages", "-o", "b.hmt", "--", "true")
    record_kernel(tmp_path, "--kernel", "-o", "c", "--", "true")
    assert sorted(path.name for path in tmp_path.glob("*.hmt")) == ["a.hmt", "b.hmt", "c.pages.hmt"]
    assert (tmp_path / "c").exists()


def test_until_the_time(tmp_path):
    began = time.monotonic()
    done = subprocess.run([HEAPMARK, "record", "--kernel", "--stop-after=300ms"], cwd=tmp_path, text=True,
                          capture_output=True, timeout=120)
    assert done.returncode in (0, 2), done.stderr  # an idle kernel makes no traffic
    assert done.returncode == 0 or "nothing was recorded of the kernel's" in done.stderr
    assert time.monotonic() - began >= 0.3
    done = record_kernel(tmp_path, "--kernel=slab", "--stop-after=400ms", "--", "sh", "-c", "ls -R /proc/self; sleep 1")
    assert "recording has ended; 'sh' goes on" in done.stderr
    assert info(tmp_path / "kernel.hmt")["duration"][0] < 0.9


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_until_a_signal(tmp_path, number):
    recorder = subprocess.Popen([HEAPMARK, "record", "--kernel"], cwd=tmp_path, text=True, stderr=subprocess.PIPE)
    assert "Ctrl-C ends it" in recorder.stderr.readline()
    subprocess.run(WORK, check=True)
    recorder.send_signal(number)
    said = recorder.communicate(timeout=60)[1]
    assert recorder.returncode == 0, said
    assert info(tmp_path / "kernel.hmt")["events"][0] > 1000


def test_a_signal_goes_to_the_program(tmp_path):
    recorder = subprocess.Popen([HEAPMARK, "record", "--kernel", "--", "sleep", "100"], cwd=tmp_path, text=True,
                                stderr=subprocess.PIPE)
    child_of(recorder)
    time.sleep(0.1)
    recorder.send_signal(signal.SIGTERM)
    said = recorder.communicate(timeout=60)[1]
    assert recorder.returncode == 1 and "'sleep' was ended by signal 15" in said
    assert (tmp_path / "kernel.hmt").exists()


def test_how_the_program_ended(tmp_path):
    assert "'false' ended with status 1" in record_kernel(tmp_path, "--kernel", "--", "false", expect=1).stderr
    assert "cannot start 'no such': no such file" in record_kernel(tmp_path, "--kernel", "--", "no such", expect=2).stderr


def test_the_size_is_limited(tmp_path):
    long = ("sh", "-c", "timeout 5 find / -xdev >/dev/null 2>&1; true")
    done = record_kernel(tmp_path, "--kernel=slab", "--max-size=64k", "--", *long)
    if "--max-size was reached" not in done.stderr:
        pytest.skip("the kernel made too little traffic")
    assert "stopped" in info(tmp_path / "kernel.hmt")["text"]


def test_what_a_killed_one_left_is_removed(tmp_path):
    recorder = subprocess.Popen([HEAPMARK, "record", "--kernel"], cwd=tmp_path, text=True, stderr=subprocess.PIPE)
    recorder.stderr.readline()
    left = {f"heapmark-{recorder.pid}-slab-0", f"heapmark-{recorder.pid}-pages-0"}
    assert left <= instances(tmp_path)
    beside = {f"heapmark-{recorder.pid}-slab-0"}
    record_kernel(tmp_path, "--kernel", "-o", "b.hmt", "--", *WORK)
    assert beside <= instances(tmp_path)  # of one that is at work
    recorder.kill()
    time.sleep(0.1)  # it has ended, and nobody has asked for its status
    record_kernel(tmp_path, "--kernel", "--", *WORK)
    assert not left & instances(tmp_path)
    recorder.wait()


def test_a_file_that_may_not_grow(tmp_path):
    done = subprocess.run(["sh", "-c", 'ulimit -f 4; exec "$0" record --kernel=slab -o k.hmt -- sh -c "$1; kill -XFSZ \\$\\$"',
                           HEAPMARK, "for i in 1 2 3 4 5 6 7 8; do ls -R /usr/include; done >/dev/null"],
                          cwd=tmp_path, text=True, capture_output=True, timeout=120)
    assert done.returncode == 2 and "the trace cannot be written" in done.stderr, done.stderr
    assert "was ended by signal 25" in done.stderr  # which the program takes as ever
    assert not list(tmp_path.glob("*.hmt"))
    assert not {name for name in instances(tmp_path) if str(os.getpid()) in name}
