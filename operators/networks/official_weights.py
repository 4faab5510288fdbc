"""PaddleDetection's `.pdparams` in our networks: which network a file is of, and its tensors by name.

Nothing is taken on trust: a name that is missing, a name too many or another shape is said, and nothing is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from paddle import nn

from operators.class_names import COCO, VISDRONE
from operators.inference import ModelError
from operators.networks.fairmot import FairMot
from operators.networks.jde import Jde
from operators.networks.official_names import OWN, PASSED_OVER, names_for
from operators.networks.picodet import PicoDet
from operators.networks.ppyoloe import PPYoloE
from operators.networks.reid import LCNetEmbedding, PyramidEmbedding
from operators.networks.weights import State, differences

_KINDS: Sequence[tuple[str, Callable[[re.Match[str], int], nn.Layer]]] = (
    (r"picodet_(xs|s|m|l)_", lambda name, count: PicoDet(count, name[1])),
    (r"ppyoloe(?:_plus)?(?:_crn)?_(s|m|l|x)_", lambda name, count: PPYoloE(count, name[1])),
    (r"fairmot_dla34", lambda name, count: FairMot(count, "dla34", deformable=True)),
    (r"fairmot_hrnetv2_w18", lambda name, count: FairMot(count, "hrnet18")),
    (r"jde_darknet53", lambda name, count: Jde()),
    (r"deepsort_pplcnet", lambda name, count: LCNetEmbedding()),
    (r"deepsort_pcb_pyramid_r101", lambda name, count: PyramidEmbedding()),
)
_CLASSES = ("head.head_cls0.bias", "yolo_head.pred_cls.0.bias", "detector.head.heatmap.2.conv.bias")
"""Tensors as long as there are classes."""


def input_size(name: str) -> tuple[int, int]:
    """Height and width that a model of that name was published for."""
    if name.startswith("deepsort"):
        return 192, 64
    found = re.search(r"_(\d{3,4})x(\d{3,4})(?:_|$)", name)
    if found is not None:
        return int(found[2]), int(found[1])
    found = re.search(r"picodet_[a-z]+_(\d{3})", name)
    if found is not None:
        return int(found[1]), int(found[1])
    return (608, 1088) if "mot_dla" in name or name.startswith("jde") else (640, 640)


def labels_of(name: str, state: Mapping[str, Any]) -> tuple[str, ...]:
    """What the classes are called, where the number of them or the model's name tells; none of a ReID network.

    Raises:
        ModelError: it does not.
    """
    if name.startswith("deepsort"):
        return ()
    count = class_count(state)
    if count == len(COCO):
        return COCO
    if count == len(VISDRONE) and "visdrone" in name:
        return VISDRONE
    if count == 1:
        return (next((kind for kind in ("head", "vehicle") if kind in name), "person"),)
    raise ModelError(f"{name} tells {count} classes apart: name them in their order by --classes")


def network_of(name: str, state: Mapping[str, Any]) -> nn.Layer:
    """The network that the weights are of, with random ones as yet.

    Args:
        name: as PaddleDetection calls the model, with whatever follows: `picodet_s_416_coco_lcnet`.
        state: the file's tensors, which say how many classes there are.

    Raises:
        ModelError: no network here goes by that name.
    """
    count = class_count(state)
    for pattern, make in _KINDS:
        found = re.search(pattern, name)
        if found is not None:
            return make(found, count)
    raise ModelError(
        f"{name}: no network here is called so; weights are read of PicoDet (LCNet), PP-YOLOE, FairMOT, JDE, PP-LCNet "
        "and PCB, of others give an export"
    )


def load_official(network: nn.Layer, state: State) -> None:
    """Put PaddleDetection's weights into a network of ours; it is in `eval` mode then.

    Two things are theirs alone and are computed into ours: PP-YOLOE+'s factors of the pointwise path, and the biases
    that PCB has before its norms.

    Raises:
        ModelError: names or shapes differ; says which.
    """
    renamed = names_for(network)
    if renamed is None:
        raise ModelError(f"the names of {type(network).__name__}'s official weights are not known here")
    state = {name.removeprefix("reid.") if name.startswith("reid.backbone") else name: v for name, v in state.items()}
    own = {name: tensor for name, tensor in network.state_dict().items() if name not in OWN}
    theirs = {name: renamed(name) for name in own}
    wanted = set(theirs.values())
    state = _folded(state, wanted)
    state = {name: value for name, value in state.items() if name in wanted or not PASSED_OVER.search(name)}
    wrong = differences(own, state, theirs)
    if wrong:
        raise ModelError(f"not the weights of this {type(network).__name__}: of its tensors {wrong}")
    for name, tensor in own.items():
        tensor.set_value(np.asarray(state[theirs[name]], np.float32))
    network.eval()


def _folded(state: State, wanted: set[str]) -> State:
    """Without what our networks have no place for, but what it does is not lost."""
    folded = dict(state)
    for name, value in state.items():
        if name.endswith(".alpha"):
            norm = f"{name.removesuffix('alpha')}conv2.bn."
            for part in (f"{norm}weight", f"{norm}bias"):
                if part in state:
                    folded[part] = state[part] * value
            del folded[name]
        elif re.fullmatch(r"pyramid_conv_list0\.\d+\.0\.bias", name) and name not in wanted:
            mean = f"{name.removesuffix('0.bias')}1._mean"
            if mean in state:
                folded[mean] = state[mean] - value
                del folded[name]
    return folded


def class_count(state: Mapping[str, Any]) -> int:
    """How many classes the weights of a detector or one-shot tracker tell apart; 1 where nothing says so."""
    return next((len(state[key]) for key in _CLASSES if key in state), 1)
