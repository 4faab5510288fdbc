"""A day of people who come, go and never return: does fusion's memory stay flat, and a commit's time?

python tests/benchmarks/fusion_endurance.py [--hours 24] [--cameras 8] [--arrivals 6] [--each]

A corridor under a row of cameras that overlap a little, the last one not calibrated. People arrive at random at any
camera, walk one way or the other at their own pace and leave at another. Local tracks break, looks are missing, a tenth
of the tracks is never said to have ended, and every hour one camera is silent for ten minutes. Guesses are published,
closed identities can be searched for, and times between views are learned, so that all that fusion keeps is in use.

Prints the resident memory after the first hour and at the end, its slope from then on, the CPU time of a commit in the
first and the last hour, and how much is in every container that the engine holds, after the first hour and at the end:
those that have grown by more than half are named. Memory is the whole process's, the making of the scene included.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from fusion_speed import WIDTH, row_of_cameras

from mtmct.fusion import FusionEngine
from mtmct.records import CameraBatch
from mtmct.settings import FusionSettings
from mtmct.topology import Topology
from mtmct.tracklets import Tracklet, Tracklets
from operators.records import SECOND_NS
from pipeline.actors import collect_rarely

FPS, DIM, OVERLAP = 2, 64, 4.0
BROKEN, UNSEEN, NEVER_ENDED = 0.02, 0.1, 0.1  # of tracks an interval, of looks, of tracks
SILENT_S = 600


@dataclass
class Walker:
    """Somebody on the way from one place of the corridor to another."""

    person: int
    start_s: float
    end_s: float
    origin: float
    pace: float
    row: int

    def places(self, seconds: np.ndarray) -> np.ndarray:
        x = self.origin + self.pace * (seconds - self.start_s)
        return np.where((seconds >= self.start_s) & (seconds < self.end_s), x, np.nan)


def churn(
    hours: float, cameras: int, arrivals: float, interval: int, seed: int
) -> Iterator[tuple[int, list[CameraBatch]]]:
    """Watermark and batches of every commit."""
    dice = np.random.default_rng(seed)
    lefts = np.arange(cameras) * (WIDTH - OVERLAP)
    walkers: list[Walker] = []
    local: dict[tuple[int, int], int] = {}
    following, people = [count(1) for _ in range(cameras)], count()
    for number in range(round(hours * 3600 / interval)):
        begun = number * interval
        walkers = [walker for walker in walkers if walker.end_s > begun]
        for start in begun + dice.uniform(0, interval, dice.poisson(arrivals * interval / 60)):
            one, other = dice.uniform(0, lefts[-1] + WIDTH, 2)
            pace = dice.uniform(0.8, 1.8) * np.sign(other - one)
            walkers.append(Walker(next(people), start, start + (other - one) / pace, one, pace, int(dice.integers(10))))
        steps = number * interval * FPS + np.arange(interval * FPS)
        seconds = steps / FPS
        x = np.array([walker.places(seconds) for walker in walkers]).reshape(-1, len(seconds))
        batches = []
        silent = (begun // 3600) % cameras if begun % 3600 < SILENT_S else None
        for camera, left in enumerate(lefts):
            inside = (x >= left) & (x < left + WIDTH)
            pieces = []
            for row in np.flatnonzero(inside.any(axis=1)).tolist() if camera != silent else ():
                walker, seen = walkers[row], inside[row]
                key = (camera, walker.person)
                if key not in local or dice.random() < BROKEN:
                    local[key] = next(following[camera])
                u = (x[row, seen] - left) * 50
                v = 100.0 + 37 * walker.row + dice.normal(0, 1.5, len(u))
                boxes = np.stack([u - 15, v - 80, u + 15, v], axis=1).astype(np.float32)
                look = np.random.default_rng(walker.person).normal(size=DIM) + dice.normal(0, 0.6, DIM)
                looks = None if dice.random() < UNSEEN else (look / np.linalg.norm(look)).astype(np.float32)[None]
                leaves = not seen[-1] and bool(seen.any())
                pieces.append(
                    Tracklet(
                        f"c{camera:04d}", local[key], "person", steps[seen] + 1,
                        np.round(seconds[seen] * SECOND_NS).astype(np.int64), boxes,
                        np.full(len(u), 0.9, np.float32), looks, np.ones(0 if looks is None else 1, np.float32),
                        leaves and dice.random() >= NEVER_ENDED,
                    )
                )  # fmt: skip
                if leaves:
                    del local[key]
            pieces.sort(key=lambda piece: piece.track)
            watermark = (begun + interval) * SECOND_NS
            batches.append(CameraBatch(f"c{camera:04d}", 1, number, number, watermark, Tracklets.of(pieces)))
        present = {walker.person for walker in walkers}
        local = {key: track for key, track in local.items() if key[1] in present}
        yield watermark, batches


def containers(thing: Any) -> Counter[str]:
    """How many items are in all lists, dictionaries, sets and arrays that hang on an object of mtmct, by attribute."""
    sizes: Counter[str] = Counter()
    seen: set[int] = set()

    def walk(value: Any, name: str) -> None:
        if id(value) in seen:
            return
        if isinstance(value, np.ndarray):
            sizes[name] += value.size
        elif isinstance(value, dict | list | tuple | set | frozenset | deque):
            if not isinstance(value, tuple):
                seen.add(id(value))
                sizes[name] += len(value)
            for item in value.values() if isinstance(value, dict) else value:
                walk(item, name)
        elif type(value).__module__.startswith("mtmct"):
            seen.add(id(value))
            slots = [slot for cls in type(value).__mro__ for slot in getattr(cls, "__slots__", ())]
            for attribute in [*slots, *getattr(value, "__dict__", ())]:
                walk(getattr(value, attribute, None), f"{type(value).__name__}.{attribute}")

    walk(thing, "")
    return sizes


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--arrivals", type=float, default=6.0, help="people a minute")
    parser.add_argument("--interval", type=int, default=5, help="seconds of event time a commit")
    parser.add_argument("--hour", type=float, default=3600.0, help="seconds taken for an hour, to try it out quickly")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", action="store_true", help="also print every hour as it ends")
    options = parser.parse_args()
    collect_rarely()
    geometry = row_of_cameras(options.cameras, OVERLAP)
    geometry[-1] = row_of_cameras(options.cameras, OVERLAP, calibrated=False)[-1]
    settings = FusionSettings(provisional=True, searchable_s=600.0, travel=True, gallery="ivf")
    engine = FusionEngine("day", Topology(geometry), settings)
    spent: list[float] = []
    hours: list[dict[str, Any]] = []
    held: list[Counter[str]] = []
    created = tracks = 0
    for watermark, batches in churn(options.hours, options.cameras, options.arrivals, options.interval, options.seed):
        begun = time.process_time()
        commit = engine.advance(batches, watermark)
        spent.append(time.process_time() - begun)
        created += sum(r.topic == "identities" and r.value["event"] == "created" for r in commit.records)
        tracks += sum(r.topic == "tracks" and r.value["link"] is not None for r in commit.records)
        if watermark // SECOND_NS // options.hour > len(hours):
            held.append(containers(engine))
            hour = {
                "rss_mb": round(resident_mb(), 1),
                "p50_ms": round(1e3 * float(np.median(spent)), 2),
                "p95_ms": round(1e3 * float(np.percentile(spent, 95)), 2),
                "state_keys": len(engine.snapshot()),
                "state_mb": round(sum(map(len, engine.snapshot().values())) / 2**20, 3),
                "identities": created,
                "tracks": tracks,
            }
            hours.append(hour)
            spent.clear()
            if options.each:
                print(json.dumps({"hour": len(hours), **hour}), flush=True)
    memory = np.array([hour["rss_mb"] for hour in hours])
    slope = float(np.polyfit(np.arange(1, len(memory)), memory[1:], 1)[0]) if len(memory) > 2 else None
    grown = [name for name, size in held[-1].items() if size > 1.5 * held[0][name] + 100]
    result = {
        **vars(options),
        "first": hours[0],
        "last": hours[-1],
        "rss_growth_percent": round(100 * float(memory.max() / memory[0] - 1), 1),
        "rss_slope_mb_an_hour": None if slope is None else round(slope, 3),
        "grown": sorted(grown),
        "held": {name: [held[0][name], held[-1][name]] for name in sorted(held[0] | held[-1])},
        "rss_mb": memory.tolist(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
