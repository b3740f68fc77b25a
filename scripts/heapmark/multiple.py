"""Many comparisons at once: chances corrected for their number."""

import math

import numpy as np


def holm(p_values):
    """Holm's adjusted p values, in the order given; NaN (nothing tested) stays NaN and counts not.

    A value at or below a level is significant at that level among all of them together.
    """
    p_values = np.asarray(p_values, dtype=float)
    order = np.argsort(p_values)
    order = order[~np.isnan(p_values[order])]
    factors = np.arange(order.size, 0, -1)
    adjusted = np.full(p_values.size, math.nan)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(factors * p_values[order]))
    return adjusted
