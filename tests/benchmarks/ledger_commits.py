"""What a commit costs: SQLite synced or not, and Kafka on this machine.

A commit here is one second of a middling site: 50 records of 1 kB, 100 kB of changed state.

    python tests/benchmarks/ledger_commits.py [--kafka HOST:PORT] [--commits 200]
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from pipeline.ledger.base import Encoded, LedgerWriter
from pipeline.ledger.kafka import KafkaWriter
from pipeline.ledger.sqlite import SqliteWriter

RECORDS = [Encoded("tracks", f"plaza-{n:06}", os.urandom(480).hex().encode(), n * 10**9) for n in range(50)]


def measure(name: str, writer: LedgerWriter, commits: int, prepare: Callable[[], object] = lambda: None) -> None:
    """Print the median and the 99th percentile of a commit's time in milliseconds."""
    writer.open()
    prepare()
    times = []
    for _ in range(commits):
        state = {"site": os.urandom(100_000)}
        start = time.perf_counter()
        writer.commit(RECORDS, state)
        times.append((time.perf_counter() - start) * 1000)
    writer.close()
    times.sort()
    print(f"{name:24} median {statistics.median(times):7.2f} ms   p99 {times[int(0.99 * len(times))]:7.2f} ms")


def main() -> None:
    """Measure what is at hand."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka", help="bootstrap servers of a cluster; left out if not given")
    parser.add_argument("--commits", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        measure("sqlite, synced (FULL)", SqliteWriter(Path(folder, "full"), "bench"), given.commits)
        relaxed = SqliteWriter(Path(folder, "normal"), "bench")

        def relax() -> sqlite3.Cursor:
            assert relaxed._database is not None
            return relaxed._database.execute("PRAGMA synchronous = NORMAL")

        measure("sqlite, NORMAL", relaxed, given.commits, relax)
    if given.kafka:
        site = f"bench-{uuid.uuid4().hex[:8]}"
        measure("kafka", KafkaWriter(site, {"bootstrap_servers": given.kafka}), given.commits)


if __name__ == "__main__":
    main()
