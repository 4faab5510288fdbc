"""Fusion on cmc1: four overlapping cameras, real Faster-RCNN boxes, our tracker, three people, truth in metres.

Scored on the ground: a frame's identities stand where their foot points of that frame are on average over the
cameras, and count as found within a metre of the truth. `detector` says how much of the boxes that can reach:
their precision at a metre, and the share of the true positions that some box is near. Half of the boxes are on
onlookers, furniture and parts of bodies that the truth does not count; `--floor` leaves out those whose feet stand
outside of the floor that the data's authors follow people on (their own programs' bounds; a site's `floor:`).

python tests/benchmarks/fusion_cmc1.py [--floor] [--tracker steady] [--at-least 1]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping

import numpy as np
from fusion_support import DATA, CameraTable, fuse, tracked
from scipy.optimize import linear_sum_assignment

from mtmct.floor import Floor
from mtmct.fusion import FusionEngine
from mtmct.mot_text import Boxes
from mtmct.topology import CameraGeometry, Topology

FOLDER = DATA / "cmc1"
FPS = 4.0  # by the data's own description
FLOOR = ((2.03, 0.0), (6.3, 0.0), (6.3, 3.41), (2.03, 3.41))  # metres: bounds of the state space in the authors' code
SIZE = (1920, 1024)
CAMERAS = ("cam1", "cam2", "cam3", "cam4")


def homography(camera: str) -> np.ndarray:
    """From pixels to metres on the floor: the projection of the plane z = 0, turned round."""
    projection = np.loadtxt(FOLDER / f"P{camera[-1]}.txt")
    return np.linalg.inv(projection[:, [0, 1, 3]])


def on_the_floor(camera: str, boxes: np.ndarray) -> np.ndarray:
    """(N, 4) xyxy to (N, 2) metres."""
    feet = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3], np.ones(len(boxes))])
    places = homography(camera) @ feet
    return np.asarray((places[:2] / places[2]).T)


def tables(floor: Floor | None = None) -> dict[str, CameraTable]:
    """The detector's boxes, nobody's yet; only those that stand on `floor`."""
    made = {}
    for camera in CAMERAS:
        rows = np.loadtxt(FOLDER / f"det_{camera}.txt")
        boxes = np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1).astype(np.float32)
        if floor is not None:
            inside = floor.holds(on_the_floor(camera, boxes.astype(np.float64)))
            rows, boxes = rows[inside], boxes[inside]
        nobody = np.zeros(len(rows), np.int64)
        made[camera] = CameraTable(rows[:, 0].astype(np.int64), nobody, nobody, boxes, FPS)
    return made


def places_of(results: Mapping[str, Boxes], at_least: int) -> np.ndarray:
    """(N, 4): frame, identity, metres X and Y; identities that fewer than `at_least` cameras ever saw are left out."""
    rows = []
    for number, (camera, boxes) in enumerate(sorted(results.items())):
        corners = np.concatenate([boxes.xywh[:, :2], boxes.xywh[:, :2] + boxes.xywh[:, 2:]], axis=1)
        cameras = np.full(len(corners), number)
        rows.append(np.column_stack([boxes.frames, boxes.ids, on_the_floor(camera, corners), cameras]))
    everything = np.concatenate(rows)
    seen_by = {number: len(np.unique(everything[everything[:, 1] == number, 4])) for number in everything[:, 1]}
    everything = everything[[seen_by[number] >= at_least for number in everything[:, 1]]]
    keys, inverse = np.unique(everything[:, :2], axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    counts = np.bincount(inverse)
    means = [np.bincount(inverse, weights=everything[:, column]) / counts for column in (2, 3)]
    return np.column_stack([keys, *means])


def idf1(truth: np.ndarray, found: np.ndarray, gate: float = 1.0) -> dict[str, float]:
    """Identity measures (Ristani et al., 2016) with a distance gate, percent; rows as in `places_of`."""
    people, numbers = np.unique(truth[:, 1]), np.unique(found[:, 1])
    common = np.zeros((len(people), len(numbers)))
    for frame in np.unique(truth[:, 0]):
        real, said = truth[truth[:, 0] == frame], found[found[:, 0] == frame]
        apart = np.hypot(*(real[:, None, 2:] - said[None, :, 2:]).transpose(2, 0, 1))
        np.add.at(
            common,
            (np.searchsorted(people, real[:, 1])[:, None], np.searchsorted(numbers, said[:, 1])[None]),
            apart <= gate,
        )
    rows, columns = linear_sum_assignment(common, maximize=True)
    right = float(common[rows, columns].sum())
    return {
        "idf1": round(200 * right / (len(truth) + len(found)), 2),
        "idp": round(100 * right / max(len(found), 1), 2),
        "idr": round(100 * right / len(truth), 2),
    }


def detector(truth: np.ndarray, cameras: Mapping[str, CameraTable], gate: float = 1.0) -> dict[str, object]:
    """What the boxes themselves are worth on the ground."""
    near_a_person, reached = {}, np.zeros(len(truth), bool)
    for camera, table in cameras.items():
        floor = on_the_floor(camera, table.boxes.astype(np.float64))
        apart = np.hypot(*(floor[:, None] - truth[None, :, 2:]).transpose(2, 0, 1))
        close = (apart <= gate) & (table.frames[:, None] == truth[None, :, 0])
        near_a_person[camera] = round(100 * float(close.any(axis=1).mean()), 1)
        reached |= close.any(axis=0)
    boxes = sum(len(table.frames) for table in cameras.values())
    return {
        "boxes_a_true_position": round(boxes / len(truth), 2),
        "boxes_near_a_person": near_a_person,
        "positions_with_a_box": round(100 * float(reached.mean()), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracker", default="steady")
    parser.add_argument("--at-least", type=int, default=1, help="leave out identities that fewer cameras saw")
    parser.add_argument("--floor", action="store_true", help="only boxes that stand where people are followed")
    options = parser.parse_args()
    rows = np.loadtxt(FOLDER / "gt_world_centroid.txt")
    truth = rows[:, [0, 1, 7, 8]]
    cameras = tables(Floor(FLOOR) if options.floor else None)
    topology = Topology([CameraGeometry(camera, homography(camera), SIZE) for camera in CAMERAS])
    seen = {camera: tracked(table, options.tracker) for camera, table in cameras.items()}
    outcome = fuse(FusionEngine("cmc1", topology), seen)
    row = {
        **vars(options),
        "tracks": sum(len(np.unique(table.tracks)) for table in seen.values()),
        "people": len(np.unique(truth[:, 1])),
        "identities": outcome.identities,
        "events": outcome.events,
        "corrected": idf1(truth, places_of(outcome.corrected, options.at_least)),
        "as_published": idf1(truth, places_of(outcome.published, options.at_least)),
        "detector": detector(truth, cameras),
        "seconds": round(outcome.seconds, 2),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
