"""What every family of models costs on one CPU thread, one by one and in batches; prints JSON.

    nice env OMP_NUM_THREADS=1 python tests/benchmarks/model_speed.py [--only WORD ...] [--rounds 3] [--batch 4]

Three kinds of models: what comes along; published ONNX files under ../shared/models, where they are; and our networks
of the published sizes with random weights, exported here. Detectors look at real frames of 768x576 (the demo's video,
enlarged), embedders at crops of them.

    ms        CPU milliseconds a picture (or a crop), preparation and suppression included, the least of all rounds:
              one by one, and in a batch where the export takes batches
    input     width x height

A network with random weights finds hardly anything, so that suppression costs less than it will. It refuses to print a
figure where results differ: those of a batch from those one by one, and what the exported network says from what the
network itself says (1e-3 of its largest output; of rows in order of score, their scores).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import paddle
from paddle import nn

from operators.detect import open_detector
from operators.embed import open_embedder
from operators.inference import open_predictor
from operators.networks.centertrack import CenterTrack
from operators.networks.export import IMAGENET, PERMUTE, UNIT, letterbox, normalise, resize, save
from operators.networks.fairmot import FairMot
from operators.networks.jde import Jde
from operators.networks.picodet import PicoDet
from operators.networks.ppyoloe import PPYoloE
from operators.networks.reid import LCNetEmbedding, PyramidEmbedding
from operators.records import Image

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / ".." / "shared" / "models"
FILES = {
    "picodet_s_416_coco.onnx": ("PicoDet-S", 416),
    "picodet_xs_320_coco_postprocessed.onnx": ("PicoDet-XS, suppression inside", 320),
    "nanodet_m_416_coco.onnx": ("NanoDet-m", 416),
    "yolox_nano_416_coco.onnx": ("YOLOX-nano", 416),
}
MOST = 1e-3


@dataclass(frozen=True)
class Ours:
    """A network of ours: how it is made, its input (height, width), and how it is exported."""

    make: Callable[[], nn.Layer]
    size: tuple[int, int]
    kind: str


OURS = {
    "PicoDet-XS": Ours(lambda: PicoDet(80, "xs"), (320, 320), "decoded"),
    "PicoDet-S": Ours(lambda: PicoDet(80, "s"), (416, 416), "decoded"),
    "PicoDet-M": Ours(lambda: PicoDet(80, "m"), (416, 416), "decoded"),
    "PicoDet-L": Ours(lambda: PicoDet(80, "l"), (640, 640), "decoded"),
    "PP-YOLOE-s": Ours(lambda: PPYoloE(80, "s"), (640, 640), "decoded"),
    "FairMOT HRNetV2-W18": Ours(lambda: FairMot(1, "hrnet18"), (320, 576), "one shot"),
    "FairMOT DLA-34": Ours(lambda: FairMot(1, "dla34", deformable=True), (608, 1088), "one shot"),
    "FairMOT DLA-34, plain convolutions": Ours(lambda: FairMot(1, "dla34"), (608, 1088), "one shot"),
    "JDE DarkNet53": Ours(lambda: Jde(), (608, 1088), "one shot"),
    "CenterTrack DLA-34": Ours(lambda: CenterTrack(1), (544, 960), "looking back"),
    "ReID PP-LCNet": Ours(lambda: LCNetEmbedding(), (192, 64), "embedding"),
    "ReID PCB, ResNet-101": Ours(lambda: PyramidEmbedding(101), (192, 64), "embedding"),
}


def frames(count: int) -> list[Image]:
    """Pictures of the demo's video, 768x576."""
    video = cv2.VideoCapture(str(ROOT / "configs" / "media" / "walkway.mp4"))
    found: list[Image] = []
    while len(found) < count:
        there, image = video.read()
        if not there:
            raise SystemExit("configs/media/walkway.mp4 is too short")
        found.append(np.asarray(cv2.resize(image, (768, 576)), np.uint8))
    return found


def exported(ours: Ours, folder: Path) -> nn.Layer:
    """The network, and its export in the folder."""
    paddle.seed(0)
    network, (height, width) = ours.make(), ours.size
    picture: list[int | None] = [1, 3, height, width]
    inputs: dict[str, Sequence[int | None]] = {"image": picture, "im_shape": [1, 2], "scale_factor": [1, 2]}
    steps, labels = [letterbox(height, width), normalise(UNIT), PERMUTE], ["person"]
    architecture = "JDE" if isinstance(network, Jde) else "FairMOT"
    if ours.kind == "decoded":
        inputs, labels = {"image": [None, 3, height, width]}, [str(number) for number in range(80)]
        architecture, steps = "YOLO", [resize(height, width), normalise(IMAGENET), PERMUTE]
    elif ours.kind == "looking back":
        inputs = {"image": picture, "pre_image": picture, "pre_hm": [1, 1, height, width]}
        architecture = "CenterTrack"
        warp = {"type": "WarpAffine", "input_h": height, "input_w": width, "keep_res": False}
        steps = [warp, normalise(UNIT), PERMUTE]
    elif ours.kind == "embedding":
        inputs, labels, architecture = {"x": [None, 3, height, width]}, [], "DeepSORT"
        steps = [resize(height, width), normalise(IMAGENET), PERMUTE]
    save(network, folder, inputs=inputs, architecture=architecture, labels=labels, preprocess=steps)
    return network


def compare(network: nn.Layer, folder: Path, size: tuple[int, int]) -> None:
    """End here if the export does not say what the network says."""
    predictor = open_predictor(folder)
    random = np.random.default_rng(0)
    values: list[Any] = []
    for name, shape in zip(predictor.input_names, predictor.input_shapes, strict=True):
        if len(shape) == 4:
            values.append(random.random((1, shape[1], *size), np.float32) * (name != "pre_hm"))
        else:
            values.append(np.array([size], np.float32) if name == "im_shape" else np.ones((1, 2), np.float32))
    with paddle.no_grad():
        own = network(*map(paddle.to_tensor, values))
    own = [one.numpy() for one in (own if isinstance(own, list | tuple) else [own])]
    said = predictor.run(values)
    if own[0].ndim == 2 and own[0].shape[1] == 6:  # rows of equal scores may stand in another order
        own, said = [own[0][:, 1]], [said[0][:, 1]]
    for one, other in zip(own, said, strict=True):
        off = float(np.abs(one - other).max()) if one.shape == other.shape else float("inf")
        if not off <= MOST * max(float(np.abs(one).max()), 1e-6):
            raise SystemExit(f"the export differs from the network by {off}")


def least(work: Callable[[], object], rounds: int, pictures: int) -> float:
    """CPU milliseconds a picture, the least of the rounds."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return round(best * 1000 / pictures, 2)


def detector_cost(model: Any, images: Sequence[Image], rounds: int, **options: Any) -> dict[str, Any]:
    """One by one and in a batch, of a detector."""
    alone = open_detector(model, score_threshold=0.3, max_batch=1, **options)
    if alone._feeding.batch == 1 or alone._head.one_by_one:
        alone.detect(images[:1])
        return {"one by one": least(lambda: alone.detect(images[:1]), rounds, 1)}
    batch = len(images)
    together = open_detector(model, score_threshold=0.3, max_batch=batch, **options)
    for one, other in zip([alone.detect([image])[0] for image in images], together.detect(images), strict=True):
        if len(one) != len(other) or not np.allclose(one.boxes, other.boxes, atol=0.05):
            raise SystemExit("a batch finds other boxes than its pictures one by one")
    return {
        "one by one": least(lambda: [alone.detect([i]) for i in images], rounds, batch),
        f"batches of {batch}": least(lambda: together.detect(images), rounds, batch),
    }


def embedder_cost(model: Any, image: Image, rounds: int, batch: int) -> dict[str, Any]:
    """One crop a call and several, of an embedder."""
    embedder = open_embedder(model)
    assert embedder is not None
    left = np.linspace(20, 700, batch)
    boxes = np.stack([left, left * 0 + 80, left + 60, left * 0 + 240], axis=1).astype(np.float32)
    whole = embedder.embed(image, boxes)[0]
    single = np.concatenate([embedder.embed(image, box[None])[0] for box in boxes])
    if not np.allclose(whole, single, atol=MOST):
        raise SystemExit("crops together look otherwise than one by one")
    return {
        "one by one": least(lambda: [embedder.embed(image, box[None]) for box in boxes], rounds, batch),
        f"batches of {batch}": least(lambda: embedder.embed(image, boxes), rounds, batch),
    }


def costs(rounds: int, batch: int, wanted: Callable[[str], bool]) -> dict[str, dict[str, Any]]:
    """By model: its input, and what it costs."""
    images = frames(batch)
    table: dict[str, dict[str, Any]] = {}

    def note(name: str, size: str, measure: Callable[[], dict[str, Any]]) -> None:
        if wanted(name):
            table[name] = {"input": size, "ms": measure()}

    note("bundled detector, NanoDet-g", "416x320", lambda: detector_cost("default", images, rounds))
    note("bundled embedder, no network", "48x72", lambda: embedder_cost("default", images[0], rounds, batch))
    for file, (name, side) in FILES.items():
        if (PUBLISHED / file).is_file():
            note(f"{name}, published", f"{side}x{side}", partial(detector_cost, PUBLISHED / file, images, rounds))
    if (PUBLISHED / "osnet_x0_25_msmt17.onnx").is_file():
        osnet = PUBLISHED / "osnet_x0_25_msmt17.onnx"
        note("ReID OSNet x0.25, published", "128x256", lambda: embedder_cost(osnet, images[0], rounds, batch))
    for name, ours in OURS.items():

        def measure(ours: Ours = ours) -> dict[str, Any]:
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch)
                compare(exported(ours, folder), folder, ours.size)
                if ours.kind == "embedding":
                    return embedder_cost(folder, images[0], rounds, batch)
                return detector_cost(folder, images, rounds)

        note(name, f"{ours.size[1]}x{ours.size[0]}", measure)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help="models whose names hold one of these")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=4)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    paddle.set_device("cpu")
    warnings.simplefilter("ignore")
    words = [word.lower() for word in options.only]
    table = costs(options.rounds, options.batch, lambda name: not words or any(w in name.lower() for w in words))
    print(json.dumps({"paddle": paddle.__version__, "rounds": options.rounds, "models": table}, indent=1))


if __name__ == "__main__":
    main()
