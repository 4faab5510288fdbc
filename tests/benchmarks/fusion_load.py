"""Load on one fusion process: many cameras of a simulated site, an update a second, time and memory of commits.

The cameras are simulated in a process of their own, so that time and memory are fusion's alone. Local tracks come with
the simulation, with one embedding a second. Times are CPU time of `FusionEngine.advance`, on one core; `wall_p95_ms` is
by the clock, with whatever else the machine does. The garbage collector is tuned as in the fusion process.

How a commit fares:                python tests/benchmarks/fusion_load.py --cameras 1000 --people 2800
With ten times as many known:      the same with --known 20000, and --max-gap 3600 on both
A day of people who come and go:   python tests/benchmarks/fusion_load.py --cameras 4 --people 12 --renewal 1
                                       --hours 24 --fps 1 --interval 5

`--renewal 1`: whoever leaves never comes back, and somebody new comes instead. `--known`: so many people were seen
elsewhere, one after another, just before it begins; they can be found again until `--max-gap`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from mtmct.fusion import FusionEngine
from mtmct.records import CameraBatch
from mtmct.settings import AppearanceCalibration, FusionSettings
from mtmct.topology import CameraGeometry, Topology
from mtmct.tracklets import Tracklet, Tracklets
from operators.records import SECOND_NS, Int64
from pipeline.actors import collect_rarely
from pipeline.simulate import camera_names
from pipeline.sources.simulation.looks import directions
from pipeline.sources.simulation.settings import Settings
from pipeline.sources.simulation.site import Detected, SimulatedSite, site_of
from pipeline.sources.simulation.tracklets import TrackIds

STRETCH_S = 5
LOST_S = 2.0
BEFORE_S = 60  # known people were seen within so long before
KNOWN_A_CAMERA = 50


def settings_of(options: argparse.Namespace) -> Settings:
    return Settings(
        place=options.place,
        cameras=options.cameras,
        people=options.people,
        renewal=options.renewal,
        seed=options.seed,
        embedding=options.embedding,
        rank1=options.rank1,
        tracks=True,
        seconds=0.0,
    )


class Camera:
    """One camera's batches, stretch by stretch."""

    def __init__(self, site: SimulatedSite, number: int, name: str, fps: float, interval: int, begins: int) -> None:
        self._site, self._number, self._name = site, number, name
        self._fps, self._interval, self._begins = fps, interval, begins
        self._ids = TrackIds()
        self._alive: dict[int, float] = {}
        self._sequence = 0

    def batches(self, stretch: int) -> list[CameraBatch]:
        """Those of one stretch; frames of the recording begin at second `begins` of event time."""
        length = round(STRETCH_S * self._fps)
        seconds = (stretch * length + np.arange(length)) / self._fps
        seen = self._site.detect(self._number, seconds, stretch)
        settings = self._site.settings
        random = np.random.default_rng((settings.seed, self._number, stretch))
        ids = self._ids.give(seen, stretch * length, self._fps, settings.breaks, settings.swaps, random)
        frames = stretch * length + seen.frames + 1
        times = self._begins * SECOND_NS + np.round(seconds * SECOND_NS).astype(np.int64)
        of_interval = (seconds[seen.frames] // self._interval).astype(np.int64)
        made = []
        for interval in range(stretch * STRETCH_S // self._interval, (stretch + 1) * STRETCH_S // self._interval):
            rows = np.flatnonzero(of_interval == interval)
            pieces = []
            for track in np.unique(ids[rows]).tolist():
                mine = rows[ids[rows] == track]
                self._alive[track] = float(seconds[seen.frames[mine[-1]]])
                pieces.append(self._piece(track, frames[mine], times[seen.frames[mine]], seen, mine))
            end = (interval + 1) * self._interval
            for track in [track for track, at in self._alive.items() if at < end - LOST_S]:
                del self._alive[track]
                nothing = np.zeros(0, np.int64)
                boxes, scores = np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
                pieces.append(Tracklet(self._name, track, "person", nothing, nothing, boxes, scores, ended=True))
            watermark = (self._begins + end) * SECOND_NS
            pieces.sort(key=lambda piece: piece.track)
            made.append(CameraBatch(self._name, 1, self._sequence, interval, watermark, Tracklets.of(pieces)))
            self._sequence += 1
        return made

    def _piece(self, track: int, frames: Int64, times: Int64, seen: Detected, mine: Int64) -> Tracklet:
        looks = None if seen.embeddings is None else seen.embeddings[mine[:1]]
        worth = np.ones(0 if looks is None else 1, np.float32)
        return Tracklet(self._name, track, "person", frames, times, seen.boxes[mine], seen.scores[mine], looks, worth)


def produce(options: argparse.Namespace, out: Connection) -> None:
    """Send (watermark, batches) of every commit, then None."""
    settings = settings_of(options)
    site = site_of(settings)
    begins = BEFORE_S if options.known else 0
    for item in known(options.known, settings.embedding):
        out.send(item)
    names = camera_names(settings.cameras)
    cameras = [
        Camera(site, number, name, options.fps, options.interval, begins) for number, name in enumerate(names, start=1)
    ]
    for stretch in range(round(options.hours * 3600 / STRETCH_S)):
        for together in zip(*(camera.batches(stretch) for camera in cameras), strict=True):
            out.send((together[0].watermark_ns, list(together)))
    out.send(None)


def known(count: int, dim: int) -> Iterator[tuple[int, list[CameraBatch]]]:
    """People who were in cameras of their own, at the same time one, in a few commits."""
    looks = directions(np.random.default_rng(count), count, dim).astype(np.float32) if count else np.zeros((0, dim))
    cameras = -(-count // KNOWN_A_CAMERA)
    turns = np.arange(4) * 0.2
    for second in range(KNOWN_A_CAMERA if count else 0):
        batches = []
        for camera in range(cameras):
            person = camera * KNOWN_A_CAMERA + second
            if person < count:
                times = np.round((second + turns) * SECOND_NS).astype(np.int64)
                frames = second * 5 + np.arange(4) + 1
                boxes = np.tile(np.array([600, 300, 660, 480], np.float32), (4, 1))
                scores = np.ones(4, np.float32)
                piece = Tracklet(
                    f"other-{camera}", second + 1, "person", frames, times, boxes, scores,
                    looks[person][None], np.ones(1, np.float32), True,
                )  # fmt: skip
                batches.append(
                    CameraBatch(f"other-{camera}", 1, second, second, (second + 1) * SECOND_NS, Tracklets.of([piece]))
                )
        yield (second + 1) * SECOND_NS, batches


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--place", default="hall", help="hall: everybody in several views; mall; streets")
    parser.add_argument("--cameras", type=int, default=1000)
    parser.add_argument("--people", type=int, default=2800, help="2800 are ten in view of each of 1000 cameras")
    parser.add_argument("--renewal", type=int, default=0)
    parser.add_argument("--hours", type=float, default=0.05)
    parser.add_argument("--fps", type=float, default=5.0)
    parser.add_argument("--interval", type=int, default=1, choices=(1, 5), help="seconds between commits")
    parser.add_argument("--embedding", type=int, default=128)
    parser.add_argument("--rank1", type=float, default=0.9)
    parser.add_argument("--known", type=int, default=0)
    parser.add_argument("--max-gap", type=float, default=300.0)
    parser.add_argument("--warm-up", type=int, default=30, help="commits that are not timed")
    parser.add_argument("--uncalibrated", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    settings = settings_of(options)
    site = site_of(settings)
    geometry = [
        CameraGeometry(name, None if options.uncalibrated else site.camera(number).homography, (1280, 720))
        for number, name in enumerate(camera_names(settings.cameras), start=1)
    ]
    assert site.calibration is not None
    beliefs = FusionSettings(appearance=AppearanceCalibration(*site.calibration), max_gap_s=options.max_gap)
    engine = FusionEngine("load", Topology(geometry), beliefs)
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    producer = context.Process(target=produce, args=(options, theirs), daemon=True)
    producer.start()
    theirs.close()
    collect_rarely()
    spent, waited, visible, hourly, created, state = [], [], [], [], 0, {}
    begins = BEFORE_S if options.known else 0
    hour = 0
    while (item := mine.recv()) is not None:
        watermark, batches = item
        begun, since = time.process_time(), time.perf_counter()
        commit = engine.advance(batches, watermark)
        spent.append(time.process_time() - begun)
        waited.append(time.perf_counter() - since)
        seen = [int((Tracklets.of(batch.tracklets).lengths > 0).sum()) for batch in batches]
        visible.append(sum(seen) / options.cameras)
        created += sum(r.topic == "identities" and r.value["event"] == "created" for r in commit.records)
        del item, batches, commit
        if (watermark // SECOND_NS - begins) // 3600 > hour:
            hour += 1
            state = engine.snapshot()
            size = sum(map(len, state.values()))
            timed = spent[-3600 // options.interval :]
            hourly.append(
                {
                    "hour": hour,
                    "rss_mb": round(resident_mb(), 1),
                    "state_mb": round(size / 2**20, 2),
                    "created": created,
                    "median_ms": round(1e3 * float(np.median(timed)), 2),
                }
            )
    producer.join()
    steady = np.array(spent[-len(spent) + (50 if options.known else 0) + options.warm_up :]) * 1e3
    row = {
        **vars(options),
        "commits": len(steady),
        "visible_a_camera": round(float(np.mean(visible[-len(steady) :])), 2),
        "median_ms": round(float(np.median(steady)), 1),
        "p95_ms": round(float(np.percentile(steady, 95)), 1),
        "max_ms": round(float(steady.max()), 1),
        "wall_p95_ms": round(1e3 * float(np.percentile(waited[-len(steady) :], 95)), 1),
        "identities_created": created,
        "rss_mb": round(resident_mb(), 1),
    }
    if len(hourly) > 1:
        sizes = [each["rss_mb"] for each in hourly]
        row["rss_growth_after_hour_1_percent"] = round(100 * (max(sizes[1:]) / sizes[0] - 1), 1)
        row["hours_seen"] = hourly
    print(json.dumps(row))


if __name__ == "__main__":
    main()
