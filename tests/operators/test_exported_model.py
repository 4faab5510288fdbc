"""What is read from the configuration beside an exported model."""

from __future__ import annotations

from pathlib import Path

import pytest

from operators.class_names import COCO
from operators.exported_model import find_configuration, read_configuration
from operators.inference import ModelError
from operators.preprocess import Preprocessing, Resizing

PP_YOLOE = """
mode: paddle
draw_threshold: 0.5
metric: COCO
use_dynamic_shape: false
arch: YOLO
min_subgraph_size: 3
Preprocess:
- interp: 2
  keep_ratio: false
  target_size: [640, 640]
  type: Resize
- mean: [0.0, 0.0, 0.0]
  norm_type: none
  std: [1.0, 1.0, 1.0]
  type: NormalizeImage
- type: Permute
label_list: [pedestrian, 3]
NMS: {keep_top_k: 300, nms_threshold: 0.7}
"""

JDE = """
Preprocess:
- {type: LetterBoxResize, target_size: [608, 1088]}
- {type: NormalizeImage, mean: [0, 0, 0], std: [1, 1, 1], is_scale: true}
- {type: Permute}
tracker: {type: JDETracker}
"""

PICODET = """
Preprocess:
- {type: Resize, target_size: 416, keep_ratio: true, interp: 2}
- {type: NormalizeImage, is_scale: true, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}
- {type: Permute}
- {type: PadStride, stride: 32}
"""


def read(tmp_path: Path, text: str) -> tuple[Preprocessing, tuple[str, ...], float | None]:
    file = tmp_path / "infer_cfg.yml"
    file.write_text(text, "utf-8")
    description = read_configuration(file)
    return description.preprocessing, description.labels, description.iou


def test_an_export_of_pp_yoloe(tmp_path: Path) -> None:
    preprocessing, labels, iou = read(tmp_path, PP_YOLOE)
    assert preprocessing.resizing == Resizing(640, 640, interpolation=2)
    assert labels == ("pedestrian", "3")
    assert iou == 0.7


def test_pictures_are_scaled_to_one_before_they_are_normalised(tmp_path: Path) -> None:
    preprocessing, _, iou = read(tmp_path, PICODET)
    assert preprocessing.mean == pytest.approx((123.675, 116.28, 103.53))
    assert preprocessing.std == pytest.approx((58.395, 57.12, 57.375))
    assert preprocessing.resizing == Resizing(416, 416, True, 2, pad_to=32)
    assert preprocessing.padding is None, "padding after normalising is zero"
    assert iou is None


def test_an_unnormalised_model_still_wants_zero_to_one(tmp_path: Path) -> None:
    preprocessing, _, _ = read(tmp_path, PP_YOLOE)
    assert preprocessing.mean == (0.0, 0.0, 0.0)
    assert preprocessing.std == (255.0, 255.0, 255.0)


def test_a_letterbox_is_centred_on_grey(tmp_path: Path) -> None:
    preprocessing, labels, _ = read(tmp_path, JDE)
    assert preprocessing.resizing == Resizing(608, 1088, True, 3, fill=True, centred=True)
    assert preprocessing.padding == 127.5
    assert labels == ()


def test_padding_before_normalising_is_a_pixel_value(tmp_path: Path) -> None:
    steps = """
    Preprocess:
    - {type: Resize, target_size: [416, 416], keep_ratio: true}
    - {type: Pad, size: [416, 416], fill_value: [114.0, 114.0, 114.0]}
    - {type: NormalizeImage, is_scale: false, norm_type: none}
    - {type: Permute}
    """
    preprocessing, _, _ = read(tmp_path, steps)
    assert preprocessing.padding == 114.0
    assert preprocessing.resizing.fill


def test_unknown_keys_are_passed_over(tmp_path: Path) -> None:
    assert read(tmp_path, PP_YOLOE + "\nhpi_config: {backend: [x]}\n")[1] == ("pedestrian", "3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Preprocess: [", "cannot be read as YAML"),
        ("- 1", "describes no model"),
        ("Preprocess: [{type: TopDownEvalAffine}]", "a step 'TopDownEvalAffine', which no detector here needs"),
        ("Preprocess: [{target_size: [1, 2]}]", "is not laid out as PaddleDetection's exports are"),
        ("Preprocess: [{type: Resize, target_size: [1, 2, 3]}]", "is not laid out"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_file_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        read(tmp_path, text)
    assert "infer_cfg.yml" in str(caught.value)


def test_unknown_keys_are_said_at_debug_level(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", logger="operators.exported_model"):
        read(tmp_path, PP_YOLOE.replace("- type: Permute", "- type: Permute\n  layout: NCHW") + "\nhpi_config: {}\n")
    assert [record.args[1:] for record in caplog.records] == [("hpi_config",), ("Permute", "layout")]


def test_centertracks_pictures_are_warped_and_stay_blue_first(tmp_path: Path) -> None:
    steps = "Preprocess: [{type: WarpAffine, input_h: 544, input_w: 960, keep_res: false, pad: 31}]"
    preprocessing, _, _ = read(tmp_path, steps)
    assert preprocessing.resizing == Resizing(544, 960, warp=True)
    assert preprocessing.bgr
    preprocessing, _, _ = read(tmp_path, "Preprocess: [{type: WarpAffine, keep_res: true, pad: 31}]")
    assert preprocessing.resizing == Resizing(0, 0, pad_to=32, warp=True)


def test_the_architecture_says_whether_embeddings_come_along(tmp_path: Path) -> None:
    file = tmp_path / "infer_cfg.yml"
    file.write_text("arch: FairMOT")
    assert read_configuration(file).one_shot
    file.write_text("mode: paddle")
    assert not read_configuration(file).one_shot
    assert not read_configuration(file).sized


def test_both_names_of_the_file_are_found(tmp_path: Path) -> None:
    assert find_configuration(tmp_path) is None
    (tmp_path / "inference.yml").write_text("")
    assert find_configuration(tmp_path) == tmp_path / "inference.yml"


def test_coco_has_eighty_names() -> None:
    assert len(set(COCO)) == 80
    assert COCO[0] == "person"
    assert COCO[7] == "truck"
    assert COCO[79] == "toothbrush"
