#!/usr/bin/env python3
"""What recording costs: programs plain, recorded and under heaptrack, in turn.

    scripts/bench_record.py [--pairs N] [--only NAME,...] [--no-heaptrack] [--heapmark FILE]

Each round runs every variant once, in an order that changes from round to round. Times are of whole
commands, finishing included. Needs sqlite3, lua5.4, gcc and python3; heaptrack if it is installed.
Run it on a machine that does nothing else.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from programs import PROGRAMS

WIDTH = 11  # of a column
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Of the programs in scripts/programs.
SIZES = {"sqlite3": (20000, 120000), "lua": (300000, 5000, 60000), "python3": (15000, 3)}

LOOP = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
enum { PAIRS = 4000000 };
static pthread_barrier_t barrier;
static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static void *loop(void *argument)
{
    if (argument != NULL)
        pthread_barrier_wait(&barrier);
    for (long i = 0; i < PAIRS; i++) {
        void *volatile block = malloc(16 + i % 64);
        free(block);
    }
    return argument;
}
int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    pthread_t ids[64];
    setvbuf(stdout, NULL, _IONBF, 0);
    pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
    for (int i = 0; i < threads; i++)
        pthread_create(&ids[i], NULL, loop, &barrier);
    pthread_barrier_wait(&barrier);
    double start = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    if (threads == 0)
        loop(NULL);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    printf("%.9f %.9f\n", now(CLOCK_MONOTONIC) - start, cpu);
    return 0;
}
"""


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def prepare(directory):
    """The programs by name: argument lists."""
    programs = {os.path.basename(PROGRAMS[name].executable): PROGRAMS[name].command(*sizes)
                for name, sizes in SIZES.items() if PROGRAMS[name].is_installed}
    source = os.path.join(HERE, "workloads", "trace", "recording.c")
    unit = os.path.join(directory, "unit.i")
    subprocess.run(["gcc", "-E", "-D_GNU_SOURCE", "-I", HERE, "-I", os.path.join(HERE, "harness"), source,
                    "-o", unit], check=True)
    compiler = subprocess.run(["gcc", "-print-prog-name=cc1"], check=True, text=True, capture_output=True)
    programs["cc1"] = [compiler.stdout.strip(), "-quiet", "-fpreprocessed", "-O2", "-std=gnu17", unit, "-o",
                       "/dev/null"]
    return {name: command for name, command in programs.items() if shutil.which(command[0])}


def timed(command, directory, environment):
    start = time.perf_counter()
    done = subprocess.run(command, cwd=directory, env=environment, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    elapsed = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"{' '.join(command[:4])}: status {done.returncode}: {done.stderr.strip()}")
    return elapsed, done


def events_of(said):
    match = re.search(r"'b\.hmt': (\d+) events, ([\d.]+) bytes", said)
    return (int(match[1]), float(match[2])) if match else (0, 0.0)


def quartiles(values):
    low, _, high = statistics.quantiles(values, n=4)
    return f"{low:.2f}-{high:.2f}"


def measure(name, command, arguments, directory):
    """One program's row."""
    environment = dict(os.environ, PYTHONMALLOC="malloc")
    variants = {"plain": command,
                "recorded": [arguments.heapmark, "record", "-o", "b.hmt", "--", *command]}
    if arguments.heaptrack:
        variants["heaptrack"] = ["heaptrack", "-o", os.path.join(directory, "ht"), *command]
    times = {variant: [] for variant in variants}
    events, bytes_each = 0, 0.0
    for turn in range(arguments.pairs):
        order = list(variants) if turn % 2 == 0 else list(reversed(variants))
        for variant in order:
            elapsed, done = timed(variants[variant], directory, environment)
            times[variant].append(elapsed)
            if variant == "recorded":
                events, bytes_each = events_of(done.stderr)
    plain, recorded = statistics.median(times["plain"]), statistics.median(times["recorded"])
    pairs = [b / a for a, b in zip(times["plain"], times["recorded"])]
    row = [name, f"{events}", f"{plain * 1e3:.0f}", f"{recorded / plain:.3f}", f"{statistics.median(pairs):.3f}",
           quartiles(pairs), f"{min(times['recorded']) / min(times['plain']):.3f}",
           f"{(recorded - plain) * 1e9 / max(events, 1):.1f}", f"{bytes_each:.2f}"]
    if arguments.heaptrack:
        other = statistics.median(times["heaptrack"])
        row += [f"{other / plain:.2f}", f"{(recorded - plain) / (other - plain):.2f}"]
    return row


def measure_loop(arguments, directory):
    """A loop of malloc and free: nanoseconds an event in the program, and how two threads go."""
    source = write(os.path.join(directory, "loop.c"), LOOP)
    program = os.path.join(directory, "loop")
    subprocess.run(["gcc", "-O2", "-fno-builtin", "-pthread", "-o", program, source], check=True)
    times, cpu_times = {}, {}
    for turn in range(arguments.pairs):
        for threads in (0, 1, 2) if turn % 2 == 0 else (2, 1, 0):
            for recorded in (False, True):
                command = [program, str(threads)]
                if recorded:
                    command = [arguments.heapmark, "record", "-o", "b.hmt", "--", *command]
                _, done = timed(command, directory, None)
                elapsed, cpu = map(float, done.stdout.split())
                times.setdefault((threads, recorded), []).append(elapsed)
                cpu_times.setdefault((threads, recorded), []).append(cpu)
    events = 2 * 4000000
    print()
    for threads, where in ((0, "the only thread"), (1, "a second thread")):
        plain, recorded = times[threads, False], times[threads, True]
        added = [(b - a) * 1e9 / events for a, b in zip(plain, recorded)]
        print(f"loop of malloc and free in {where}: {statistics.median(added):.1f} ns an event in the program "
              f"(quartiles {quartiles(added)}, of minima {(min(recorded) - min(plain)) * 1e9 / events:.1f}; "
              f"plain call {statistics.median(plain) * 1e9 / events:.1f} ns)")
    for recorded, what in ((False, "plain"), (True, "recorded")):
        ratios = [2 * a / b for a, b in zip(times[1, recorded], times[2, recorded])]
        each = [statistics.median(cpu_times[threads, recorded]) * 1e9 / events / threads for threads in (1, 2)]
        print(f"two threads, {what}: {statistics.median(ratios):.2f} times the throughput of one "
              f"(quartiles {quartiles(ratios)}); the program's CPU time for each call {each[0]:.1f} ns with one "
              f"thread, {each[1]:.1f} ns with two")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--only", default="sqlite3,lua5.4,cc1,python3,loop", help="which, by commas")
    parser.add_argument("--no-heaptrack", dest="heaptrack", action="store_false")
    parser.add_argument("--heapmark", default=os.path.join(HERE, "build", "heapmark"))
    arguments = parser.parse_args()
    if arguments.pairs < 2:
        parser.error("--pairs is at least 2")
    if not os.access(arguments.heapmark, os.X_OK):
        parser.error(f"'{arguments.heapmark}' is not built; see --heapmark")
    arguments.heapmark = os.path.abspath(arguments.heapmark)
    arguments.heaptrack = arguments.heaptrack and shutil.which("heaptrack") is not None
    return arguments


def main():
    arguments = parse()
    wanted = arguments.only.split(",")
    header = ["program", "events", "plain ms", "ratio", "pairs", "quartiles", "minima", "ns/event", "bytes/event"]
    if arguments.heaptrack:
        header += ["heaptrack", "share of it"]
    with tempfile.TemporaryDirectory() as directory:
        print("  ".join(cell.rjust(WIDTH) for cell in header))
        for name, command in prepare(directory).items():
            if name in wanted:
                row = measure(name, command, arguments, directory)
                print("  ".join(cell.rjust(WIDTH) for cell in row), flush=True)
        if "loop" in wanted:
            measure_loop(arguments, directory)


if __name__ == "__main__":
    main()
