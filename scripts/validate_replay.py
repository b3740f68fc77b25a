#!/usr/bin/env python3
"""Does a replayed trace rank the allocators as the program itself does?

    scripts/validate_replay.py [--programs=LIST] [--blocks=N] [--out=DIR] [--document=FILE]
    scripts/validate_replay.py --again=DIR [--document=FILE]

Each program is recorded, its trace is replayed under every installed allocator, and the program
itself is run under each of them, in randomised blocks that hold the baseline twice. Then all pairs
of allocators that the program tells apart are looked up in the replay. The tables go to the
terminal, to DIR/validation.md, and with --document between the markers of that file; every run of a
program to DIR/runs.csv, every pair to DIR/pairs.csv.

Run it on a machine that does nothing else; it takes some 4 minutes. $HEAPMARK is the
program; without it build/heapmark is. Needs sqlite3, lua5.4, perl, python3 and gcc.
"""

import argparse
import csv
import hashlib
import math
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import numpy as np
from heapmark import agreement, statistics
from heapmark.agreement import NO_MATTER, OPPOSITE, SAME, UNDECIDED
from heapmark.cells import AA, is_floor, label_of
from heapmark.comparison import Comparison, verdict
from heapmark.errors import EXIT_FAILED, nearest
from heapmark.load import load_run

HERE = Path(__file__).resolve().parent.parent
BASELINE = "system"
SECOND_BASELINE = label_of(BASELINE, AA)
MARKERS = "<!-- validation begin -->", "<!-- validation end -->"
CLOCKS = "cpu_ns", "wall_ns"  # of the programs; the first one is what the tables are about
RUN_COLUMNS = ("block", "label", "detail", "wall_ns", "user_ns", "sys_ns", "rss_bytes_peak")
TIMEOUT_S = 60
PAD_BYTES = 4096  # most by which the environment grows at random: the place of the stack matters

SQL = """
pragma cache_size = 2000;
create table customer(id integer primary key, name text, city text);
create table orders(id integer primary key, customer int, amount real, note text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000)
  insert into customer select i, 'customer ' || i, 'city ' || (i * 7919 % 97) from n;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)
  insert into orders select i, i * 31 % 10000 + 1, i * 17 % 1000 / 10.0, 'order number ' || i
  from n;
create index by_customer on orders(customer);
select city, count(*), sum(amount), max(note) from customer c join orders o on o.customer = c.id
  group by city order by 3 desc limit 5;
update orders set note = upper(note) || ' sent' where amount > 50;
select count(distinct note), length(group_concat(substr(note, 1, 3))) from orders where id % 3 = 0;
"""

LUA = """
local live = {}
for i = 1, 100000 do
  live[i % 10000] = {name = "n" .. i, value = i, pair = {i}}
end
local lines = {}
for i = 1, 40000 do lines[#lines + 1] = ("line %05d: %s"):format(i, ("x"):rep(i % 60)) end
print(#table.concat(lines), live[77].name)
"""

PERL = """
my %live;
for my $i (1 .. 80000) {
    $live{$i % 20000} = {name => "n$i", value => [$i, 2 * $i]};
}
my @lines = map { sprintf("line %05d: %s", $_, "x" x ($_ % 60)) } 1 .. 25000;
my %words;
$words{$_} .= "," for map { split /[ :]+/ } @lines;
print length(join "", sort map { scalar reverse $_ } @lines), " ", scalar(keys %words), "\\n";
"""

PYTHON = """
import json
def work(n):
    data = [{"id": i, "name": "n%d" % i, "v": [i, i * 2, str(i)]} for i in range(n)]
    words = {}
    for i in range(n * 10):
        words["k%d" % (i % 5000)] = words.get("k%d" % (i % 5000), 0) + float(i)
    return len(json.loads(json.dumps(data))), len(words)
print(work(12000))
"""

# Forks the program from a process of a page or two: the peak of resident memory that the kernel
# reports for a program is never below its parent's, which in Python would be some 100 MB.
LAUNCHER = r"""
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static long long us(struct timeval time)
{
    return time.tv_sec * 1000000LL + time.tv_usec;
}

/* launch RESULT NAME=VALUE... -- PROGRAM ARGUMENT... */
int main(int argc, char **argv)
{
    FILE *result = fopen(argv[1], "we");
    if (!result)
        return 2;
    long long start = monotonic_ns();
    pid_t child = fork();
    if (child == 0) {
        int at = 2;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (; at < argc && strcmp(argv[at], "--") != 0; at++)
            putenv(argv[at]);
        execvp(argv[at + 1], argv + at + 1);
        _exit(127);
    }
    int status;
    struct rusage usage;
    if (child < 0 || wait4(child, &status, 0, &usage) != child)
        return 2;
    long long wall_ns = monotonic_ns() - start;
    fprintf(result, "%d %lld %lld %lld %ld\n", status, wall_ns, us(usage.ru_utime) * 1000,
            us(usage.ru_stime) * 1000, usage.ru_maxrss * 1024);
    return fclose(result) != 0;
}
"""


@dataclass(frozen=True)
class Program:
    """A real program whose time depends on the allocator, and whose output is always the same."""

    name: str
    executable: str
    package: str
    file: str
    script: str
    arguments: tuple  # {} is the script's file


PROGRAMS = {
    program.name: program
    for program in (
        Program("sqlite3", "sqlite3", "sqlite3", "session.sql", SQL, (":memory:", ".read {}")),
        Program("lua", "lua5.4", "lua5.4", "script.lua", LUA, ("{}",)),
        Program("perl", "perl", "perl", "script.pl", PERL, ("{}",)),
        Program("python3", "/usr/bin/python3", "python3", "work.py", PYTHON, ("-S", "{}")),
    )
}

# The same for recording and running. Python's own allocator would hide the heap from all others.
ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "LC_ALL": "C",
    "PYTHONMALLOC": "malloc",
    "PYTHONHASHSEED": "0",
    "PERL_HASH_SEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class Failure(Exception):
    """What ends the job; one line, with the remedy."""


# ---- programs -----------------------------------------------------------------------------------


def command_of(program, directory):
    """Writes the program's script; its argument list."""
    file = directory / program.file
    file.write_text(program.script, encoding="utf-8")
    return [shutil.which(program.executable), *(word.format(file) for word in program.arguments)]


def call(words, what, **options):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise Failure(f"{what} ended with {done.returncode}: {said}")
    return done


def record(options, command, trace):
    words = [options.heapmark, "record", "-o", trace, "--only-first", "--", *command]
    call(words, "recording", env=ENVIRONMENT)


def replay(options, trace, out):
    """Replays the trace; its Comparison. A row that failed is shown later, not an error."""
    words = [options.heapmark, "run", trace, f"--allocators={options.allocators}", "--aa"]
    words += [f"--baseline={BASELINE}", f"--reps={options.reps}", f"--out={out}"]
    words += shlex.split(options.replay)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise Failure(f"replaying ended with {done.returncode}: {done.stderr.strip()}")
    comparison = Comparison(load_run(str(out)))
    if not comparison.measured_cells:
        raise Failure(f"no replay of {trace.name} went well under '{BASELINE}'; see {out}")
    return comparison


# ---- running the program itself -----------------------------------------------------------------


@dataclass
class Sample:
    """One run of a program; figures are None where it failed."""

    block: int
    label: str
    detail: str  # "" where it went well
    output: str = ""  # its digest
    wall_ns: int = None
    user_ns: int = None
    sys_ns: int = None
    rss_bytes_peak: int = None

    @property
    def cpu_ns(self):
        return self.user_ns + self.sys_ns


def build_launcher(directory):
    source, launcher = directory / "launch.c", directory / "launch"
    source.write_text(LAUNCHER, encoding="utf-8")
    call(["gcc", "-O2", "-o", launcher, source], "gcc")
    return launcher


def preload(entry):
    """What heapmark gives a trial of an allocator of env.json: NAME=VALUE words."""
    words = shlex.split(entry.get("environment") or "")
    return words if entry["allocator"] == BASELINE else [*words, f"LD_PRELOAD={entry['path']}"]


def run_once(launcher, command, settings, block, label):
    """One run as a Sample; what goes wrong becomes its detail."""
    result = launcher.with_name("result")
    result.unlink(missing_ok=True)
    try:
        done = subprocess.run([launcher, result, *settings, "--", *command], env=ENVIRONMENT,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False,
                              timeout=TIMEOUT_S)  # fmt: skip
    except subprocess.TimeoutExpired:
        return Sample(block, label, f"longer than {TIMEOUT_S} s")
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode != 0:
        return Sample(block, label, f"could not be started: {said}")
    status, *figures = map(int, result.read_text(encoding="ascii").split())
    if "cannot be preloaded" in said:
        return Sample(block, label, "could not be preloaded")
    if status != 0:
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else \
            f"exit status {os.WEXITSTATUS(status)}"  # fmt: skip
        return Sample(block, label, f"{how}: {said[-80:]}".rstrip(": "))
    return Sample(block, label, "", hashlib.sha256(done.stdout).hexdigest(), *figures)


def run_blocks(options, launcher, command, entries):
    """[Sample] of all blocks; each holds every allocator once, and the baseline twice."""
    settings = {entry["label"]: preload(entry) for entry in entries}
    settings[SECOND_BASELINE] = settings[BASELINE]
    order = random.Random(options.seed)
    expected = run_once(launcher, command, settings[BASELINE], -1, BASELINE)
    if expected.detail:
        raise Failure(f"{command[0]} fails under the C library: {expected.detail}")
    samples = []
    for block in range(options.blocks):
        for label in order.sample(list(settings), len(settings)):
            words = [*settings[label], "PAD=" + "x" * order.randrange(PAD_BYTES)]
            sample = run_once(launcher, command, words, block, label)
            if not sample.detail and sample.output != expected.output:
                sample.detail = "another output than under the C library"
            samples.append(sample)
        progress(f"  block {block + 1} of {options.blocks}")
    return samples


def logarithms(samples, figure):
    """{label: logarithms of a figure, one a block}; without labels that failed even once."""
    blocks = 1 + max(sample.block for sample in samples)
    failed = {sample.label for sample in samples if sample.detail}
    logs = {}
    for sample in samples:
        if sample.label not in failed:
            column = logs.setdefault(sample.label, np.full(blocks, math.nan))
            column[sample.block] = math.log(figure(sample))
    return logs


# ---- one program's result -----------------------------------------------------------------------


class Validation:
    """A program's own runs, by one of their clocks, beside the replays of its trace."""

    def __init__(self, name, samples, comparison, clock="cpu_ns"):
        self.name, self.samples, self.comparison = name, samples, comparison
        self.logs = logarithms(samples, attrgetter(clock))
        self.memory_logs = logarithms(samples, attrgetter("rss_bytes_peak"))
        if BASELINE not in self.logs or SECOND_BASELINE not in self.logs:
            failed = self.failures()
            said = failed.get(BASELINE) or failed[SECOND_BASELINE]
            raise Failure(f"{name} failed under '{BASELINE}': {said}")
        second = self.logs[SECOND_BASELINE] - self.logs[BASELINE]
        self.noise = math.expm1(statistics.noise(second[:, np.newaxis]))
        self.labels = [label for label in self.logs if label != SECOND_BASELINE]
        self.labels.sort(key=lambda label: self.own(label).value)
        self.pairs = agreement.pairs(
            agreement.own_verdicts(self.logs, self.labels, self.noise), self.replayed_verdicts()
        )

    def own(self, label):
        return agreement.ratio(self.logs, label, BASELINE)

    def own_memory(self, label):
        return agreement.ratio(self.memory_logs, label, BASELINE)

    def replayed(self, label, metric="time"):
        """None where the replay failed."""
        return self.comparison.overall(metric, label) if label in self.replayed_labels else None

    @property
    def replayed_labels(self):
        return self.comparison.table("time")[self.comparison.measured_cells[0]]

    def replayed_verdicts(self):
        found = {}
        for one in self.labels:
            for other in self.labels:
                if one != other and {one, other} <= set(self.replayed_labels):
                    estimate = self.comparison.overall("time", one, against=other)
                    said = verdict(estimate, self.comparison.overall_noise)
                    found[one, other] = estimate, said
        return found

    def failures(self):
        """{label: what happened}, of the program and of the replay."""
        failed = {sample.label: f"program: {sample.detail}" for sample in self.samples
                  if sample.detail}  # fmt: skip
        for (_, label), trials in self.comparison.failures.items():
            trial = trials.iloc[0]
            failed.setdefault(label, f"replay: {trial['status']} {trial['detail']}".rstrip())
        return failed

    def values(self, estimate):
        """{label: value} of the labels for which a method of this class has an Estimate."""
        found = {label: estimate(label) for label in self.labels}
        return {label: one.value for label, one in found.items() if one}

    @property
    def figures(self):
        """(own, replayed) times and (own, replayed) memory, by label."""
        return (self.values(self.own), self.values(self.replayed)), (
            self.values(self.own_memory),
            self.values(lambda label: self.replayed(label, "memory")),
        )

    def own_ms(self):
        return 1e3 * float(np.exp(np.nanmedian(self.logs[BASELINE]))) / 1e9

    def of_a_pass(self, column):
        """Median of a column over the passes that it counts, on the baseline."""
        ok = self.comparison.run.ok
        ok = ok[ok["label"] == BASELINE]
        return float((ok[column] / ok["work"]).median())

    def cost(self):
        """What following the replay costs, in words: a difference inside the noise is none."""
        own, replayed = self.figures[0]
        best, chosen = min(own, key=own.get), min(replayed, key=replayed.get)
        found = {frozenset((pair.first, pair.second)): pair.outcome for pair in self.pairs}
        if best == chosen:
            return "none"
        if found.get(frozenset((best, chosen)), NO_MATTER) == NO_MATTER:
            return "none outside the noise"
        return f"{100 * (agreement.regret(own, replayed) - 1):.1f} %"


def replays_of(out, name):
    return out / f"replay-{name}"


def measure(options, program, directory, launcher):
    """Records, replays and runs a program; its name, [Sample] and Comparison."""
    command = command_of(program, directory)
    trace, replays = directory / f"{program.name}.hmt", replays_of(options.out, program.name)
    progress(f"{program.name}: recording")
    record(options, command, trace)
    progress(f"  replaying {options.reps} blocks")
    comparison = replay(options, trace, replays)
    progress("  running the program itself")
    entries = [entry for entry in comparison.run.env["allocators"]
               if not is_floor("replay", entry["allocator"])]  # fmt: skip
    return program.name, run_blocks(options, launcher, command, entries), comparison


# ---- what is said -------------------------------------------------------------------------------


def progress(text):
    print(text, file=sys.stderr, flush=True)


def shown(estimate):
    if estimate is None:
        return "failed"
    if not estimate.has_interval:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]


def program_lines(one):
    rows = []
    for label in one.labels:
        memory = one.replayed(label, "memory")
        rows.append([label, shown(one.own(label)), shown(one.replayed(label)),
                     f"{one.own_memory(label).value:.2f}",
                     f"{memory.value:.2f}" if memory else "failed"])  # fmt: skip
    noise, replay_noise = 100 * one.noise, 100 * one.comparison.overall_noise
    lines = [f"### {one.name}", ""]
    lines += [f"The program takes {one.own_ms():.0f} ms of CPU time under `{BASELINE}`, "
              f"a pass of its {one.of_a_pass('ops'):,.0f} calls "
              f"{one.of_a_pass('wall_ns') / 1e6:.0f} ms. Noise of the baseline against "
              f"itself: program {noise:.1f} %, replay {replay_noise:.1f} %.", ""]  # fmt: skip
    lines += table(["allocator", "program, time", "replay, time", "program, memory",
                    "replay, memory"], rows)  # fmt: skip
    failed = one.failures()
    lines += [""] + [f"- failed: {label}: {what}" for label, what in failed.items()]
    wrong = [pair for pair in one.pairs if pair.outcome == OPPOSITE]
    lines += [f"- opposite: {pair.first} to {pair.second}: program {shown(pair.own)}, replay "
              f"{shown(pair.replay)}" for pair in wrong]  # fmt: skip
    return lines + [""] * bool(failed or wrong)


def summary_lines(validations):
    header = ["program", "told apart by the program", SAME, OPPOSITE, UNDECIDED, "tau, time",
              "tau, memory", "differences", "cost of following it"]  # fmt: skip
    rows = []
    for one in validations:
        (own, replayed), (own_memory, replayed_memory) = one.figures
        count = agreement.outcomes(one.pairs)
        rows.append([one.name, f"{len(one.pairs) - count[NO_MATTER]} of {len(one.pairs)} pairs",
                     count[SAME], count[OPPOSITE], count[UNDECIDED],
                     f"{agreement.tau(own, replayed):.2f}",
                     f"{agreement.tau(own_memory, replayed_memory):.2f}",
                     f"{agreement.shrinkage(own, replayed):.2f}",
                     one.cost()])  # fmt: skip
    count = agreement.outcomes([pair for one in validations for pair in one.pairs])
    told, total = sum(count.values()) - count[NO_MATTER], sum(count.values())
    rows.append(["**all**", f"{told} of {total} pairs", count[SAME], count[OPPOSITE],
                 count[UNDECIDED], "", "", "", ""])  # fmt: skip
    return table(header, rows)


def document(measured):
    """The whole text, of [(name, [Sample], Comparison)]."""
    by_cpu, by_wall = ([Validation(*one, clock) for one in measured] for clock in CLOCKS)
    run = by_cpu[0].comparison.run
    machine = run.env["machine"]
    blocks = 1 + max(sample.block for sample in by_cpu[0].samples)
    kind = "virtual machine" if machine["virtual"] else "no virtual machine"
    more = [word for word in run.env["run"]["command"] if word.startswith(("--set", "--latency"))]
    taken = f"Taken {run.env['run']['started'][:10]} on {machine['cpus']} CPUs ({machine['cpu']}, "
    taken += f"{kind}), {machine['kernel']}, {machine['libc']}: {blocks} blocks of each program, "
    taken += f"{run.blocks} of each replay" + "".join(f", `{word}`" for word in more) + "."
    lines = [taken, "", "By the program's CPU time:", "", *summary_lines(by_cpu), ""]
    lines += ["By its wall time, in which the machine's other work counts, too:", ""]
    lines += [*summary_lines(by_wall), ""]
    for one in by_cpu:
        lines += program_lines(one)
    return "\n".join(lines).rstrip() + "\n"


def replace_between_markers(path, text):
    begin, end = MARKERS
    old = path.read_text(encoding="utf-8")
    if old.count(begin) != 1 or old.count(end) != 1:
        raise Failure(f"'{path}' does not have the lines '{begin}' and '{end}' once each")
    head, tail = old.split(begin)[0], old.split(end)[1]
    path.write_text(f"{head}{begin}\n{text}{end}{tail}", encoding="utf-8")


def write_csv(path, header, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([header, *rows])


def write_runs(path, measured):
    rows = [[name, *(getattr(sample, column) for column in RUN_COLUMNS)]
            for name, samples, _ in measured for sample in samples]  # fmt: skip
    write_csv(path, ["program", *RUN_COLUMNS], rows)


def read_measured(out):
    """What write_runs wrote, with the replays beside it: [(name, [Sample], Comparison)]."""
    measured = {}
    with open(out / "runs.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            figures = {key: int(row[key]) for key in RUN_COLUMNS[3:] if row[key]}
            sample = Sample(int(row["block"]), row["label"], row["detail"], **figures)
            measured.setdefault(row["program"], []).append(sample)
    return [(name, samples, Comparison(load_run(str(replays_of(out, name)))))
            for name, samples in measured.items()]  # fmt: skip


def write_pairs(path, measured):
    rows = [
        [name, clock, p.first, p.second, p.own.value, p.own.low, p.own.high, p.replay.value,
         p.replay.low, p.replay.high, p.outcome]
        for name, samples, comparison in measured for clock in CLOCKS
        for p in Validation(name, samples, comparison, clock).pairs
    ]  # fmt: skip
    header = ["program", "clock", "first", "second"]
    header += ["program_ratio", "program_low", "program_high"]
    header += ["replay_ratio", "replay_low", "replay_high"]
    write_csv(path, [*header, "outcome"], rows)


# ---- the command --------------------------------------------------------------------------------


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--programs", default=",".join(PROGRAMS), help=f"of {', '.join(PROGRAMS)}")
    parser.add_argument("--allocators", default="all", help="as of 'heapmark run'")
    parser.add_argument("--blocks", type=int, default=10, help="of the programs' own runs")
    parser.add_argument("--reps", type=int, default=6, help="blocks of the replays")
    parser.add_argument("--replay", default="", metavar="OPTIONS", help="more for 'heapmark run'")
    parser.add_argument("--seed", type=int, default=1, help="of the order within blocks")
    parser.add_argument("--out", type=Path, default=Path("results/validation"))
    parser.add_argument("--again", type=Path, metavar="DIR",
                        help="measure nothing: the tables of an earlier --out anew")  # fmt: skip
    parser.add_argument("--document", type=Path, help="file to put the tables into")
    options = parser.parse_args()
    options.programs = [program_of(parser, name) for name in options.programs.split(",")]
    if options.blocks < 2 or options.reps < 2:
        parser.error("--blocks and --reps are at least 2: one block gives no interval")
    options.heapmark = os.path.abspath(os.environ.get("HEAPMARK") or HERE / "build" / "heapmark")
    if not os.access(options.heapmark, os.X_OK):
        parser.error(f"'{options.heapmark}' is not built; build it, or set HEAPMARK")
    if not shutil.which("gcc"):
        parser.error("gcc is not installed: apt-get install gcc")
    if options.again and not (options.again / "runs.csv").is_file():
        parser.error(f"'{options.again}' has no runs.csv; give the --out of an earlier run")
    if not options.again and options.out.exists():
        parser.error(f"'{options.out}' exists; give another --out")
    return options


def program_of(parser, name):
    if name not in PROGRAMS:
        parser.error(f"no program '{name}'" + (nearest(name, PROGRAMS)
                     or f"; there are {', '.join(PROGRAMS)}"))  # fmt: skip
    program = PROGRAMS[name]
    if not shutil.which(program.executable):
        parser.error(f"{program.executable} is not installed: apt-get install {program.package}")
    return program


def measure_all(options):
    options.out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        launcher = build_launcher(directory)
        measured = [measure(options, program, directory, launcher)
                    for program in options.programs]  # fmt: skip
    write_runs(options.out / "runs.csv", measured)
    return measured


def main():
    options = parse()
    try:
        measured = read_measured(options.again) if options.again else measure_all(options)
        text = document(measured)
        out = options.again or options.out
        (out / "validation.md").write_text(text, encoding="utf-8")
        write_pairs(out / "pairs.csv", measured)
        if options.document:
            replace_between_markers(options.document, text)
    except Failure as failure:
        progress(str(failure))
        return EXIT_FAILED
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
