"""What the harness itself costs: figures of the bump allocator, which frees nothing.

They stand on lines of their own and never enter a ranking.
"""

from heapmark import load, statistics
from heapmark.cells import FLOOR_ALLOCATOR, short_value

OPS_PER_PAIR = 2  # a malloc and its free


def lines(run):
    """The floor's lines, as many as the run has cells for."""
    ok = run.ok[run.ok["allocator"] == FLOOR_ALLOCATOR]
    parts = [part for _, part in ok.groupby("label")]  # its variants are not to be mixed
    lines = [line for part in parts for line in pair_lines(part)]
    return lines + [line for part in parts for line in replay_lines(part, run.ok)]


def ns_per_op(trials):
    """Nanoseconds an allocator call takes its thread, one a block."""
    trials = trials.set_index("block")
    return trials["wall_ns"] * trials["threads"] / trials["ops"]


def cells_of(trials, workload):
    trials = trials[trials["workload"] == workload]
    return {cell: trials[trials["cell"] == cell] for cell in load.cells_of(trials)}


def pair_lines(ok):
    by_hand = {conditions(cell): part for cell, part in cells_of(ok, "byhand").items()}
    result = []
    for cell, pair in cells_of(ok, "pair").items():
        hand = by_hand.get(conditions(cell))
        if hand is not None:
            result.append(pair_line(cell, ns_per_op(pair), ns_per_op(hand)))
    return result


def conditions(cell):
    return cell.param("size"), cell.threads, cell.placement, cell.mempolicy


def pair_line(cell, pair, hand):
    added = statistics.location((pair - hand) * OPS_PER_PAIR)
    where = f" ({cell.threads} threads)" if cell.threads > 1 else ""
    line = (
        f"pair over null {pair.median() * OPS_PER_PAIR:.1f} ns per malloc/free pair{where}, "
        f"by hand {hand.median() * OPS_PER_PAIR:.1f} ns"
    )
    if added is None:
        return line
    if not added.has_interval:
        return f"{line}: the harness adds {added.value:.1f} ns"
    interval = f"[{added.low:.1f}, {added.high:.1f}]"
    if added.low <= 0 <= added.high:
        return f"{line}: what the harness adds cannot be told {interval}"
    return f"{line}: the harness adds {added.value:.1f} ns {interval}"


def replay_lines(ok, all_ok):
    return [
        f"replay over null {ns_per_op(part).median():.1f} ns per event"
        + f" ({short_value(cell.param('trace') or cell.params)})"
        + no_floor(part, all_ok[all_ok["cell"] == cell])
        for cell, part in cells_of(ok, "replay").items()
    ]


def no_floor(part, everybody):
    """Why the figure is not below all others, where it is not."""
    others = [ns_per_op(one).median() for _, one in everybody.groupby("label")]
    if ns_per_op(part).median() <= min(others):
        return ""
    return ", no floor here: null touches new pages all the time, since it uses none again"
