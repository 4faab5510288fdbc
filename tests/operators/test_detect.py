"""Detectors as they are used: the bundled one on real pictures, and the exports that users bring."""

from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

from operators.detect import BUNDLED, ExportedDetector, open_detector
from operators.inference import ModelError
from operators.records import Detections, Image

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / "configs" / "media" / "walkway.mp4"
MODELS = ROOT / ".." / "shared" / "models"

# In the clip's first frame, by eye: three people walk there, two cars are parked behind them.
PEOPLE = np.float32([[499, 158, 530, 233], [258, 219, 291, 308], [633, 242, 675, 323]])


@pytest.fixture(scope="module")
def frames() -> list[Image]:
    """Every 60th of the clip's first 240 frames, 768x576."""
    video = cv2.VideoCapture(str(CLIP))
    found = []
    for index in range(240):
        read, frame = video.read()
        assert read, f"{CLIP} ended at frame {index}"
        if index % 60 == 0:
            found.append(frame)
    return found


@pytest.fixture(scope="module")
def bundled() -> ExportedDetector:
    return open_detector()


def same(left: Detections, right: Detections) -> bool:
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in ("boxes", "scores", "classes"))


def overlaps(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(found, wanted) intersection over union."""
    sides = np.minimum(found[:, None, 2:], wanted[:, 2:]) - np.maximum(found[:, None, :2], wanted[:, :2])
    inner = np.maximum(sides, 0).prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (found, wanted)]
    return inner / (areas[0][:, None] + areas[1] - inner)


def sees_the_people(detections: Detections, shift: float = 0.0) -> bool:
    sure = detections[detections.scores > 0.4]
    return bool((overlaps(sure.boxes + np.float32([shift, 0, shift, 0]), PEOPLE).max(axis=0) > 0.5).all())


def test_the_bundled_detector_finds_the_people(bundled: ExportedDetector, frames: list[Image]) -> None:
    (found,) = bundled.detect(frames[:1])
    sure = found[found.scores > 0.4]
    assert sorted(bundled.classes[number] for number in sure.classes) == ["car", "car", "person", "person", "person"]
    assert sees_the_people(sure)


def test_best_score_first_and_inside_the_picture(bundled: ExportedDetector, frames: list[Image]) -> None:
    for found in bundled.detect([frame[:, :448] for frame in frames]):
        assert found.boxes.dtype == found.scores.dtype == np.float32
        assert found.classes.dtype == np.int32
        assert (np.diff(found.scores) <= 0).all()
        assert found.scores.min() >= 0.1
        assert (found.boxes[:, :2] >= 0).all()
        assert (found.boxes[:, 2:] <= [448, 576]).all()
        assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()


def test_nobody_is_affected_by_who_shares_the_batch(frames: list[Image]) -> None:
    """Crops of both sides, whole pictures and enlarged ones: three input sizes, taken apart and put back in order."""
    pictures = [view for frame in frames[:2] for view in (frame[:, :448], frame, frame[:, 320:])]
    pictures.append(cv2.resize(frames[0], (1000, 400)))
    single = open_detector(max_batch=1)
    alone = [single.detect([picture])[0] for picture in reversed(pictures)][::-1]
    for size in (2, 4):
        together = open_detector(max_batch=size).detect(pictures)
        assert all(map(same, together, alone)), f"batches of {size} change the boxes"


def test_a_picture_gives_the_same_boxes_twice_and_is_left_alone(bundled: ExportedDetector, frames: list[Image]) -> None:
    picture = frames[-1].copy()
    picture.flags.writeable = False
    first = bundled.detect([picture])[0]
    bundled.detect([frames[0][:200]])
    assert same(bundled.detect([picture])[0], first)


def test_no_pictures_and_pictures_of_nothing(bundled: ExportedDetector) -> None:
    assert bundled.detect([]) == []
    for found in bundled.detect([np.zeros((480, 640, 3), np.uint8), np.full((40, 300, 3), 255, np.uint8)]):
        assert (found.scores < 0.4).all()


def test_only_the_wanted_classes_in_the_wanted_order(frames: list[Image]) -> None:
    frames = frames[:2]
    everything = open_detector(score_threshold=0.02).detect(frames)
    some = open_detector(score_threshold=0.02, classes=["truck", "person"])
    assert some.classes == ("truck", "person")
    for all_found, found in zip(everything, some.detect(frames), strict=True):
        assert set(found.classes.tolist()) <= {0, 1}
        assert (found.classes == 1).sum() >= (all_found.classes == 0).sum()


def test_the_threshold_drops_what_scores_less(frames: list[Image]) -> None:
    doubtful, sure = (open_detector(score_threshold=floor).detect(frames[:1])[0] for floor in (0.1, 0.45))
    assert same(sure, doubtful[doubtful.scores >= 0.45])


def test_larger_inputs_see_more(frames: list[Image]) -> None:
    far = np.zeros_like(frames[0])
    far[:192, :256] = cv2.resize(frames[0], (256, 192), interpolation=cv2.INTER_AREA)
    usual, large = (open_detector(input_size=size).detect([far])[0] for size in (None, 1000))
    assert (usual.scores > 0.4).sum() < 3
    assert (large.scores > 0.4).sum() >= 4


def test_a_class_that_the_model_lacks_is_refused() -> None:
    with pytest.raises(ModelError, match="does not know the class 'head': it knows person, bicycle, car"):
        open_detector(classes=["person", "head"])


@pytest.mark.parametrize(
    "name",
    [
        "picodet_s_416_coco.onnx",
        "picodet_xs_320_coco_postprocessed.onnx",
        "yolox_nano_416_coco.onnx",
        "nanodet_m_416_coco.onnx",
    ],
)
def test_bare_onnx_files_of_known_families(name: str, frames: list[Image]) -> None:
    if not (MODELS / name).is_file():
        pytest.skip(f"../shared/models/{name} is not here")
    pytest.importorskip("onnxruntime")
    detector = open_detector(MODELS / name, classes=["car", "person"])
    whole, right = detector.detect([frames[0], frames[0][:, 240:]])
    assert sees_the_people(whole)
    assert sees_the_people(right, shift=240)
    with pytest.raises(ModelError, match="only: leave the input size out"):
        open_detector(MODELS / name, input_size=640)


@pytest.fixture(scope="module")
def suppressing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export as PP-YOLOE's are: three inputs, suppression inside, boxes in pixels of the picture.

    It sees two things in every picture: one as large as the resized picture, and a doubtful one in its middle.
    """
    import paddle

    class Suppressing(paddle.nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            row = paddle.to_tensor([[1.0, 0.75, 0, 0, 1, 1], [0.0, 0.05, 0.5, 0.5, 1, 1]])
            self.row = self.create_parameter([1, 2, 6], default_initializer=paddle.nn.initializer.Assign(row[None]))

        def forward(
            self, im_shape: paddle.Tensor, image: paddle.Tensor, scale_factor: paddle.Tensor
        ) -> tuple[paddle.Tensor, paddle.Tensor]:
            size = im_shape / scale_factor
            unit = paddle.ones_like(size)
            corner = paddle.stack([size[:, 1], size[:, 0]], axis=1)
            factors = paddle.concat([unit, corner, corner], axis=1).unsqueeze(1)
            shade = image.mean(axis=[1, 2, 3]).reshape([-1, 1, 1]) * 0
            rows = (self.row * factors + shade).reshape([-1, 6])
            return rows, (paddle.ones_like(im_shape[:, 0]) * 2).astype("int32")

    folder = tmp_path_factory.mktemp("suppressing")
    shapes = {"im_shape": [None, 2], "image": [None, 3, 64, 64], "scale_factor": [None, 2]}
    specification = [paddle.static.InputSpec(shape, "float32", name) for name, shape in shapes.items()]
    with warnings.catch_warnings():
        # It says that a value of a graph has no place, whatever one does with it.
        warnings.simplefilter("ignore")
        paddle.jit.save(Suppressing(), str(folder / "model"), input_spec=specification)
    (folder / "infer_cfg.yml").write_text(
        "arch: YOLO\n"
        "Preprocess:\n"
        "- {type: Resize, target_size: [64, 64], keep_ratio: false, interp: 2}\n"
        "- {type: NormalizeImage, norm_type: none, mean: [0, 0, 0], std: [1, 1, 1]}\n"
        "- {type: Permute}\n"
        "label_list: [cyclist, tram]\n"
    )
    return folder


def test_an_export_that_suppresses_by_itself(suppressing: Path) -> None:
    detector = open_detector(suppressing)
    assert detector.classes == ("cyclist", "tram")
    found = detector.detect([np.zeros((48, 200, 3), np.uint8), np.zeros((300, 100, 3), np.uint8)])
    for detections, corner in zip(found, ([200, 48], [100, 300]), strict=True):
        np.testing.assert_allclose(detections.boxes, [[0, 0, *corner]], rtol=1e-5)
        assert detections.classes.tolist() == [1]
    (doubtful,) = open_detector(suppressing, score_threshold=0.01).detect([np.zeros((48, 200, 3), np.uint8)])
    assert doubtful.classes.tolist() == [1, 0]
    np.testing.assert_allclose(doubtful.boxes[1], [100, 24, 200, 48], rtol=1e-5)


def test_labels_that_do_not_belong_to_the_model_are_refused(tmp_path: Path) -> None:
    for file in BUNDLED.glob("model.*"):
        (tmp_path / file.name).symlink_to(file)
    text = (BUNDLED / "infer_cfg.yml").read_text()
    (tmp_path / "infer_cfg.yml").write_text(text + "- tram\n")
    with pytest.raises(ModelError, match="scores 6 classes, but its configuration names 7"):
        open_detector(tmp_path)
    (tmp_path / "infer_cfg.yml").unlink()
    with pytest.raises(ModelError, match=r"does not say how large its input is: .* infer_cfg.yml beside it"):
        open_detector(tmp_path)
    with pytest.raises(ModelError, match=r"does not say how it wants its pictures: put its infer_cfg.yml"):
        open_detector(tmp_path, input_size=416)


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (2000, 1)])
def test_pictures_of_hardly_a_pixel_are_pictures(bundled: ExportedDetector, shape: tuple[int, int]) -> None:
    (found,) = bundled.detect([np.full((*shape, 3), 128, np.uint8)])
    assert (found.boxes >= 0).all()
    assert (found.boxes[:, 2:] <= [shape[1], shape[0]]).all()


def test_a_pedestrian_is_a_person(suppressing: Path, tmp_path: Path) -> None:
    for file in suppressing.glob("model.*"):
        (tmp_path / file.name).symlink_to(file)
    text = (suppressing / "infer_cfg.yml").read_text()
    (tmp_path / "infer_cfg.yml").write_text(text.replace("[cyclist, tram]", "[tram, pedestrian]"))
    detector = open_detector(tmp_path, classes=["person"])
    (found,) = detector.detect([np.zeros((48, 200, 3), np.uint8)])
    assert detector.classes == ("person",)
    assert found.classes.tolist() == [0]
    with pytest.raises(ModelError, match="does not know the class 'car': it knows tram, pedestrian"):
        open_detector(tmp_path, classes=["car"])


def test_labels_that_end_too_soon_are_told_where_only_what_is_found_says_how_many(
    suppressing: Path, tmp_path: Path
) -> None:
    for file in suppressing.glob("model.*"):
        (tmp_path / file.name).symlink_to(file)
    text = (suppressing / "infer_cfg.yml").read_text()
    (tmp_path / "infer_cfg.yml").write_text(text.replace("[cyclist, tram]", "[cyclist]"))
    with pytest.raises(ModelError, match="found class 1, but its configuration names only 1 classes: complete its lab"):
        open_detector(tmp_path).detect([np.zeros((48, 200, 3), np.uint8)])


def test_a_network_that_is_no_detector_is_refused() -> None:
    model = MODELS / "osnet_x0_25_msmt17.onnx"
    if not model.is_file():
        pytest.skip("../shared/models is not here")
    pytest.importorskip("onnxruntime")
    with pytest.raises(ModelError, match="is no detector that is known here: its outputs are 1x512"):
        open_detector(model)
