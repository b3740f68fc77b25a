"""The command `heapmark gate`."""

import os
import sys
from pathlib import Path

from heapmark import ranges
from heapmark.errors import InputError
from heapmark.gate import allow, judge, limits, live, machine_text, sources, stored, text
from heapmark.gate.result import EXIT_CODES, Result
from heapmark.history import table


def command(options):
    """Returns the gate's exit code."""
    if options.turns is not None and not 2 <= options.turns <= 10000:
        raise InputError(f"--turns is {options.turns}; expected 2 to 10000")
    budget = ranges.duration(options.time_budget, "--time-budget")
    allowed = allow.read(Path(options.allow)) if options.allow else []
    limited = limits.parse(options.max_regress, options.limit, options.metrics)
    the_judge = judge.Judge(limited, allowed)
    check_outputs(options)
    try:
        outcome = sources.decide(options, budget, the_judge, say)
    except live.OutOfTime:
        write_documents(options, nothing_measured(options, budget))
        return EXIT_CODES[judge.OPEN]
    result = result_of(options, outcome, the_judge)
    write(options, result, outcome)
    return result.exit_code


def result_of(options, outcome, the_judge):
    return Result(
        verdict=judge.verdict(outcome.findings),
        base=outcome.pairing.base_label,
        head=outcome.pairing.head_label,
        findings=outcome.findings,
        blocks=outcome.blocks,
        looks=outcome.looks,
        seconds=outcome.seconds,
        notes=[
            *outcome.notes,
            *the_judge.unrepeatable(outcome.pairing),
            *the_judge.paced(outcome.pairing),
            *the_judge.unused(outcome.pairing),
            *undecided(outcome.findings),
        ],
        job=options.job if outcome.seconds else "",
        machine=str(outcome.pairing.machines[0].get("hostname", "")),
        run=outcome.run,
    )


def nothing_measured(options, budget):
    finding = judge.out_of_time(options.job, budget)
    return Result(judge.OPEN, options.base, options.head, [finding], 0, 0, budget, job=options.job)


def say(line):
    """Progress, for people: not part of the result."""
    print(f"gate: {line}", file=sys.stderr, flush=True)


def undecided(findings):
    """What keeps the gate from deciding, and what would help."""
    noisiest = judge.widest(findings)
    if noisiest is None or judge.verdict(findings) != judge.OPEN:
        return []
    noise = f"{100 * noisiest.spread:.1f} % from block to block"
    return [f"{noisiest.metric} of {noisiest.workload} is too noisy for its limit ({noise}): "
            "give more time, or a wider limit"]  # fmt: skip


def check_outputs(options):
    """Refuse before the measurement what could not be written after it."""
    names = [options.json, options.junit, options.markdown, options.history, options.save_baseline]
    for name in names:
        if name and name != "-" and not Path(name).absolute().parent.is_dir():
            raise InputError(f"cannot write '{name}': '{Path(name).parent}' is not a directory")
    if names[:3].count("-") > 1:
        raise InputError("only one of --json, --junit and --markdown can go to standard output")
    if options.save_baseline and options.base != sources.ANCHOR:
        raise InputError(f"--save-baseline is relative to '{sources.ANCHOR}'; give it as --base")
    if options.history:
        table.check(Path(options.history))


def write(options, result, outcome):
    write_documents(options, result)
    if options.history:
        table.append(Path(options.history), result, commit(options))
    if options.save_baseline:
        machine = outcome.pairing.machines[0]
        stored.write(options.save_baseline, stored.data_of(outcome.pairing, options.job, machine))


def write_documents(options, result):
    documents = {
        options.json: machine_text.as_json,
        options.junit: machine_text.junit,
        options.markdown: text.markdown,
    }
    if "-" not in documents:
        print(text.terminal_text(result), end="")
    for name, make in documents.items():
        if name == "-":
            print(make(result), end="")
        elif name:
            Path(name).write_text(make(result), encoding="utf-8")
    if options.github:
        print(text.github(result), end="")


def commit(options):
    """What the history calls this point: given, or the CI's, or git's, or nothing."""
    known = options.commit or os.environ.get("GITHUB_SHA") or os.environ.get("CI_COMMIT_SHA")
    return known or table.git_head()
