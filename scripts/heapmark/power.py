"""What a run or a gate will be able to tell apart, said before it starts.

The noise of a workload is the robust standard deviation of one block's log ratio of an allocator to
itself, as it was measured; docs/statistics.md says where and how.
"""

import math

from scipy import stats

from heapmark import statistics
from heapmark.cells import FLOOR_WORKLOADS

POWER = 0.95  # how surely a difference is found that is called detectable
DOUBLE = 1.0  # a difference of 100 %; who cannot tell that from noise can tell nothing
BLOCKS_MIN = 8  # that are ever advised
MEDIAN_FACTOR = math.sqrt(math.pi / 2)  # the median's standard error over the mean's
# Workload: noise of the median of a block's turns, and of whole trials. Job `ci`, 60 blocks of one
# allocator against a copy of itself; the noisier one of several cells of a workload.
NOISE = {
    "batch": (0.0123, 0.0420),
    "larson": (0.0214, 0.0939),
    "pair": (0.0062, 0.0239),
    "prodcons": (0.0466, 0.2429),
    "replay": (0.0416, 0.0869),
    "sizemix": (0.0150, 0.0238),
}


def noise_of(workload, has_turns):
    """A workload's noise as a fraction; that of the noisiest one known where it is not."""
    column = 0 if has_turns else 1
    worst = max(noises[column] for noises in NOISE.values())
    return NOISE[workload][column] if workload in NOISE else worst


def detectable(noise, blocks, comparisons=1):
    """The smallest difference (0.02: 2 %) that so many blocks find with the chance POWER.

    `comparisons` share the 5 % of false alarms. Infinite for fewer than two blocks.
    """
    if blocks < 2:
        return math.inf
    level = (1 - statistics.CONFIDENCE) / (2 * max(1, comparisons))
    reach = stats.t.isf(level, blocks - 1) + stats.t.ppf(POWER, blocks - 1)
    return math.expm1(reach * MEDIAN_FACTOR * noise / math.sqrt(blocks))


def blocks_needed(workloads, has_turns):
    """The fewest that tell a time from its double in each of the workloads, BLOCKS_MIN at least."""
    noise = max(noise_of(name, has_turns) for name in workloads)
    blocks = BLOCKS_MIN
    while detectable(noise, blocks, len(workloads)) > DOUBLE:
        blocks += 1
    return blocks


def line(workloads, blocks, has_turns=False):
    """The sentence for people: the range over the workloads; `workloads` may repeat.

    Empty where none of them will be compared.
    """
    workloads = [name for name in workloads if name not in FLOOR_WORKLOADS]
    if not workloads:
        return ""
    found = {
        name: detectable(noise_of(name, has_turns), blocks, len(workloads))
        for name in dict.fromkeys(workloads)
    }
    told = {name: change for name, change in found.items() if change <= DOUBLE}
    advice = f"use --reps={blocks_needed(workloads, has_turns)} or more"
    if blocks < 2:
        return f"one block cannot tell any difference from noise; {advice}"
    if not told:
        return f"{blocks} blocks are too few to tell a time from its double; {advice}"
    best, worst = min(told, key=told.get), max(told, key=told.get)
    span = percent(told[worst])
    if len(found) > 1:
        span = f"{span} in {worst}"
    if best != worst:
        span = f"{percent(told[best])} in {best} to {span}"
    lost = ", ".join(name for name in found if name not in told)
    return (
        f"{blocks} blocks will tell times apart that differ by {span} or more, "
        "on a machine as noisy as the one that noise was measured on"
        + (f"; they are too few for {lost}: {advice}" if lost else "")
    )


def percent(value):
    return f"{100 * value:.1f} %"


def command(options):
    text = line(options.workload, options.blocks, options.turns > 0)
    if text:
        print(text)
