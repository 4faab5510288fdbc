"""A day of one camera at 10 frames a second: do memory and time a frame stay what they were?

    python tests/benchmarks/track_endurance.py [--hours 24] [--tracker steady] > endurance.json

People walk through the picture without end: each stays for some seconds and does not come back.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

from operators.records import SECOND_NS
from operators.track import create

PEOPLE, STAY_S, FPS = 12, 20.0, 10


def frames(count: int, seed: int = 0):  # type: ignore[no-untyped-def]
    """`count` frames of (N, 5) rows; everybody leaves after a while and somebody else comes."""
    rng = np.random.default_rng(seed)
    place, speed, left = (
        rng.uniform(0, 1900, (PEOPLE, 2)),
        rng.normal(0, 4, (PEOPLE, 2)),
        rng.uniform(0, STAY_S, PEOPLE),
    )
    for _ in range(count):
        left -= 1 / FPS
        new = left < 0
        place[new], speed[new] = rng.uniform(0, 1900, (new.sum(), 2)), rng.normal(0, 4, (new.sum(), 2))
        left[new] = rng.exponential(STAY_S, new.sum())
        place += speed
        seen = rng.random(PEOPLE) > 0.05
        corner = place[seen] + rng.normal(0, 1, (seen.sum(), 2))
        yield np.hstack([corner, corner + np.array([40, 100]), rng.choice([0.3, 0.9], (seen.sum(), 1), p=[0.1, 0.9])])


def resident() -> float:
    """This process's memory now, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    """Prints time a frame, memory, live tracks and snapshot size of every simulated hour."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--hours", type=int, default=24)
    arguments.add_argument("--tracker", default="steady")
    chosen = arguments.parse_args()
    tracker = create(chosen.tracker, rate_hz=FPS, lost_seconds=1.5)
    hours, now, last, begun = [], 1_700_000_000 * SECOND_NS, 0, time.perf_counter()
    for hour in range(chosen.hours):
        spent = 0.0
        for rows in frames(3600 * FPS, seed=hour):
            now += SECOND_NS // FPS
            before = time.process_time()
            told = tracker.update_rows(rows, now)
            spent += time.process_time() - before
            last = max(last, int(told[:, 4].max(initial=0)))
        hours.append(
            {
                "microseconds a frame": round(spent / (3600 * FPS) * 1e6, 1),
                "MiB": round(resident(), 1),
                "live": len(tracker),
                "snapshot bytes": len(tracker.snapshot()),
                "highest id": last,
            }
        )
    result = {"tracker": chosen.tracker, "frames": chosen.hours * 3600 * FPS, "hours": hours}
    json.dump({**result, "wall s": round(time.perf_counter() - begun, 1)}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
