"""What a commit costs, and how many tracklets a second a ledger takes with a commit each second.

    python tests/benchmarks/ledger_commits.py [--ledger sqlite,kafka] [--kafka HOST:PORT] [--commits 40] [--paced 60]

A commit is one second of a site: a record of 1 kB for each tracklet (ten points of one track), and the state of its
cameras, a camera for every ten tracklets. For each number of tracklets so many commits follow one another; the largest
number whose slowest commits (99%) stay within half a second is then committed once a second for --paced seconds, each
on time or not. Kafka is the one of deploy/kafka, started for this, unless another is named; SQLite is measured synced,
as it is, and with `synchronous = NORMAL`, which loses the last commits with the power. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from site_processes import kafka

from mtmct.records import TRACKS, Record
from pipeline.ledger.base import Encoded, LedgerWriter
from pipeline.ledger.kafka import KafkaWriter
from pipeline.ledger.sqlite import SqliteWriter
from pipeline.schema.codec import open_codec

SIZES = (10, 100, 300, 1000, 3000, 10_000)
ENOUGH_S = 0.5
WARM_UP = 5


def tracklets(count: int, second: int) -> list[Encoded]:
    """So many `tracks` records of one second."""
    codec, begin = open_codec(), second * 1_000_000
    made = []
    for track in range(count):
        x = float(track % 1000)
        points = [[begin + 100_000 * i, x, 402.5, x + 50.5, 560.25, 0.8125, 12.345, 6.789] for i in range(10)]
        identity = f"bench-{track:06}"
        value = {
            "schema": "crosscam.tracks/1", "site": "bench", "camera": f"cam-{track // 10:04}", "track": track,
            "class": "person", "identity": identity, "number": track, "revision": 0, "start": begin,
            "end": begin + 900_000, "ended": False, "frames": list(range(10)), "points": points,
            "link": None,
        }  # fmt: skip
        made.append(codec.encode(Record(TRACKS, identity, value, 1000 * begin)))
    return made


def state_of(count: int) -> dict[str, bytes | None]:
    """What changes with it: 4 kB a camera."""
    return {f"camera/cam-{camera:04}": os.urandom(4000) for camera in range(-(-count // 10))}


def commits(writer: LedgerWriter, count: int, how_many: int) -> dict[str, Any]:
    """How long commits take that follow one another."""
    records, times = tracklets(count, 0), []
    for number in range(WARM_UP + how_many):
        state = state_of(count)
        began = time.perf_counter()
        writer.commit(records, state)
        if number >= WARM_UP:
            times.append(time.perf_counter() - began)
    p50, p95, p99 = (round(1e3 * float(value), 2) for value in np.percentile(times, (50, 95, 99)))
    return {"tracklets": count, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99}


def paced(writer: LedgerWriter, count: int, seconds: int) -> dict[str, Any]:
    """A commit each second: how many were not over when the next was due, and the share of the time they take."""
    records, late, busy = tracklets(count, 0), 0, 0.0
    began = time.perf_counter()
    for number in range(seconds):
        time.sleep(max(0.0, began + number - time.perf_counter()))
        at = time.perf_counter()
        writer.commit(records, state_of(count))
        busy += time.perf_counter() - at
        late += time.perf_counter() > began + number + 1
    return {"tracklets_a_second": count, "seconds": seconds, "late": late, "busy": round(busy / seconds, 3)}


def measure(writer: LedgerWriter, options: argparse.Namespace, prepare: Callable[[], object]) -> dict[str, Any]:
    """All of it for one ledger."""
    with closing(writer):
        writer.open()
        prepare()
        levels = []
        for count in SIZES:
            levels.append(commits(writer, count, options.commits))
            if levels[-1]["p50_ms"] > 1e3:
                break
        enough = [level["tracklets"] for level in levels if level["p99_ms"] <= 1e3 * ENOUGH_S]
        sustained = paced(writer, max(enough), options.paced) if enough and options.paced else None
        return {"commit": levels, "sustained": sustained}


@contextmanager
def servers(given: str | None, folder: Path) -> Iterator[str]:
    if given:
        yield given
        return
    with kafka(folder) as bootstrap:
        yield bootstrap


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ledger", default="sqlite,kafka", help="which, separated by commas")
    parser.add_argument("--kafka", help="bootstrap servers of a cluster, instead of one started for this")
    parser.add_argument("--commits", type=int, default=40, help="measured for each number of tracklets")
    parser.add_argument("--paced", type=int, default=60, help="seconds of one commit a second; 0: none")
    options = parser.parse_args()
    kinds = options.ledger.split(",")
    result: dict[str, Any] = {
        "load_before": round(os.getloadavg()[0], 2),
        "record_bytes": len(tracklets(1, 0)[0].value),
    }
    # On the disk that this is started from: memory has no disk to wait for. In run/, which git leaves alone: who is
    # killed leaves it behind.
    Path("run").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="run") as place:
        folder = Path(place)
        if "sqlite" in kinds:
            result["sqlite, synced"] = measure(SqliteWriter(folder / "full", "bench"), options, lambda: None)
            relaxed = SqliteWriter(folder / "normal", "bench")

            def relax() -> object:
                assert relaxed._database is not None
                return relaxed._database.execute("PRAGMA synchronous = NORMAL")

            result["sqlite, NORMAL"] = measure(relaxed, options, relax)
        if "kafka" in kinds:
            with servers(options.kafka, folder) as bootstrap:
                site = f"bench-{uuid.uuid4().hex[:8]}"
                settings = {"bootstrap_servers": bootstrap}
                result["kafka"] = measure(KafkaWriter(site, settings), options, lambda: None)
    result["load_after"] = round(os.getloadavg()[0], 2)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
