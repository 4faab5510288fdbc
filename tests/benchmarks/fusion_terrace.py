"""Fusion on epfl_terrace: four overlapping cameras, ground-truth tracks broken at every occlusion, no pictures.

python tests/benchmarks/fusion_terrace.py [--occluded] [--jitter 0.03]
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from fusion_support import DATA, CameraTable, fuse, split_on_gaps, tracked

from mtmct.fusion import FusionEngine
from mtmct.topology import CameraGeometry, Topology

FOLDER = DATA / "epfl_terrace"
METRES_A_UNIT = 0.02
FPS = 25.0


def homography(camera: str) -> np.ndarray:
    units = np.array(json.loads((FOLDER / "image_to_ground.json").read_text())[camera])
    return np.asarray(np.diag([METRES_A_UNIT, METRES_A_UNIT, 1.0]) @ units)


def tables(occluded: bool, jitter: float, seed: int) -> dict[str, CameraTable]:
    """Tracks of each camera; boxes that are lost do not count, occluded ones only if asked for."""
    random = np.random.default_rng(seed)
    made = {}
    for camera in ("c0", "c1", "c2", "c3"):
        rows = [line.split() for line in (FOLDER / f"{camera}.txt").read_text().splitlines()]
        values = np.array([[float(value) for value in row[:9]] for row in rows])
        keep = values[:, 6] == 0
        if not occluded:
            keep &= values[:, 7] == 0
        values = values[keep]
        values = values[np.lexsort((values[:, 0], values[:, 5]))]
        boxes = values[:, 1:5]
        size = boxes[:, 2:] - boxes[:, :2]
        boxes = boxes + jitter * random.normal(size=boxes.shape) * np.concatenate([size, size], axis=1)
        frames, people = values[:, 5].astype(np.int64) + 1, values[:, 0].astype(np.int64)
        tracks = split_on_gaps(frames, people, 5)
        made[camera] = CameraTable(frames, tracks, people, boxes.astype(np.float32), FPS)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--occluded", action="store_true", help="keep boxes of occluded people: fewer breaks")
    parser.add_argument("--tracker", help="forget the ids and let this tracker make its own")
    parser.add_argument("--jitter", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    cameras = tables(options.occluded, options.jitter, options.seed)
    topology = Topology([CameraGeometry(name, homography(name), (360, 288)) for name in cameras])
    seen = {name: tracked(table, options.tracker) for name, table in cameras.items()} if options.tracker else cameras
    outcome = fuse(FusionEngine("terrace", topology), seen)
    tracks = sum(len(np.unique(table.tracks)) for table in seen.values())
    print(json.dumps({**vars(options), "tracks": tracks, **outcome.scores(cameras)}))


if __name__ == "__main__":
    main()
