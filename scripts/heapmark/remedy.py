"""How many blocks may tell what a run's own could not, for those whom more of them help."""

import math

from heapmark.comparison import SAME_MARGIN, band

FEW = 8  # blocks that any advice asks for
MANY = 100  # whoever needs more than that had better look for the noise's cause


def words(estimates, noise):
    """"; --reps=24 may tell" for Estimates that no verdict was found of; "" where nothing helps."""
    wanted = [needed(one, noise) for one in estimates if one is not None and one.has_interval]
    wanted = [count for count in wanted if count <= MANY]
    return f"; --reps={max(wanted)} may tell" if wanted else ""


def needed(estimate, noise):
    """Blocks at which the interval leaves out 1, or lies within the band; intervals go by 1/sqrt(n)."""
    half = math.log(estimate.high / estimate.low) / 2
    size = abs(math.log(estimate.value))
    room = size if size > band(noise) else band(noise, SAME_MARGIN) - size
    if room <= 0:
        return math.inf
    grown = estimate.blocks * (half / room) ** 2
    # Intervals of a few blocks are far wider than that; and the same blocks would not do.
    return FEW if estimate.blocks < FEW else max(math.ceil(grown), estimate.blocks + FEW)
