"""What fusion says, as one number a scene: two engines that print the same have written the same bytes.

Run it before and after a change that is to change nothing, in two checkouts:

    PYTHONPATH=. python tests/benchmarks/fusion_digest.py [--scenes 40]

The scenes are rows of cameras that overlap, do not, or are not calibrated, with a tenth of the looks missing, and
small floors on which people cross, vanish, swap their local ids and come back.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from fusion_speed import DIM, batch, row_of_cameras

from mtmct.fusion import END_OF_TIME, FusionEngine
from mtmct.records import CameraBatch, Commit
from mtmct.topology import Topology
from operators.records import SECOND_NS, pack

sys.path.insert(0, str(Path(__file__).parents[1] / "mtmct"))
from fusion_scenes import camera, look, script, straight

Steps = Iterator[tuple[int, list[CameraBatch]]]


def row(cameras: int, people: int, seconds: int, overlap: float) -> Steps:
    looks = np.random.default_rng(0).normal(size=(1000, DIM)).astype(np.float32)
    looks[::10] = np.nan
    for second in range(seconds):
        yield (second + 1) * SECOND_NS, [batch(n, second, people, overlap, looks) for n in range(cameras)]
    yield END_OF_TIME, []


def floor(seed: int) -> Steps:
    dice = np.random.default_rng(seed)
    walks = {}
    for track in range(1, int(dice.integers(4, 40))):
        start = round(dice.uniform(0, 60), 1)
        one = straight(dice.uniform(6, 20), dice.uniform(1, 9), dice.uniform(-1, 1), 0.0, start)
        other = straight(dice.uniform(6, 20), dice.uniform(1, 9), dice.uniform(-1, 1), 0.0, start)
        turn = dice.uniform(start, start + 12)
        walks["abcd"[dice.integers(4)], track] = {
            "path": lambda t, one=one, other=other, turn=turn: (one if t < turn else other)(t),
            "start": start,
            "end": round(start + dice.uniform(0.1, 15), 1),
            "look": look(int(dice.integers(8))) if dice.random() < 0.7 else None,
            "cls": "person" if dice.random() < 0.9 else "car",
        }
    yield from script(walks, {"a": (0.0, 0.0), "b": (6.0, 0.0), "c": (300.0, 0.0), "d": (3.0, 2.0)}, 90)


FLOOR = Topology([camera("a"), camera("b", 6), camera("c", 300, calibrated=False), camera("d", 3, 2)])


def written(commit: Commit) -> bytes:
    records = [[record.topic, record.key, record.time_ns, record.value] for record in commit.records]
    return pack([commit.watermark_ns, records])


def digest(topology: Topology, steps: Steps) -> tuple[str, int]:
    """Over all commits and the state after each, and of how many records; restored from its own state in the middle."""
    total, records = hashlib.sha256(), 0
    state: dict[str, bytes] = {}
    engine = FusionEngine("plaza", topology)
    for number, (watermark, batches) in enumerate(steps):
        if number == 17:
            kept, engine = engine.snapshot(), FusionEngine("plaza", topology)
            engine.restore(kept)
        commit = engine.advance(batches, watermark)
        records += len(commit.records)
        total.update(written(commit))
        # What is kept, however much of it a commit writes again.
        now = engine.snapshot()
        changed = sorted(key for key in state.keys() | now.keys() if state.get(key) != now.get(key))
        total.update(pack([[key, now.get(key)] for key in changed]))
        state = now
    return total.hexdigest()[:16], records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=40, help="small floors")
    parser.add_argument("--cameras", type=int, default=30, help="in the rows")
    options = parser.parse_args()
    found: dict[str, tuple[str, int]] = {}
    for overlap in (4.0, -10.0):
        for calibrated in (True, False):
            cameras = row_of_cameras(options.cameras, overlap, calibrated=calibrated)
            name = f"row {overlap:g} m, {'' if calibrated else 'not '}calibrated"
            found[name] = digest(Topology(cameras), row(options.cameras, 6, 75, overlap))
    of_all, records = hashlib.sha256(), 0
    for seed in range(options.scenes):
        one, count = digest(FLOOR, floor(seed))
        of_all.update(one.encode())
        records += count
    found["floors"] = of_all.hexdigest()[:16], records
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
