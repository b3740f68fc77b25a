"""Direct labels beside the marks of a plot, placed so that none covers a mark or another label."""

import numpy as np
from matplotlib.transforms import Bbox

MARK_POINTS = 8  # half the side of the square that a mark needs
BAR_POINTS = 1.5
NEAR, FAR = 9, 44  # offsets tried, in points
LEADER_POINTS = 18  # a label further from its mark than this is tied to it by a line
DIRECTIONS = ((1, 0.35), (1, -0.9), (-1, 0.35), (-1, -0.9), (0, 1), (0, -1), (1, 1), (-1, -1.6))


def place_labels(axes, texts, places, bars):
    """Write each (text, bold) beside its place (x, y in data units).

    `bars` are lines ((x0, x1), (y0, y1)) that labels keep off. Greedy, in the order given: the
    nearest free position wins; where none is free, the one that covers least. Deterministic.
    """
    renderer = axes.figure.canvas.get_renderer()
    scale = axes.figure.dpi / 72
    centres = axes.transData.transform(places)
    taken = [square(centre, MARK_POINTS * scale) for centre in centres]
    taken += [line_box(axes, bar, BAR_POINTS * scale) for bar in bars]
    for (text, bold), place, centre in zip(texts, places, centres):
        label = axes.annotate(
            text, place, (0, 0), textcoords="offset points", size=10,
            weight="bold" if bold else "normal", zorder=6, annotation_clip=False,
        )  # fmt: skip
        extent = label.get_window_extent(renderer)
        size = extent.width / scale, extent.height / scale
        boxes = {offset: box(centre, offset, size, scale) for offset in offsets(size)}
        offset = min(boxes, key=lambda offset: cost(axes, centre, boxes[offset], scale, taken))
        label.set_position(offset)
        taken.append(boxes[offset])
        if gap(centre, taken[-1]) > LEADER_POINTS * scale:
            leader(axes, place, centre, taken[-1])


def square(centre, half):
    return Bbox([centre - half, centre + half])


def line_box(axes, bar, half):
    ends = axes.transData.transform(list(zip(*bar)))
    return Bbox([ends.min(axis=0) - half, ends.max(axis=0) + half])


def offsets(size):
    """Positions of a label's lower left corner relative to the mark, in points, nearest first."""
    width, height = size
    for distance in range(NEAR, FAR, 5):
        for x, y in DIRECTIONS:
            left = distance if x > 0 else -distance - width if x < 0 else -width / 2
            beside = -height / 2
            above_or_below = distance * y - (height if y < 0 else 0)
            yield left, beside if abs(y) < 0.5 else above_or_below


def box(centre, offset, size, scale):
    low = centre + [offset[0] * scale, offset[1] * scale]
    return Bbox([low, low + [size[0] * scale, size[1] * scale]])


def cost(axes, centre, label, scale, taken):
    """(area covered or outside, distance): what a position costs, to be compared as a pair."""
    covered = overlaps(label, taken).sum()
    outside = label.width * label.height - overlaps(label, [axes.bbox]).sum()
    return round(covered + outside), round(gap(centre, label) / scale)


def nearest_point(centre, label):
    return np.clip(centre, label.min, label.max)


def gap(centre, label):
    """From a mark to the nearest point of a label, in pixels."""
    return float(np.hypot(*(centre - nearest_point(centre, label))))


def overlaps(label, others):
    """The area that a box shares with each of the others."""
    corners = np.array([other.extents for other in others])
    low = np.maximum(corners[:, :2], label.min)
    high = np.minimum(corners[:, 2:], label.max)
    return np.clip(high - low, 0, None).prod(axis=1)


def leader(axes, place, centre, label):
    """A thin line from a mark to a label that had to move away from it."""
    end = axes.transData.inverted().transform(nearest_point(centre, label))
    axes.plot([place[0], end[0]], [place[1], end[1]], color="#888888", lw=0.8, zorder=2)
