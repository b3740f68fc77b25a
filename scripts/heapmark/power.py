"""What a run or a gate will be able to tell apart, said before it starts.

The noise of a workload is the robust standard deviation of one block's log ratio of an allocator to
itself, as it was measured; docs/statistics.md says where and how.
"""

import math

from scipy import stats

from heapmark import statistics

POWER = 0.95  # how surely a difference is found that is called detectable
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


def line(workloads, blocks, has_turns=False):
    """The sentence for people: the range over the workloads; `workloads` may repeat."""
    found = {
        name: detectable(noise_of(name, has_turns), blocks, len(workloads))
        for name in dict.fromkeys(workloads)
    }
    best, worst = min(found, key=found.get), max(found, key=found.get)
    if math.isinf(found[worst]):
        return "one block cannot tell any difference from noise; use --reps=8 or more"
    span = percent(found[worst])
    if best != worst:
        span = f"{percent(found[best])} in {best} to {span} in {worst}"
    return (
        f"{blocks} blocks will tell times apart that differ by {span} or more, "
        "on a machine as noisy as the one that noise was measured on"
    )


def percent(value):
    return f"{100 * value:.1f} %"


def command(options):
    print(line(options.workload, options.blocks, options.turns > 0))
