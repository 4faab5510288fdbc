"""Weights by PaddleDetection's names: each has its place in our networks, and what does not fit is said."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import paddle
import paddle.nn.functional as F  # noqa: N812 - the name the field uses
import pytest
from paddle import nn

from operators.class_names import COCO, VISDRONE
from operators.inference import ModelError
from operators.networks import picodet
from operators.networks.fairmot import FairMot
from operators.networks.jde import Jde
from operators.networks.official_names import OWN, names_for
from operators.networks.official_weights import input_size, labels_of, load_official, network_of
from operators.networks.picodet import PicoDet
from operators.networks.ppyoloe import PPYoloE, Size, Twofold
from operators.networks.reid import LCNetEmbedding, PyramidEmbedding
from operators.networks.weights import read_state

# SHA-256 of the sorted names of PaddleDetection 2.6.0's own networks, as deep as these, and some of the names.
OFFICIAL: dict[str, tuple[Callable[[], nn.Layer], str, str]] = {
    "PicoDet-S": (
        lambda: PicoDet(1, picodet.Size(0.25, 16, 2)),
        "0aa34f4d75fc2f45",
        "neck.downsamples.0.dwconv.weight",
    ),
    "PP-YOLOE-s": (
        lambda: PPYoloE(1, Size(0.33, 0.125)),
        "e9027f7c0b47a4ab",
        "neck.fpn_stages.0.0.convs.spp.conv.bn._mean",
    ),
    "PP-LCNet": (
        lambda: LCNetEmbedding(0.25, 8, 8),
        "892e09c3b724569c",
        "backbone.blocks6.0.se.conv1.weight",
    ),
    "PCB": (lambda: PyramidEmbedding(101, 1), "fa13c850eb7a6d43", "base.res4b22.conv0._conv.weight"),
    "FairMOT on DLA-34": (
        lambda: FairMot(deformable=True, scale=0.25, hidden=8),
        "f27f555ad9d61551",
        "detector.neck.dla_up.ida_2.proj_1.0.conv.conv_dcn.weight",
    ),
    "FairMOT on HRNet": (
        lambda: FairMot(1, "hrnet18", scale=0.2, hidden=8),
        "61ab0bf744cf6a90",
        "detector.backbone.st3.stage_st3_1.fuse_func.residual_st3_1_layer_3_1_2.conv.weight",
    ),
    "JDE": (
        lambda: Jde(4, embedding=8),
        "d1a613d1b2bd7ddf",
        "detector.backbone.stage.2.stage.2.7.conv2.batch_norm.weight",
    ),
}


def officially(network: nn.Layer) -> dict[str, np.ndarray]:
    renamed = names_for(network)
    assert renamed is not None
    return {renamed(name): value.numpy() for name, value in network.state_dict().items() if name not in OWN}


@pytest.mark.parametrize("name", OFFICIAL)
def test_every_tensor_has_the_name_that_paddle_detection_gives_it(name: str) -> None:
    make, digest, among = OFFICIAL[name]
    names = sorted(officially(make()))
    assert among in names
    assert hashlib.sha256("\n".join(names).encode()).hexdigest().startswith(digest)


def test_weights_come_in_by_name_whatever_only_training_needs(tmp_path: Path) -> None:
    paddle.seed(3)
    given, taking = LCNetEmbedding(0.35, 16, 24), LCNetEmbedding(0.35, 16, 24)
    state = officially(given) | {"classifier.weight": np.zeros((16, 9), np.float32)}
    paddle.save(state, str(tmp_path / "w.pdparams"))
    load_official(taking, read_state(tmp_path / "w.pdparams"))
    image = paddle.randn([2, 3, 32, 32])
    given.eval()
    np.testing.assert_array_equal(taking(image).numpy(), given(image).numpy())


def test_the_factors_of_pp_yoloe_plus_are_computed_into_its_norms() -> None:
    paddle.seed(4)
    network = PPYoloE(2, Size(0.1, 0.125))
    state = officially(network)
    for norm in [name for name in state if name.endswith("conv2.conv2.bn.bias")]:
        state[norm] = np.random.default_rng(1).normal(size=state[norm].shape).astype(np.float32)
        state[f"{norm.removesuffix('conv2.bn.bias')}alpha"] = np.float32([2.5])
    load_official(network, state)
    block = network.stages[0].blocks[0].second
    assert isinstance(block, Twofold)
    x = paddle.randn([1, block.wide.conv.weight.shape[1], 6, 6])
    plain = PPYoloE(2, Size(0.1, 0.125))
    load_official(plain, {name: value for name, value in state.items() if not name.endswith("alpha")})
    single = plain.stages[0].blocks[0].second
    np.testing.assert_allclose(
        block(x).numpy(), F.swish(single.wide(x) + 2.5 * single.point(x)).numpy(), rtol=1e-4, atol=1e-5
    )


def test_weights_of_another_network_are_refused_by_name() -> None:
    network = LCNetEmbedding(0.35, 16, 24)
    before = network.project.weight.numpy()
    state = officially(LCNetEmbedding(0.35, 16, 32))
    del state["neck.fc.bias"]
    state["backbone.blocks7.weight"] = np.zeros(1, np.float32)
    with pytest.raises(ModelError) as said:
        load_official(network, state)
    assert str(said.value) == (
        "not the weights of this LCNetEmbedding: of its tensors 1 are missing (neck.fc.bias); 1 have no place in it "
        "(backbone.blocks7.weight); 2 differ in shape (backbone.last_conv.weight is 32x512x1x1, not 24x512x1x1, "
        "neck.fc.weight is 32x16, not 24x16)"
    ).replace("512", str(network.widen.weight.shape[1]))
    np.testing.assert_array_equal(network.project.weight.numpy(), before)


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "there is no such file"), (b"no weights", "cannot be read as Paddle's weights")],
)
def test_files_that_hold_no_weights(content: bytes | None, says: str, tmp_path: Path) -> None:
    file = tmp_path / "w.pdparams"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ModelError, match=says):
        read_state(file)


def test_a_published_name_tells_network_classes_and_size() -> None:
    heads = {"head.head_cls0.bias": np.zeros(80)}
    network = network_of("picodet_xs_320_coco_lcnet", heads)
    assert isinstance(network, PicoDet)
    assert network.classes == 80
    assert labels_of("picodet_xs_320_coco_lcnet", heads) == COCO
    points = {"detector.head.heatmap.2.conv.bias": np.zeros(10)}
    assert labels_of("mcfairmot_dla34_30e_1088x608_visdrone", points) == VISDRONE
    assert labels_of("fairmot_dla34_30e_1088x608_headtracking21", {}) == ("head",)
    assert labels_of("deepsort_pplcnet", {}) == ()
    assert input_size("picodet_xs_320_coco_lcnet") == (320, 320)
    assert input_size("fairmot_hrnetv2_w18_dlafpn_30e_576x320") == (320, 576)
    assert input_size("ppyoloe_plus_crn_l_80e_coco") == (640, 640)
    assert input_size("deepsort_pcb_pyramid_r101") == (192, 64)
    with pytest.raises(ModelError, match="10 classes apart: name them in their order by --classes"):
        labels_of("fairmot_dla34_of_mine", points)
    with pytest.raises(ModelError, match="cascade_rcnn: no network here is called so"):
        network_of("cascade_rcnn", {})
