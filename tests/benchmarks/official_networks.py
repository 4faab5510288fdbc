"""Do our networks compute what PaddleDetection's own compute? Random weights, by its names, through both; prints JSON.

Two steps, because PaddleDetection wants an environment of its own (the wheel's path is where it was unpacked):

    python3 -m venv side && side/bin/pip install paddlepaddle==3.2.2 'setuptools<81' 'numpy<2.4' opencv-python-headless
    side/bin/pip install pyyaml tqdm scipy pycocotools shapely typeguard requests lap scikit-learn terminaltables imgaug
    side/bin/pip download --no-deps paddledet==2.6.0 && side/bin/python -m zipfile -e paddledet-2.6.0-*.whl wheel
    side/bin/python tests/benchmarks/official_networks.py make --wheel wheel --to reference
    python tests/benchmarks/official_networks.py compare reference

    difference   largest of any output, as a share of that output's largest value

It leaves with 1 if a difference exceeds 1e-5. Measured, Paddle 3.2.2 on both sides: 0 for PP-LCNet, both FairMOTs and
JDE, 5e-8 for PicoDet, 7e-8 for PCB, 2.5e-7 for PP-YOLOE and PP-YOLOE+.
"""

from __future__ import annotations

import argparse
import json
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn

Outputs = tuple[nn.Layer, np.ndarray, list[Any]]
MOST = 1e-5


class Parts(nn.Layer):  # type: ignore[misc]
    """Modules under the names that PaddleDetection's architectures give them."""

    def __init__(self, **parts: nn.Layer) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


def without_data_room(wheel: Path) -> None:
    """Make the wheel's networks importable without what reads data, which wants old libraries."""
    for name, kind in (("int", int), ("float", float), ("bool", bool)):
        if not hasattr(np, name):
            setattr(np, name, kind)
    sys.path.insert(0, str(wheel))
    for package in ("ppdet", "ppdet.data"):
        empty = types.ModuleType(package)
        empty.__path__ = [str(wheel / package.replace(".", "/"))]
        sys.modules[package] = empty


def shaken(network: nn.Layer) -> nn.Layer:
    """Random weights whose outputs stay of a sensible size."""
    random = np.random.default_rng(0)
    for name, value in network.state_dict().items():
        norm = any(word in name.split(".")[-2] for word in ("norm", "bn"))
        if value.dtype != paddle.float32 or "proj_conv" in name or "distribution_project" in name:
            continue
        if name.endswith(("_variance", "alpha")):
            drawn = random.uniform(0.5, 1.5, value.shape)
        elif norm and name.endswith("weight"):
            drawn = random.uniform(0.8, 1.2, value.shape)
        elif len(value.shape) > 1:
            inputs = np.prod(value.shape[1:]) if len(value.shape) == 4 else value.shape[0]
            drawn = random.normal(0, 1.2 / np.sqrt(inputs), value.shape)
        else:
            drawn = random.normal(0, 0.1, value.shape)
        value.set_value(drawn.astype(np.float32))
    network.eval()
    return network


def picture(height: int, width: int, count: int = 1) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, (count, 3, height, width)).astype(np.float32)


def channels(part: Any) -> list[int]:
    return [shape.channels for shape in part.out_shape]


def picodet() -> Outputs:
    from ppdet.modeling.backbones import LCNet
    from ppdet.modeling.heads.pico_head import PicoFeat, PicoHeadV2
    from ppdet.modeling.necks import LCPAN

    body = LCNet(0.75, [3, 4, 5])
    neck = LCPAN(channels(body), 96, num_features=4)
    loss = types.SimpleNamespace(use_sigmoid=True)
    head = PicoHeadV2(
        PicoFeat(96, 96, 4, 2, "bn", True, "hard_swish", True),
        fpn_stride=[8, 16, 32, 64],
        reg_max=7,
        cell_offset=0.5,
        loss_class=loss,
        loss_dfl=loss,
        loss_bbox=loss,
        static_assigner=None,
        assigner=None,
        nms=None,
    )
    network, image = shaken(Parts(backbone=body, neck=neck, head=head)), picture(96, 128)
    scores, boxes = head(neck(body({"image": paddle.to_tensor(image)})))
    return network, image, [boxes, scores]


def ppyoloe(plus: bool) -> Outputs:
    from ppdet.modeling.backbones import CSPResNet
    from ppdet.modeling.bbox_utils import batch_distance2bbox
    from ppdet.modeling.heads import PPYOLOEHead
    from ppdet.modeling.necks import CustomCSPPAN

    size = {"width_mult": 0.5, "depth_mult": 0.33, "use_alpha": plus}
    body = CSPResNet([3, 6, 6, 3], return_idx=[1, 2, 3], use_large_stem=True, **size)
    neck = CustomCSPPAN(channels(body), [768, 384, 192], act="swish", block_num=3, spp=True, **size)
    head = PPYOLOEHead(channels(neck), 80, static_assigner=None, assigner=None, nms=None)
    network, image = shaken(Parts(backbone=body, neck=neck, yolo_head=head)), picture(96, 128)
    scores, distances, points, strides = head(neck(body({"image": paddle.to_tensor(image)})))
    return network, image, [batch_distance2bbox(points, distances) * strides, scores]


def pplcnet() -> Outputs:
    from ppdet.modeling.reid import PPLCNetEmbedding

    network, image = shaken(PPLCNetEmbedding()), picture(192, 64, 2)
    return network, image, [network(paddle.to_tensor(image))]


def pcb() -> Outputs:
    from ppdet.modeling.reid.pyramidal_embedding import PCBPyramid

    network, image = shaken(PCBPyramid(num_conv_out_channels=128)), picture(384, 128, 2)
    return network, image, [network(paddle.to_tensor(image))]


def fairmot(body: nn.Layer, **neck_settings: Any) -> Outputs:
    from ppdet.modeling.heads import CenterNetHead
    from ppdet.modeling.necks.centernet_fpn import CenterNetDLAFPN
    from ppdet.modeling.reid import FairMOTEmbeddingHead

    neck = CenterNetDLAFPN(channels(body), down_ratio=4, out_channel=0, **neck_settings)
    head, looks = CenterNetHead(channels(neck)[0], 1), FairMOTEmbeddingHead(channels(neck)[0])
    network = shaken(Parts(detector=Parts(backbone=body, neck=neck, head=head), reid=looks))
    image = picture(96, 128)
    x = neck(body({"image": paddle.to_tensor(image)}))
    found = head(x, None)
    return network, image, [found["heatmap"], found["size"], found["offset"], looks.reid(x)]


def fairmot_dla() -> Outputs:
    from ppdet.modeling.backbones import DLA

    return fairmot(DLA(), last_level=5, dcn_v2=True)


def fairmot_hrnet() -> Outputs:
    from ppdet.modeling.backbones import HRNet

    return fairmot(HRNet(18, return_idx=[0, 1, 2, 3], upsample=False), last_level=3, first_level=0, dcn_v2=False)


def jde() -> Outputs:
    from ppdet.modeling.backbones import DarkNet
    from ppdet.modeling.heads.yolo_head import YOLOv3Head
    from ppdet.modeling.necks import YOLOv3FPN
    from ppdet.modeling.reid import JDEEmbeddingHead

    body = DarkNet()
    neck = YOLOv3FPN(channels(body))
    masks = [[8, 9, 10, 11], [4, 5, 6, 7], [0, 1, 2, 3]]
    head = YOLOv3Head(channels(neck), [[8, 24]] * 12, masks, num_classes=1, loss=types.SimpleNamespace())
    looks = JDEEmbeddingHead()
    network = shaken(Parts(detector=Parts(backbone=body, neck=neck, yolo_head=head), reid=looks))
    image = picture(96, 128)
    maps = neck(body({"image": paddle.to_tensor(image)}), for_mot=True)
    embeddings = [part(x) for part, x in zip(looks.identify_outputs, maps["emb_feats"], strict=True)]
    return network, image, [*head(maps["yolo_feats"]), *embeddings]


NETWORKS: dict[str, Callable[[], Outputs]] = {
    "picodet_s_416": picodet,
    "ppyoloe_crn_s_300e": lambda: ppyoloe(False),
    "ppyoloe_plus_crn_s_80e": lambda: ppyoloe(True),
    "deepsort_pplcnet": pplcnet,
    "deepsort_pcb_pyramid_r101": pcb,
    "fairmot_dla34": fairmot_dla,
    "fairmot_hrnetv2_w18": fairmot_hrnet,
    "jde_darknet53": jde,
}


def outputs_of(network: nn.Layer, image: np.ndarray) -> Sequence[Any]:
    """Ours, in the order of `Outputs`."""
    from operators.networks.fairmot import FairMot
    from operators.networks.jde import Jde

    given = paddle.to_tensor(image)
    if isinstance(network, FairMot):
        return network.maps(given)
    if isinstance(network, Jde):
        levels = network.levels(given)
        return [*(raw for raw, _ in levels), *(look for _, look in levels)]
    found = network(given)
    return found if isinstance(found, tuple) else [found]


def compare(folder: Path) -> None:
    from operators.networks.official_weights import load_official, network_of
    from operators.networks.weights import read_state

    report = {}
    for name in NETWORKS:
        state = read_state(folder / f"{name}.pdparams")
        network = network_of(f"{name}_", state)
        load_official(network, state)
        with np.load(folder / f"{name}.npz") as kept, paddle.no_grad():
            ours = outputs_of(network, kept["image"])
            pairs = [(value.numpy(), kept[str(number)]) for number, value in enumerate(ours)]
        difference = max(float(np.abs(own - theirs).max() / np.abs(theirs).max()) for own, theirs in pairs)
        report[name] = {"tensors": len(state), "difference": difference}
    print(json.dumps(report, indent=1))
    sys.exit(any(entry["difference"] > MOST for entry in report.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    making = steps.add_parser("make")
    making.add_argument("--wheel", type=Path, required=True)
    making.add_argument("--to", type=Path, required=True)
    steps.add_parser("compare").add_argument("folder", type=Path)
    options = parser.parse_args()
    if options.step == "compare":
        compare(options.folder)
        return
    without_data_room(options.wheel)
    options.to.mkdir(parents=True, exist_ok=True)
    for name, make in NETWORKS.items():
        with paddle.no_grad():
            network, image, outputs = make()
        paddle.save(network.state_dict(), str(options.to / f"{name}.pdparams"))
        np.savez(options.to / f"{name}.npz", image=image, **{str(k): value.numpy() for k, value in enumerate(outputs)})


if __name__ == "__main__":
    main()
