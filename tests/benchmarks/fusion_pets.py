"""Fusion on pets_s2l1 cut into two cameras: perfect or spoilt single-camera tracks, real pixels.

python tests/benchmarks/fusion_pets.py [--gap] [--jitter] [--broken] [--no-embeddings] [--no-homography]
"""

from __future__ import annotations

import argparse
import json

import cv2
import numpy as np
from fusion_support import DATA, CameraTable, fuse, split_on_gaps, tracked

from mtmct.fusion import FusionEngine
from mtmct.settings import AppearanceCalibration, FusionSettings
from mtmct.topology import CameraGeometry, Topology
from operators.embed import StripeEmbedder, open_embedder

FOLDER = DATA / "pets_s2l1"
CROPS = {"west": (0, 448), "east": (320, 768)}
CROPS_WITH_A_GAP = {"west": (0, 352), "east": (416, 768)}


def homography(left: int) -> np.ndarray:
    full = np.loadtxt(FOLDER / "foot_to_world.txt").reshape(3, 3)
    return np.asarray(full @ np.array([[1.0, 0, left], [0, 1, 0], [0, 0, 1]]))


def people() -> dict[int, int]:
    lines = (FOLDER / "people.txt").read_text().splitlines()
    groups = [[int(number) for number in line.split()] for line in lines if line and not line.startswith("#")]
    return {number: group[0] for group in groups for number in group}


def tables(
    crops: dict[str, tuple[int, int]], jitter: float, broken: float, embed: bool, seed: int
) -> dict[str, CameraTable]:
    rows = np.loadtxt(FOLDER / "gt.txt", delimiter=",")
    rows = rows[rows[:, 6] == 1]
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    same = people()
    who = np.array([same[int(number)] for number in rows[:, 1]])
    pictures = pixels() if embed else {}
    random = np.random.default_rng(seed)
    made = {}
    for name, (left, right) in crops.items():
        boxes = np.stack([rows[:, 2], rows[:, 3], rows[:, 2] + rows[:, 4], rows[:, 3] + rows[:, 5]], axis=1)
        whole = boxes[:, 2] - boxes[:, 0]
        boxes[:, [0, 2]] = np.clip(boxes[:, [0, 2]], left, right) - left
        keep = (boxes[:, 2] - boxes[:, 0]) > 0.5 * whole
        frames, ids, boxes = rows[keep, 0].astype(np.int64), who[keep], boxes[keep]
        size = boxes[:, 2:] - boxes[:, :2]
        spoilt = boxes + jitter * random.normal(size=boxes.shape) * np.concatenate([size, size], axis=1)
        spoilt = spoilt.astype(np.float32)
        tracks = split_on_gaps(frames, ids, 2)
        if broken:
            tracks = break_up(frames, tracks, broken, random)
            kept = tracks > 0
            frames, ids, spoilt, tracks = frames[kept], ids[kept], spoilt[kept], tracks[kept]
        vectors = embeddings(pictures, frames, spoilt, left, right) if embed else None
        made[name] = CameraTable(frames, tracks, ids, spoilt, 10.0, vectors)
    return made


def embeddings(
    pictures: dict[int, np.ndarray], frames: np.ndarray, boxes: np.ndarray, left: int, right: int
) -> np.ndarray:
    """The default embedder on every box, frame by frame as in a run."""
    embedder = open_embedder("default")
    assert embedder is not None
    vectors = np.zeros((len(boxes), embedder.dim), np.float32)
    for frame in np.unique(frames):
        rows = np.flatnonzero(frames == frame)
        vectors[rows], _ = embedder.embed(np.ascontiguousarray(pictures[int(frame)][:, left:right]), boxes[rows])
    return vectors


def break_up(frames: np.ndarray, tracks: np.ndarray, rate: float, random: np.random.Generator) -> np.ndarray:
    """Break every track at random, `rate` times a second; 0.5 to 2 seconds go missing (id 0)."""
    result = tracks.copy()
    following = int(tracks.max()) + 1
    for track in np.unique(tracks):
        rows = np.flatnonzero(tracks == track)
        at = 0
        while True:
            at += int(random.exponential(10 / rate))
            gap = int(random.integers(5, 21))
            if at + gap >= len(rows):
                break
            result[rows[at : at + gap]] = 0
            at += gap
            result[rows[at:]] = following
            following += 1
    return result


def pixels() -> dict[int, np.ndarray]:
    video = cv2.VideoCapture(str(FOLDER / "vtest.avi"))
    pictures: dict[int, np.ndarray] = {}
    number = 0
    while True:
        ok, image = video.read()
        if not ok:
            return pictures
        number += 1
        pictures[number] = image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gap", action="store_true", help="a blind gap of 64 pixels instead of an overlap")
    parser.add_argument("--jitter", type=float, default=0.0, help="standard deviation of box sides, part of the size")
    parser.add_argument("--broken", type=float, default=0.0, help="track breaks a second")
    parser.add_argument("--no-embeddings", action="store_true")
    parser.add_argument("--no-homography", action="store_true")
    parser.add_argument("--tracker", help="forget the ids and let this tracker make its own")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    crops = CROPS_WITH_A_GAP if options.gap else CROPS
    cameras = tables(crops, options.jitter, options.broken, not options.no_embeddings, options.seed)
    topology = Topology(
        [
            CameraGeometry(name, None if options.no_homography else homography(left), (right - left, 576))
            for name, (left, right) in crops.items()
        ]
    )
    seen = {name: tracked(table, options.tracker) for name, table in cameras.items()} if options.tracker else cameras
    settings = FusionSettings(appearance=AppearanceCalibration(*StripeEmbedder.calibration))
    outcome = fuse(FusionEngine("pets", topology, settings), seen)
    print(json.dumps({**vars(options), **outcome.scores(cameras)}))


if __name__ == "__main__":
    main()
