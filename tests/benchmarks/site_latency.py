"""A live site of given boxes: from the capture of a frame until a consumer of the ledger has it, and what it costs.

    python tests/benchmarks/site_latency.py [--ledger sqlite] [--cameras 16] [--fps 10] [--seconds 120]

`crosscam run` on a simulated site whose frames come when they are due, event time being the wall clock's, and a
consumer in this process that follows `tracks`. A tracklet is a second of a track, its latency that of its last frame;
`first_frame` is that of its first, which adds what there is of the second itself. `of_known` are those of tracks that
have been published before: a new one is held back until there is evidence of who it is, `fusion: {max_wait: 5s}` at
most, and `--publish provisional` publishes it at once. The first seconds of the run are left out of it.

Prints JSON; 1 where a frame was dropped.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from site_processes import Process, Run, cpu_of_tree, ledger_in, write_site

from operators.records import SECOND_NS, CrosscamError
from pipeline.assembly import build_reader
from pipeline.config_file import load
from pipeline.sources.simulation.settings import Settings

WARM_UP_S = 15.0


@dataclass(frozen=True)
class Arrival:
    """A tracklet: of which track, captured from when to when, and when the consumer had it; nanoseconds UTC."""

    track: tuple[str, int]
    first_ns: int
    last_ns: int
    seen_ns: int


def follow(site: Path, arrivals: list[Arrival], stop: threading.Event) -> None:
    """A consumer, from the moment that there is a ledger."""
    while not stop.is_set():
        try:
            with closing(build_reader(load(site))) as reader:
                for record in reader.read("tracks", follow=True, stop=stop.is_set):
                    points = record.value["points"]
                    if points:
                        first_ns, last_ns = (1000 * int(points[i][0]) for i in (0, -1))
                        track = record.value["camera"], record.value["track"]
                        arrivals.append(Arrival(track, first_ns, last_ns, time.time_ns()))
        except CrosscamError:
            time.sleep(0.05)  # it is not there yet


def await_workers(run: Run, start: datetime, workers: int) -> None:
    """Every camera must be there before its first frame, or its frames would all be late by as much."""
    while not run.over and datetime.now(UTC) < start:
        told = run.status(committed=False)
        lanes = {} if told is None else told["cameras"]
        if lanes and all(lane["epoch"] > 0 for lane in lanes.values()):
            return
        time.sleep(0.2)
    raise SystemExit("the workers were not there in time: give --start-up more seconds")


def quantiles(nanoseconds: np.ndarray) -> dict[str, float | int]:
    """Of latencies, seconds."""
    values = np.percentile(nanoseconds / SECOND_NS, [50, 95, 99])
    told = {f"p{q}_s": round(float(v), 3) for q, v in zip((50, 95, 99), values, strict=True)}
    return {"tracklets": len(nanoseconds), **told}


def latencies(arrivals: list[Arrival], since_ns: int) -> dict[str, Any]:
    """What is said of the tracklets captured from then on; a correction's repeats are no tracklets of their own."""
    known: set[tuple[str, int]] = set()
    told: set[tuple[tuple[str, int], int]] = set()
    rows, new = [], []
    for one in arrivals:
        if (one.track, one.last_ns) in told:
            continue
        told.add((one.track, one.last_ns))
        if one.last_ns >= since_ns:
            rows.append((one.seen_ns - one.last_ns, one.seen_ns - one.first_ns))
            new.append(one.track not in known)
        known.add(one.track)
    times, first = np.array(rows, np.int64).reshape(-1, 2), np.array(new, bool)
    if not len(times) or first.all():
        raise SystemExit("nobody was seen for long enough to tell anything")
    return {
        "all": quantiles(times[:, 0]),
        "of_known": quantiles(times[~first, 0]),
        "first_frame": quantiles(times[~first, 1]),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ledger", choices=("sqlite", "kafka"), default="sqlite")
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--fps", type=float, default=10.0)
    parser.add_argument("--people", type=int, default=160, help="in the whole place")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--start-up", type=float, default=60.0, help="seconds until the first frame")
    parser.add_argument("--publish", choices=("decided", "provisional"), default="decided")
    given = parser.parse_args()
    usual = {"place": "mall", "cameras": given.cameras, "people": given.people, "embedding": 128, "paced": True}
    settings = [Settings(**usual, camera=number, seconds=given.seconds) for number in range(1, given.cameras + 1)]
    arrivals: list[Arrival] = []
    stop = threading.Event()
    with tempfile.TemporaryDirectory() as place, ledger_in(Path(place), given.ledger) as ledger:
        start = datetime.now(UTC) + timedelta(seconds=given.start_up)
        site = write_site(
            Path(place), "live", settings, fps=given.fps, ledger=ledger, workers=given.workers,
            start=start.isoformat(), more=f"fusion: {{publish: {given.publish}}}" if given.publish != "decided" else "",
        )  # fmt: skip
        consumer = threading.Thread(target=follow, args=(site, arrivals, stop))
        consumer.start()
        try:
            with Run(site) as run:
                await_workers(run, start, given.workers)
                told = run.under_way(given.workers)
                pids = {"driver": run.process.pid, **told["pids"]}
                load, began, since_ns = (
                    os.getloadavg()[0],
                    time.monotonic(),
                    time.time_ns() + int(WARM_UP_S * SECOND_NS),
                )
                before, all_before = {name: Process.of(pid) for name, pid in pids.items()}, cpu_of_tree(os.getpid())
                after = before
                while (now := run.status()) is not None and time.time() < start.timestamp() + given.seconds - 3:
                    told = now
                    after = {name: Process.of(pid) for name, pid in pids.items()}
                    time.sleep(1.0)
                wall_s, everything = time.monotonic() - began, cpu_of_tree(os.getpid()) - all_before
                while not run.over:
                    told = run.status() or told
                    time.sleep(0.2)
        finally:
            stop.set()
            consumer.join()
    counts = [lane["counts"] for lane in told["cameras"].values()]
    dropped = {name: sum(c.get(name, 0) for c in counts) for c in counts for name in c if name.startswith("dropped")}
    cpu = {name: round((after[name].cpu_s - before[name].cpu_s) / wall_s, 3) for name in after}
    result = {
        **vars(given),
        "load_before": round(load, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "latency": latencies(arrivals, since_ns),
        "frames_tracked": sum(c.get("tracked", 0) for c in counts),
        "dropped": dropped,
        "restarts": told["restarts"],
        "cores": {**cpu, "everything": round(everything / wall_s, 3)},
        "rss_mb": {name: round(process.rss_mb) for name, process in after.items()},
    }
    print(json.dumps(result))
    return 1 if sum(dropped.values()) or told["restarts"] else 0


if __name__ == "__main__":
    sys.exit(main())
