"""What the service costs in CPU time: a commit while nobody watches, a commit to 100 watchers, and a request.

    python tests/benchmarks/serve_cost.py [--watchers 100] [--cameras 16] [--people 40] [--commits 40]

A simulated site's commits, one a second of event time, are written to an SQLite ledger beside the service, in steps:
first nobody watches; then watchers on `/v1/live` get every commit before the next is made; then requests in turn over
the list of `serve_load.py`, some hundreds while nothing changes and one of each after every commit. Counted are CPU
milliseconds of the service's process alone, so that the figures hold on a busy machine, too; `serve_load.py` measures
latencies and what is left to the pipeline. Prints JSON, unless a watcher missed a record, got one twice, or a request
was answered by anything but 200.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import websockets
from serve_load import PATHS, TICK_S
from site_support import record

from mtmct.fusion import FusionEngine
from pipeline.ledger.base import Encoded
from pipeline.ledger.sqlite import SqliteReader, SqliteWriter
from pipeline.schema.codec import open_codec
from pipeline.sources.simulation.settings import parse_settings

Commit = tuple[list[Encoded], dict[str, bytes | None]]


def commits(cameras: int, people: int, seconds: int) -> Iterator[Commit]:
    said = f"cameras={cameras},people={people},seconds={seconds},embedding=64,tracks=1"
    site = record(parse_settings(said.split(",")), 10.0, None)
    engine = FusionEngine("load", site.topology(True), site.beliefs())
    codec = open_codec()
    for watermark, batches in site.intervals():
        commit = engine.advance(batches, watermark)
        yield [codec.encode(record) for record in commit.records], dict(commit.state)


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


async def reached(client: httpx.AsyncClient, file: Path) -> None:
    """Wait until the service has read what is in the ledger."""
    newest = max(stored.value["end"] for stored in SqliteReader(file).read("tracks"))
    while (await client.get("/v1/site")).json()["newest"] < newest:
        await asyncio.sleep(0.2)


async def to_watchers(address: str, file: Path, writer: SqliteWriter, made: list[Commit], watchers: int) -> None:
    """Commit, each when every watcher has got the one before; raise SystemExit unless each got every record once."""
    before = {topic: SqliteReader(file).end(topic) for topic in ("tracks", "identities")}
    heard: list[list[dict[str, Any]]] = [[] for _ in range(watchers)]
    sockets = [
        await websockets.connect(
            f"{address.replace('http', 'ws')}/v1/live?topics=tracks,identities", max_size=None, compression=None
        )
        for _ in range(watchers)
    ]
    for commit in made:
        writer.commit(*commit)
        wanted = sum(one.topic in before for one in commit[0])
        for number, socket in enumerate(sockets):
            got = 0
            while got < wanted:
                records = json.loads(await socket.recv())["records"]
                got += len(records)
                heard[number] += records
    for socket in sockets:
        await socket.close()
    for topic, position in before.items():
        written = [stored.value for stored in SqliteReader(file).read(topic, after=position)]
        for mine in heard:
            if [one["record"] for one in mine if one["topic"] == topic] != written:
                raise SystemExit(f"a watcher did not get the records of {topic} as they were committed")


async def asked(client: httpx.AsyncClient, paths: list[str]) -> None:
    for path in paths:
        answer = await client.get(path)
        if answer.status_code != 200:
            raise SystemExit(f"{path} was answered {answer.status_code}")


async def measured(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    file = folder / "ledger.sqlite"
    made = list(commits(args.cameras, args.people, 3 * args.commits + 1))
    parts = [made[1 + n * args.commits : 1 + (n + 1) * args.commits] for n in range(3)]
    writer = SqliteWriter(file, "load")
    writer.open()
    writer.commit(*made[0])
    command = [sys.executable, "-m", "pipeline.cli", "serve", str(file), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)
    assert process.stdout is not None
    try:
        address = process.stdout.readline().split()[0]
        async with httpx.AsyncClient(base_url=address, timeout=120) as client:
            await reached(client, file)
            cameras = [one["camera"] for one in (await client.get("/v1/cameras")).json()]
            paths = [path.replace("c01", cameras[0]).replace("c02", cameras[1]) for path in PATHS]
            spent = [cpu_s(process.pid)]
            for commit in parts[0]:
                writer.commit(*commit)
                await asyncio.sleep(0.1)  # so that it is seen by itself
            await reached(client, file)
            spent.append(cpu_s(process.pid))
            await to_watchers(address, file, writer, parts[1], args.watchers)
            spent.append(cpu_s(process.pid))
            await asked(client, list(itertools.islice(itertools.cycle(paths), 400)))
            spent.append(cpu_s(process.pid))
            for commit in parts[2]:
                writer.commit(*commit)
                await reached(client, file)
                await asked(client, paths)
            spent.append(cpu_s(process.pid))
    finally:
        process.terminate()
        process.wait(30)
    silent, watched, same, anew = (after - before for before, after in itertools.pairwise(spent))
    idle = silent / args.commits
    return {
        "tracks_a_commit": round(sum(one.topic == "tracks" for c in made for one in c[0]) / len(made), 1),
        "cpu_ms": {
            "commit_nobody_watches": round(1e3 * idle, 2),
            f"commit_to_{args.watchers}_watchers": round(1e3 * watched / args.commits, 2),
            "request_nothing_new": round(1e3 * same / 400, 3),
            "request_after_a_commit": round(1e3 * max(anew / args.commits - idle, 0.0) / (len(paths) + 1), 3),
        },
        "load_average": [round(one, 1) for one in os.getloadavg()],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--watchers", type=int, default=100)
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--commits", type=int, default=40)
    args = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="crosscam-cost-") as name:
        result = asyncio.run(measured(args, Path(name)))
    print(json.dumps({**result, "wall_s": round(time.monotonic() - began, 1)}, indent=1))


if __name__ == "__main__":
    main()
