"""deploy/cpp: detections of a model, and a video through one, held to what the Python side says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from cpp_programs import has_opencv, run, shared_python
from ruamel.yaml import YAML

from operators.detect import BUNDLED, ExportedDetector, open_detector
from operators.exported_model import read_configuration
from operators.track.mot_text import mot_rows
from operators.track.registry import create

ROOT = Path(__file__).resolve().parents[2]
LABELS = ["pedestrian", "car", "motorbike"]
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "is_scale": True}
STRETCHED = [{"type": "Resize", "target_size": [64, 96], "keep_ratio": False}, {"type": "NormalizeImage", **IMAGENET}]
PADDED = [{"type": "Resize", "target_size": [64, 96], "keep_ratio": True}, {"type": "PadStride", "stride": 32}]
BOXED = [{"type": "LetterBoxResize", "target_size": [64, 96]}, {"type": "Permute"}]
SIZE = (64, 96)
ANCHORS = 8 * 12 + 4 * 6 + 2 * 3

pytestmark = pytest.mark.timeout(900)  # the build takes its time where there is little of it


class Said:
    """A network that says the same of every picture."""

    name = "said"

    def __init__(self, outputs: Sequence[np.ndarray], scaled: bool) -> None:
        self._outputs = list(outputs)
        self.input_names = ("image", "scale_factor") if scaled else ("image",)
        self.input_shapes = ((1, 3, *SIZE), (1, 2))[: len(self.input_names)]

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        return self._outputs


def boxes(random: np.random.Generator, n: int) -> np.ndarray:
    corners = random.uniform(-4, 70, (n, 2))
    return np.column_stack([corners, corners + random.uniform(2, 40, (n, 2))]).astype(np.float32)


def outputs_of(layout: str) -> tuple[list[np.ndarray], bool]:
    random = np.random.default_rng(8)
    scores = (random.random((1, 3, ANCHORS)) ** 4).astype(np.float32)
    if layout == "raw heads":
        cells = (96, 24, 6)
        bins = [random.normal(0, 2, (1, n, 32)).astype(np.float32) for n in cells]
        return [*np.split(scores.transpose(0, 2, 1), (96, 120), axis=1), *bins], False
    if layout == "joined":
        return [np.concatenate([boxes(random, ANCHORS)[None], scores.transpose(0, 2, 1)], axis=2)], False
    if layout.startswith("decoded"):
        return [boxes(random, ANCHORS)[None], scores], layout.endswith("scaled")
    rows = np.column_stack([random.integers(-1, 3, 20), random.random(20), boxes(random, 20)]).astype(np.float32)
    if layout == "suppressed":
        return [rows, np.array([17], np.int32)], True
    return [rows, random.normal(size=(20, 8)).astype(np.float32)], True


@pytest.mark.parametrize("steps", [STRETCHED, PADDED, BOXED], ids=["stretched", "padded", "letterboxed"])
@pytest.mark.parametrize("layout", ["decoded", "decoded and scaled", "joined", "raw heads", "suppressed", "one-shot"])
def test_detections_are_pythons(programs: Path, tmp_path: Path, layout: str, steps: list[dict[str, Any]]) -> None:
    configuration = tmp_path / "infer_cfg.yml"
    with configuration.open("w") as file:
        content = {"arch": "YOLO", "Preprocess": steps, "label_list": LABELS, "NMS": {"nms_threshold": 0.45}}
        YAML().dump({**content, "draw_threshold": 0.5, "fpn_stride": [8, 16], "tracker": {"type": "none"}}, file)
    outputs, scaled = outputs_of(layout)
    detector = ExportedDetector(
        Said(outputs, scaled),
        read_configuration(configuration),
        score_threshold=0.2,
        classes=["motorcycle", "person"],
        iou_threshold=None,
        input_size=None,
        max_batch=1,
    )
    (found,) = detector.detect([np.zeros((120, 180, 3), np.uint8)])
    options: list[object] = ["--model", tmp_path, "--picture", "180x120", "--floor", 0.2]
    options += ["--classes", "motorcycle, person", "--scaled", "yes" if scaled else "no"]
    for number, output in enumerate(outputs):
        np.save(tmp_path / f"{number}.npy", np.ascontiguousarray(output))
        options += ["--output-array", tmp_path / f"{number}.npy"]
    done = run(programs / "crosscam_decode", *options)
    assert done.stderr == ""
    ours = [
        f"{detector.classes[label]},{score:.6f}," + ",".join(f"{side:.4f}" for side in box)
        for label, score, box in zip(found.classes, found.scores.tolist(), found.boxes.tolist(), strict=True)
    ]
    assert len(ours) > 5
    theirs = done.stdout.splitlines()
    if layout == "raw heads":  # exponentials differ in their last bits
        assert [row.split(",")[:2] for row in theirs] == [row.split(",")[:2] for row in ours]
        sides = [[float(side) for row in rows for side in row.split(",")[2:]] for rows in (theirs, ours)]
        np.testing.assert_allclose(*sides, atol=1e-3)
    else:
        assert theirs == ours


def test_a_configuration_may_be_written_in_either_style(programs: Path, tmp_path: Path) -> None:
    """As YAML's dumpers have written them over the years: blocks, brackets, quotes, anchors, comments."""
    np.save(tmp_path / "0.npy", np.float32([[1, 0.9, 6, 8, 30, 60]]))
    np.save(tmp_path / "1.npy", np.int32([1]))
    said = []
    for text in (
        "Preprocess:\n- interp: 2\n  target_size: &size\n  - 64\n  - 96\n  type: LetterBoxResize\n- size: *size\n"
        "  type: Pad\n# classes\nlabel_list: ['a b', \"c#d\", e]  # three\n",
        "{mode: paddle}\n",
        "---\nPreprocess:\n  - {type: LetterBoxResize, target_size: [64, 96]}\n  - type: 'Permute'\nlabel_list:\n"
        "    - a b\n    - c#d\n    - e\n",
    ):
        (tmp_path / "infer_cfg.yml").write_text(text)
        arrays = ["--output-array", tmp_path / "0.npy", "--output-array", tmp_path / "1.npy"]
        said.append(run(programs / "crosscam_decode", "--model", tmp_path, "--picture", "96x64", *arrays))
    assert said[0].stdout == said[2].stdout == "c#d,0.900000,6.0000,8.0000,30.0000,60.0000\n"
    assert "infer_cfg.yml: it does not say how large the input is" in said[1].stderr


def test_a_video_through_a_real_detector_is_tracked_and_counted_as_in_python(programs: Path, tmp_path: Path) -> None:
    """Lossless pictures, so that two builds of OpenCV cannot differ in how they decode."""
    program = programs / "crosscam_video"
    if not has_opencv():
        pytest.skip("needs OpenCV for C++ (libopencv-videoio-dev, libopencv-imgproc-dev)")
    if shared_python() is None:
        pytest.skip("needs a Python that was built as a shared library: Paddle's wheel is linked to it")
    assert program.exists()
    clip = cv2.VideoCapture(str(ROOT / "configs" / "media" / "walkway.mp4"))
    detector = open_detector(classes=["person"], max_batch=1)
    tracker = create("bytetrack", rate_hz=10.0)
    rows = ""
    for number in range(1, 7):
        picture = clip.read()[1]
        cv2.imwrite(str(tmp_path / f"{number:03d}.png"), picture)
        rows += mot_rows(number, tracker.update(detector.detect([picture])[0], round((number - 1) * 1e8)))
    options = ["--video", tmp_path / "%03d.png", "--fps", 10, "--classes", "person", "--line", "middle=vertical"]
    output = tmp_path / "tracks.txt"
    done = run(program, "--model", BUNDLED, *options, "--output", output, "--flow", tmp_path / "flow.txt")
    assert done.returncode == 0, done.stderr
    assert output.read_text() == rows
    assert len({row.split(",")[1] for row in rows.splitlines()}) >= 3
    assert (tmp_path / "flow.txt").read_text().startswith("Frame id: 1, Total count: 3")
    for wrong, message in (
        (["--model", tmp_path, "--video", "none.mp4"], "holds no infer_cfg.yml"),
        (["--model", BUNDLED, "--video", "none.mp4"], "none.mp4 cannot be read as a video"),
    ):
        done = run(program, *wrong, "--output", output)
        assert done.returncode == 2
        assert message in done.stderr.splitlines()[-1]  # OpenCV may have said something before


@pytest.mark.parametrize(
    ("text", "arrays", "message"),
    [
        (None, ["rows"], "holds no infer_cfg.yml"),
        ("Preprocess: [", ["rows"], "line 1: a bracket is not closed on its line; export the model again"),
        ("Preprocess:\n- type: Rotate\n", ["rows"], "a step 'Rotate', which cannot be followed here"),
        ("label_list: [a]\n", ["rows", "scores"], "scores 2 classes, but its configuration names 1"),
        ("label_list: [a, b]\n", ["rows"], "is no detector that is known here: its outputs are 1x4x4"),
        ("label_list: [a, b]\n", ["infer_cfg.yml"], "is no array of NumPy's that can be read"),
    ],
)
def test_a_model_that_cannot_be_used_is_told(
    programs: Path, tmp_path: Path, text: str | None, arrays: list[str], message: str
) -> None:
    if text is not None:
        size = "" if "Preprocess" in text else "Preprocess: [{type: Resize, target_size: [64, 96]}]\n"
        (tmp_path / "infer_cfg.yml").write_text(size + text)
    np.save(tmp_path / "rows.npy", np.zeros((1, 4, 4), np.float32))
    np.save(tmp_path / "scores.npy", np.ones((1, 2, 4), np.float32))
    options = []
    for name in arrays:
        options += ["--output-array", tmp_path / (name if "." in name else f"{name}.npy")]
    done = run(programs / "crosscam_decode", "--model", tmp_path, "--picture", "96x64", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
