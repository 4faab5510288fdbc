"""What a site will need: CPU time by camera and operator as measured here, workers, GPU shares, memory, bytes a second.

Every operator is run on its own for a moment: the site's detector, embedder and tracker, on the first picture of the
camera's recording where it has one, and on noise of its size where it has not. What was measured is kept by machine and
model, so that the next plan is there at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mtmct.records import TRACKS, Record
from operators.inference import find_model_file
from operators.records import Detections, Float32, Image, pack
from pipeline.assembly import (
    build_describers,
    build_detector,
    build_embedder,
    build_source,
    build_tracker,
    model_path,
    picture_size,
)
from pipeline.config import Camera, Site
from pipeline.placement import shards_of
from pipeline.recording import recording
from pipeline.schema.codec import open_codec
from pipeline.sources.base import Source, SourceError

# What is assumed of a live camera whose file says nothing.
USUAL_SIZE, USUAL_RATE_HZ = (1920, 1080), 25.0
# A worker whose cores are busier than this falls behind at the next crowd.
BUSY = 0.8
# Measured once (README, "what it costs"): an actor without models, one with Paddle loaded, frames that wait aside.
ACTOR_BYTES, PADDLE_BYTES, FUSION_BYTES = 125_000_000, 480_000_000, 250_000_000
_FRAMES_HELD = 6  # read ahead, in work, and what a decoder keeps
_MEASURE_S, _LEAST_RUNS, _MOST_RUNS = 0.5, 3, 50


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU seconds of one frame, by operator."""

    decode: float
    detect: float
    embed: float
    track: float
    describe: float = 0.0

    @property
    def frame(self) -> float:
        """All of them."""
        return self.decode + self.detect + self.embed + self.track + self.describe


@dataclass(frozen=True, slots=True)
class CameraPlan:
    """One camera.

    Attributes:
        size: of its picture; None where it brings boxes. rate_hz: frames a second that are looked at.
        assumed: what of these was not known and taken as usual.
        costs: of a frame. cores: that it keeps busy.
        to_fusion, to_ledger: bytes a second.
    """

    camera: str
    size: tuple[int, int] | None
    rate_hz: float
    assumed: tuple[str, ...]
    costs: Costs
    cores: float
    to_fusion: float
    to_ledger: float


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """One worker: its cameras, cores that it keeps busy, bytes of memory."""

    cameras: tuple[str, ...]
    cores: float
    memory: int


@dataclass(frozen=True, slots=True)
class SitePlan:
    """The site.

    Attributes:
        people: in each picture at a time.
        cpus, gpus: that its actors reserve. cores: that they keep busy. memory: bytes.
        there: cpus, gpus and bytes of memory of the machine or cluster that it would run on.
        lacks: what there is not enough of, a sentence each.
    """

    site: str
    people: int
    cameras: tuple[CameraPlan, ...]
    workers: tuple[WorkerPlan, ...]
    cpus: float
    gpus: float
    cores: float
    memory: int
    there: dict[str, float]
    lacks: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """All of it in JSON types."""
        return {**asdict(self), "fits": not self.lacks}


def plan(
    site: Site,
    there: Mapping[str, float],
    cache: Path,
    *,
    people: int = 10,
    clock: Callable[[], float] = time.process_time,
) -> SitePlan:
    """Measure what is not known yet, and add up.

    Args:
        site: checked.
        there: `cpus`, `gpus` and `memory` (bytes) of where it would run.
        cache: folder of what was measured before.
        people: in each picture at a time.
        clock: CPU seconds of this process.

    Raises:
        CrosscamError: a model cannot be loaded.
    """
    bench = _Bench(site, cache, people, clock)
    cameras = tuple(_camera(site, camera, bench, people) for camera in site.cameras)
    by_id = {camera.camera: camera for camera in cameras}
    workers = []
    for shard in shards_of(list(by_id), site.resources.cameras_per_worker):
        mine = [by_id[camera] for camera in shard]
        pictures = sum(3 * c.size[0] * c.size[1] * _FRAMES_HELD for c in mine if c.size is not None)
        memory = (PADDLE_BYTES if pictures else ACTOR_BYTES) + pictures
        workers.append(WorkerPlan(shard, round(sum(c.cores for c in mine), 3), memory))
    cpus = float(len(workers) * site.resources.threads)
    gpus = len(workers) * site.resources.gpus_per_worker
    cores = sum(camera.cores for camera in cameras)
    memory = FUSION_BYTES + sum(worker.memory for worker in workers)
    return SitePlan(
        site.site, people, cameras, tuple(workers), cpus, gpus, round(cores, 3), memory, dict(there),
        tuple(_lacks(site, workers, cpus if site.ray_address else 0.0, gpus, cores, memory, there)),
    )  # fmt: skip


def _lacks(
    site: Site,
    workers: list[WorkerPlan],
    cpus: float,
    gpus: float,
    cores: float,
    memory: float,
    there: Mapping[str, float],
) -> list[str]:
    lacks = []
    if cpus > there["cpus"]:
        lacks.append(f"it reserves {cpus:g} CPUs and there are {there['cpus']:g}: add nodes, or lower `threads`")
    if cores > BUSY * there["cpus"]:
        lacks.append(
            f"it keeps {cores:.1f} cores busy and there are {there['cpus']:g}, of which {BUSY:.0%} can be: lower "
            "`fps`, take a smaller model, or add nodes"
        )
    if gpus > there["gpus"]:
        lacks.append(f"it wants {gpus:g} GPUs and there are {there['gpus']:g}: lower `gpus_per_worker`, or add nodes")
    if memory > there["memory"]:
        lacks.append(f"it takes {memory / 1e9:.1f} GB of memory and there are {there['memory'] / 1e9:.1f} GB")
    for number, worker in enumerate(workers):
        if worker.cores > BUSY * site.resources.threads and site.resources.gpus_per_worker == 0:
            lacks.append(
                f"worker {number} keeps {worker.cores:.1f} cores busy and has {site.resources.threads}: lower "
                "`cameras_per_worker`, or raise `threads`"
            )
    return lacks


def _camera(site: Site, camera: Camera, bench: _Bench, people: int) -> CameraPlan:
    source = build_source(site, camera)
    assumed = []
    rate = source.rate() or camera.fps
    if rate is None:
        rate = USUAL_RATE_HZ
        assumed.append(f"{rate:g} frames a second")
    size = None
    if source.brings == "frames":
        size = picture_size(site, camera)
        if size is None:
            size = USUAL_SIZE
            assumed.append(f"{size[0]}x{size[1]}")
    costs = bench.costs(camera, source, size)
    points = people * rate
    embeddings = people * 0 if source.brings == "tracks" else people * 4 * bench.embedding_bytes / site.interval
    return CameraPlan(
        camera=camera.id,
        size=size,
        rate_hz=rate,
        assumed=tuple(assumed),
        costs=costs,
        cores=costs.frame * rate,
        to_fusion=round(points * 40 + embeddings),  # a point: frame, time, box and score
        to_ledger=round(points * bench.point_bytes),
    )


class _Bench:
    """Runs operators; each combination once, here or in an earlier plan."""

    def __init__(self, site: Site, cache: Path, people: int, clock: Callable[[], float]) -> None:
        self._site, self._cache, self._people, self._clock = site, cache, people, clock
        self._detector: Any = None
        self._embedder: Any = None
        self._describers: Any = None
        self.point_bytes = _point_bytes(site)
        self.embedding_bytes = 512 * 4

    def costs(self, camera: Camera, source: Source, size: tuple[int, int] | None) -> Costs:
        file = self._cache / f"{self._key(camera, source, size)}.json"
        try:
            return Costs(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            costs = self._measure(camera, source, size)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(asdict(costs)), encoding="utf-8")
        except OSError:
            pass  # it is measured again next time
        return costs

    def _key(self, camera: Camera, source: Source, size: tuple[int, int] | None) -> str:
        site = self._site
        models = []
        for model in (site.detector.model, site.embedder.model, *site.attributes.models.values()):
            path = model_path(site, model)
            found = find_model_file(path) if isinstance(path, Path) and size is not None else None
            models.append([model, None if found is None else [found.stat().st_size, found.stat().st_mtime_ns]])
        machine = [platform.node(), platform.machine(), os.cpu_count(), _cpu_name()]
        source_kind = [source.brings, None if source.live else camera.source]
        how = [site.resources.model_dump(), site.tracker.model_dump(), site.tiled, site.embedder.every, self._people]
        how.append(site.attributes.model_dump())
        return hashlib.blake2b(pack([machine, models, source_kind, size, how]), digest_size=12).hexdigest()

    def _measure(self, camera: Camera, source: Source, size: tuple[int, int] | None) -> Costs:
        decode = detect = embed = describe = 0.0
        picture, boxes = None, _boxes(self._people, size or USUAL_SIZE)
        if size is not None:
            picture, decode = self._picture(source, size)
            self._detector = self._detector or build_detector(self._site)
            detect = self._timed(lambda: self._detector.detect([picture]))
            self._embedder = self._embedder or build_embedder(self._site)
            if self._embedder is not None:
                embed = self._timed(lambda: self._embedder.embed(picture, boxes)) / self._site.embedder.every
            self._describers = build_describers(self._site) if self._describers is None else self._describers
            everybody = range(len(boxes))
            for describer in self._describers:  # as if all were of the classes that each knows
                cost = self._timed(partial(describer.votes, picture, boxes, everybody))
                describe += cost / self._site.attributes.every
        track = 0.0 if source.brings == "tracks" else self._track(camera, source, boxes)
        return Costs(decode, detect, embed, track, describe)

    def _picture(self, source: Source, size: tuple[int, int]) -> tuple[Image, float]:
        """A picture of the camera, and what it costs to decode one; of a live one both are made up."""
        if source.live:
            noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)
            return noise, 3.5e-9 * size[0] * size[1]  # H.264, 7 ms of 1080p
        frames = recording(source)
        try:
            first = next(frames, None)
            if first is None or first.image is None:
                raise SourceError(f"camera {source.camera!r}: there is no picture in its recording")
            cost = self._timed(lambda: next(frames, None))
            return first.image, cost
        finally:
            frames.close()

    def _track(self, camera: Camera, source: Source, boxes: Float32) -> float:
        tracker = build_tracker(self._site, camera, source)
        random = np.random.default_rng(1)
        looks = None
        if tracker.uses_appearance:
            looks = random.normal(size=(len(boxes), 128)).astype(np.float32)
            looks /= np.linalg.norm(looks, axis=1, keepdims=True)
        step = 0

        def update() -> None:
            nonlocal step
            step += 1
            moved = (boxes + random.normal(0, 1, boxes.shape)).astype(np.float32)
            scores, classes = np.full(len(boxes), 0.9, np.float32), np.zeros(len(boxes), np.int32)
            tracker.update(Detections(moved, scores, classes, looks), step * 40_000_000)

        return self._timed(update)

    def _timed(self, work: Callable[[], Any]) -> float:
        """CPU seconds of one call, the first of which is not counted: it may compile or load."""
        work()
        began, runs = self._clock(), 0
        while runs < _LEAST_RUNS or (self._clock() - began < _MEASURE_S and runs < _MOST_RUNS):
            work()
            runs += 1
        return (self._clock() - began) / runs


def _boxes(people: int, size: tuple[int, int]) -> Float32:
    """People side by side, a third of the picture high."""
    width, height = size
    x = np.linspace(0, 0.9 * width, people)
    high = height / 3
    return np.stack([x, np.full(people, high), x + high * 0.4, np.full(people, 2 * high)], axis=1).astype(np.float32)


def _point_bytes(site: Site) -> float:
    """Bytes that a point takes in the ledger, a second's tracklet of ten in all."""
    points = [[1_700_000_000_000_000 + i, 811.25, 402.5, 861.75, 560.25, 0.8125, 12.345, 6.789] for i in range(10)]
    value = {
        "schema": "crosscam.tracks/1", "site": site.site, "camera": "c", "track": 1, "class": "person",
        "identity": f"{site.site}-000001", "number": 1, "revision": 1, "start": points[0][0], "end": points[-1][0],
        "ended": False, "frames": list(range(10)), "points": points, "link": None,
    }  # fmt: skip
    return len(open_codec("json").encode(Record(TRACKS, "c", value, 0)).value) / 10


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def this_machine() -> dict[str, float]:
    """Cores, and bytes of memory that are free, of this machine; GPUs that Paddle sees."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        memory = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        pass  # not Linux: what lies idle, without what can be freed
    return {"cpus": float(os.cpu_count() or 1), "gpus": float(_gpus()), "memory": float(memory)}


def _gpus() -> int:
    return len([path for path in Path("/proc/driver/nvidia/gpus").glob("*") if path.is_dir()])


def the_cluster(site: Site) -> dict[str, float]:
    """The same of what is free in the site's cluster.

    Raises:
        LaunchError: it does not answer.
    """
    import ray

    from pipeline.cluster import connect

    connect(site, 0)
    free = ray.available_resources()
    return {"cpus": free.get("CPU", 0.0), "gpus": free.get("GPU", 0.0), "memory": free.get("memory", 0.0)}
