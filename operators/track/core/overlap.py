"""Pairs of tracks and detections that overlap, without looking at those that cannot."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.

from __future__ import annotations

import numpy as np

from operators.track.core.compilation import both_ways, loops_for
from operators.track.core.layout import BOX, DGROUP, DSCORE, GROUP
from operators.track.core.lists import two_lists
from operators.track.core.types import Floats, Ints


def overlapping_pairs(
    floats: Floats, ints: Ints, rows: Ints, first: int, dets: Floats, labels: Ints, columns: Ints, plus: float
) -> tuple[Ints, Ints, Floats]:
    """Every pair of one group whose boxes intersect, with its intersection over union.

    Args:
        floats, ints: track arrays. rows: the tracks to look at. first: row of floats where their corner boxes begin.
        dets, labels: detection arrays. columns: the detections to look at.
        plus: pixels added to every width and height (1 in ByteTrack's and its relatives' IoU, else 0).

    Returns:
        (P,) positions in `rows`, (P,) positions in `columns`, (P,) IoU; by row, then roughly by left edge.
    """
    if len(rows) == 0 or len(columns) == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    left = dets[0, columns]
    lowest, highest, m = left.min(), left.max(), len(columns)
    per_bin = m / (highest - lowest) if highest > lowest else 0.0
    order = np.argsort(np.minimum(((left - lowest) * per_bin).astype(np.int64), m - 1), kind="stable")
    x1, y1, x2, y2 = dets[0:4, columns[order]]
    tx1, ty1, tx2, ty2 = floats[first : first + 4, rows][:, :, None]
    width = np.minimum(tx2, x2) - np.maximum(tx1, x1) + plus
    height = np.minimum(ty2, y2) - np.maximum(ty1, y1) + plus
    same = ints[GROUP, rows][:, None] == labels[DGROUP, columns[order]][None, :]
    a, b = np.nonzero((width > 0) & (height > 0) & same)
    common = width[a, b] * height[a, b]
    tx1, ty1, tx2, ty2 = floats[first : first + 4, rows[a]]
    track_area = (tx2 - tx1 + plus) * (ty2 - ty1 + plus)
    area = (x2[b] - x1[b] + plus) * (y2[b] - y1[b] + plus)
    return a.astype(np.int64), order[b].astype(np.int64), common / (track_area + area - common)


@loops_for(overlapping_pairs)
def _overlapping_pairs(floats, ints, rows, first, dets, labels, columns, plus):
    n, m = len(rows), len(columns)
    if n == 0 or m == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    # The detections in bins by left edge, so that each track meets only those that begin left of its right edge and,
    # by the widest detection, not too far left of its own.
    lowest = highest = dets[0, columns[0]]
    widest = 0.0
    for j in range(m):
        edge = dets[0, columns[j]]
        lowest, highest = min(lowest, edge), max(highest, edge)
        widest = max(widest, dets[2, columns[j]] - edge)
    per_bin = m / (highest - lowest) if highest > lowest else 0.0
    bins: Ints = np.zeros(m + 1, np.int64)
    bin_of, order = two_lists(m)
    for j in range(m):
        bin_of[j] = np.int64(min((dets[0, columns[j]] - lowest) * per_bin, m - 1.0))
        bins[bin_of[j] + 1] += 1
    for k in range(m):
        bins[k + 1] += bins[k]
    box = np.empty((6, m))
    for j in range(m):
        place = bins[bin_of[j]]
        bins[bin_of[j]] += 1  # now the end of the bin, and the start of the next
        order[place] = j
        d = columns[j]
        for i in range(4):
            box[i, place] = dets[i, d]
        box[4, place] = (dets[2, d] - dets[0, d] + plus) * (dets[3, d] - dets[1, d] + plus)
    low, high = two_lists(n)
    most = 0
    for i in range(n):
        t = rows[i]
        tx1, tx2 = floats[first, t], floats[first + 2, t]
        low[i] = high[i] = 0
        if tx1 <= tx2 and tx2 + plus >= lowest:
            from_bin = min(max((tx1 - widest - plus - lowest) * per_bin, 0.0), m - 1.0)
            low[i] = bins[np.int64(from_bin) - 1] if from_bin >= 1.0 else 0
            high[i] = bins[np.int64(min((tx2 + plus - lowest) * per_bin, m - 1.0))]
            most += high[i] - low[i]
    a, b = two_lists(most)
    overlap = np.empty(most)
    count = 0
    for i in range(n):
        t = rows[i]
        tx1, ty1, tx2, ty2 = floats[first, t], floats[first + 1, t], floats[first + 2, t], floats[first + 3, t]
        start, end = np.uint64(low[i]), np.uint64(high[i])  # unsigned, so that no index can count from the end
        for k in range(start, end):  # no branches: this runs in vector registers
            x1, y1, x2, y2 = box[0, k], box[1, k], box[2, k], box[3, k]
            width = (tx2 if tx2 < x2 else x2) - (tx1 if tx1 > x1 else x1) + plus
            height = (ty2 if ty2 < y2 else y2) - (ty1 if ty1 > y1 else y1) + plus
            box[5, k] = (width if width > 0.0 else 0.0) * (height if height > 0.0 else 0.0)
        group = ints[GROUP, t]
        track_area = (tx2 - tx1 + plus) * (ty2 - ty1 + plus)
        for k in range(start, end):
            common = box[5, k]
            if common > 0.0 and group == labels[DGROUP, columns[order[k]]]:
                a[count], b[count] = i, order[k]
                overlap[count] = common / (track_area + box[4, k] - common)
                count += 1
    return a[:count], b[:count], overlap[:count]


def twins(floats: Floats, ints: Ints, kept: Ints, others: Ints, least: float, plus: float) -> tuple[Ints, Ints]:
    """Pairs of a track of `kept` and one of `others`, of one group, whose boxes overlap by more than `least` IoU."""
    ax1, ay1, ax2, ay2 = floats[BOX : BOX + 4, kept][:, :, None]
    bx1, by1, bx2, by2 = floats[BOX : BOX + 4, others][:, None, :]
    width = np.maximum(np.minimum(ax2, bx2) - np.maximum(ax1, bx1) + plus, 0.0)
    height = np.maximum(np.minimum(ay2, by2) - np.maximum(ay1, by1) + plus, 0.0)
    common = width * height
    area_a = (ax2 - ax1 + plus) * (ay2 - ay1 + plus)
    area_b = (bx2 - bx1 + plus) * (by2 - by1 + plus)
    same = ints[GROUP, kept][:, None] == ints[GROUP, others][None, :]
    a, b = np.nonzero((common > least * (area_a + area_b - common)) & same)
    return kept[a], others[b]


@loops_for(twins)
def _twins(floats, ints, kept, others, least, plus):
    a, b = two_lists(len(kept) * len(others))
    count = 0
    for i in range(len(others)):
        o = others[i]
        bx1, by1, bx2, by2 = floats[BOX, o], floats[BOX + 1, o], floats[BOX + 2, o], floats[BOX + 3, o]
        area_b = (bx2 - bx1 + plus) * (by2 - by1 + plus)
        for j in range(len(kept)):
            k = kept[j]
            width = min(floats[BOX + 2, k], bx2) - max(floats[BOX, k], bx1) + plus
            if not width > 0:
                continue
            height = min(floats[BOX + 3, k], by2) - max(floats[BOX + 1, k], by1) + plus
            if not height > 0 or ints[GROUP, k] != ints[GROUP, o]:
                continue
            common = width * height
            area_a = (floats[BOX + 2, k] - floats[BOX, k] + plus) * (floats[BOX + 3, k] - floats[BOX + 1, k] + plus)
            if common > least * (area_a + area_b - common):
                a[count], b[count] = k, o
                count += 1
    return a[:count], b[:count]


@both_ways
def gains(overlap: Floats, dets: Floats, columns: Ints, b: Ints, fuse: float, most: float) -> Floats:
    """What each overlapping pair is worth beside the largest cost `most` of 1 - IoU.

    With `fuse` > 0 IoU is multiplied by the detection's score (ByteTrack's fused score).
    """
    result = np.empty(len(b))
    for k in range(len(b)):
        value = overlap[k] * dets[DSCORE, columns[b[k]]] if fuse > 0 else overlap[k]
        result[k] = value - (1.0 - most)
    return result


@both_ways
def by_score(dets: Floats, high: float, low: float) -> tuple[Ints, Ints]:
    """The sure detections, above `high`, and the doubtful ones, above `low` and below `high`."""
    m = dets.shape[1]
    sure, doubtful = two_lists(m)
    n = k = 0
    for d in range(m):
        score = dets[DSCORE, d]
        if score > high:
            sure[n] = d
            n += 1
        elif score > low and score < high:
            doubtful[k] = d
            k += 1
    return sure[:n], doubtful[:k]


@both_ways
def from_score(dets: Floats, least: float) -> Ints:
    """The detections that have at least the score `least`."""
    chosen = np.empty(dets.shape[1], np.int64)
    n = 0
    for d in range(dets.shape[1]):
        if dets[DSCORE, d] >= least:
            chosen[n] = d
            n += 1
    return chosen[:n]
