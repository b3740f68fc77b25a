"""How true replays were to the recorded program, and what the recordings themselves lack."""

import os

from heapmark.cells import short_value

LIVE_DRIFT = "replay_live_drift_ppm"
LIVE_DRIFT_PERCENT_MAX = 10  # beyond, the replay's memory is not the program's
ORDER_DRIFT_PERCENT_MAX = 25  # half of what chance would give
WORKING_MIN = 0.5  # players at work on average; with fewer, nobody is for most of the time
HALF_SEEN_SHARE_MAX = 0.01  # objects an event; a signal handler or two leave less
ORDER_DRIFT, WAIT = "replay_order_drift_ppm", "replay_wait_ppm"
COLUMNS = {
    LIVE_DRIFT: "live bytes off by",
    ORDER_DRIFT: "order across threads off in",
    WAIT: "time spent waiting",
}

# What a flag of a recording means for the answer; the harness sets them, see docs/replay.md.
RECORDING = {
    "trace-sampled": "one object in {} was recorded, and the rest of the heap is missing: the "
    "answer is for a heap of that share, and memory, which hardly scales, decides nothing",
    "trace-cut": "the trace is a piece of a longer one: the answer is for that piece of the run",
    "trace-truncated": "the recording stopped early, at a full disk or its size limit: what the "
    "program did later, its peak perhaps, is not in the answer",
    "trace-partial": "recording began or ended while the program ran: the answer is for the part "
    "between",
    "trace-crashed": "the program ended by a signal while it was recorded: the answer is for what "
    "it did until then",
    "trace-forked": "children of the program called the allocator and were not recorded: the "
    "answer is for the parent alone",
    "trace-replaced": "the program became another one by exec: the answer is for what it did "
    "before",
    "trace-lacks-times": "the recording has no times, or coarse ones: mode=paced cannot be true "
    "to it",
    "trace-lacks-threads": "the recording does not tell threads apart: one makes all calls, and "
    "contention is not in the answer",
    "trace-lacks-calls": "the recording does not tell which function allocated: calloc and "
    "aligned calls are made as malloc",
    "trace-lacks-reallocs": "the recording has no realloc: each is made as a free and a malloc",
    "trace-lacks-identity": "the recording does not tell which of several equal objects was "
    "freed: the youngest is",
}


def live_drift(run):
    """How far the worst replay's live bytes strayed, in percent of the recorded peak; or 0."""
    ok = run.ok
    if LIVE_DRIFT not in ok or not ok[LIVE_DRIFT].notna().any():
        return 0.0
    return float(ok[LIVE_DRIFT].max()) / 1e4


def is_untrue(run):
    return live_drift(run) > LIVE_DRIFT_PERCENT_MAX


def hand_overs(run):
    """(order drift, waiting) in percent of a replay whose time is mostly that of scheduling, or None.

    Medians of its trials. Waiting alone is none: of three players of which one does all the work, two
    wait, and the time is the calls' nevertheless.
    """
    rows = unpaced(run.ok)
    if not {ORDER_DRIFT, WAIT} <= set(rows):
        return None
    for cell, part in rows.groupby("cell", sort=False):
        order, wait = (median_percent(part[column]) for column in (ORDER_DRIFT, WAIT))
        working = cell.threads * (1 - wait / 100)
        if cell.threads > 1 and (order >= ORDER_DRIFT_PERCENT_MAX or working < WORKING_MIN):
            return order, wait
    return None


def median_percent(ppm):
    """0 where no row has the figure."""
    ppm = ppm.dropna()
    return float(ppm.median()) / 1e4 if len(ppm) else 0.0


def unpaced(trials):
    """Those whose players do not wait for the recording's pace."""
    return trials[~trials["cell"].map(lambda cell: cell.is_paced).astype(bool)]


def recording_flags(run):
    """{flag: its value, "" for most} of the trials' trace-* flags, in the order of RECORDING."""
    ok = run.ok
    words = " ".join(ok["flags"].dropna().unique()).split() if "flags" in ok else []
    found = dict(sorted(word.partition("=")[::2] for word in words))
    return {flag: found[flag] for flag in RECORDING if flag in found}


def is_sampled(run):
    return "trace-sampled" in recording_flags(run)


def of_recording(run):
    """A sentence for each thing that the recording itself lacks."""
    said = [
        RECORDING[flag].format(value.removeprefix("1/"))
        + (successors(run) if flag == "trace-replaced" else "")
        + f" ({flag}{'=' * bool(value)}{value})"
        for flag, value in recording_flags(run).items()
    ]
    return said + half_seen(run)


def successors(run):
    """Which traces are of what programs became by exec, where they lie beside the replayed ones."""
    paths = [short_path(one["successor"]) for one in run.env["traces"] if one["successor"]]
    return f"; what it became has the trace {' and '.join(map(repr, paths))}" if paths else ""


def short_path(path):
    """As seen from this directory, where it lies in it."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def half_seen(run):
    """A sentence for each recording past which calls went in numbers."""
    return [
        f"the recorder saw only one end of {one['half_seen']:,} objects, the allocation or the "
        f"free, beside {one['events']:,} events: the program may be a forked child, which frees "
        "its parent's objects; or a library goes past every preloaded allocator (RTLD_DEEPBIND) "
        f"and may crash with another than the system's ({short_value(one['trace'])})"
        for one in run.env["traces"]
        if one["half_seen"] and one["half_seen"] > HALF_SEEN_SHARE_MAX * one["events"]
    ]


def percent(share):
    """Two digits, but whole numbers from 100 on: "640 %" and not "6.4e+02 %"."""
    return f"{share:.2g} %" if share < 99.5 else f"{share:,.0f} %"


def of_replays(run):
    """The figures of a run, where it has them: the worst of all trials.

    Waiting is that for other players: paced ones wait for the pace, as they should.
    """
    worst = {}
    for column, said in COLUMNS.items():
        rows = unpaced(run.ok) if column == WAIT else run.ok
        if column in rows and rows[column].notna().any():
            worst[said] = float(rows[column].max()) / 1e4
    if not worst:
        return ""
    return "fidelity, the worst of all replays: " + ", ".join(
        f"{said} {percent(share)}" for said, share in worst.items()
    )
