"""The trace tools on what other tools really wrote, and on real traces."""

import csv
import io
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

BUILD = Path(os.environ["HEAPMARK_BUILD"])
SOURCE = Path(os.environ["HEAPMARK_SOURCE"])
SAMPLES = SOURCE / "tests/unit/trace/samples"
TRACES = SOURCE / "workloads/traces"


def trace(*words, expect=0, text=None, cwd=None):
    done = subprocess.run([BUILD / "heapmark", "trace", *map(str, words)], input=text, text=True,
                          capture_output=True, timeout=120, cwd=cwd)  # fmt: skip
    assert done.returncode == expect, done.stderr
    return done


def table(path, name):
    done = trace("info", "--format=csv", f"--table={name}", path)
    return list(csv.DictReader(io.StringIO(done.stdout, newline="")))


def summary(path):
    return {row["property"]: row["value"] for row in table(path, "summary")}


def events(path):
    """(op, size, object, ended object) of each event."""
    done = trace("export", "--format=csv", path)
    rows = csv.DictReader(io.StringIO(done.stdout, newline=""))
    return [(row["op"], row["size_bytes"], row["object"], row["ended_object"]) for row in rows]


def imported(tmp_path, sample, *options):
    out = tmp_path / f"{sample}.hmt"
    said = trace("import", *options, "-o", out, SAMPLES / f"{sample}.txt").stdout
    assert "is good" in trace("verify", out).stdout
    return out, said


# ---- imports, each against a reading of its own --------------------------------------------------


class Model:
    """What calls with addresses come to."""

    def __init__(self):
        self.live, self.events, self.made = {}, [], 0
        self.unknown = self.lost = self.null = 0

    def make(self, address, size, op="malloc"):
        if address in self.live:
            self.lost += 1
            self.free(address)
        self.made += 1
        self.live[address] = str(self.made)
        self.events.append((op, str(size), str(self.made), ""))

    def free(self, address):
        if address == 0:
            self.null += 1
        elif address in self.live:
            self.events.append(("free", "", "", self.live.pop(address)))
        else:
            self.unknown += 1

    def resize(self, old, new, size):
        if size == 0 and new == 0:
            return self.free(old)
        if old not in self.live:
            return self.make(new, size)
        ended = self.live.pop(old)
        assert new not in self.live
        self.made += 1
        self.live[new] = str(self.made)
        self.events.append(("realloc", str(size), str(self.made), ended))

    def check(self, path):
        assert events(path) == self.events
        facts = summary(path)
        assert int(facts["unknown_frees"]) == self.unknown
        assert int(facts["lost_frees"]) == self.lost
        assert int(facts["null_frees"]) == self.null
        assert int(facts["live_objects_end"]) == len(self.live)


def lines(sample):
    return (SAMPLES / f"{sample}.txt").read_text().splitlines()


def test_mtrace(tmp_path):
    path, said = imported(tmp_path, "mtrace")
    model, old = Model(), None
    for line in lines("mtrace"):
        found = re.search(r"\] ([-+<>]) (\(nil\)|0x[0-9a-f]+)(?: (0x[0-9a-f]+))?$", line)
        if not found or found[2] == "(nil)":
            continue
        sign, address, size = found[1], int(found[2], 16), int(found[3] or "0", 16)
        if sign == "+":
            model.make(address, size)
        elif sign == "-":
            model.free(address)
        elif sign == "<":
            old = address
        else:
            model.resize(old, address, size)
    model.check(path)
    assert "could not be used" not in said
    text = trace("info", path).stdout
    assert "imported from     what glibc's mtrace() writes" in text
    assert "no times are known" in text and "no threads are known" in text
    assert "lifetimes, in events" in text and summary(path)["failed_calls"] == "1"


def test_ltrace(tmp_path):
    path, said = imported(tmp_path, "ltrace")
    model = Model()
    for line in lines("ltrace"):
        found = re.search(r"->(realloc|free)\((\w+)(?:, (\d+))?\) +=(?: (\w+))?", line)
        if found and found[1] == "free":
            model.free(int(found[2], 0))
        elif found:
            model.resize(int(found[2], 0), int(found[4], 0), int(found[3]))
    assert len(model.events) > 500
    model.check(path)
    assert "no times" not in trace("info", path).stdout


def test_ltrace_of_two_threads(tmp_path):
    """Calls that another thread's line cuts in two are put together again."""
    path, said = imported(tmp_path, "ltrace-threads")
    facts = summary(path)
    assert facts["threads"] == "3" and "could not be used" not in said
    assert facts["unknown_frees"] == facts["lost_frees"] == facts["live_objects_end"] == "0"
    ops = {row["op"]: int(row["events"]) for row in table(path, "ops")}
    assert ops["realloc"] + ops["malloc"] == 2 * 20 * 2 and ops["free"] == 2 * 20 + 2
    assert facts["foreign_ends"] == "2"  # the last blocks, by the main thread


def test_heaptrack(tmp_path):
    path, said = imported(tmp_path, "heaptrack")
    kinds, made, freed, live = [], 0, 0, []
    for line in lines("heaptrack"):
        letter, *rest = line.split(" ")
        if letter == "a":
            kinds.append(int(rest[0], 16))
            live.append(0)
        elif letter == "+":
            made += 1
            live[int(rest[0], 16)] += 1
        elif letter == "-":
            freed += 1
            live[int(rest[0], 16)] -= 1
    sizes = [int(size) for op, size, *_ in events(path) if op == "malloc"]
    assert len(sizes) == made and int(summary(path)["live_objects_end"]) == made - freed
    assert int(summary(path)["live_bytes_end"]) == sum(n * size for n, size in zip(live, kinds))
    assert "which of several equal objects" in trace("info", path).stdout
    assert "command           lua5.4" in trace("info", path).stdout


def test_heaptrack_raw(tmp_path):
    path, said = imported(tmp_path, "heaptrack-raw")
    model = Model()
    for line in lines("heaptrack-raw"):
        letter, *rest = line.split(" ")
        if letter == "+":
            model.make(int(rest[2], 16), int(rest[0], 16))
        elif letter == "-":
            model.free(int(rest[0], 16))
    model.check(path)
    assert "which of several equal objects" not in trace("info", path).stdout


def test_kmem(tmp_path):
    path, said = imported(tmp_path, "kmem")
    model = Model()
    for line in lines("kmem"):
        found = re.search(r": (kmalloc|kfree|kmem_cache_alloc|kmem_cache_free): .*ptr=(\w+)", line)
        if found and "alloc" in found[1]:
            op = "calloc" if "__GFP_ZERO" in line else "malloc"
            model.make(int(found[2], 16), int(re.search(r"bytes_req=(\d+)", line)[1]), op)
        elif found:
            model.free(int(found[2], 16))
    model.check(path)
    assert "threads are CPUs" in trace("info", path).stdout
    assert float(summary(path)["duration_ns"]) > 1000


def test_kmem_pages(tmp_path):
    path, said = imported(tmp_path, "kmem-pages", "--format=kmem-pages")
    model = Model()
    for line in lines("kmem-pages"):
        found = re.search(r": (mm_page_alloc|mm_page_free): .*pfn=(\w+) order=(\d+)", line)
        if found and found[1] == "mm_page_alloc":
            model.make(int(found[2], 16), 4096 << int(found[3]), "aligned")
        elif found:
            model.free(int(found[2], 16))
    model.check(path)
    text = trace("info", path).stdout
    assert "threads are CPUs" in text and "command" not in text and "ended  " not in text


def test_damage_is_counted_and_reported(tmp_path):
    text = (SAMPLES / "mtrace.txt").read_text().replace("+ 0x", "+ zz", 1)[:-20]
    said = trace("import", "-o", tmp_path / "d.hmt", "-", text=text).stdout
    assert "2 lines could not be used; the first is line 2: its address is no hexadecimal" in said
    assert summary(tmp_path / "d.hmt")["skipped_lines"] == "2"
    assert trace("info", "--format=csv", tmp_path / "d.hmt").stdout.startswith("property,value")  # the default
    assert trace("info", "--format=text", tmp_path / "d.hmt").stdout == trace("info", tmp_path / "d.hmt").stdout
    assert "2 lines of the source could not be used" in trace("info", tmp_path / "d.hmt").stdout


def test_damage_after_good_lines(tmp_path):
    """However much of it there is at one place: what counts is that most lines are good."""
    good = [f"@ prog:[0x1] + 0x{16 * i:x} 0x10" for i in range(1, 1611)]
    text = "\n".join(["= Start", *good[:10], *["@ prog:[0x1] + zz 0x10"] * 1500, *good[10:], "= End", ""])
    trace("import", "--format=mtrace", "-o", tmp_path / "d.hmt", "-", text=text)
    facts = summary(tmp_path / "d.hmt")
    assert facts["skipped_lines"] == "1500" and facts["events"] == "1610"


def test_refused_and_nothing_left(tmp_path):
    def refused(*words, text=None):
        return trace(*words, expect=2, text=text, cwd=tmp_path).stderr

    assert "line 1 ('hello') is not how" in refused("import", "-o", "x.hmt", "-", text="hello\n")
    assert "heaptrack's data" in refused("import", "--format=heaptrack", "-o", "x.hmt", "-",
                                         text="hello\n" * 3)  # fmt: skip
    assert "did you mean 'ltrace'" in refused("import", "--format=ltrase", "-o", "x.hmt", "-")
    assert "say with -o" in refused("import", "-")
    assert "cannot open 'y'" in refused("import", "-o", "x.hmt", "y")
    assert "cannot write '/nonexistent/x'" in refused("import", "-o", "/nonexistent/x", "-", text="")
    assert "not a regular file" in refused("import", "-o", "/dev/null", "-", text="")
    assert "leave --from and --to out" in refused("cut", "--steady", "--to=1s", "-o", "x", "y")
    assert "say which part" in refused("cut", "-o", "x.hmt", "y.hmt")
    assert "--to is not after --from" in refused("cut", "--from=2s", "--to=1s", "-o", "x", "y")
    assert "a time was expected" in refused("cut", "--from=soon", "-o", "x", "y")
    assert "a number from 0 was expected" in refused("cut", "--thread=-1", "-o", "x", "y")
    assert "one file at a time: 'z' is too many" in refused("verify", "y", "z")
    absent = refused("cut", "--from=1s", "-o", "x.hmt", "y")
    assert "cannot open 'y'" in absent and "'heapmark list traces'" in absent
    piped = refused("cut", "--from=1s", "-o", "x.hmt", "/dev/stdin", text="HMT")
    assert "no regular file" in piped and "write the trace to a file first" in piped
    assert "unknown option '--form'" not in refused("export", "--form=cvs", "y")  # a beginning will do
    assert "unknown option '--steadi'; did you mean 'steady'?" in refused("cut", "--steadi", "y")
    assert "there is no table 'live_bytes'" in refused("info", "--format=csv",
                                                       "--table=live_bytes", "y")  # fmt: skip
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_no_success(tmp_path):
    """Nothing is left of what had no room. What is printed may be the result itself."""
    for words in ("trace info git", "trace info --csv git", "trace verify git", "trace export git",
                  "trace --help", "list allocators --csv", "topo", "--version"):  # fmt: skip
        with open("/dev/full", "w") as full:
            done = subprocess.run([BUILD / "heapmark", *words.split()], stdout=full, stderr=subprocess.PIPE,
                                  text=True)  # fmt: skip
        assert done.returncode == 2 and done.stderr.count("no space left on device") == 1, done
    text = trace("export", "redis").stdout
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", small], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting needs root")
    try:
        for words in (["cut", "--from=1ms", "redis"], ["export", "redis"], ["import", "-"]):
            said = trace(*words, "-o", small / "x", expect=2, text=text).stderr
            assert "no space left on device" in said and os.listdir(small) == [], said
    finally:
        subprocess.run(["umount", small], check=True)


# ---- the corpus ----------------------------------------------------------------------------------


def test_the_corpus_is_what_its_readme_says():
    """Each trace is sound, at most 1 MiB, and has the events and threads that the table tells."""
    rows = [line.split("|")[1:-1] for line in (TRACES / "README.md").read_text().splitlines() if line.startswith("| `")]
    told = {row[0].strip(" `"): (row[2].strip().replace(",", ""), row[3].strip()) for row in rows}
    found = {}
    for path in TRACES.glob("*.hmt"):
        assert path.stat().st_size <= 1 << 20
        facts = summary(path)
        found[path.name] = facts["events"], facts["threads"]
    assert found == told and len(set(found) - {"floor.hmt"}) >= 6


# ---- export, cut, info, verify -------------------------------------------------------------------


def test_text_round_trip(tmp_path):
    original = TRACES / "redis.hmt"
    text = trace("export", "redis").stdout  # a shipped one, by its name
    trace("import", "-o", tmp_path / "again.hmt", "-", text=text)
    assert trace("export", tmp_path / "again.hmt").stdout == text
    first, again = summary(original), summary(tmp_path / "again.hmt")
    assert {**first, "file_bytes": 0} == {**again, "file_bytes": 0}
    for what in ("histograms", "threads", "live"):
        assert table(original, what) == table(tmp_path / "again.hmt", what)


@pytest.mark.parametrize("name", ["cc1", "git", "lua", "redis", "sqlite3", "xz"])
def test_text_makes_the_same_header(tmp_path, name):
    """Of a trace to the byte, so that no fact is lost; of a cut, which is packed as it is today, the same file."""
    whole, cut, again = TRACES / f"{name}.hmt", tmp_path / "cut.hmt", tmp_path / "again.hmt"
    trace("cut", "--from=1ms", "--to=3ms", "-o", cut, whole)
    for original in (whole, cut):
        trace("import", "-o", again, "-", text=trace("export", original).stdout)
        header_bytes = int.from_bytes(original.read_bytes()[12:16], "little")
        assert again.read_bytes()[:header_bytes] == original.read_bytes()[:header_bytes]
    assert again.read_bytes() == cut.read_bytes()


def test_text_of_before_there_was_slack(tmp_path):
    text = trace("export", "git").stdout
    older = "".join(line for line in text.splitlines(True) if "slack_ticks" not in line)
    assert older != text
    trace("import", "-o", tmp_path / "old.hmt", "-", text=older)
    assert "is good" in trace("verify", tmp_path / "old.hmt").stdout


def test_cuts_fit_the_trace(tmp_path):
    """Cuts one after the other have all events between them, and begin where the one before ended."""
    whole, ends, total = TRACES / "redis.hmt", "0", 0
    lasts = float(summary(whole)["duration_ns"]) / 1e9
    times = ["0s", f"{lasts / 4:.3f}s", f"{lasts / 2:.3f}s", "1h"]
    for i, (first, last) in enumerate(zip(times, times[1:])):
        part = tmp_path / f"{i}.hmt"
        said = trace("cut", f"--from={first}", f"--to={last}", "-o", part, whole).stdout
        assert "is good" in trace("verify", part).stdout
        facts = summary(part)
        front = int(facts["front_events"])
        total += int(facts["events"]) - front
        if i > 0:
            assert f"in front, {front} events" in said
            assert f"its first {front} events" in trace("info", part).stdout
            assert front == int(ends)
        ends = facts["live_objects_end"]
    assert total == int(summary(whole)["events"])
    assert ends == summary(whole)["live_objects_end"]


def test_cut_by_thread(tmp_path):
    """All that a thread allocated is there; what others did only as far as it has to do with it."""
    part, whole = tmp_path / "p.hmt", TRACES / "redis.hmt"
    threads = table(whole, "threads")
    chosen = max(range(1, len(threads)), key=lambda i: int(threads[i]["allocations"]))
    trace("cut", f"--thread={chosen}", "-o", part, whole)
    assert "is good" in trace("verify", part).stdout
    assert threads[chosen]["allocations"] in [row["allocations"] for row in table(part, "threads")]
    assert int(summary(part)["events"]) < int(summary(whole)["events"])


def test_cut_steady(tmp_path):
    """Growth, then a stretch in which each free is followed by an allocation, then nothing else."""
    made = [f"{i} 0 malloc {i + 1} 100" for i in range(2000)]
    level = [f"= 0 {op} {i % 2000 + 1}{size}" for i in range(5000)
             for op, size in (("free", ""), ("malloc", " 100"))]  # fmt: skip
    text = "\n".join(["heapmark trace text 1", *made, *level, "end 12000", ""])
    whole, part = tmp_path / "w.hmt", tmp_path / "p.hmt"
    trace("import", "-o", whole, "-", text=text)
    said = trace("cut", "--steady", "-o", part, whole).stdout
    assert float(re.search(r"stay within ([\d.]+) %", said)[1]) <= 10
    assert 10000 <= int(re.search(r": (\d+) of 12000 events", said)[1]) < 10400
    assert 1600 < int(summary(part)["front_events"]) <= 2000


def test_the_last_tick_there_is(tmp_path):
    """Nothing runs over, and nothing takes for ever."""
    last, far = 2**64 - 1, tmp_path / "far.hmt"
    text = f"heapmark trace text 1\n0 0 malloc 1 5\n{last} 0 free 1\n{last} 0 malloc 1 7\nend\n"
    trace("import", "-o", far, "-", text=text)
    assert len(table(far, "live")) == 512 and "18446744073.7 s" in trace("info", far).stdout
    said = trace("cut", "--from=1s", "-o", tmp_path / "part.hmt", far).stdout
    assert "2 of 3 events, from 18446744073.7 s to 18446744073.7 s" in said


def keeps_nameless_files(directory):
    try:
        os.close(os.open(directory, os.O_TMPFILE | os.O_RDWR, 0o600))
    except OSError:
        return False
    return True


def has_opened_a_file_in(process, directory):
    try:
        shown = [os.readlink(fd) for fd in Path(f"/proc/{process.pid}/fd").iterdir()]
    except OSError:  # it opens and closes files meanwhile
        return False
    return any(name.startswith(f"{directory}/") for name in shown)


def test_killed_while_it_writes(tmp_path):
    """Nothing is left, and a trace that was there is what it was."""
    if not keeps_nameless_files(tmp_path):
        pytest.skip("this file system has no O_TMPFILE")
    out = tmp_path / "t.hmt"
    trace("import", "-o", out, "-", text="heapmark trace text 1\n0 0 malloc 1 5\nend\n")
    before = out.read_bytes()
    importing = subprocess.Popen([BUILD / "heapmark", "trace", "import", "-o", out, "-"],
                                 stdin=subprocess.PIPE)  # fmt: skip
    importing.stdin.write(b"heapmark trace text 1\n0 0 malloc 1 5\n")
    importing.stdin.flush()  # and its end never comes
    deadline = time.monotonic() + 60
    while not has_opened_a_file_in(importing, tmp_path):
        assert time.monotonic() < deadline and importing.poll() is None
        time.sleep(0.01)
    importing.kill()
    importing.communicate()
    assert [path.name for path in tmp_path.iterdir()] == ["t.hmt"]
    assert out.read_bytes() == before


def test_tables_agree(tmp_path):
    path = TRACES / "redis.hmt"
    facts = summary(path)
    objects = int(facts["objects"])
    assert sum(int(row["objects"]) for row in table(path, "sizes")) == objects
    ended = sum(int(row["objects"]) for row in table(path, "lifetimes"))
    kept = sum(int(row["objects"]) for row in table(path, "leaks"))
    assert ended + kept == objects and kept == int(facts["live_objects_end"])
    assert sum(int(row["events"]) for row in table(path, "ops")) == int(facts["events"])
    assert sum(int(row["events"]) for row in table(path, "threads")) == int(facts["events"])
    live = table(path, "live")
    assert 256 < len(live) <= 512
    assert sum(int(row["events"]) for row in live) == int(facts["events"])
    assert max(int(row["live_bytes_max"]) for row in live) == int(facts["live_bytes_peak"])
    foreign = sum(int(row["foreign_ends"]) for row in table(path, "threads"))
    assert foreign == int(facts["foreign_ends"])
    assert trace("info", "--csv", path).stdout == (
        trace("info", "--format=csv", "--table=histograms", path).stdout
    )


def test_info_draws_in_characters(tmp_path):
    environment = dict(os.environ, LC_ALL="C.UTF-8", COLUMNS="100")
    command = [BUILD / "heapmark", "trace", "info", TRACES / "redis.hmt"]
    fine = subprocess.run(command, env=environment, capture_output=True).stdout.decode()
    assert "\u28ff" in fine and "\u2588" in fine
    assert max(len(line) for line in fine.splitlines()[15:]) <= 100
    narrow = subprocess.run(command, env=dict(environment, COLUMNS="75"), capture_output=True).stdout.decode()
    assert max(len(line) for line in narrow.splitlines() if line.startswith("  ")) <= 75
    plain = subprocess.run(command, env=dict(environment, LC_ALL="C"), capture_output=True).stdout
    assert b"####" in plain and plain.isascii()


def test_call_sites_have_names(tmp_path):
    """The innermost functions of a program that we know."""
    source = tmp_path / "sites.c"
    source.write_text(
        "#include <stdlib.h>\n"
        "void *keep[300];\n"
        "__attribute__((noinline)) void first(int i) { keep[i] = malloc(1000); }\n"
        "__attribute__((noinline)) void second(int i) { keep[i] = malloc(10); }\n"
        "int main(void) { for (int i = 0; i < 100; i++) { first(i); second(100 + i); }\n"
        "  for (int i = 0; i < 100; i++) free(keep[i]); return 0; }\n"
    )
    subprocess.run(["gcc", "-O1", "-fno-builtin", "-fno-omit-frame-pointer", "-o", "sites",
                    source], cwd=tmp_path, check=True)  # fmt: skip
    os.utime(tmp_path / "sites", (1, 1))
    subprocess.run([BUILD / "heapmark", "record", "--stacks=2", "-o", "s.hmt", "./sites"],
                   cwd=tmp_path, check=True, capture_output=True)  # fmt: skip
    assert sorted(p.name for p in tmp_path.glob("s.hmt*")) == ["s.hmt", "s.hmt.maps"]
    rows = table(tmp_path / "s.hmt", "sites")
    assert re.match(r"first\+0x[0-9a-f]+ \(sites\); main\+0x", rows[0]["functions"])
    assert (rows[0]["objects"], rows[0]["never_freed_objects"]) == ("100", "0")
    second = [row for row in rows if row["functions"].startswith("second+0x")]
    assert (second[0]["objects"], second[0]["never_freed_bytes"]) == ("100", "1000")
    assert "first+0x" in trace("info", tmp_path / "s.hmt").stdout
    os.mkfifo(tmp_path / "pipe")  # nothing waits for a module that is no file
    maps = (tmp_path / "s.hmt.maps").read_text()
    (tmp_path / "s.hmt.maps").write_text(maps.replace("/sites\n", "/pipe\n"))
    assert "main+0x" not in (text := trace("info", tmp_path / "s.hmt").stdout) and "pipe+0x" in text
    (tmp_path / "s.hmt.maps").unlink()
    text = trace("info", tmp_path / "s.hmt").stdout
    assert "first+0x" not in text and "no list of modules" in text


def test_call_sites_of_cxx_are_as_in_the_source(tmp_path):
    if not shutil.which("g++"):
        pytest.skip("no g++")
    (tmp_path / "s.cc").write_text(
        "#include <cstdlib>\n"
        "namespace app { struct Tree { void *nodes[9];\n"
        "  __attribute__((noinline)) void grow(int i, const char *) { nodes[i] = malloc(100); } }; }\n"
        "int main() { app::Tree t; for (int i = 0; i < 9; i++) t.grow(i, \"\"); return 0; }\n"
    )
    subprocess.run(["g++", "-O1", "-fno-builtin", "-fno-omit-frame-pointer", "-o", "sites", "s.cc"], cwd=tmp_path, check=True)
    os.utime(tmp_path / "sites", (1, 1))
    subprocess.run([BUILD / "heapmark", "record", "--stacks=4", "-o", "s.hmt", "./sites"],
                   cwd=tmp_path, check=True, capture_output=True)  # fmt: skip
    sites = [row["functions"] for row in table(tmp_path / "s.hmt", "sites") if row["objects"] == "9"]
    assert len(sites) == 1 and "app::Tree::grow(int, char const*)+0x" in sites[0] and "_Z" not in sites[0]


def test_verify_names_every_damage(tmp_path):
    """Whatever byte is another one, a trace is refused with a place in it."""
    small = tmp_path / "small.hmt"
    trace("import", "-o", small, SAMPLES / "mtrace.txt")
    whole = small.read_bytes()
    for at in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        small.write_bytes(damaged)
        said = trace("verify", small, expect=2).stderr
        assert re.search(r"at byte \d+|newer heapmark|not a heapmark trace|larger", said), said
    small.write_bytes(whole + b"x")
    assert "something follows the end" in trace("verify", small, expect=2).stderr
