"""A site, typed: what the one YAML file may say. `pipeline.config_file` reads it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from mtmct.floor import Floor
from mtmct.topology import TopologyError
from operators.analyse.rules import Rules
from operators.records import CrosscamError, homography_fault
from pipeline.config_fusion import Fusion, Model
from pipeline.config_models import Attributes, Detector, Embedder, Tracker
from pipeline.config_rules import LineRule, Snapshots, Thumbnails, ZoneRule
from pipeline.durations import Seconds
from pipeline.profiles import PROFILES, Profile
from pipeline.sources.staying_connected import LiveOptions


class ConfigError(CrosscamError):
    """The configuration cannot be used; the message says where and what to write instead."""


USUAL_FLOW_INTERVAL_S = 60.0
Row = tuple[float, float, float]
RuleName = Annotated[str, Field(min_length=1, max_length=64)]
CameraId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]


class Live(Model):
    """How a live camera is kept.

    Attributes:
        connect_timeout: a camera that does not answer for so long is tried again later.
        read_timeout: a camera that sends no picture for so long is lost.
        frozen_after: so is one that shows the same picture for so long; 0 lets it.
        max_reconnects: tries in a row after which the camera has failed; or `unlimited`.
    """

    connect_timeout: Annotated[Seconds, Field(gt=0)] = 5.0
    read_timeout: Annotated[Seconds, Field(gt=0)] = 5.0
    frozen_after: Annotated[Seconds, Field(ge=0)] = 60.0
    max_reconnects: Annotated[int, Field(ge=0)] | Literal["unlimited"] = "unlimited"

    @property
    def options(self) -> LiveOptions:
        """The same for a source."""
        limit = None if self.max_reconnects == "unlimited" else self.max_reconnects
        return LiveOptions(self.connect_timeout, self.read_timeout, self.frozen_after, limit)


class Camera(Model):
    """One camera.

    Attributes:
        id: names the camera in every output.
        source: an RTSP or HTTP address, a video file, an image folder, a device number, `detections:FILE`,
            or `simulated:...`. Relative paths start at the YAML file's folder.
        fps: cap on processed frames a second; for images and MOT text, the rate itself.
        crop: x1, y1, x2, y2 of the region to look at, pixels of the full picture.
        start: event time of a file's first frame; the start of 1970 if not given.
        clock_offset_ms: added to the camera's event time.
        live: how a stream or a device is kept.
        homography: 3x3, box bottom centre in pixels of the cropped picture to metres on the site's ground plane.
        lines, zones: by name, what is counted in the picture and what is an incident; points are pixels of the cropped
            picture.
    """

    id: CameraId
    source: Annotated[str, Field(repr=False)]  # may hold a password
    fps: Annotated[float, Field(gt=0, le=1000)] | None = None
    crop: tuple[int, int, int, int] | None = None
    start: datetime | None = None
    clock_offset_ms: int = 0
    live: Live = Live()
    homography: tuple[Row, Row, Row] | None = None
    lines: dict[RuleName, LineRule] = Field(default_factory=dict)
    zones: dict[RuleName, ZoneRule] = Field(default_factory=dict)

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
        if rows is not None and (fault := homography_fault(rows)) is not None:
            raise ValueError(f"this homography {fault}")
        return rows


class CameraEntry(Camera):
    """What stands in the file: a camera, or with `range: [first, last]` as many as it counts.

    `{n}` (or `{n:02d}`) in `id` and `source` becomes the number.
    """

    id: Annotated[str, Field(max_length=64)]
    range: tuple[int, int] | None = None


class Sqlite(Model):
    """A ledger in one file. `path` is relative to where the command runs; `run/<site>/ledger.sqlite` if not given."""

    path: Path | None = None


class Kafka(Model):
    """A ledger in Kafka; every further field is a setting of the Kafka client (security_protocol, sasl_...)."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)
    bootstrap_servers: str

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return [("bootstrap_servers", self.bootstrap_servers)]  # the others may hold passwords

    @property
    def settings(self) -> dict[str, Any]:
        """All settings, the servers among them."""
        return {"bootstrap_servers": self.bootstrap_servers, **(self.model_extra or {})}


class Ledger(Model):
    """Where commits live, and how records are encoded."""

    sqlite: Sqlite | None = None
    kafka: Kafka | None = None
    codec: Literal["json", "arrow"] = "json"

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.sqlite is not None and self.kafka is not None:
            raise ValueError("choose one of sqlite and kafka")
        return self


class SiteFigures(Model):
    """The site's own figures, everybody once whichever cameras saw them: counts per `flow_interval`, and journeys.

    Attributes:
        publish: whether; if not given, where `flow_interval`, a line or a zone is.
        gone_after: a journey is told once its identity was seen nowhere for so long.
        restate: what lies farther back than this stays as it was told, whatever corrections come.
    """

    publish: bool | None = None
    gone_after: Annotated[Seconds, Field(gt=0)] = 60.0
    restate: Annotated[Seconds, Field(ge=10, le=86400)] = 600.0


class Resources(Model):
    """What a worker gets.

    Attributes:
        cameras_per_worker: cameras chained in one actor, batched into one predictor call.
        gpus_per_worker: share of a GPU; 0 runs on the CPU.
        threads: CPU threads of a worker's predictor.
        precision: fp32; on a GPU also fp16, and trt-fp32, trt-fp16 or trt-int8 through TensorRT.
        gpu_memory_mb: most memory of its GPU that a worker's models take; no limit if not given.
    """

    cameras_per_worker: Annotated[int, Field(ge=1)] = 8
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0.0
    threads: Annotated[int, Field(ge=1)] = 1
    precision: Literal["fp32", "fp16", "trt-fp32", "trt-fp16", "trt-int8"] = "fp32"
    gpu_memory_mb: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _gpu_for_what_needs_one(self) -> Resources:
        for name, wanted in (("precision", self.precision != "fp32"), ("gpu_memory_mb", self.gpu_memory_mb)):
            if wanted and not self.gpus_per_worker:
                raise ValueError(f"{name}: {getattr(self, name)} needs a GPU: set gpus_per_worker, e.g. to 0.25")
        return self


class Health(Model):
    """Where the process that commits answers `/healthz` and `/readyz`.

    Attributes:
        port: of its node.
        host: the address that it listens on; 0.0.0.0 for probes from elsewhere.
    """

    port: Annotated[int, Field(ge=1, le=65535)]
    host: str = "127.0.0.1"


class Site(Model):
    """A site: its cameras and what is done with them.

    Attributes:
        site: names topics, ledger and identities.
        interval: length of a commit interval in event time.
        flow_interval: length of the intervals that are counted; a minute where a camera has lines or zones.
        snapshots: where the picture of each incident is kept as it begins; nowhere if not given.
        thumbnails: small pictures of whom live cameras track; none are kept if not given.
        site_figures: the site's own figures, everybody once.
        idle_timeout: a live camera silent for so long stops holding the others back.
        floor: corners of the ground on which somebody counts, metres as by the homographies; boxes of calibrated
            cameras whose feet stand elsewhere are left out before anything is tracked.
        health: where it answers probes; nowhere if not given.
        log: what log lines are: for people, or a JSON object each.
        ray_address: the cluster to run on; a Ray of its own on this machine if not given.
        base: folder that relative paths start at; the YAML file's.
        file: the YAML file itself; None for a site made in code.
    """

    site: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]
    profile: Annotated[str, Field(json_schema_extra={"enum": list(PROFILES)})] = "pedestrian"
    cameras: Annotated[tuple[Camera, ...], Field(min_length=1)]
    detector: Detector = Detector()
    embedder: Embedder = Embedder()
    attributes: Attributes = Attributes()
    tracker: Tracker = Tracker()
    fusion: Fusion = Fusion()
    ledger: Ledger = Ledger()
    resources: Resources = Resources()
    interval: Annotated[Seconds, Field(ge=0.05, le=60)] = 1.0
    flow_interval: Annotated[Seconds, Field(ge=0.1, le=86400)] | None = None
    snapshots: Snapshots | None = None
    thumbnails: Thumbnails | None = None
    site_figures: SiteFigures = SiteFigures()
    idle_timeout: Annotated[Seconds, Field(gt=0)] = 10.0
    floor: Annotated[tuple[tuple[float, float], ...], Field(min_length=3)] | None = None
    health: Health | None = None
    log: Literal["text", "json"] = "text"
    ray_address: str | None = None
    base: Path = Path()
    file: Path | None = None

    @field_validator("profile")
    @classmethod
    def _profile_exists(cls, name: str) -> str:
        if name not in PROFILES:
            raise ValueError(f"there is no such profile: choose one of {', '.join(PROFILES)}")
        return name

    @model_validator(mode="before")
    @classmethod
    def _tracker_of_the_profile(cls, data: Any) -> Any:
        profile = data.get("profile") if isinstance(data, dict) else None
        if not isinstance(profile, str) or profile not in PROFILES:
            return data
        chosen = data.get("tracker")
        if chosen is None or (isinstance(chosen, dict) and "name" not in chosen):
            data = {**data, "tracker": {"name": PROFILES[profile].tracker, **(chosen or {})}}
        return data

    @field_validator("floor")
    @classmethod
    def _floor_has_area(cls, corners: tuple[tuple[float, float], ...] | None) -> tuple[tuple[float, float], ...] | None:
        if corners is not None:
            try:
                Floor(corners)
            except TopologyError as error:
                raise ValueError(str(error)) from error
        return corners

    @model_validator(mode="after")
    def _floor_needs_a_homography(self) -> Self:
        if self.floor is not None and all(camera.homography is None for camera in self.cameras):
            raise ValueError("`floor` is in metres: give at least one camera a `homography` as well, or leave it out")
        return self

    @model_validator(mode="after")
    def _idle_is_longer_than_an_interval(self) -> Self:
        if self.idle_timeout < 2 * self.interval:
            raise ValueError("idle_timeout must be at least twice the interval: a camera speaks once an interval")
        return self

    @model_validator(mode="after")
    def _thumbnails_are_found_with_the_ledger(self) -> Self:
        if self.thumbnails is not None and self.thumbnails.folder is not None and self.ledger.kafka is None:
            raise ValueError(
                "thumbnails.folder: with an SQLite ledger they lie beside it, so that whoever erases an "
                "identity there finds its pictures, too; leave the folder out"
            )
        return self

    @model_validator(mode="after")
    def _tracks_are_linked_within_what_is_restated(self) -> Self:
        if self.fusion.max_wait > self.site_figures.restate:
            raise ValueError("fusion.max_wait is longer than site_figures.restate: who is linked later would not count")
        return self

    @property
    def counts_the_site(self) -> bool:
        """Whether the site's own figures are published."""
        counted = self.flow_interval is not None or any(camera.lines or camera.zones for camera in self.cameras)
        return counted if self.site_figures.publish is None else self.site_figures.publish

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that are kept."""
        return self.detector.classes or self.choices.classes

    @property
    def choices(self) -> Profile:
        """What the profile chooses."""
        return PROFILES[self.profile]

    @property
    def tiled(self) -> bool:
        """Whether large pictures are looked at tile by tile."""
        return self.choices.tiled if self.detector.tiles is None else self.detector.tiles

    @property
    def interval_ns(self) -> int:
        """Length of a commit interval, nanoseconds."""
        return round(self.interval * 1e9)

    @property
    def ledger_path(self) -> Path:
        """The SQLite ledger's file."""
        chosen = self.ledger.sqlite.path if self.ledger.sqlite else None
        return chosen or Path("run") / self.site / "ledger.sqlite"

    def rules(self, camera: Camera) -> Rules:
        """What is looked for in the camera's picture."""
        drawn = bool(camera.lines or camera.zones)
        return Rules(
            lines=tuple(line.rule(name) for name, line in camera.lines.items()),
            zones=tuple(zone.rule(name) for name, zone in camera.zones.items()),
            interval_s=self.flow_interval or (USUAL_FLOW_INTERVAL_S if drawn else None),
        )

    def camera(self, camera_id: str) -> Camera:
        """The camera of that id.

        Raises:
            KeyError: there is none.
        """
        for camera in self.cameras:
            if camera.id == camera_id:
                return camera
        raise KeyError(camera_id)


class SiteFile(Site):
    """A site as its file says it: ranges of cameras stand unexpanded."""

    cameras: Annotated[tuple[CameraEntry, ...], Field(min_length=1)]
