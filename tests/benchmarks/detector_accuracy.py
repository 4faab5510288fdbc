"""How well, and how fast, a detector finds the people of a real scene; prints JSON.

    python tests/benchmarks/detector_accuracy.py [MODEL] [--scene NAME] [--input-size N ...] [--every 5]
                                                 [--threads 1]

MODEL is what `open_detector` takes; the bundled one if left out. NAME is pets_s2l1 (unless said otherwise) or
tud_stadtmitte, where people are large and hide each other. Every 5th frame is looked at. Of pets_s2l1, that is of 795
frames, three times: whole (768x576), and as the demo's two cameras see it, cropped to x in [0, 448) and [320, 768).
Ground truth is cut likewise: a box belongs to a crop if at least half of its width lies inside, and is clipped to it;
one of which less is inside is neither right nor wrong there. Reported for each:

    ap50        area under the precision-recall curve (all points, precision made monotonous) at IoU 0.5
    ms          CPU time of a picture in `detect`, median and least, pictures one by one
    at          precision and recall at some score thresholds

Run it alone (`nice`, OMP_NUM_THREADS=1): times on busy cores mean little. Needs ../shared/data.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from operators.detect import BUNDLED, Detector, open_detector
from operators.records import Detections, Float32, Image

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
VIEWS = {
    "pets_s2l1": {"whole": (0, 768), "left": (0, 448), "right": (320, 768)},
    "tud_stadtmitte": {"whole": (0, 640)},
}
VIDEOS = {"pets_s2l1": "vtest.avi", "tud_stadtmitte": "TUD-Stadtmitte.mp4"}
INSIDE = 0.5
IOU = 0.5
THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6)


@dataclass(frozen=True)
class Truth:
    """The people in one picture: (N, 4) xyxy, and which of them count."""

    boxes: Float32
    counts: np.ndarray


def read_frames(scene: str, every: int) -> dict[int, Image]:
    """Frames by their number in the ground truth, which counts from 1."""
    video = cv2.VideoCapture(str(DATA / scene / VIDEOS[scene]))
    frames: dict[int, Image] = {}
    number = 0
    while True:
        read, frame = video.read()
        if not read:
            return frames
        number += 1
        if (number - 1) % every == 0:
            frames[number] = frame


def read_truth(scene: str, left: int, right: int) -> dict[int, Truth]:
    """What a camera that sees only `left` <= x < `right` should find, by frame."""
    rows = np.loadtxt(DATA / scene / "gt.txt", delimiter=",")
    rows = rows[rows[:, 6] == 1]
    truth = {}
    for frame in np.unique(rows[:, 0]):
        x, y, width, height = rows[rows[:, 0] == frame, 2:6].T
        x1, x2 = np.maximum(x, left), np.minimum(x + width, right)
        boxes = np.column_stack([x1 - left, y, x2 - left, y + height]).astype(np.float32)
        seen = x2 > x1
        truth[int(frame)] = Truth(boxes[seen], ((x2 - x1) >= INSIDE * width)[seen])
    return truth


def overlaps(found: Float32, wanted: Float32) -> Float32:
    """(N, M) intersection over union."""
    sides = np.minimum(found[:, None, 2:], wanted[:, 2:]) - np.maximum(found[:, None, :2], wanted[:, :2])
    inner = np.maximum(sides, 0).prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (found, wanted)]
    return np.asarray(inner / (areas[0][:, None] + areas[1] - inner), np.float32)


def judge(found: Detections, truth: Truth) -> list[tuple[float, bool]]:
    """Score and rightness of each detection, best first; those on people who do not count are left out."""
    iou = overlaps(found.boxes, truth.boxes)
    free = np.ones(len(truth.boxes), bool)
    judged = []
    for row in np.argsort(-found.scores, kind="stable"):
        candidates = np.flatnonzero(free & (iou[row] >= IOU))
        if not len(candidates):
            judged.append((float(found.scores[row]), False))
            continue
        # Somebody who counts is preferred to somebody who does not.
        best = max(candidates, key=lambda person: (truth.counts[person], iou[row, person]))
        free[best] = False
        if truth.counts[best]:
            judged.append((float(found.scores[row]), True))
    return judged


def summarise(judged: list[tuple[float, bool]], people: int) -> dict[str, Any]:
    """AP at IoU 0.5, and precision and recall at some thresholds."""
    judged = sorted(judged, key=lambda pair: -pair[0])
    scores = np.array([score for score, _ in judged])
    right = np.cumsum([hit for _, hit in judged])
    precision, recall = right / np.arange(1, len(right) + 1), right / people
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    points = {}
    for threshold in THRESHOLDS:
        above = int((scores >= threshold).sum())
        if above:
            points[str(threshold)] = {
                "precision": round(float(precision[above - 1]), 3),
                "recall": round(float(recall[above - 1]), 3),
            }
    return {"ap50": round(float(np.sum(np.diff(recall, prepend=0) * envelope)), 4), "at": points}


def measure(detector: Detector, scene: str, frames: dict[int, Image], left: int, right: int) -> dict[str, Any]:
    """One view."""
    truth = read_truth(scene, left, right)
    nobody = Truth(np.zeros((0, 4), np.float32), np.zeros(0, bool))
    judged, times = [], []
    detector.detect([frame[:, left:right] for frame in list(frames.values())[:2]])
    for number, frame in frames.items():
        start = time.process_time()
        (found,) = detector.detect([frame[:, left:right]])
        times.append(1e3 * (time.process_time() - start))
        judged.extend(judge(found, truth.get(number, nobody)))
    people = sum(int(truth[number].counts.sum()) for number in frames if number in truth)
    timing = {"median": round(float(np.median(times)), 1), "least": round(min(times), 1)}
    return {"pictures": len(frames), "people": people, "ms": timing, **summarise(judged, people)}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="default")
    parser.add_argument("--scene", choices=VIEWS, default="pets_s2l1")
    parser.add_argument("--input-size", type=int, nargs="*", default=[None])
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(options.threads)
    frames = read_frames(options.scene, options.every)
    place = BUNDLED if options.model == "default" else Path(options.model)
    files = [place] if place.is_file() else list(place.glob("*.pd*"))
    report: dict[str, Any] = {
        "model": place.name,
        "scene": options.scene,
        "megabytes": round(sum(file.stat().st_size for file in files) / 1e6, 2),
        "threads": options.threads,
        "input_sizes": {},
    }
    for size in options.input_size:
        detector = open_detector(options.model, threads=options.threads, classes=["person"], input_size=size)
        report["input_sizes"][str(size or "as configured")] = {
            view: measure(detector, options.scene, frames, *edges) for view, edges in VIEWS[options.scene].items()
        }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
