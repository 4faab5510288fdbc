"""How well embeddings tell people apart, and how fast they are made; prints JSON.

    python tests/benchmarks/reid_accuracy.py [MODEL ...] [--every 5] [--threads 1]

MODEL is what `open_embedder` takes, or `histogram` for the usual baseline; if left out: the baseline, the default, and
OSNet x0.25 where ../shared/models has it. Needs ../shared/data/pets_s2l1 and tud_stadtmitte, each one camera.

Every 5th (pets) or 3rd (tud) frame is used with all boxes of its ground truth, hidden people included. Each crop is
looked for among all crops that are at least 80 frames (8 s; tud: 40 frames, 1.6 s) away in time; one whose person is
not among them is no query.

    crops       mean average precision and rank 1, boxes as they are
    jitter      the same with box sides off by 7 % of the box's size (standard deviation), as detectors are
    second      mAP of finding a crop in the pictures of a second camera, boxes off by 4 %: gamma, gains and blur as in
                SECOND_CAMERAS; the mean over them
    tracklets   mAP of what fusion compares: means over 20 frames of one person, weighted by quality; beside it, not
    us          microseconds a crop of `embed`, 8 crops a call, best of many
    cosine      of pairs of crops and of tracklets as far apart, same and different person: mean and standard deviation
    calibration slope and offset of log p(cosine | same) / p(cosine | different), by logistic regression with both
                kinds weighted alike, half of the pairs within the camera and half with the second ones; for pairs of
                crops and of tracklets, and what it leaves in doubt (Cllr in bits; 1 is worthless). Under `both`: of
                tracklets of both scenes, as many of each; this is what the embedders bring along

The second cameras see the same scene from the same place: they test colours, not views.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.optimize import minimize

from operators.embed import Embedder, cut, open_embedder
from operators.records import Float32, Image

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"
OSNET = SHARED / "models" / "osnet_x0_25_msmt17.onnx"
# gamma, gains of blue, green and red, blur in pixels
SECOND_CAMERAS = ((1.3, (1.1, 0.95, 0.9), 1.0), (0.8, (0.9, 1.0, 1.1), 0.0), (1.3, (0.92, 1.08, 1.0), 1.3))
TRACKLET = 20


@dataclass(frozen=True)
class Scene:
    """frames: number, picture, (N, 4) boxes and (N,) people of each; gap: frames between a query and what it finds."""

    frames: list[tuple[int, Image, Float32, np.ndarray]]
    gap: int

    @property
    def people(self) -> np.ndarray:
        return np.concatenate([people for *_, people in self.frames])

    @property
    def numbers(self) -> np.ndarray:
        return np.concatenate([np.full(len(people), number) for number, *_, people in self.frames])


class Histogram:
    """The baseline: 8 x 4 x 4 HSV histograms of eight stripes, square roots taken."""

    name, dim, calibration = "histogram", 1024, (0.0, 0.0)

    def embed(self, image: Image, boxes: Float32) -> tuple[Float32, Float32]:
        vectors = np.zeros((len(boxes), self.dim), np.float32)
        for vector, box in zip(vectors, boxes, strict=True):
            crop = cv2.cvtColor(cv2.resize(cut(image, box), (64, 128)), cv2.COLOR_BGR2HSV)
            stripes = [
                cv2.calcHist([stripe], [0, 1, 2], None, [8, 4, 4], [0, 180, 0, 256, 0, 256]).ravel()
                for stripe in np.split(crop, 8)
            ]
            vector[:] = np.sqrt(np.concatenate(stripes))
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.ones(len(boxes), np.float32)


def read_scene(name: str, every: int, gap: int) -> Scene:
    folder = SHARED / "data" / name
    rows = np.loadtxt(folder / "gt.txt", delimiter=",")
    rows = rows[rows[:, 6] == 1]
    same: dict[int, int] = {}
    if (folder / "people.txt").is_file():
        for line in (folder / "people.txt").read_text().splitlines():
            if line and not line.startswith("#"):
                ids = [int(number) for number in line.split()]
                same |= dict.fromkeys(ids, ids[0])
    frames = []
    for number, image in _pictures(next(p for p in folder.iterdir() if p.suffix in (".avi", ".mp4"))):
        here = rows[rows[:, 0] == number]
        if (number - 1) % every or not len(here):
            continue
        boxes = np.concatenate([here[:, 2:4], here[:, 2:4] + here[:, 4:6]], axis=1).astype(np.float32)
        people = np.array([same.get(int(i), int(i)) for i in here[:, 1]])
        frames.append((number, image, boxes, people))
    return Scene(frames, gap)


def _pictures(file: Path) -> Iterator[tuple[int, Image]]:
    video, number = cv2.VideoCapture(str(file)), 0
    while (read := video.read())[0]:
        number += 1
        yield number, read[1]


def second_camera(image: Image, gamma: float, gains: Sequence[float], blur: float) -> Image:
    values = np.clip((np.arange(256) / 255) ** gamma * 255, 0, 255)[:, None] * np.asarray(gains)
    seen = cv2.LUT(image, np.clip(values, 0, 255).astype(np.uint8)[:, None, :])
    return np.asarray(cv2.GaussianBlur(seen, (0, 0), blur) if blur else seen, np.uint8)


def shaken(boxes: Float32, share: float, random: np.random.Generator) -> Float32:
    size = boxes[:, 2:] - boxes[:, :2]
    return np.asarray(boxes + random.normal(0, share, boxes.shape) * np.concatenate([size, size], 1), np.float32)


def looks(embedder: Embedder, scene: Scene, share: float, camera: tuple[Any, ...] | None = None) -> tuple[Any, Any]:
    """(N, D) vectors and (N,) qualities of all crops."""
    random = np.random.default_rng(0)
    found = []
    for _, image, boxes, _ in scene.frames:
        seen = second_camera(image, *camera) if camera else image
        found.append(embedder.embed(seen, shaken(boxes, share, random) if share else boxes))
    return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])


def retrieval(queries: Any, gallery: Any, people: np.ndarray, numbers: np.ndarray, gap: int) -> tuple[float, float]:
    """Mean average precision and rank 1."""
    cosines = queries @ gallery.T
    precisions, first = [], []
    for row in range(len(people)):
        far = np.abs(numbers - numbers[row]) >= gap
        right = (people[far] == people[row])[np.argsort(-cosines[row, far], kind="stable")]
        if right.any():
            hits = np.flatnonzero(right)
            precisions.append(float(np.mean(np.arange(1, len(hits) + 1) / (hits + 1))))
            first.append(bool(right[0]))
    return float(np.mean(precisions)), float(np.mean(first))


def tracklets(
    vectors: Any, weights: Any, people: np.ndarray, numbers: np.ndarray
) -> tuple[Any, np.ndarray, np.ndarray]:
    """Means over TRACKLET frames of one person, and the person and the frame of each."""
    keys, rows = np.unique(np.stack([people, numbers // TRACKLET], 1), axis=0, return_inverse=True)
    sums = np.zeros((len(keys), vectors.shape[1]))
    np.add.at(sums, rows.ravel(), vectors * weights[:, None])
    return sums / np.linalg.norm(sums, axis=1, keepdims=True), keys[:, 0], keys[:, 1] * TRACKLET


def pairs(queries: Any, gallery: Any, people: np.ndarray, numbers: np.ndarray, gap: int) -> tuple[Any, Any]:
    """Cosines of pairs of the same person and of different ones."""
    far = np.abs(numbers[:, None] - numbers) >= gap
    cosines, same = queries @ gallery.T, people[:, None] == people
    return cosines[far & same], cosines[far & ~same]


def calibrate(same: Any, different: Any) -> tuple[list[float], float]:
    """Slope and offset, and Cllr (Brümmer and du Preez, 2006)."""

    def cost(parameters: Any) -> float:
        slope, offset = parameters
        miss = np.logaddexp(0, -(slope * same + offset)).mean()
        alarm = np.logaddexp(0, slope * different + offset).mean()
        return float((miss + alarm) / 2 / np.log(2))

    best = minimize(cost, (10.0, -5.0), method="Nelder-Mead")
    return [round(float(v), 2) for v in best.x], round(float(best.fun), 3)


def spread(values: Any) -> list[float]:
    return [round(float(values.mean()), 3), round(float(values.std()), 3)]


def assess(embedder: Embedder, scene: Scene) -> tuple[dict[str, Any], list[Any]]:
    """The report, and the cosines of the same and of different people's tracklets."""
    people, numbers, gap = scene.people, scene.numbers, scene.gap
    vectors, quality = looks(embedder, scene, 0)
    seconds = [looks(embedder, scene, 0.04, camera) for camera in SECOND_CAMERAS]
    shaky = looks(embedder, scene, 0.07)[0]
    scores = retrieval(vectors, vectors, people, numbers, gap)
    weighted, who, when = tracklets(vectors, quality, people, numbers)
    plain = tracklets(vectors, np.ones_like(quality), people, numbers)[0]
    others = [tracklets(v, q, people, numbers)[0] for v, q in seconds]
    crop_pairs = [pairs(vectors, other, people, numbers, gap) for other in [vectors] * 3 + [v for v, _ in seconds]]
    group_pairs = [pairs(weighted, other, who, when, gap) for other in [weighted] * 3 + others]
    report: dict[str, Any] = {
        "crops": {"mAP": round(scores[0], 3), "rank1": round(scores[1], 3)},
        "jitter": round(retrieval(shaky, shaky, people, numbers, gap)[0], 3),
        "second": round(float(np.mean([retrieval(vectors, v, people, numbers, gap)[0] for v, _ in seconds])), 3),
        "tracklets": {
            "mAP": round(retrieval(weighted, weighted, who, when, gap)[0], 3),
            "unweighted": round(retrieval(plain, plain, who, when, gap)[0], 3),
        },
    }
    for name, found in (("crops", crop_pairs), ("tracklets", group_pairs)):
        both = [np.concatenate([pair[kind] for pair in found]) for kind in (0, 1)]
        line, cllr = calibrate(*both)
        report[f"pairs of {name}"] = {
            "cosine same": spread(found[0][0]),
            "cosine different": spread(found[0][1]),
            "cosine same, second camera": spread(np.concatenate([pair[0] for pair in found[3:]])),
            "cosine different, second camera": spread(np.concatenate([pair[1] for pair in found[3:]])),
            "calibration": line,
            "Cllr": cllr,
        }
    return report, both


def pooled(scenes: Sequence[list[Any]]) -> dict[str, Any]:
    """The calibration of pairs of several scenes, as many of each."""
    random = np.random.default_rng(0)
    most = [max(len(scene[kind]) for scene in scenes) for kind in (0, 1)]
    line, cllr = calibrate(*(np.concatenate([random.choice(s[kind], most[kind]) for s in scenes]) for kind in (0, 1)))
    return {"calibration": line, "Cllr": cllr}


def microseconds(embedder: Embedder, scene: Scene, calls: int) -> float:
    _, image, boxes, _ = max(scene.frames, key=lambda frame: len(frame[2]))
    boxes = np.resize(boxes, (8, 4))
    embedder.embed(image, boxes)
    best = float("inf")
    for _ in range(calls):
        start = time.perf_counter()
        embedder.embed(image, boxes)
        best = min(best, time.perf_counter() - start)
    return round(best / len(boxes) * 1e6, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description="How well embeddings tell people apart.")
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    models = options.models or ["histogram", "default", *([str(OSNET)] if OSNET.is_file() else [])]
    scenes = {
        "pets_s2l1": read_scene("pets_s2l1", options.every, 80),
        "tud_stadtmitte": read_scene("tud_stadtmitte", 3, 40),
    }
    report = {}
    for model in models:
        embedder = Histogram() if model == "histogram" else open_embedder(model, threads=options.threads)
        assert embedder is not None, "`none` embeds nothing"
        found = {name: assess(embedder, scene) for name, scene in scenes.items()}
        report[Path(model).name] = {
            "dim": embedder.dim,
            "us": microseconds(embedder, scenes["pets_s2l1"], 20 if Path(model).exists() else 200),
            **{name: one for name, (one, _) in found.items()},
            "both": pooled([cosines for _, cosines in found.values()]),
        }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
