"""What PaddleDetection calls the weights of our networks: its `.pdparams` files, name by name.

A name is its module's path in PaddleDetection 2.6, which later releases have kept. The tables were held against the
networks of that release with random weights (tests/benchmarks/official_networks.py): same names, same shapes, same
outputs. No published file was at hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial

from paddle import nn

from operators.networks.fairmot import FairMot
from operators.networks.jde import Jde
from operators.networks.picodet import PicoDet
from operators.networks.ppyoloe import Pool, PPYoloE
from operators.networks.reid import LCNetEmbedding, PyramidEmbedding

Rule = tuple[str, str | Callable[[re.Match[str]], str]]
Names = Callable[[str], str]

OWN = frozenset({"bins"})
"""Tensors of ours that hold no weight."""
PASSED_OVER = re.compile(
    r"classifier\.|loss_param$|\.proj_conv\.|head_(cls|reg)_list\.|\.scale_reg$|distribution_project\."
    r"|^(det|reid)_weight$|^loss\.|pyramid_fc_list|\.backbone\.level[34]\.project\."
)
"""What files hold that only training needs, that is a constant, that is there twice, or that nothing is computed by."""


def _plus(pattern: str, shape: str, *more: int) -> Rule:
    """A rule whose numbers grow: by 1, or by what `more` says of each."""
    return pattern, lambda m: shape.format(*(int(n) + (more[k] if more else 1) for k, n in enumerate(m.groups())))


_LCNET: tuple[Rule, ...] = (
    (r"^backbone\.stem\.", "backbone.conv1."),
    (r"^backbone\.stages\.(\d)\.", lambda m: f"backbone.blocks{int(m[1]) + 2}."),
    (r"^(backbone\..+)\.depthwise\.", r"\1.dw_conv."),
    (r"^(backbone\..+)\.pointwise\.", r"\1.pw_conv."),
    (r"\.excite\.squeeze\.", ".se.conv1."),
    (r"\.excite\.excite\.", ".se.conv2."),
    (r"^(backbone\..+)\.norm\.", r"\1.bn."),
)
_PICODET: tuple[Rule, ...] = (
    *_LCNET,
    (r"^neck\.laterals\.(\d)\.", r"neck.conv_t.convs.\1."),
    (r"^neck\.down\.", "neck.top_down_blocks."),
    (r"^neck\.up\.", "neck.bottom_up_blocks."),
    (r"\.first\.", ".0."),
    (r"\.second\.", ".1."),
    (r"^neck\.halve\.(\d)\.", r"neck.downsamples.\1:"),
    (r"^neck\.top_of_backbone\.", "neck.first_top_conv:"),
    (r"^neck\.top_of_neck\.", "neck.second_top_conv:"),
    (r":depthwise\.conv\.", ".dwconv."),
    (r":depthwise\.norm\.", ".bn1."),
    (r":pointwise\.conv\.", ".pwconv."),
    (r":pointwise\.norm\.", ".bn2."),
    (r"^(neck\..+)\.depthwise\.", r"\1.dw_conv."),
    (r"^(neck\..+)\.pointwise\.", r"\1.pw_conv."),
    (r"^(neck\..+)\.norm\.", r"\1.bn."),
    (r"^branches\.(\d)\.tower\.(\d)\.depthwise\.", r"head.conv_feat.cls_conv_dw\1.\2."),
    (r"^branches\.(\d)\.tower\.(\d)\.pointwise\.", r"head.conv_feat.cls_conv_pw\1.\2."),
    (r"^branches\.(\d)\.weigh\.", r"head.conv_feat.se.\1.fc."),
    (r"^branches\.(\d)\.mix\.", r"head.conv_feat.se.\1.conv."),
    (r"^branches\.(\d)\.predict_class\.", r"head.head_cls\1."),
    (r"^branches\.(\d)\.predict_sides\.", r"head.head_reg\1."),
    (r"^branches\.(\d)\.align_wide\.conv\.", r"head.cls_align.\1.dwconv."),
    (r"^branches\.(\d)\.align_wide\.norm\.", r"head.cls_align.\1.bn1."),
    (r"^branches\.(\d)\.align\.conv\.", r"head.cls_align.\1.pwconv."),
    (r"^branches\.(\d)\.align\.norm\.", r"head.cls_align.\1.bn2."),
)
_PPYOLOE: tuple[Rule, ...] = (
    _plus(r"^stem\.(\d)\.", "backbone.stem.conv{}."),
    (r"^stages\.", "backbone.stages."),
    (r"^down\.(\d)\.", r"neck.fpn_stages.\1.0."),
    (r"^up\.(\d)\.", lambda m: f"neck.pan_stages.{1 - int(m[1])}.0."),
    (r"^narrow\.", "neck.fpn_routes."),
    (r"^halve\.(\d)\.", lambda m: f"neck.pan_routes.{1 - int(m[1])}."),
    (r"^(neck\..+)\.blocks\.\d+\.conv\.", r"\1.convs.spp.conv."),
    (r"^(neck\..+)\.blocks\.", r"\1.convs."),
    (r"\.halve\.", ".conv_down."),
    (r"\.left\.", ".conv1."),
    (r"\.right\.", ".conv2."),
    (r"\.exit\.", ".conv3."),
    (r"\.first\.", ".conv1."),
    (r"\.second\.wide\.", ".conv2.conv1."),
    (r"\.second\.point\.", ".conv2.conv2."),
    (r"\.weigh\.conv\.", ".attn.fc."),
    (r"^attend_class\.", "yolo_head.stem_cls."),
    (r"^attend_sides\.", "yolo_head.stem_reg."),
    (r"\.weigh\.", ".fc."),
    (r"\.mix\.", ".conv."),
    (r"^predict_class\.", "yolo_head.pred_cls."),
    (r"^predict_sides\.", "yolo_head.pred_reg."),
    (r"\.norm\.", ".bn."),
)
_JDE: tuple[Rule, ...] = (
    (r"^backbone\.stem\.", "backbone.conv0."),
    (r"^backbone\.stages\.0\.0\.", "backbone.downsample0.conv_bn_layer."),
    _plus(r"^backbone\.stages\.(\d)\.0\.", "backbone.stage.{}.downsample.conv_bn_layer.", -1),
    (r"^backbone\.stages\.(\d)\.1\.", r"backbone.stage.\1.basicblock0."),
    (r"^backbone\.stages\.(\d)\.(\d+)\.", lambda m: f"backbone.stage.{m[1]}.stage.{m[1]}.{int(m[2]) - 1}."),
    (r"^blocks\.(\d)\.route\.4\.", r"neck.yolo_block.\1.conv_module.route."),
    (r"^blocks\.(\d)\.route\.(\d)\.", r"neck.yolo_block.\1.conv_module.conv\2."),
    (r"^blocks\.(\d)\.tip\.", r"neck.yolo_block.\1.tip."),
    (r"^narrow\.", "neck.yolo_transition."),
    (r"\.narrow\.", ".conv1."),
    (r"\.widen\.", ".conv2."),
    (r"\.norm\.", ".batch_norm."),
    (r"^predictors\.", "yolo_head.yolo_output."),
    (r"^(?!embedders)", "detector."),
    (r"^embedders\.", "reid.identify_output."),
)
_DLA: tuple[Rule, ...] = (
    (r"^backbone\.stem\.", "backbone.base_layer.0."),
    (r"^backbone\.flat\.(\d)\.", r"backbone.level\1.0."),
    _plus(r"^backbone\.trees\.(\d)\.", "backbone.level{}.", 2),
    (r"\.left(?=\.)", ".tree1"),
    (r"\.right(?=\.)", ".tree2"),
    (r"\.first\.", ".conv1."),
    (r"\.second\.", ".conv2."),
    (r"\.root\.", ".root.conv."),
)
_HRNET: tuple[Rule, ...] = (
    _plus(r"^backbone\.stem\.(\d)\.", "backbone.conv_layer1_{}."),
    _plus(r"^backbone\.first\.(\d)\.", "backbone.la1.block_layer2_{}."),
    _plus(r"^backbone\.begin\.(\d)\.(\d)\.", "backbone.tr{0}.transition_tr{0}_layer_{1}."),
    _plus(
        r"^backbone\.stages\.(\d)\.(\d)\.branches\.(\d)\.(\d)\.",
        "backbone.st{0}.stage_st{0}_{1}.branches_func.bb_st{0}_{1}_branch_layer_{2}_{3}.",
        *(2, 1, 1, 1),
    ),
    _plus(
        r"^backbone\.stages\.(\d)\.(\d)\.paths\.(\d)\.(\d)\.(\d)\.",
        "backbone.st{0}.stage_st{0}_{1}.fuse_func.residual_st{0}_{1}_layer_{2}_{3}_{4}.",
        *(2, 1, 1, 1, 1),
    ),
    _plus(
        r"^backbone\.stages\.(\d)\.(\d)\.paths\.(\d)\.(\d)\.",
        "backbone.st{0}.stage_st{0}_{1}.fuse_func.residual_st{0}_{1}_layer_{2}_{3}.",
        *(2, 1, 1, 1),
    ),
    _plus(r"\.path\.(\d)\.", ".conv{}."),
    (r"\.around\.", ".conv_down."),
)
_FAIRMOT: tuple[Rule, ...] = (
    (r"^neck\.steps\.(\d)\.", r"neck.dla_up.ida_\1."),
    (r"^neck\.last\.", "neck.ida_up."),
    _plus(r"\.enlarge\.(\d)\.conv\.", ".up_{}."),
    _plus(r"\.project\.(\d)\.", ".proj_{}.0."),
    _plus(r"\.mix\.(\d)\.", ".node_{}.0."),
    (r"^(neck\..+)\.bent\.", r"\1.conv.conv_dcn."),
    (r"^(neck\..+)\.shifts\.", r"\1.conv.conv_offset."),
    (r"^heat\.", "head.heatmap."),
    (r"^(size|offset)\.", r"head.\1."),
    (r"^look\.", "reid."),
    (r"\.hidden\.|^hidden\.", ".0.conv."),
    (r"\.predict\.", ".2.conv."),
    (r"^(?!reid)", "detector."),
    (r"^reid\.", "reid.reid."),
)
_REID: tuple[Rule, ...] = (
    *_LCNET,
    (r"^widen\.", "backbone.last_conv."),
    (r"^project\.", "neck.fc."),
)
_PYRAMID: tuple[Rule, ...] = (
    (r"^backbone\.conv1\.", "base.conv._conv."),
    (r"^backbone\.bn1\.", "base.conv._batch_norm."),
    (r"^backbone\.layer(\d)\.(\d+)\.", lambda m: f"base.res{_block(int(m[1]) + 1, int(m[2]))}."),
    (r"\.downsample\.0\.", ".short._conv."),
    (r"\.downsample\.1\.", ".short._batch_norm."),
    _plus(r"\.conv(\d)\.", ".conv{}._conv.", -1),
    _plus(r"\.bn(\d)\.", ".conv{}._batch_norm.", -1),
    (r"^branches\.(\d+)\.conv\.", r"pyramid_conv_list0.\1.0."),
    (r"^branches\.(\d+)\.norm\.", r"pyramid_conv_list0.\1.1."),
)


def _block(stage: int, number: int) -> str:
    """Caffe's way of naming ResNet-101's blocks: letters, but in the long stage b1, b2 and so on."""
    return f"{stage}{'abcd'[number]}" if stage != 4 else f"4{f'b{number}' if number else 'a'}"


def names_for(network: nn.Layer) -> Names | None:
    """Our name of a tensor to PaddleDetection's; None of a network that has no table."""
    if isinstance(network, PicoDet):
        return partial(_renamed, _PICODET) if network.version == 2 else None
    if isinstance(network, PPYoloE):
        return partial(_renamed, (*_after_pool(network), *_PPYOLOE))
    if isinstance(network, FairMot):
        return partial(_renamed, (*(_DLA if network.on_dla else _HRNET), *_FAIRMOT))
    rules: Iterable[tuple[type[nn.Layer], tuple[Rule, ...]]]
    rules = ((Jde, _JDE), (LCNetEmbedding, _REID), (PyramidEmbedding, _PYRAMID))
    return next((partial(_renamed, table) for kind, table in rules if isinstance(network, kind)), None)


def _after_pool(network: PPYoloE) -> list[Rule]:
    """The pool is among the blocks, but is not counted."""
    blocks = network.down[0].blocks
    place = next(number for number, block in enumerate(blocks) if isinstance(block, Pool))
    return [
        (rf"^down\.0\.blocks\.{number}\.", f"down.0.blocks.{number - 1}.") for number in range(place + 1, len(blocks))
    ]


def _renamed(rules: Iterable[Rule], name: str) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name
