#!/usr/bin/env python3
"""Does a replayed trace rank the allocators as the program itself does?

    scripts/validate_replay.py [--programs=LIST] [--blocks=N] [--out=DIR] [--document=FILE]
    scripts/validate_replay.py --again=DIR... [--document=FILE]

Each program is recorded, its trace is replayed under every installed allocator, and the program
itself is run under each of them, in randomised blocks that hold the baseline twice. Then all pairs
of allocators that the program tells apart are looked up in the replay. Memory is held against
another replay, of a single pass: the program made no more, either. The tables go to the terminal,
to validation.md in the (first) DIR, and with --document between the markers of that file; every run
of a program to DIR/runs.csv, every pair to pairs.csv in the (first) DIR.

Run it on a machine that does nothing else; it takes some 12 minutes. Where a machine is not to be
had for so long, measure some of the programs at a time, each time into a DIR of its own, and have
the tables made of all by --again. $HEAPMARK is the program; without it build/heapmark is. Needs
sqlite3, lua5.4, perl, python3 and gcc.
"""

import argparse
import csv
import math
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from operator import attrgetter
from pathlib import Path

import numpy as np
from heapmark import agreement, statistics
from heapmark.agreement import NO_MATTER, OPPOSITE, SAME, UNDECIDED
from heapmark.cells import is_floor
from heapmark.comparison import Comparison, verdict
from heapmark.errors import EXIT_FAILED, nearest
from heapmark.load import load_run
from programs import PROGRAMS
from programs.runs import (
    BASELINE,
    ENVIRONMENT,
    SECOND_BASELINE,
    Failure,
    Sample,
    build_launcher,
    call,
    progress,
    run_blocks,
)

HERE = Path(__file__).resolve().parent.parent
MARKERS = "<!-- validation begin -->", "<!-- validation end -->"
CLOCKS = "cpu_ns", "wall_ns"  # of the programs; the first one is what the tables are about
ONCE = ("--work=1", "--latency=no", "--reps=3")  # a single pass; memory repeats well
RUN_COLUMNS = ("block", "label", "detail", "wall_ns", "user_ns", "sys_ns", "rss_bytes_peak")

SIZES = {  # of the programs: some tenths of a second each
    "sqlite3": (10000, 60000),
    "lua": (100000, 10000, 40000),
    "perl": (80000, 20000, 25000),
    "perl-threads": (16, 600, 14000),
    "python3": (12000, 1),
}


# ---- traces -------------------------------------------------------------------------------------


def record(options, command, trace):
    words = [options.heapmark, "record", "-o", trace, "--only-first", "--", *command]
    call(words, "recording", env=ENVIRONMENT)


def replay(options, trace, out, words):
    """Replays the trace; its Comparison. A row that failed is shown later, not an error."""
    words = [options.heapmark, "run", trace, f"--allocators={options.allocators}",
             f"--baseline={BASELINE}", f"--out={out}", *words,
             *shlex.split(options.replay)]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise Failure(f"replaying ended with {done.returncode}: {done.stderr.strip()}")
    comparison = Comparison(load_run(str(out)))
    if not comparison.measured_cells:
        raise Failure(f"no replay of {trace.name} went well under '{BASELINE}'; see {out}")
    return comparison


# ---- one program's result -----------------------------------------------------------------------


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


def labels_of(comparison):
    return comparison.table("time")[comparison.measured_cells[0]]


class Validation:
    """A program's own runs, by one of their clocks, beside the replays of its trace: those that
    times are taken from, and those of a single pass, for memory."""

    def __init__(self, name, samples, comparison, once, clock="cpu_ns"):
        self.name, self.samples, self.comparison, self.once = name, samples, comparison, once
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

    def replayed(self, label):
        """None where the replay failed."""
        return self.comparison.overall("time", label) if label in self.replayed_labels else None

    def replayed_memory(self, label):
        """The same of the single pass."""
        measured = label in labels_of(self.once)
        return self.once.overall("memory", label) if measured else None

    @property
    def replayed_labels(self):
        return labels_of(self.comparison)

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
            self.values(self.replayed_memory),
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
    """Where the replays for times lie, and those of a single pass."""
    return out / f"replay-{name}", out / f"once-{name}"


def measure(options, name, directory, launcher):
    """Records, replays and runs a program; its name and [Sample]."""
    command = PROGRAMS[name].command(*SIZES[name])
    trace, (times, once) = directory / f"{name}.hmt", replays_of(options.out, name)
    progress(f"{name}: recording")
    record(options, command, trace)
    progress(f"  replaying {options.reps} blocks")
    comparison = replay(options, trace, times, ["--aa", f"--reps={options.reps}"])
    replay(options, trace, once, ONCE)
    progress("  running the program itself")
    entries = [entry for entry in comparison.run.env["allocators"]
               if not is_floor("replay", entry["allocator"])]  # fmt: skip
    samples = run_blocks(launcher, command, entries, options.blocks, options.seed)
    return name, samples


# ---- what is said -------------------------------------------------------------------------------


def shown(estimate):
    if estimate is None:
        return "failed"
    if not estimate.has_interval:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def shown_range(numbers):
    numbers = list(numbers)
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]


def program_lines(one):
    rows = []
    for label in one.labels:
        memory = one.replayed_memory(label)
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
    """The whole text, of what read_all() found."""
    by_cpu, by_wall = ([Validation(*one, clock) for one in measured] for clock in CLOCKS)
    run = by_cpu[0].comparison.run
    machine = run.env["machine"]
    blocks = shown_range(1 + max(sample.block for sample in one.samples) for one in by_cpu)
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
            for name, samples in measured for sample in samples]  # fmt: skip
    write_csv(path, ["program", *RUN_COLUMNS], rows)


def read_measured(out):
    """What write_runs wrote, with the replays beside it: what a Validation is made of, each."""
    measured = {}
    with open(out / "runs.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            figures = {key: int(row[key]) for key in RUN_COLUMNS[3:] if row[key]}
            sample = Sample(int(row["block"]), row["label"], row["detail"], **figures)
            measured.setdefault(row["program"], []).append(sample)
    return [(name, samples, *(Comparison(load_run(str(run))) for run in replays_of(out, name)))
            for name, samples in measured.items()]  # fmt: skip


def read_all(outs):
    measured = [one for out in outs for one in read_measured(out)]
    names = [name for name, *_ in measured]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise Failure(f"'{twice[0]}' was measured in two of these directories; leave one out")
    return measured


def write_pairs(path, measured):
    rows = [
        [name, clock, p.first, p.second, p.own.value, p.own.low, p.own.high, p.replay.value,
         p.replay.low, p.replay.high, p.outcome]
        for name, *rest in measured for clock in CLOCKS
        for p in Validation(name, *rest, clock).pairs
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
    parser.add_argument("--blocks", type=int, default=30, help="of the programs' own runs")
    parser.add_argument("--reps", type=int, default=12, help="blocks of the replays")
    parser.add_argument("--replay", default="", metavar="OPTIONS", help="more for 'heapmark run'")
    parser.add_argument("--seed", type=int, default=1, help="of the order within blocks")
    parser.add_argument("--out", type=Path, default=Path("results/validation"))
    parser.add_argument("--again", type=Path, metavar="DIR", nargs="+", default=[],
                        help="measure nothing: the tables of earlier --outs anew")  # fmt: skip
    parser.add_argument("--document", type=Path, help="file to put the tables into")
    options = parser.parse_args()
    options.programs = options.programs.split(",")
    for name in options.programs:
        check_program(parser, name)
    if options.blocks < 2 or options.reps < 2:
        parser.error("--blocks and --reps are at least 2: one block gives no interval")
    options.heapmark = os.path.abspath(os.environ.get("HEAPMARK") or HERE / "build" / "heapmark")
    if not os.access(options.heapmark, os.X_OK):
        parser.error(f"'{options.heapmark}' is not built; build it, or set HEAPMARK")
    if not shutil.which("gcc"):
        parser.error("gcc is not installed: apt-get install gcc")
    for out in options.again:
        if not (out / "runs.csv").is_file():
            parser.error(f"'{out}' has no runs.csv; give the --out of an earlier run")
    if not options.again and options.out.exists():
        parser.error(f"'{options.out}' exists; give another --out")
    return options


def check_program(parser, name):
    if name not in PROGRAMS:
        parser.error(f"no program '{name}'" + (nearest(name, PROGRAMS)
                     or f"; there are {', '.join(PROGRAMS)}"))  # fmt: skip
    program = PROGRAMS[name]
    if not program.is_installed:
        parser.error(f"{program.executable} is not installed: apt-get install {program.package}")


def measure_all(options):
    options.out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        launcher = build_launcher(directory)
        measured = [measure(options, name, directory, launcher) for name in options.programs]
    write_runs(options.out / "runs.csv", measured)


def main():
    options = parse()
    try:
        outs = options.again or [options.out]
        if not options.again:
            measure_all(options)
        measured = read_all(outs)
        text = document(measured)
        (outs[0] / "validation.md").write_text(text, encoding="utf-8")
        write_pairs(outs[0] / "pairs.csv", measured)
        if options.document:
            replace_between_markers(options.document, text)
    except Failure as failure:
        progress(str(failure))
        return EXIT_FAILED
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
