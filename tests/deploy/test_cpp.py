"""deploy/cpp: built here, and held to what the Python side says, byte for byte."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from ruamel.yaml import YAML

from operators.analyse import Anchor, Line, Rules
from operators.analyse.analyser import Analyser
from operators.detect import BUNDLED, ExportedDetector, open_detector
from operators.exported_model import read_configuration
from operators.track.mot_text import mot_rows, read_mot, track_frames, track_mot_text
from operators.track.registry import create
from pipeline.assembly import build_reader, build_service, build_shard
from pipeline.config_file import load
from pipeline.flow_statistic import _lines, write_flow_statistics
from pipeline.testing import LocalFusion, LocalLink

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT / ".." / "shared" / "data"
LINES = {
    "door": ((60.0, 150.0), (400.0, 160.0)),
    "way": ((200.0, 0.0), (210.0, 240.0), (190.0, 480.0)),
    "fork": ((160.0, 100.0), (200.0, 400.0), (240.0, 100.0)),  # whoever was hidden may be through both of its arms
}
FPS = 12.5

pytestmark = pytest.mark.timeout(900)  # the build takes its time where there is little of it


def has_opencv() -> bool:
    return any(Path(folder, "opencv2", "videoio.hpp").is_file() for folder in ("/usr/include/opencv4", "/usr/include"))


def shared_python() -> Path | None:
    """This Python as a library that a program can be linked to, if it was built as one."""
    library = Path(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME") or "none")
    return library if ".so" in library.name and library.is_file() else None


def paddle_of_the_wheel() -> list[str]:
    """What CMake is told to build the program that needs Paddle and OpenCV, or not to where one is missing."""
    python = shared_python()
    found = importlib.util.find_spec("paddle")
    if not has_opencv() or python is None or found is None or found.origin is None:
        return [f"-D{name}=" for name in ("PADDLE_INCLUDE", "PADDLE_LIBRARIES", "CMAKE_BUILD_RPATH")]
    wheel = Path(found.origin).parent
    libraries = [wheel / "base" / "libpaddle.so", python]  # the wheel's library is one of Python's
    folders = [wheel / "base", wheel / "libs", python.parent]
    return [
        f"-DPADDLE_INCLUDE={Path(__file__).parent / 'paddle_wheel'}",
        f"-DPADDLE_LIBRARIES={';'.join(map(str, libraries))}",
        f"-DCMAKE_BUILD_RPATH={';'.join(map(str, folders))}",
    ]


@pytest.fixture(scope="session")
def programs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the programs are built in; kept, so that a second run builds only what has changed."""
    if shutil.which("cmake") is None or shutil.which("g++") is None:
        pytest.skip("needs cmake and g++")
    cache = getattr(request.config, "cache", None)  # none with -p no:cacheprovider
    build = cache.mkdir("cpp") if cache else tmp_path_factory.mktemp("cpp")
    source = ROOT / "deploy" / "cpp"
    joined = ["-DCMAKE_UNITY_BUILD=ON", "-DCMAKE_UNITY_BUILD_BATCH_SIZE=0"]  # headers are read once
    configure = ["-S", source, "-B", build, *joined, *paddle_of_the_wheel()]
    if subprocess.run(["cmake", *configure], capture_output=True, check=False).returncode != 0:
        shutil.rmtree(build)  # of another place or time
        subprocess.run(["cmake", *configure], check=True)
    done = subprocess.run(["cmake", "--build", build, "--parallel", "2"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout + done.stderr
    return build


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)


def write_detections(path: Path, frames: int = 250, raw: bool = False) -> Path:
    """Nine walkers who meet and hide one another, seen with noise, misses and false alarms; some rows are unusable."""
    random = np.random.default_rng(5)
    rows = ["3,-1,10,10,0,40,0.9", "5,-1,nan,10,30,40,0.9"] + ([] if raw else ["4,-1,10,10,30,40,nan"])
    for frame in range(1, frames + 1):
        if 120 <= frame < 128:
            continue  # nobody is seen, for longer than doubtful tracks live
        for person in range(9):
            phase = frame / (25 + 4 * person) + person
            x, y = 200 + 180 * np.sin(phase), 90 + 25 * person + 40 * np.cos(1.7 * phase)
            hidden = random.random() < 0.12
            score = random.uniform(0.05, 0.55) if hidden else random.uniform(0.55, 0.99)
            box = np.array([x, y, 38 + person, 95 + 3 * person]) + random.normal(0, 1.5, 4)
            values = ",".join(f"{v:.3f}" for v in box)
            given = np.log(score / (1 - score)) * 2 if raw else score
            rows.append(f"{frame},-1,{values},{given:.4f},{person % 2}")
        x, y = random.uniform(0, 400, 2)
        rows.append(f"{frame},-1,{x:.2f},{y:.2f},30,80,{-3 if raw else random.uniform(0, 0.4):.3f},0")
    path.write_text("\n".join(rows) + "\n")
    return path


def expected(
    detections: Path, fps: float, parameters: dict[str, Any], interval: float, **line: Any
) -> tuple[str, str, dict[str, dict[str, int]]]:
    """What Python says: flow statistic by track, crossings as rows, totals."""
    rules = Rules(tuple(Line(name, points, **line) for name, points in LINES.items()))
    analyser = Analyser(rules, [str(number) for number in range(100)])
    tracker = create("bytetrack", **{"rate_hz": fps, **parameters})
    events, seen, k = [], [], -1
    for k, tracks in enumerate(track_frames(tracker, read_mot(detections), fps)):
        time_ns = round(k * 1e9 / fps)
        events += analyser.update(tracks.ids, tracks.boxes, tracks.classes, time_ns, ended=tracks.ended.tolist())
        seen += [(k + 1, time_ns // 1000, str(track)) for track in tracks.ids.tolist()]
    events += analyser.finish()
    crossed = [(e.time_ns // 1000, e.fields["direction"] == "in") for e in events if e.fields["counted"]]
    rows = "time_ns,line,direction,track,passage,counted,x,y\n"
    for event in events:
        of = event.fields
        rows += f"{event.time_ns},{of['line']},{of['direction']},{of['track']},{of['passage']},{int(of['counted'])}"
        rows += ",{:.2f},{:.2f}\n".format(*of["at"])
    flow = "".join(f"{text}\n" for text in _lines(seen, k + 1, crossed if events else None, None, interval))
    return flow, rows, analyser.totals


def drawn(points: Sequence[tuple[float, float]]) -> str:
    return ",".join(f"{x:g},{y:g}" for x, y in points)


def compare(
    programs: Path, folder: Path, detections: Path, fps: float, parameters: dict[str, Any], **line: Any
) -> dict[str, dict[str, int]]:
    """Runs both on one file and holds the bytes of all three results together."""
    ours, theirs = folder / "python.txt", folder / "cpp.txt"
    report = track_mot_text(detections, ours, fps, "bytetrack", parameters)
    flow, crossings, totals = expected(detections, fps, parameters, 4.0, **line)
    options: list[object] = ["--detections", detections, "--fps", fps, "--output", theirs, "--interval", 4]
    options += ["--flow", folder / "flow.txt", "--crossings", folder / "crossings.csv"]
    for name, value in parameters.items():
        options += ["--set", f"{name}={str(value).lower()}"]
    for name, points in LINES.items():
        options += ["--line", f"{name}={drawn(points)}"]
    names = {"settle_s": "settle", "cool_down_s": "cool-down"}
    for name, value in line.items():
        options += [f"--{names.get(name, name)}", value]
    done = run(programs / "crosscam_track", *options)
    assert done.stderr == ""
    assert theirs.read_bytes() == ours.read_bytes()
    assert (folder / "flow.txt").read_text() == flow
    assert (folder / "crossings.csv").read_text() == crossings
    counted = "".join(f"{name}: in {total['in']}, out {total['out']}\n" for name, total in totals.items())
    left_out = sum(report.rejected.values())
    rejected = f", {left_out} detections rejected" if left_out else ""
    said = f"{theirs}: {report.rows} rows, {report.tracks} tracks in {report.frames} frames{rejected}\n"
    assert done.stdout == said + counted
    assert report.rows > 500
    return totals


@pytest.mark.parametrize(
    ("parameters", "line", "raw"),
    [
        ({}, {}, False),
        ({"lost_seconds": 0.3, "match": 0.7, "new": 0.6, "fuse_score": False}, {"anchor": Anchor.CENTRE}, False),
        ({"rate_hz": 30.0, "position_noise": 0.1}, {"band": 0.4, "settle_s": 0.5, "cool_down_s": 6.0}, True),
    ],
    ids=["defaults", "other parameters", "raw scores at another rate"],
)
def test_tracks_counts_and_crossings_are_pythons_byte_for_byte(
    programs: Path, tmp_path: Path, parameters: dict[str, Any], line: dict[str, Any], raw: bool
) -> None:
    detections = write_detections(tmp_path / "det.txt", raw=raw)
    totals = compare(programs, tmp_path, detections, FPS, parameters, **line)
    assert min(min(total.values()) for total in totals.values()) > 1, "every line is crossed both ways"


@pytest.mark.parametrize(
    ("name", "fps"), [("pets_s2l1/det.txt", 10.0), ("mot/MOT17-val/MOT17-04-FRCNN/det/det.txt", 30.0)]
)
def test_real_sequences_give_the_same_bytes(programs: Path, tmp_path: Path, name: str, fps: float) -> None:
    if not (SHARED / name).is_file():
        pytest.skip(f"needs shared/data/{name}")
    compare(programs, tmp_path, SHARED / name, fps, {})


def test_the_flow_statistic_is_the_one_that_a_site_exports(programs: Path, tmp_path: Path) -> None:
    """Where nobody is lost and found again, tracks are identities."""
    rows = []
    for frame in range(1, 121):
        if 40 <= frame < 43:
            continue  # nobody is there for a moment
        for person, x in enumerate((60, 200, 340)):
            y = 20 + (2 + person) * min(frame, 100) * 0.9
            rows.append(f"{frame},-1,{x + 4 * np.sin(frame / 9):.2f},{y:.2f},40,90,0.9")
    (tmp_path / "det.txt").write_text("\n".join(rows) + "\n")
    file = tmp_path / "plaza.yaml"
    file.write_text(
        f"site: plaza\ntracker: bytetrack\nledger: {{sqlite: {{path: {tmp_path / 'ledger.sqlite'}}}}}\n"
        "cameras: [{id: a, source: 'detections:det.txt', fps: 10, lines: {door: [[60, 150], [400, 160]]}}]\n"
    )
    site = load(file)
    fusion = LocalFusion(lambda: build_service(site))
    assert not build_shard(site, ("a",), LocalLink(fusion)).run()
    fusion.call(lambda service: service.finished()).result(30)
    fusion.close()
    reader = build_reader(site)
    (exported,) = write_flow_statistics(reader, tmp_path / "python", interval_s=5)
    reader.close()
    options = ["--detections", tmp_path / "det.txt", "--fps", 10, "--output", tmp_path / "cpp.txt", "--interval", 5]
    done = run(
        programs / "crosscam_track", *options, "--line", f"door={drawn(LINES['door'])}", "--flow", tmp_path / "flow"
    )
    assert done.stdout.endswith("door: in 3, out 0\n")
    assert (tmp_path / "flow").read_bytes() == exported.read_bytes()


# --- detectors -----------------------------------------------------------------------------------------------------

LABELS = ["pedestrian", "car", "motorbike"]
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "is_scale": True}
STRETCHED = [{"type": "Resize", "target_size": [64, 96], "keep_ratio": False}, {"type": "NormalizeImage", **IMAGENET}]
PADDED = [{"type": "Resize", "target_size": [64, 96], "keep_ratio": True}, {"type": "PadStride", "stride": 32}]
BOXED = [{"type": "LetterBoxResize", "target_size": [64, 96]}, {"type": "Permute"}]
SIZE = (64, 96)
ANCHORS = 8 * 12 + 4 * 6 + 2 * 3


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


# --- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fps", "10"], "--detections is missing"),
        (["--detections", "none.txt", "--fps", "10"], "none.txt cannot be read: check the path"),
        (["--detections", "bad.txt", "--fps", "10"], "bad.txt, line 2: 'x' is no number; rows are frame,id,x,y,w,h,"),
        (["--detections", "short.txt", "--fps", "10"], "short.txt, line 1: rows are frame,id,x,y,w,h,score[,class], "),
        (["--detections", "det.txt", "--fps", "0"], "--fps is '0', but must be a number from 0.01 to 9999"),
        (["--detections", "det.txt", "--fps"], "--fps needs a value"),
        (["--wings", "2"], "there is no option '--wings': there are --output"),
        (["--detections", "det.txt", "--fps", "9", "--set", "high=7"], "bytetrack: high is 7.0"),
        (["--detections", "det.txt", "--fps", "9", "--set", "height=7"], "bytetrack has no parameter 'height'"),
        (["--detections", "det.txt", "--fps", "9", "--line", "door=1,2"], "line 'door': it needs two points"),
        (["--detections", "det.txt", "--fps", "9", "--line", "door=1,2,1,2"], "two points in a row are the same"),
        (["--detections", "det.txt", "--fps", "9", "--line", "door=horizontal"], "the picture's size is not known"),
        (
            ["--detections", "det.txt", "--fps", "9", "--size", "64x48", "--line", "door=70,0,90,40"],
            "line 'door': it lies outside of the picture of 64 x 48",
        ),
        (["--detections", "det.txt", "--fps", "9", "--output", "det.txt/t"], "det.txt/t cannot be written"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_one_sentence(programs: Path, tmp_path: Path, options: list[str], message: str) -> None:
    (tmp_path / "det.txt").write_text("1,-1,1,1,9,9,0.9\n")
    (tmp_path / "bad.txt").write_text("1,-1,1,1,9,9,0.9\n1,-1,x,1,9,9,0.9\n")
    (tmp_path / "short.txt").write_text("1,-1,1,1,9,9\n")
    output = [] if "--output" in options else ["--output", "tracks.txt"]
    done = subprocess.run(
        [programs / "crosscam_track", *output, *options], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


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
