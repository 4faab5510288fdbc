"""The one YAML file of a site, typed.

`load()` reads it; every error is a `ConfigError` that names file, line, field and remedy.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Iterable
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from operators.records import CrosscamError
from pipeline.durations import Seconds


class ConfigError(CrosscamError):
    """The configuration cannot be used; the message says where and what to write instead."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


# What a profile chooses; every choice can be overridden.
PROFILES: dict[str, tuple[str, ...]] = {
    "pedestrian": ("person",),
    "vehicle": ("bicycle", "car", "motorcycle", "bus", "truck"),
    "multiclass": ("person", "bicycle", "car", "motorcycle", "bus", "truck"),
}

Row = tuple[float, float, float]
CameraId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]


class Camera(_Model):
    """One camera.

    Attributes:
        id: names the camera in every output.
        source: an RTSP or HTTP address, a video file, an image folder, a device number, `detections:FILE`,
            or `simulated:...`. Relative paths start at the YAML file's folder.
        fps: cap on processed frames a second; for images and MOT text, the rate itself.
        crop: x1, y1, x2, y2 of the region to look at, pixels of the full picture.
        start: event time of a file's first frame; the start of 1970 if not given.
        clock_offset_ms: added to the camera's event time.
        homography: 3x3, box bottom centre in pixels of the cropped picture to metres on the site's ground plane.
    """

    id: CameraId
    source: Annotated[str, Field(repr=False)]  # may hold a password
    fps: Annotated[float, Field(gt=0, le=1000)] | None = None
    crop: tuple[int, int, int, int] | None = None
    start: datetime | None = None
    clock_offset_ms: int = 0
    homography: tuple[Row, Row, Row] | None = None

    @field_validator("source", mode="before")
    @classmethod
    def _device_number(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("crop")
    @classmethod
    def _crop_has_area(cls, crop: tuple[int, int, int, int] | None) -> tuple[int, int, int, int] | None:
        if crop is not None and not (0 <= crop[0] < crop[2] and 0 <= crop[1] < crop[3]):
            raise ValueError("write x1, y1, x2, y2 with 0 <= x1 < x2 and 0 <= y1 < y2")
        return crop

    @field_validator("homography")
    @classmethod
    def _homography_inverts(cls, rows: tuple[Row, Row, Row] | None) -> tuple[Row, Row, Row] | None:
        if rows is not None:
            (a, b, c), (d, e, f), (g, h, i) = rows
            determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
            if not 1e-12 <= abs(determinant) < math.inf:
                raise ValueError("this homography cannot be inverted: calibrate the camera again")
        return rows


class CameraEntry(Camera):
    """What stands in the file: a camera, or with `range: [first, last]` as many as it counts.

    `{n}` (or `{n:02d}`) in `id` and `source` becomes the number.
    """

    id: Annotated[str, Field(max_length=64)]
    range: tuple[int, int] | None = None


class Detector(_Model):
    """Which detector, and which of its boxes count.

    Attributes:
        model: `default` (bundled), or the path of an exported model.
        classes: names to keep; the profile's if not given.
        score_threshold: boxes below are dropped; low ones help ByteTrack through occlusion.
    """

    model: str = "default"
    classes: tuple[str, ...] | None = None
    score_threshold: Annotated[float, Field(ge=0, le=1)] = 0.1


class Embedder(_Model):
    """Which appearance embedding.

    Attributes:
        model: `default` (colour and texture), the path of a ReID model, or `none`.
        every: a track is embedded in every n-th of its frames.
        calibration: slope and offset of the log-likelihood ratio "same" against "another" over the cosine; the
            model's own if not given.
    """

    model: str = "default"
    every: Annotated[int, Field(ge=1)] = 3
    calibration: tuple[float, float] | None = None


class Tracker(_Model):
    """Which tracker; every further field is a parameter of that tracker."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = "steady"

    @property
    def parameters(self) -> dict[str, Any]:
        """The tracker's own parameters."""
        return dict(self.model_extra or {})


class Fusion(_Model):
    """How identities are made.

    Attributes:
        max_gap: an identity not seen for so long is closed.
        min_evidence: points a track must have before it is linked.
        max_wait: a track is linked after so long, with whatever evidence there is.
    """

    max_gap: Annotated[Seconds, Field(gt=0)] = 300.0
    min_evidence: Annotated[int, Field(ge=1)] = 3
    max_wait: Annotated[Seconds, Field(ge=0)] = 2.0


class Sqlite(_Model):
    """A ledger in one file. `path` is relative to where the command runs; `run/<site>/ledger.sqlite` if not given."""

    path: Path | None = None


class Kafka(_Model):
    """A ledger in Kafka; every further field is a setting of the Kafka client (security_protocol, sasl_...)."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)
    bootstrap_servers: str

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return [("bootstrap_servers", self.bootstrap_servers)]  # the others may hold passwords

    @property
    def settings(self) -> dict[str, Any]:
        """All settings, the servers among them."""
        return {"bootstrap_servers": self.bootstrap_servers, **(self.model_extra or {})}


class Ledger(_Model):
    """Where commits live, and how records are encoded."""

    sqlite: Sqlite | None = None
    kafka: Kafka | None = None
    codec: Literal["json", "arrow"] = "json"

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.sqlite is not None and self.kafka is not None:
            raise ValueError("choose one of sqlite and kafka")
        return self


class Resources(_Model):
    """What a worker gets.

    Attributes:
        cameras_per_worker: cameras chained in one actor, batched into one predictor call.
        gpus_per_worker: share of a GPU; 0 runs on the CPU.
        threads: CPU threads of a worker's predictor.
        precision: fp32, or fp16 on a GPU.
    """

    cameras_per_worker: Annotated[int, Field(ge=1)] = 8
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0.0
    threads: Annotated[int, Field(ge=1)] = 1
    precision: Literal["fp32", "fp16"] = "fp32"


class Site(_Model):
    """A site: its cameras and what is done with them.

    Attributes:
        site: names topics, ledger and identities.
        interval: length of a commit interval in event time.
        idle_timeout: a live camera silent for so long stops holding the others back.
        ray_address: the cluster to run on; a Ray of its own on this machine if not given.
        base: folder that relative paths start at; the YAML file's.
        file: the YAML file itself; None for a site made in code.
    """

    site: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]
    profile: Literal["pedestrian", "vehicle", "multiclass"] = "pedestrian"
    cameras: Annotated[tuple[Camera, ...], Field(min_length=1)]
    detector: Detector = Detector()
    embedder: Embedder = Embedder()
    tracker: Tracker = Tracker()
    fusion: Fusion = Fusion()
    ledger: Ledger = Ledger()
    resources: Resources = Resources()
    interval: Annotated[Seconds, Field(ge=0.05, le=60)] = 1.0
    idle_timeout: Annotated[Seconds, Field(gt=0)] = 10.0
    ray_address: str | None = None
    base: Path = Path()
    file: Path | None = None

    @model_validator(mode="after")
    def _idle_is_longer_than_an_interval(self) -> Self:
        if self.idle_timeout < 2 * self.interval:
            raise ValueError("idle_timeout must be at least twice the interval: a camera speaks once an interval")
        return self

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that are kept."""
        return self.detector.classes or PROFILES[self.profile]

    @property
    def interval_ns(self) -> int:
        """Length of a commit interval, nanoseconds."""
        return round(self.interval * 1e9)

    @property
    def ledger_path(self) -> Path:
        """The SQLite ledger's file."""
        chosen = self.ledger.sqlite.path if self.ledger.sqlite else None
        return chosen or Path("run") / self.site / "ledger.sqlite"

    def camera(self, camera_id: str) -> Camera:
        """The camera of that id.

        Raises:
            KeyError: there is none.
        """
        for camera in self.cameras:
            if camera.id == camera_id:
                return camera
        raise KeyError(camera_id)


class _File(Site):
    cameras: Annotated[tuple[CameraEntry, ...], Field(min_length=1)]


_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NUMBER = re.compile(r"\{n(?::([^{}]*))?\}")
_NUMBER_FORMAT = re.compile(r"0?[0-9]{0,2}[dxX]?")


def load(path: Path) -> Site:
    """Read a site's YAML file. Relative paths become absolute: workers may run in another folder.

    Raises:
        ConfigError: the file is missing, no YAML, or says something that cannot be done.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; give the path of a site's YAML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the file cannot be read ({error})") from None
    site = parse(text, path)
    ledger = site.ledger
    if ledger.kafka is None:
        ledger = ledger.model_copy(update={"sqlite": Sqlite(path=site.ledger_path.absolute())})
    return site.model_copy(update={"base": site.base.absolute(), "ledger": ledger})


def parse(text: str, path: Path) -> Site:
    """`text` as a site; `path` names it in errors and is where relative paths start."""
    try:
        document = YAML(typ="rt").load(StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: this is not valid YAML ({error.problem or error.context})") from None
    except YAMLError as error:
        raise ConfigError(f"{path}: this is not valid YAML ({error})") from None
    if not isinstance(document, CommentedMap):
        raise ConfigError(f"{path}: a site's file holds fields such as `site:` and `cameras:`; this one does not")
    for reserved in ("base", "file"):
        if reserved in document:
            raise ConfigError(_sentence(path, document, (reserved,), f"unknown field {reserved!r}; take it out"))
    plain = _expand_variables(document, path, document, ())
    try:
        file = _File.model_validate({**plain, "base": path.parent, "file": path})
    except ValidationError as error:
        found = error.errors()
        # A list whose items were refused counts as empty: that is no mistake of its own.
        wrong = {item["loc"][:depth] for item in found for depth in range(1, len(item["loc"]))}
        told = [item for item in found if item["type"] != "too_short" or item["loc"] not in wrong]
        raise ConfigError("\n".join(_explain(path, document, item) for item in told)) from None
    return _expand_ranges(file, path, document)


def _expand_variables(node: Any, path: Path, document: Any, loc: tuple[int | str, ...]) -> Any:
    """The document as plain values, with `${NAME}` taken from the environment."""
    if isinstance(node, dict):
        return {key: _expand_variables(value, path, document, (*loc, key)) for key, value in node.items()}
    if isinstance(node, list):
        return [_expand_variables(value, path, document, (*loc, i)) for i, value in enumerate(node)]
    if isinstance(node, str):
        return _filled(str(node), path, document, loc)
    if isinstance(node, float) and not math.isfinite(node):
        raise ConfigError(_sentence(path, document, loc, "this is no number to work with; write a finite one"))
    return node


def _filled(text: str, path: Path, document: Any, loc: tuple[int | str, ...]) -> str:
    """`text` with `${NAME}` taken from the environment."""

    def value_of(match: re.Match[str]) -> str:
        value = os.environ.get(match[1])
        if value is None:
            reason = f"the environment variable {match[1]} is not set; set it before starting"
            raise ConfigError(_sentence(path, document, loc, reason))
        return value

    return _VARIABLE.sub(value_of, text)


def _expand_ranges(file: _File, path: Path, document: Any) -> Site:
    cameras: list[Camera] = []
    for index, entry in enumerate(file.cameras):
        fields = entry.model_dump(exclude={"range"})
        numbers: list[int | None] = [None]
        if entry.range is not None:
            first, last = entry.range
            if last < first or not _NUMBER.search(entry.id):
                reason = "a range needs first <= last, and an id with {n} in it, such as gate-{n:02d}"
                raise ConfigError(_sentence(path, document, ("cameras", index, "range"), reason))
            numbers = list(range(first, last + 1))
        for n in numbers:
            # Numbers are filled into what stands in the file: a secret from the environment may hold anything.
            values = fields if n is None else fields | _numbered(n, path, document, ("cameras", index))
            try:
                cameras.append(Camera.model_validate(values))
            except ValidationError as error:
                item = error.errors()[0]
                loc = ("cameras", index, *item["loc"])
                raise ConfigError(_explain(path, document, {**item, "loc": loc})) from None
    seen: set[str] = set()
    for camera in cameras:
        if camera.id in seen:
            at = next(
                (i for i, e in reversed(list(enumerate(file.cameras))) if e.id == camera.id), len(file.cameras) - 1
            )
            reason = f"there are two cameras called {camera.id!r}; give every camera an id of its own"
            raise ConfigError(_sentence(path, document, ("cameras", at, "id"), reason))
        seen.add(camera.id)
    fields = {name: getattr(file, name) for name in Site.model_fields if name != "cameras"}
    return Site(**fields, cameras=tuple(cameras))


def _numbered(n: int, path: Path, document: Any, loc: tuple[int | str, ...]) -> dict[str, str]:
    """`id` and `source` of the camera at `loc` with `n` in place of `{n}`, and then with the environment's values."""
    entry = document[loc[0]][loc[1]]
    values: dict[str, str] = {}
    for field in ("id", "source"):

        def number(match: re.Match[str], at: tuple[int | str, ...] = (*loc, field)) -> str:
            form = match[1] or ""
            if not _NUMBER_FORMAT.fullmatch(form):
                raise ConfigError(_sentence(path, document, at, "{n} could not be filled in; write {n} or {n:02d}"))
            return format(n, form)

        text = _NUMBER.sub(number, str(entry[field]))
        values[field] = _filled(text, path, document, (*loc, field))
    return values


def _line(document: Any, loc: tuple[int | str, ...]) -> int | None:
    """Line, from 1, of the deepest part of `loc` that stands in the file."""
    line, node = None, document
    for key in loc:
        try:
            if isinstance(node, CommentedMap):
                line = node.lc.key(key)[0] + 1
            elif isinstance(node, CommentedSeq):
                line = node.lc.item(key)[0] + 1
            else:
                break
            node = node[key]
        except (KeyError, IndexError, TypeError):
            break
    return line


def _sentence(path: Path, document: Any, loc: tuple[int | str, ...], reason: str) -> str:
    line = _line(document, loc)
    field = ""
    for part in loc:
        field += f"[{part}]" if isinstance(part, int) else f".{part}" if field else str(part)
    where = f"{path}{f', line {line}' if line else ''}"
    return f"{where}: {field}: {reason}" if field else f"{where}: {reason}"


def _explain(path: Path, document: Any, item: Any) -> str:
    """One pydantic error as a sentence with a remedy."""
    loc = tuple(item["loc"])
    kind = item["type"]
    if kind == "extra_forbidden":
        known = _fields_at(loc[:-1])
        near = difflib.get_close_matches(str(loc[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return _sentence(path, document, loc, f"unknown field; {hint}")
    if kind == "missing":
        return _sentence(path, document, loc, f"this field is missing; add `{loc[-1]}:`")
    reason = item["msg"].removeprefix("Value error, ")
    return _sentence(path, document, loc, reason[:1].lower() + reason[1:])


def _fields_at(loc: tuple[int | str, ...]) -> list[str]:
    """Names of the fields that the model at `loc` knows."""
    model: type[BaseModel] = _File
    for part in loc:
        if isinstance(part, int):
            continue
        annotation = str(model.model_fields[part].annotation) if part in model.model_fields else ""
        candidates: list[type[BaseModel]] = [
            *(CameraEntry, Detector, Embedder, Tracker, Fusion, Sqlite, Kafka, Ledger, Resources)
        ]
        model = next((c for c in candidates if re.search(rf"\b{c.__name__}\b", annotation)), model)
    hidden = {"base", "file"} if model is _File else set()
    return [name for name in model.model_fields if name not in hidden]
