"""Fusion on cityflow_s02: four road cameras, ground-truth boxes as single-camera tracks, no pictures, no calibration.

Without looks nothing tells one car from another across cameras; what is measured then is that fusion does not make
things up. `--rank1` draws embeddings of that accuracy, and the offline baseline is run on the same tracklets.
`an_identity_a_track` is what an identity a track would give, `perfect_joins` the most that joining tracks can give.

python tests/benchmarks/fusion_cityflow.py [--rank1 0.7] [--travel] [--synchronised]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from fusion_support import DATA, CameraTable, as_boxes, evaluation, fuse, split_on_gaps
from offline_clustering import Offline, identify
from simulated_looks import with_looks

from mtmct.fusion import FusionEngine
from mtmct.settings import FusionSettings
from mtmct.topology import CameraGeometry, Topology

FOLDER = DATA / "cityflow_s02"
FPS = 10.0
# Seconds, from the data's own layout file.
SCALES = {"c006": 1.0, "c007": 0.9329, "c008": 0.9127, "c009": 1.0}
OFFSETS = {"c006": -2.5, "c007": -2.5, "c008": -1.7, "c009": -2.0}
EARLIEST = min(OFFSETS.values())


def tables(synchronised: bool) -> dict[str, CameraTable]:
    """A local track is what one car is in one camera without a break of more than a second.

    Raw clocks: every camera starts at 0. Synchronised: with the layout file's offsets and clock rates.
    """
    rows = np.loadtxt(FOLDER / "ground_truth_S02.txt")
    made = {}
    for number in np.unique(rows[:, 0]).astype(int):
        camera = f"c{number:03d}"
        mine = rows[rows[:, 0] == number]
        mine = mine[np.lexsort((mine[:, 1], mine[:, 2]))]
        frames, cars = mine[:, 2].astype(np.int64), mine[:, 1].astype(np.int64)
        boxes = np.stack([mine[:, 3], mine[:, 4], mine[:, 3] + mine[:, 5], mine[:, 4] + mine[:, 6]], axis=1)
        tracks = split_on_gaps(frames, cars, int(FPS))
        table = CameraTable(frames, tracks, cars, boxes.astype(np.float32), FPS, cls="car")
        if synchronised:
            table = replace(table, fps=FPS / SCALES[camera], start_s=OFFSETS[camera] - EARLIEST)
        made[camera] = table
    return made


def bounds(cameras: Mapping[str, CameraTable]) -> dict[str, float]:
    """IDF1 of an identity a local track, and of an identity a car."""
    alone, below = {}, 0
    for camera, table in cameras.items():
        alone[camera] = as_boxes(table.frames, table.tracks + below, table.boxes)
        below += int(table.tracks.max())
    joined = {camera: as_boxes(table.frames, table.people, table.boxes) for camera, table in cameras.items()}
    return {
        "an_identity_a_track": round(evaluation(cameras, alone).across.idf1, 2),
        "perfect_joins": round(evaluation(cameras, joined).across.idf1, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rank1", type=float, help="draw embeddings of this rank-1 accuracy")
    parser.add_argument("--synchronised", action="store_true", help="use the data's clock offsets and rates")
    parser.add_argument("--travel", action="store_true", help="learn the times between views")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    cameras = tables(options.synchronised)
    settings = FusionSettings(travel=options.travel)
    extra: dict[str, object] = {}
    if options.rank1:
        cameras, calibration, reached = with_looks(cameras, options.rank1, options.seed)
        settings = replace(settings, appearance=calibration)
        extra["rank1_reached"] = round(reached, 3)
        extra["offline"] = {
            name: round(evaluation(cameras, identify(cameras, how)).across.idf1, 2)
            for name, how in {
                "as_published": Offline(),
                "reranked": Offline(rerank=True),
                "keeping_all": Offline(keep_alone=True),
                "keeping_all_reranked": Offline(rerank=True, keep_alone=True),
            }.items()
        }
    topology = Topology([CameraGeometry(name, None, (1920, 1080)) for name in cameras])
    outcome = fuse(FusionEngine("cityflow", topology, settings), cameras)
    tracks = sum(len(np.unique(table.tracks)) for table in cameras.values())
    row = {**vars(options), **extra, "tracks": tracks, **bounds(cameras), **outcome.scores(cameras)}
    print(json.dumps(row))


if __name__ == "__main__":
    main()
