"""Boxes as motion states and back, and the reading of a frame's detections."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return, unused-ignore"
# The bodies for compiled code carry no types: numba infers them.

from __future__ import annotations

from typing import Any

import numpy as np

from operators.track.core.arguments import arrays_of
from operators.track.core.compilation import both_ways, loops_for
from operators.track.core.layout import (
    BAD_CLASS,
    BAD_SCORE,
    BOX,
    DBOX,
    DCLASS,
    DGROUP,
    DPOS,
    DROW,
    DSCORE,
    NO_AREA,
    NOT_FINITE,
    POS,
    REJECTED,
)
from operators.track.core.types import Floats, Ints

# What the four positions of a motion state are.
XYAH = 0  # centre x, centre y, width / height, height (DeepSORT, ByteTrack)
XYWH = 1  # centre x, centre y, width, height (BoT-SORT)
XYSR = 2  # centre x, centre y, area, width / height (SORT, OC-SORT)

# A box may not reach further than this: beyond it, float32 pixels no longer tell neighbours apart.
FARTHEST = 1e6

# Class indices end here: below it, a float32 holds them exactly.
MOST_CLASSES = 1 << 20


def read_detections(tracks: Any, given: Floats, groups: Ints, form: int, counters: Ints) -> tuple[Floats, Ints]:
    """The usable detections as columns of dets and labels; the others are counted by reason.

    Args:
        tracks: what `arguments.hand_over` made; it has the room for them, until the next frame.
        given: (N, 6) float64 rows x1 y1 x2 y2 score class; or (N, 5), all of class 0. They are taken as float32, as
            the records have them, so that it makes no difference which way they came.
        groups: (K,) int64, the association group of class k; later classes are a group of their own.
        form: what the four positions are. counters: the tracker's.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        narrow = given.astype(np.float32)
        boxes, scores = narrow[:, :4], narrow[:, 4]
        kinds = narrow[:, 5] if given.shape[1] > 5 else np.zeros(len(given), np.float32)
        finite = (np.abs(boxes) <= FARTHEST).all(axis=1)
        area = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        fair = (scores >= 0.0) & (scores <= 1.0)
        known = (kinds >= 0) & (kinds < MOST_CLASSES)
    counters[REJECTED + NOT_FINITE] += np.count_nonzero(~finite)
    counters[REJECTED + NO_AREA] += np.count_nonzero(finite & ~area)
    counters[REJECTED + BAD_SCORE] += np.count_nonzero(finite & area & ~fair)
    counters[REJECTED + BAD_CLASS] += np.count_nonzero(finite & area & fair & ~known)
    rows = np.flatnonzero(finite & area & fair & known)
    room, label_room = arrays_of(tracks)[6:]
    dets, labels = room[:, : len(rows)], label_room[:, : len(rows)]
    dets[DBOX : DBOX + 4] = boxes[rows].T
    dets[DSCORE] = scores[rows]
    labels[DROW] = rows
    labels[DCLASS] = kinds[rows]
    labels[DGROUP] = labels[DCLASS] + len(groups)
    grouped = labels[DCLASS] < len(groups)
    labels[DGROUP, grouped] = groups[labels[DCLASS, grouped]]
    width, height = dets[2] - dets[0], dets[3] - dets[1]
    dets[DPOS], dets[DPOS + 1] = dets[0] + width / 2, dets[1] + height / 2
    if form == XYAH:
        dets[DPOS + 2], dets[DPOS + 3] = width / height, height
    elif form == XYWH:
        dets[DPOS + 2], dets[DPOS + 3] = width, height
    else:
        dets[DPOS + 2], dets[DPOS + 3] = width * height, width / height
    return dets, labels


@loops_for(read_detections)
def _read_detections(tracks, given, groups, form, counters):
    n = len(given)
    classed = given.shape[1] > 5
    dets, labels = arrays_of(tracks)[6:]
    m = 0
    for i in range(n):
        x1, y1 = np.float64(np.float32(given[i, 0])), np.float64(np.float32(given[i, 1]))
        x2, y2 = np.float64(np.float32(given[i, 2])), np.float64(np.float32(given[i, 3]))
        score = np.float64(np.float32(given[i, 4]))
        kind = np.float64(np.float32(given[i, 5])) if classed else 0.0
        if not (abs(x1) <= FARTHEST and abs(y1) <= FARTHEST and abs(x2) <= FARTHEST and abs(y2) <= FARTHEST):
            counters[REJECTED + NOT_FINITE] += 1
            continue
        if not (x2 > x1 and y2 > y1):
            counters[REJECTED + NO_AREA] += 1
            continue
        if not (score >= 0.0 and score <= 1.0):
            counters[REJECTED + BAD_SCORE] += 1
            continue
        if not (kind >= 0.0 and kind < MOST_CLASSES):
            counters[REJECTED + BAD_CLASS] += 1
            continue
        label = np.int64(kind)
        width, height = x2 - x1, y2 - y1
        dets[0, m], dets[1, m], dets[2, m], dets[3, m] = x1, y1, x2, y2
        dets[DPOS, m], dets[DPOS + 1, m] = x1 + width / 2, y1 + height / 2
        if form == XYAH:
            dets[DPOS + 2, m], dets[DPOS + 3, m] = width / height, height
        elif form == XYWH:
            dets[DPOS + 2, m], dets[DPOS + 3, m] = width, height
        else:
            dets[DPOS + 2, m], dets[DPOS + 3, m] = width * height, width / height
        dets[DSCORE, m] = score
        labels[DROW, m] = i
        labels[DCLASS, m] = label
        labels[DGROUP, m] = groups[label] if label < len(groups) else label + len(groups)
        m += 1
    return dets[:, :m], labels[:, :m]


def place_boxes(floats: Floats, rows: Ints, form: int) -> None:
    """Writes the corner boxes of `rows` from their motion states."""
    x, y, third, fourth = floats[POS, rows], floats[POS + 1, rows], floats[POS + 2, rows], floats[POS + 3, rows]
    if form == XYAH:
        width, height = third * fourth, fourth
    elif form == XYWH:
        width, height = third, fourth
    else:
        width = np.sqrt(np.maximum(third * fourth, 0.0))
        height = third / width
    floats[BOX, rows], floats[BOX + 1, rows] = x - width / 2, y - height / 2
    floats[BOX + 2, rows], floats[BOX + 3, rows] = x + width / 2, y + height / 2


@loops_for(place_boxes)
def _place_boxes(floats, rows, form):
    for k in range(len(rows)):
        _place_box(floats, rows[k], form)


@both_ways
def _place_box(floats, t, form):
    x, y, third, fourth = floats[POS, t], floats[POS + 1, t], floats[POS + 2, t], floats[POS + 3, t]
    if form == XYAH:
        width, height = third * fourth, fourth
    elif form == XYWH:
        width, height = third, fourth
    else:
        width = np.sqrt(max(third * fourth, 0.0))
        height = third / width
    floats[BOX, t], floats[BOX + 1, t] = x - width / 2, y - height / 2
    floats[BOX + 2, t], floats[BOX + 3, t] = x + width / 2, y + height / 2
