"""A simulated site as a folder: its YAML file, the ground truth, and if wanted its detections.

    site.yaml            `crosscam run` runs it; homographies included
    truth/<camera>.txt   MOT text that `crosscam eval --gt` reads: `frame,person,x,y,w,h,1,class,visible,X,Y`, with the
                         share of the box that nobody hides, and metres on the ground
    plan.json            cameras, walls and ways, metres
    detections/          recorded detections, a file a camera

Who is hidden by more than 70 percent is not in the ground truth, nor does the simulated detector find them. A frame
that the camera does not give, because it has dropped out, has no ground truth either.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from operators.records import SECOND_NS, CrosscamError, Frame
from pipeline.class_numbers import numbers_of
from pipeline.sources.simulation.camera import SimulatedCamera
from pipeline.sources.simulation.settings import Settings
from pipeline.sources.simulation.site import SimulatedSite, site_of

Record = Literal["jsonl", "parquet"]

_STRETCH = 50  # frames of ground truth worked out at once
_DIGITS = 9  # of homographies


class SimulationError(CrosscamError):
    """The folder cannot be written."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """What was written.

    Attributes:
        config: the site's file.
        boxes: of the ground truth.
        people: who are in it.
        recorded: detections.
    """

    config: Path
    boxes: int
    people: int
    recorded: int


def write_site(
    folder: Path,
    settings: Settings,
    *,
    fps: float,
    calibrated: bool = True,
    record: Record | None = None,
    report: Callable[[str, int], None] = lambda camera, done: None,
) -> Simulated:
    """Write a simulated site.

    Args:
        folder: made if it is not there.
        settings: of the site; every camera has them with its own number.
        fps: frames a second.
        calibrated: write homographies into the site's file.
        record: write detections, and have the site's file name those instead of the simulation.
        report: told of each camera how many seconds are done.

    Raises:
        SimulationError: pictures shall be recorded, a site is there already, or the folder cannot be written.
    """
    if record and settings.picture:
        raise SimulationError("pictures cannot be recorded as detections; leave picture=1 or --record out")
    site = site_of(settings)
    names = camera_names(settings.cameras)
    config = folder / "site.yaml"
    if config.exists():
        raise SimulationError(f"{config} is there already; choose another folder by --out, or remove it first")
    try:
        (folder / "truth").mkdir(parents=True, exist_ok=True)
        (folder / "plan.json").write_text(json.dumps(_plan(site, names), indent=1) + "\n")
        boxes, people, recorded = 0, set[int](), 0
        for number, name in enumerate(names, start=1):
            rows, seen = _write_truth(folder / "truth" / f"{name}.txt", site, number, settings.seconds, fps)
            boxes, people = boxes + rows, people | seen
            report(name, round(settings.seconds / 2) if record else round(settings.seconds))
            if record:
                camera = SimulatedCamera(name, replace(settings, camera=number), fps=fps, classes=site.classes)
                (folder / "detections").mkdir(exist_ok=True)
                recorded += _record(folder / "detections" / f"{name}.{record}", camera, site.classes, settings)
                report(name, round(settings.seconds))
        # Last, so that a folder with a site in it is complete.
        with config.open("w", encoding="utf-8") as file:
            yaml = YAML()
            yaml.width = 1000
            yaml.dump(_config(site, names, settings, fps, calibrated, record), file)
    except OSError as error:
        raise SimulationError(f"{folder}: cannot be written ({error.strerror}); choose another by --out") from None
    return Simulated(config, boxes, len(people), recorded)


def camera_names(count: int) -> list[str]:
    """cam-1 to cam-8, or cam-0001 to cam-1000."""
    digits = len(str(count))
    return [f"cam-{number:0{digits}d}" for number in range(1, count + 1)]


def _config(
    site: SimulatedSite, names: list[str], settings: Settings, fps: float, calibrated: bool, record: Record | None
) -> dict[str, Any]:
    cameras = []
    for number, name in enumerate(names, start=1):
        source = f"detections:detections/{name}.{record}" if record else replace(settings, camera=number).text()
        camera: dict[str, Any] = {"id": name, "source": source, "fps": float(fps)}
        if record:
            # Files do not say how large the picture was.
            camera["crop"] = [0, 0, settings.width, settings.height]
        if calibrated:
            matrix = site.camera(number).homography
            camera["homography"] = _on_lines(matrix)
        cameras.append(camera)
    config: dict[str, Any] = {"site": f"simulated-{settings.place}"}
    config["profile"] = "vehicle" if site.plan.habits.vehicles else "pedestrian"
    if record and site.calibration is not None:
        config["embedder"] = {"calibration": list(site.calibration)}
    return {**config, "cameras": cameras}


def _on_lines(matrix: NDArray[np.float64]) -> list[CommentedSeq]:
    """The rows of a matrix, a line each; what is nothing but rounding is 0."""
    least = 1e-12 * np.abs(matrix).max()
    rows = [
        CommentedSeq([float(f"{value:.{_DIGITS}g}") if abs(value) > least else 0.0 for value in row])
        for row in matrix.tolist()
    ]
    for row in rows:
        row.fa.set_flow_style()
    return rows


def _plan(site: SimulatedSite, names: list[str]) -> dict[str, Any]:
    plan = site.plan
    mounts = [
        {"id": name, **asdict(mount), "heading": math.degrees(mount.heading), "tilt": math.degrees(mount.tilt)}
        for name, mount in zip(names, plan.mounts, strict=True)
    ]
    return {
        "settings": {
            **asdict(site.settings),
            "picture": None,
            "shown": None,
            "paced": None,
            "camera": None,
            "seconds": None,
        },
        "cameras": [{**mount, "clock_ahead_ms": site.skew_ns(n) // 10**6} for n, mount in enumerate(mounts, start=1)],
        "walls": plan.blocks.tolist(),
        "ways": plan.points[plan.links].tolist(),
        "doors": plan.points[[node for doors in plan.doors for node in doors]].tolist(),
        "stops": plan.points[[node for stops in plan.stops for node in stops]].tolist(),
    }


def _write_truth(path: Path, site: SimulatedSite, number: int, seconds: float, fps: float) -> tuple[int, set[int]]:
    """Write one camera's ground truth.

    Returns:
        How many boxes, and who.
    """
    numbers = numbers_of(site.classes)
    of_kind = np.array([numbers[name] for name in site.classes])
    frames = math.ceil(seconds * fps)
    count, people = 0, set[int]()
    with path.open("w", encoding="utf-8") as file:
        for first in range(0, frames, _STRETCH):
            times = np.arange(first, min(first + _STRETCH, frames)) / fps
            truth = site.truth(number, times)
            given = ~site.away(number, times)[truth.sight.frames]
            sight, who, kinds = truth.sight[given], truth.people[given], of_kind[truth.kinds[given]]
            x1, y1, x2, y2 = sight.boxes.T
            columns = (first + 1 + sight.frames, who, x1, y1, x2 - x1, y2 - y1, np.ones(len(sight)), kinds)
            table = np.column_stack([*columns, sight.visible, sight.ground])
            np.savetxt(file, table, fmt="%d,%d,%.2f,%.2f,%.2f,%.2f,%d,%d,%.2f,%.3f,%.3f")
            count, people = count + len(sight), people | set(who.tolist())
    return count, people


class _Writer(Protocol):
    def write(self, rows: list[dict[str, Any]]) -> None: ...
    def close(self) -> None: ...


class _JsonLines:
    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def write(self, rows: list[dict[str, Any]]) -> None:
        self._file.writelines(json.dumps(row) + "\n" for row in rows)

    def close(self) -> None:
        self._file.close()


class _Parquet:
    def __init__(self, path: Path, tracks: bool, dim: int) -> None:
        fields = [pa.field("time", pa.float64()), pa.field("frame", pa.int64())]
        fields += [pa.field("id", pa.int64())] if tracks else []
        fields += [
            pa.field("box", pa.list_(pa.float32())),
            pa.field("score", pa.float32()),
            pa.field("cls", pa.string()),
        ]
        fields += [pa.field("embedding", pa.list_(pa.float32()))] if dim else []
        self._schema = pa.schema(fields)
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, rows: list[dict[str, Any]]) -> None:
        self._writer.write_table(pa.Table.from_pylist(rows, self._schema))

    def close(self) -> None:
        self._writer.close()


def _record(path: Path, camera: SimulatedCamera, classes: tuple[str, ...], settings: Settings) -> int:
    """Write what a camera gives; how many boxes there were."""
    count = 0
    writer: _Writer = (
        _JsonLines(path) if path.suffix == ".jsonl" else _Parquet(path, settings.tracks, settings.embedding)
    )
    with closing(writer), closing(camera):
        camera.open(None)
        rows: list[dict[str, Any]] = []
        for frame in _frames(camera):
            made = _rows(frame, classes)
            count += sum(row["box"] is not None for row in made)
            rows += made
            if len(rows) > 5000:
                writer.write(rows)
                rows = []
        writer.write(rows)
    return count


def _frames(camera: SimulatedCamera) -> Iterator[Frame]:
    while isinstance(item := camera.read(), Frame):
        yield item


def _rows(frame: Frame, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows of one frame, see `pipeline.sources.rows`."""
    assert frame.given is not None
    given = frame.given
    stamp = {"time": round(frame.time_ns / SECOND_NS, 6), "frame": frame.index}
    if not len(given):
        return [{**stamp, "box": None}]
    rows = []
    for row in range(len(given)):
        said = {**stamp, "box": [round(float(side), 2) for side in given.boxes[row]]}
        said |= {"score": round(float(given.scores[row]), 3), "cls": classes[given.classes[row]]}
        if given.ids is not None:
            said["id"] = int(given.ids[row])
        if given.embeddings is not None:
            said["embedding"] = [round(float(value), 4) for value in given.embeddings[row]]
        rows.append(said)
    return rows
