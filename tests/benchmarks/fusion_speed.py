"""What a commit costs: cameras in a row, people walking through, one embedding a track a second.

python tests/benchmarks/fusion_speed.py [--cameras 100] [--people 20] [--seconds 30] [--overlap 4]
    [--own-thresholds]

The garbage collector is tuned as in the fusion process, unless --own-thresholds leaves it as Python does. Beside
the engine's own time that of turning its records into JSON is given.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import numpy as np

from mtmct.fusion import FusionEngine
from mtmct.records import CameraBatch
from mtmct.topology import CameraGeometry, Topology
from mtmct.tracklets import Tracklet, Tracklets
from operators.records import SECOND_NS
from pipeline.actors import collect_rarely
from pipeline.schema.codec import open_codec

FPS, SPEED, DIM = 10, 1.3, 128
WIDTH = 20.0  # metres of floor that a camera sees


def batch(camera: int, second: int, people: int, overlap: float, looks: np.ndarray) -> CameraBatch:
    """People walk along the row of cameras; in each camera everybody gets a new local track."""
    spacing = WIDTH - overlap
    left = camera * spacing
    frames = np.arange(second * FPS, (second + 1) * FPS) + 1
    times = (frames - 1) * (SECOND_NS // FPS)
    tracklets = []
    first = int((left - SPEED * (second + 1)) // (WIDTH / people)) - 1
    for walker in range(first, first + people + 4):
        x = walker * (WIDTH / people) + SPEED * times / SECOND_NS - left
        inside = (x >= 0) & (x < WIDTH)
        if not inside.any():
            continue
        u, v = x[inside] * 50, np.full(inside.sum(), 100.0 + 37 * (walker % 10))
        boxes = np.stack([u - 15, v - 80, u + 15, v], axis=1).astype(np.float32)
        count = len(looks)
        look = looks[walker % count]
        tracklets.append(
            Tracklet(
                f"c{camera:04d}",
                walker + 10**6,
                "person",
                frames[inside],
                times[inside],
                boxes,
                np.full(inside.sum(), 0.9, np.float32),
                look[None],
                np.ones(1, np.float32),
                bool(x[-1] + SPEED / FPS >= WIDTH),
            )
        )
    return CameraBatch(f"c{camera:04d}", 1, second, second, (second + 1) * SECOND_NS, Tracklets.of(tracklets))


def row_of_cameras(count: int, overlap: float, *, calibrated: bool = True) -> list[CameraGeometry]:
    """Cameras straight above a corridor, 50 pixels a metre."""
    lefts = [n * (WIDTH - overlap) for n in range(count)]
    places = [np.array([[0.02, 0, left], [0, 0.02, 0], [0, 0, 1]]) if calibrated else None for left in lefts]
    return [CameraGeometry(f"c{n:04d}", place, (1000, 500)) for n, place in enumerate(places)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, default=100)
    parser.add_argument("--people", type=int, default=20, help="in view of each camera")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--overlap", type=float, default=4.0, help="metres that neighbours share; negative: a gap")
    parser.add_argument("--own-thresholds", action="store_true", help="leave Python's garbage collector alone")
    options = parser.parse_args()
    if not options.own_thresholds:
        collect_rarely()
    looks = np.random.default_rng(0).normal(size=(100_000, DIM)).astype(np.float32)
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    encode = open_codec().encode
    engine = FusionEngine("row", Topology(row_of_cameras(options.cameras, options.overlap)))
    spent, encoded, written, keys = [], [], [], []
    for second in range(options.seconds):
        made = [batch(n, second, options.people, options.overlap, looks) for n in range(options.cameras)]
        begun = time.process_time()
        commit = engine.advance(made, (second + 1) * SECOND_NS)
        spent.append(time.process_time() - begun)
        begun = time.process_time()
        for record in commit.records:
            encode(record)
        encoded.append(time.process_time() - begun)
        written.append(sum(len(data or b"") for data in commit.state.values()))
        keys.append(len(commit.state))
    steady = spent[len(spent) // 3 :]
    print(
        json.dumps(
            {
                **vars(options),
                "median_ms": round(1e3 * float(np.median(steady)), 1),
                "p95_ms": round(1e3 * float(np.percentile(steady, 95)), 1),
                "json_ms": round(1e3 * float(np.median(encoded)), 1),
                "first_ms": round(1e3 * spent[0], 1),
                "state_kb_a_commit": round(float(np.median(written)) / 1e3, 1),
                "keys_a_commit": int(np.median(keys)),
                "max_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
