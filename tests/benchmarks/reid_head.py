"""Would a ReID head on the bundled detector's features tell people apart better than the default? Prints JSON.

    nice env OMP_NUM_THREADS=1 python tests/benchmarks/reid_head.py [--side 416] [--dim 64] [--strength 0.1]

FairMOT-fashion: of the maps that the detector computes anyway, at strides 4, 8 and 16, a box's six stripes are averaged
and brought to `dim` numbers by a linear head. The head is learned (linear discriminants, Fisher 1936, with shrunk
scatter) on tracks that bundled detector and tracker find by themselves in a shop's video, each seen by cameras of other
colours, too: beside the demo's own, on which it is tested, the only footage of people at hand whose licence would let
the weights be bundled. Tested on two scenes that it has not seen, every 10th and 6th frame, as reid_accuracy.py does.
Needs ../shared/data: retail, pets_s2l1 and tud_stadtmitte.

Measured: no. The shop's video has two people that can be followed, and two teach nothing: mean average precision 0.159
on pets_s2l1 and 0.164 on tud_stadtmitte, where the default reaches 0.710 and 0.729. So no ReID network is bundled until
there are labels of many people that allow it.

    side      pixels of the longer side of the detector's input; 416 is what it runs at, so that features cost nothing
    strength  of the shrinkage towards a sphere, share
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import paddle
from numpy.typing import NDArray
from reid_accuracy import SECOND_CAMERAS, SHARED, assess, read_scene, second_camera
from scipy.linalg import eigh

from operators.detect import BUNDLED, open_detector
from operators.embed import open_embedder
from operators.records import SECOND_NS, Float32, Image
from operators.track import create

MAPS = {"concat_1.tmp_0": 4, "concat_4.tmp_0": 8, "concat_7.tmp_0": 16}
"""Of the bundled program: its maps by name, and their strides."""
STRIPES, ROWS, COLUMNS = 6, 12, 4
EVERY, FPS = 3, 25.0
LEAST, MOST = 5, 12
"""Frames of a track: with fewer it is left out, of more only so many are taken."""


class Features:
    """Stripes of a box, of the bundled detector's maps; the picture's longer side brought to `side`."""

    def __init__(self, side: int) -> None:
        self.side = side
        paddle.enable_static()
        self._guard = paddle.pir_utils.OldIrGuard()
        with self._guard:
            self._executor = paddle.static.Executor(paddle.CPUPlace())
            loaded = paddle.static.load_inference_model(str(BUNDLED / "model"), self._executor)
            self._program, self._feeds, _ = loaded
            self._fetched = [self._program.global_block().var(name) for name in MAPS]

    def __call__(self, image: Image, boxes: Float32) -> Float32:
        """(N, D) of (N, 4) boxes."""
        height, width = image.shape[:2]
        scale = self.side / max(height, width)
        small = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        padded = [-(-side // 32) * 32 for side in small.shape[:2]]
        canvas = np.zeros((1, 3, *padded), np.float32)
        canvas[0, :, : small.shape[0], : small.shape[1]] = small[..., ::-1].transpose(2, 0, 1)
        with self._guard:
            maps = self._executor.run(self._program, feed={self._feeds[0]: canvas}, fetch_list=self._fetched)
        across, down = (np.arange(COLUMNS) + 0.5) / COLUMNS, (np.arange(ROWS) + 0.5) / ROWS
        corner, size = boxes[:, None, :2] * scale, (boxes[:, None, 2:] - boxes[:, None, :2]) * scale
        columns = np.clip(corner[..., 0] + across * size[..., 0], 0, small.shape[1] - 1)
        rows = np.clip(corner[..., 1] + down * size[..., 1], 0, small.shape[0] - 1)
        parts = []
        for stride, (found,) in zip(MAPS.values(), maps, strict=True):
            x = np.repeat(columns[:, None] / stride - 0.5, ROWS, 1).reshape(len(boxes), -1).astype(np.float32)
            y = np.repeat(rows[:, :, None] / stride - 0.5, COLUMNS, 2).reshape(len(boxes), -1).astype(np.float32)
            # OpenCV samples at most 4 channels at a time.
            planes = np.concatenate(
                [
                    cv2.remap(
                        np.ascontiguousarray(found[k : k + 4].transpose(1, 2, 0)),
                        x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
                    )
                    for k in range(0, len(found), 4)
                ],
                axis=2,
            )  # fmt: skip
            parts.append(planes.reshape(len(boxes), STRIPES, -1, len(found)).mean(axis=2).reshape(len(boxes), -1))
        return np.asarray(np.concatenate(parts, axis=1), np.float32)


class Headed:
    """An embedder: features, less their mean, through the head."""

    calibration = (0.0, 0.0)

    def __init__(self, features: Features, mean: NDArray[Any], head: NDArray[Any]) -> None:
        self.name, self.dim, self.features, self.mean, self.head = "head", head.shape[1], features, mean, head

    def embed(self, image: Image, boxes: Float32) -> tuple[Float32, Float32]:
        """See `operators.embed.Embedder`; all are trusted alike."""
        vectors = (self.features(image, boxes) - self.mean) @ self.head
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
        return vectors.astype(np.float32), np.ones(len(boxes), np.float32)


def tracks() -> Iterator[tuple[Image, Float32, NDArray[np.int64]]]:
    """Pictures of the shop's video, and boxes and ids of whoever is followed there."""
    video = cv2.VideoCapture(str(SHARED / "data" / "retail" / "Retail02_short.mp4"))
    detector, tracker = open_detector(classes=["person"]), create("steady", rate_hz=FPS / EVERY, compiled=False)
    number = -1
    while video.grab():
        number += 1
        if number % EVERY == 0:
            image = np.asarray(video.retrieve()[1], np.uint8)
            found = tracker.update(detector.detect([image])[0], round(number * SECOND_NS / FPS))
            tall = found.boxes[:, 3] - found.boxes[:, 1] >= 80
            yield image, found.boxes[tall], found.ids[tall]


def learn(features: Features, dim: int, strength: float) -> tuple[Headed, dict[str, int]]:
    """The head, and how much it has learned from."""
    vectors: list[Float32] = []
    people: list[int] = []
    seen: dict[int, int] = {}
    for image, boxes, ids in tracks():
        wanted = np.array([seen.get(int(i), 0) < MOST for i in ids], bool)
        if wanted.any():
            for i in ids[wanted].tolist():
                seen[i] = seen.get(i, 0) + 1
            random = np.random.default_rng(len(people))
            camera = SECOND_CAMERAS[int(random.integers(len(SECOND_CAMERAS)))]
            for picture in (image, second_camera(image, *camera)):
                vectors.extend(features(picture, boxes[wanted]))
                people.extend(ids[wanted].tolist())
    whose = np.array(people)
    kept = np.array([seen[int(i)] >= LEAST for i in whose])
    data, whose = np.stack(vectors)[kept].astype(np.float64), whose[kept]
    mean = data.mean(axis=0)
    data -= mean
    names, rows = np.unique(whose, return_inverse=True)
    centres = np.stack([data[rows == k].mean(axis=0) for k in range(len(names))])
    off = data - centres[rows]
    within, between = off.T @ off / len(data), np.cov(centres.T)
    within = (1 - strength) * within + strength * np.trace(within) / len(within) * np.eye(len(within))
    count = min(dim, len(names) - 1)
    _, head = eigh(between, within, subset_by_index=(len(within) - count, len(within) - 1))
    return Headed(features, mean, head), {"tracks": len(names), "crops": len(data), "features": data.shape[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=416)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--strength", type=float, default=0.1)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    scenes = {"pets_s2l1": read_scene("pets_s2l1", 10, 80), "tud_stadtmitte": read_scene("tud_stadtmitte", 6, 40)}
    head, learned = learn(Features(options.side), options.dim, options.strength)
    report: dict[str, Any] = {"learned from": learned}
    for name, embedder in (("default", open_embedder()), ("head", head)):
        found = {scene: assess(embedder, content)[0] for scene, content in scenes.items()}  # type: ignore[arg-type]
        keys = ("crops", "jitter", "second", "tracklets")
        report[name] = {scene: {key: one[key] for key in keys} for scene, one in found.items()}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
