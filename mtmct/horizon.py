"""Feet that stand nowhere: at or above the horizon that a camera's homography says. Counted, and not placed."""

from __future__ import annotations

import numpy as np

from mtmct.arrivals import Placed
from mtmct.records import DEADLETTER, Record
from mtmct.topology import Topology


def beyond_horizon(placed: Placed, topology: Topology, site: str) -> list[Record]:
    """A dead letter for each tracklet of a calibrated camera with feet at or above the horizon.

    Their boxes are published all the same, without a place on the ground; fusion does without their positions.
    """
    arrivals = placed.arrivals
    if not len(arrivals):
        return []
    lengths = arrivals.lengths
    nowhere = np.add.reduceat(np.isnan(placed.ground[:, 0]), arrivals.heads, dtype=np.int64)
    letters = []
    for row in np.flatnonzero(nowhere).tolist():
        tracklet = arrivals[row]
        if not topology.calibrated(tracklet.camera):
            continue
        start, end = int(tracklet.times_ns[0]) // 1000, int(tracklet.times_ns[-1]) // 1000
        value = {
            "schema": "crosscam.deadletter/1",
            "site": site,
            "camera": tracklet.camera,
            "time": start,
            "reason": "beyond_horizon",
            "detail": (
                f"track {tracklet.track} of camera {tracklet.camera}: {nowhere[row]} of {lengths[row]} boxes have "
                "their feet at or above the horizon of the camera's homography and no place on the ground; if people "
                "do stand there, calibrate the camera again"
            ),
            "payload": {"track": tracklet.track, "class": tracklet.cls, "start": start, "end": end},
        }
        letters.append(Record(DEADLETTER, tracklet.camera, value, int(tracklet.times_ns[0])))
    return letters
