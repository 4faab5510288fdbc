"""What a site will need: CPU and GPU time by camera and operator as measured here (`pipeline.plan_bench`), workers,
memory, bytes a second.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mtmct.records import TRACKS, Record
from pipeline.assembly import build_source, picture_size
from pipeline.config import Camera, Site
from pipeline.pieces import MAX_EXEMPLARS
from pipeline.placement import shards_of
from pipeline.plan_bench import USUAL_SIZE, Bench, Costs, gpus_here
from pipeline.reader import most_waiting
from pipeline.schema.codec import open_codec
from pipeline.sources.base import Source

# What is assumed of a live camera whose file says nothing.
USUAL_RATE_HZ = 25.0
# Bits of H.264 for a pixel of a camera's stream: 5 Mbit/s of 1080p.
_BITS_A_PIXEL = 0.1
# A worker whose cores are busier than this falls behind at the next crowd.
BUSY = 0.8
# Measured once: an actor without models, one with Paddle loaded, frames that wait aside.
ACTOR_BYTES, PADDLE_BYTES, FUSION_BYTES = 125_000_000, 480_000_000, 250_000_000
_FRAMES_HELD = 2  # in work, and what a decoder keeps; beside those that wait


@dataclass(frozen=True, slots=True)
class CameraPlan:
    """One camera.

    Attributes:
        size: of its picture; None where it brings boxes. rate_hz: frames a second that are looked at.
        assumed: what of these was not known and taken as usual.
        costs: of a frame. cores: that it keeps busy. gpu: the share of a GPU; None where it is not known.
        held: bytes of pictures that its worker holds at most.
        from_source, to_fusion, to_ledger: bytes a second; a camera's state, which goes along with each batch and
            commit, included.
    """

    camera: str
    size: tuple[int, int] | None
    rate_hz: float
    assumed: tuple[str, ...]
    costs: Costs
    cores: float
    gpu: float | None
    held: int
    from_source: float
    to_fusion: float
    to_ledger: float


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """One worker: its cameras, cores and the share of a GPU that it keeps busy, bytes of memory."""

    cameras: tuple[str, ...]
    cores: float
    gpu: float | None
    memory: int


@dataclass(frozen=True, slots=True)
class SitePlan:
    """The site.

    Attributes:
        people: in each picture at a time.
        cpus, gpus: that its actors reserve. cores, gpus_busy: that they keep busy; None where it is not known.
        memory: bytes.
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
    gpus_busy: float | None
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
    bench = Bench(site, cache, people, clock)
    cameras = tuple(_camera(site, camera, bench, people) for camera in site.cameras)
    by_id = {camera.camera: camera for camera in cameras}
    workers = []
    for shard in shards_of(list(by_id), site.resources.cameras_per_worker):
        mine = [by_id[camera] for camera in shard]
        pictures = sum(camera.held for camera in mine)
        memory = (PADDLE_BYTES if pictures else ACTOR_BYTES) + pictures
        workers.append(WorkerPlan(shard, round(sum(c.cores for c in mine), 3), _sum(c.gpu for c in mine), memory))
    cpus = float(len(workers) * site.resources.threads)
    gpus = len(workers) * site.resources.gpus_per_worker
    cores = sum(camera.cores for camera in cameras)
    memory = FUSION_BYTES + sum(worker.memory for worker in workers)
    return SitePlan(
        site.site, people, cameras, tuple(workers), cpus, gpus, round(cores, 3), _sum(worker.gpu for worker in workers),
        memory, dict(there),
        tuple(lacks(site, workers, cpus if site.ray_address else 0.0, gpus, cores, memory, there)),
    )  # fmt: skip


def _sum(shares: Iterable[float | None]) -> float | None:
    total = 0.0
    for share in shares:
        if share is None:
            return None
        total += share
    return round(total, 3)


def lacks(
    site: Site,
    workers: list[WorkerPlan],
    cpus: float,
    gpus: float,
    cores: float,
    memory: float,
    there: Mapping[str, float],
) -> list[str]:
    """What there is not enough of, a sentence each.

    Args:
        cpus, gpus: that the actors reserve. cores: that they keep busy. memory: bytes.
        there: the same of where they would run.
    """
    found = []
    if cpus > there["cpus"]:
        found.append(f"it reserves {cpus:g} CPUs and there are {there['cpus']:g}: add nodes, or lower `threads`")
    if cores > BUSY * there["cpus"]:
        found.append(
            f"it keeps {cores:.1f} cores busy and there are {there['cpus']:g}, of which {BUSY:.0%} can be: lower "
            "`fps`, take a smaller model, or add nodes"
        )
    if gpus > there["gpus"]:
        found.append(f"it wants {gpus:g} GPUs and there are {there['gpus']:g}: lower `gpus_per_worker`, or add nodes")
    if memory > there["memory"]:
        found.append(f"it takes {memory / 1e9:.1f} GB of memory and there are {there['memory'] / 1e9:.1f} GB")
    for number, worker in enumerate(workers):
        if worker.cores > BUSY * site.resources.threads and site.resources.gpus_per_worker == 0:
            found.append(
                f"worker {number} keeps {worker.cores:.1f} cores busy and has {site.resources.threads}: lower "
                "`cameras_per_worker`, or raise `threads`"
            )
        if worker.gpu is not None and worker.gpu > BUSY * site.resources.gpus_per_worker > 0:
            found.append(
                f"worker {number} keeps {worker.gpu:.2f} of a GPU busy and has {site.resources.gpus_per_worker:g}: "
                "raise `gpus_per_worker`, or lower `cameras_per_worker`"
            )
    return found


def _camera(site: Site, camera: Camera, bench: Bench, people: int) -> CameraPlan:
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
    if costs.gpu is None:
        assumed.append("models that cost no CPU: how long they take on a GPU is not known where there is none")
    points, commits = people * rate, 1 / site.interval
    looks = 0 if source.brings == "tracks" else people * MAX_EXEMPLARS * costs.look_bytes
    return CameraPlan(
        camera=camera.id,
        size=size,
        rate_hz=rate,
        assumed=tuple(assumed),
        costs=costs,
        cores=costs.frame * rate,
        gpu=None if costs.gpu is None else costs.gpu * rate,
        held=0 if size is None else _held(source.live, rate, 3 * size[0] * size[1]),
        from_source=round(_from_source(site, camera, source, size, people, rate)),
        to_fusion=round(points * 40 + (looks + costs.state_bytes) * commits),  # a point: frame, time, box and score
        to_ledger=round(points * _point_bytes(site) + costs.state_bytes * commits),
    )


def _held(live: bool, rate: float, frame_bytes: int) -> int:
    return (most_waiting(live, rate, frame_bytes) + _FRAMES_HELD) * frame_bytes


def _from_source(
    site: Site, camera: Camera, source: Source, size: tuple[int, int] | None, people: int, rate: float
) -> float:
    """Bytes a second: of a recording what it has, of rows of text one for each person, of a stream the usual."""
    file = site.base / camera.source.removeprefix("detections:").strip()
    if not file.is_file():
        return 0.0 if size is None else size[0] * size[1] * rate * _BITS_A_PIXEL / 8
    if size is not None:
        frames = source.length()
        return file.stat().st_size * rate / frames if frames else 0.0
    with file.open("rb") as rows:
        lines = rows.read(65_536).splitlines(keepends=True)
    return sum(map(len, lines)) / max(len(lines), 1) * people * rate


def _point_bytes(site: Site) -> float:
    """Bytes that a point takes in the ledger, a second's tracklet of ten in all."""
    points = [[1_700_000_000_000_000 + i, 811.25, 402.5, 861.75, 560.25, 0.8125, 12.345, 6.789] for i in range(10)]
    value = {
        "schema": "crosscam.tracks/1", "site": site.site, "camera": "c", "track": 1, "class": "person",
        "identity": f"{site.site}-000001", "number": 1, "revision": 1, "start": points[0][0], "end": points[-1][0],
        "ended": False, "frames": list(range(10)), "points": points, "link": None,
    }  # fmt: skip
    return len(open_codec("json").encode(Record(TRACKS, "c", value, 0)).value) / 10


def this_machine() -> dict[str, float]:
    """Cores, and bytes of memory that are free, of this machine; GPUs that Paddle sees."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        memory = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        pass  # not Linux: what lies idle, without what can be freed
    return {"cpus": float(os.cpu_count() or 1), "gpus": float(gpus_here()), "memory": float(memory)}


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
