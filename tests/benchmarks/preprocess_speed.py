"""How much faster pictures become a batch in one pass than operation by operation; prints JSON.

    nice python tests/benchmarks/preprocess_speed.py [--size 1080x1920] [--batch 4] [--rounds 30]

*One pass* is `Preprocessing.fill` into a buffer that is used again; *op by op* does what exported configurations spell
out, the usual way: turn the channels, resize, to float, scale, subtract, divide, transpose and copy, pad, stack. Both
take turns in one run; CPU time (`time.process_time`) of a picture, the least of all rounds, and their ratio. It refuses
to print one if the results differ.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from operators.preprocess import Preprocessing, Resizing
from operators.records import Float32, Image

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CASES = {
    "PicoDet 416, in proportion": Resizing(416, 416, True, cv2.INTER_CUBIC, pad_to=32),
    "PP-YOLOE 640, stretched": Resizing(640, 640, interpolation=cv2.INTER_CUBIC),
    "FairMOT 1088x608, letterbox": Resizing(608, 1088, True, cv2.INTER_AREA, fill=True, centred=True),
}


def in_grey_levels(shares: tuple[float, float, float]) -> tuple[float, float, float]:
    """Of 0 to 255, what is given of 0 to 1."""
    return 255 * shares[0], 255 * shares[1], 255 * shares[2]


def op_by_op(images: list[Image], preprocessing: Preprocessing) -> Float32:
    """The batch by whole-picture operations."""
    batch = []
    for image in images:
        placement = preprocessing.placement(*image.shape[:2])
        height, width = placement.size
        picture = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        picture = cv2.resize(picture, (width, height), interpolation=preprocessing.resizing.interpolation)
        picture = picture.astype(np.float32) * np.float32(1 / 255)
        picture -= np.array(MEAN, np.float32)
        picture /= np.array(STD, np.float32)
        picture = picture.transpose(2, 0, 1).copy()
        padded = np.zeros((3, *placement.shape), np.float32)
        top, left = (int(side) for side in placement.offset)
        padded[:, top : top + height, left : left + width] = picture
        batch.append(padded)
    return np.stack(batch)


def one_pass(images: list[Image], preprocessing: Preprocessing, room: Float32) -> Float32:
    """The batch as the detector makes it."""
    for target, image in zip(room, images, strict=True):
        preprocessing.fill(target, image, preprocessing.placement(*image.shape[:2]))
    return room


def cost(work: Callable[[], object], pictures: int) -> float:
    """CPU milliseconds a picture."""
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1000 / pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1080x1920")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    height, width = map(int, options.size.split("x"))
    cv2.setNumThreads(1)
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(options.batch)]
    results = {}
    for name, resizing in CASES.items():
        preprocessing = Preprocessing(resizing, in_grey_levels(MEAN), in_grey_levels(STD))
        placement = preprocessing.placement(height, width)
        room = np.empty((options.batch, 3, *placement.shape), np.float32)
        difference = float(np.abs(one_pass(images, preprocessing, room) - op_by_op(images, preprocessing)).max())
        if difference > 1e-4:
            raise SystemExit(f"{name}: the two ways differ by {difference}")
        slow, fast = [], []
        for _ in range(options.rounds):
            slow.append(cost(partial(op_by_op, images, preprocessing), options.batch))
            fast.append(cost(partial(one_pass, images, preprocessing, room), options.batch))
        results[name] = {
            "one_pass_ms": round(min(fast), 2),
            "op_by_op_ms": round(min(slow), 2),
            "ratio": round(min(slow) / min(fast), 2),
            "largest_difference": difference,
        }
    print(json.dumps({"size": options.size, "batch": options.batch, "cases": results}, indent=1))


if __name__ == "__main__":
    main()
