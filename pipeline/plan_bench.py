"""What operators cost on this machine: each is run on its own for a moment, and what was measured is kept.

Where a camera has a recording its first picture is used, and noise of its size where it has none.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from operators.inference import find_model_file
from operators.records import Detections, Float32, Image, pack
from pipeline.assembly import (
    build_describers,
    build_detector,
    build_embedder,
    build_tracker,
    device_of,
    model_path,
)
from pipeline.config import Camera, Site
from pipeline.recording import recording
from pipeline.sources.base import Source, SourceError

# What is assumed of a live camera whose file says nothing.
USUAL_SIZE = (1920, 1080)
_GIVEN_LOOK_BYTES = 512 * 4  # embeddings that are not made here: a network's of the usual size
_MEASURE_S, _LEAST_RUNS, _MOST_RUNS = 0.5, 3, 50


@dataclass(frozen=True, slots=True)
class Costs:
    """What one frame costs.

    Attributes:
        decode, detect, embed, track, describe: CPU seconds, by operator.
        gpu: seconds that the models keep a GPU busy, at most; None where they are to run on one and there is none here,
            and then their CPU seconds are not known either and count as none.
        look_bytes: of an embedding. state_bytes: of what the worker keeps of the camera, in every batch.
    """

    decode: float = 0.0
    detect: float = 0.0
    embed: float = 0.0
    track: float = 0.0
    describe: float = 0.0
    gpu: float | None = 0.0
    look_bytes: int = 0
    state_bytes: int = 0

    @property
    def frame(self) -> float:
        """CPU seconds of all operators."""
        return self.decode + self.detect + self.embed + self.track + self.describe


class Bench:
    """Runs operators; each combination once, here or in an earlier plan.

    Args:
        site: whose operators.
        cache: folder of what was measured before.
        people: in each picture at a time.
        clock: CPU seconds of this process.
    """

    def __init__(self, site: Site, cache: Path, people: int, clock: Callable[[], float]) -> None:
        self._site, self._cache, self._people, self._clock = site, cache, people, clock
        self._detector: Any = None
        self._embedder: Any = None
        self._describers: Any = None

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
        boxes = _boxes(self._people, size or USUAL_SIZE)
        costs = Costs(look_bytes=_GIVEN_LOOK_BYTES if source.brings_embeddings else 0)
        if size is not None:
            picture, decode = self._picture(source, size)
            costs = replace(self._models(picture, boxes), decode=decode)
        if source.brings == "tracks":
            return costs
        track, state_bytes = self._track(camera, source, boxes)
        return replace(costs, track=track, state_bytes=state_bytes)

    def _models(self, picture: Image, boxes: Float32) -> Costs:
        """What the site's models cost on a picture."""
        site = self._site
        on_gpu = device_of(site) == "gpu"
        if on_gpu and not gpus_here():
            return Costs(gpu=None, look_bytes=_GIVEN_LOOK_BYTES)
        self._detector = self._detector or build_detector(site)
        self._embedder = self._embedder or build_embedder(site)
        self._describers = build_describers(site) if self._describers is None else self._describers
        detect, busy = self._timed(lambda: self._detector.detect([picture]))
        embed, describe, look_bytes = 0.0, 0.0, 0
        if self._embedder is not None:
            look_bytes = self._embedder.embed(picture, boxes[:1])[0].nbytes
            spent, taken = self._timed(lambda: self._embedder.embed(picture, boxes))
            embed, busy = spent / site.embedder.every, busy + taken / site.embedder.every
        everybody = range(len(boxes))
        for describer in self._describers:  # as if all were of the classes that each knows
            spent, taken = self._timed(partial(describer.votes, picture, boxes, everybody))
            describe, busy = describe + spent / site.attributes.every, busy + taken / site.attributes.every
        return Costs(0.0, detect, embed, 0.0, describe, busy if on_gpu else 0.0, look_bytes)

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
            cost, _ = self._timed(lambda: next(frames, None))
            return first.image, cost
        finally:
            frames.close()

    def _track(self, camera: Camera, source: Source, boxes: Float32) -> tuple[float, int]:
        """CPU seconds of a frame, and the bytes of the state that the tracker has then."""
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

        spent, _ = self._timed(update)
        return spent, len(tracker.snapshot())

    def _timed(self, work: Callable[[], Any]) -> tuple[float, float]:
        """Seconds of CPU time and of waiting of one call; the first is not counted, since it may compile or load."""
        work()
        began, at, runs = self._clock(), time.perf_counter(), 0
        while runs < _LEAST_RUNS or (self._clock() - began < _MEASURE_S and runs < _MOST_RUNS):
            work()
            runs += 1
        return (self._clock() - began) / runs, (time.perf_counter() - at) / runs


def _boxes(people: int, size: tuple[int, int]) -> Float32:
    """People side by side, a third of the picture high."""
    width, height = size
    x = np.linspace(0, 0.9 * width, people)
    high = height / 3
    return np.stack([x, np.full(people, high), x + high * 0.4, np.full(people, 2 * high)], axis=1).astype(np.float32)


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def gpus_here() -> int:
    """GPUs of this machine."""
    return len([path for path in Path("/proc/driver/nvidia/gpus").glob("*") if path.is_dir()])
