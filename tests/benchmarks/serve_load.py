"""The service under load, and what it costs the pipeline: 100 watchers and 50 requests a second beside a running site.

    python tests/benchmarks/serve_load.py [--watchers 100] [--rate 50] [--cameras 16] [--seconds 120]

A simulated site of given boxes is run from its files, as fast as it goes, three times: alone, beside the service while
nobody asks it anything, and beside it with watchers on `/v1/live` and requests in turn over a list of paths. All on the
same cores, in turn. Prints JSON: frames a second of each run and their ratios, latency of requests, and what went
wrong, which should be nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import websockets

PATHS = (
    "/v1/site",
    "/v1/cameras",
    "/v1/tracks",
    "/v1/identities?limit=50",
    "/v1/cameras/c01",
    "/v1/cameras/c02/tracks",
    "/v1/counts",
    "/v1/incidents",
)


def site(folder: Path, cameras: int, seconds: float) -> Path:
    """The site's file, in an empty folder."""
    folder.mkdir()
    file = folder / "site.yaml"
    listed = [
        f"  - {{id: c{n:02d}, fps: 10, source: 'simulated:cameras={cameras},people=40,seconds={seconds:g},embedding=64,"
        f"tracks=1,camera={n}'}}"
        for n in range(1, cameras + 1)
    ]
    text = ["site: load", "cameras:", *listed, f"resources: {{cameras_per_worker: {cameras}}}", "flow_interval: 10s"]
    text.append(f"ledger: {{sqlite: {{path: {folder / 'ledger.sqlite'}}}}}")
    file.write_text("\n".join(text) + "\n", encoding="utf-8")
    return file


def run(file: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "run", str(file)], stdout=subprocess.DEVNULL, cwd=file.parent
    )


def serve(file: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "serve", str(file), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=file.parent,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().split()[0]


class Load:
    """Watchers and requests until they are told to end."""

    def __init__(self, address: str, watchers: int, rate: float) -> None:
        self.address, self.watchers, self.rate = address, watchers, rate
        self.latencies: list[float] = []
        self.statuses: dict[str, int] = {}
        self.records = [0] * watchers
        self.lost: list[str] = []

    async def until(self, process: subprocess.Popen[bytes]) -> None:
        tasks = [asyncio.create_task(self._watch(n)) for n in range(self.watchers)]
        asking = asyncio.create_task(self._ask())
        while process.poll() is None:
            await asyncio.sleep(0.1)
        await asyncio.sleep(2.0)
        for task in (*tasks, asking):
            task.cancel()
        await asyncio.gather(*tasks, asking, return_exceptions=True)

    async def _watch(self, number: int) -> None:
        address = self.address.replace("http", "ws") + "/v1/live?topics=tracks,identities"
        try:
            async with websockets.connect(address, max_size=None, open_timeout=60) as socket:
                async for said in socket:
                    self.records[number] += len(json.loads(said)["records"]) if number < 3 else 1
        except (OSError, websockets.WebSocketException) as error:
            self.lost.append(repr(error))

    async def _ask(self) -> None:
        async with httpx.AsyncClient(base_url=self.address, timeout=30.0) as client:
            under_way: set[asyncio.Task[None]] = set()
            due, number = time.monotonic(), 0
            while True:
                task = asyncio.create_task(self._one(client, PATHS[number % len(PATHS)]))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                number += 1
                due += 1.0 / self.rate
                await asyncio.sleep(max(due - time.monotonic(), 0))

    async def _one(self, client: httpx.AsyncClient, path: str) -> None:
        begun = time.perf_counter()
        try:
            status = str((await client.get(path)).status_code)
        except httpx.HTTPError as error:
            status = type(error).__name__
        self.latencies.append(time.perf_counter() - begun)
        self.statuses[status] = self.statuses.get(status, 0) + 1


def wait_until_committing(file: Path, process: subprocess.Popen[bytes]) -> float:
    """When the first commit was made."""
    ledger = file.parent / "ledger.sqlite-wal"
    while process.poll() is None and (not ledger.exists() or ledger.stat().st_size < 200_000):
        time.sleep(0.02)
    return time.monotonic()


def measured(folder: Path, args: argparse.Namespace, *, service: bool, load: bool) -> tuple[float, Load | None]:
    """Frames a second of one run, start left out."""
    file = site(folder, args.cameras, args.seconds)
    process = run(file)
    begun = wait_until_committing(file, process)
    beside: subprocess.Popen[str] | None = None
    under: Load | None = None
    if service:
        beside, address = serve(file)
        if load:
            under = Load(address, args.watchers, args.rate)
            asyncio.run(under.until(process))
    code = process.wait()
    took = time.monotonic() - begun - (2.0 if load else 0.0)
    if beside is not None:
        beside.send_signal(signal.SIGINT)
        beside.wait(30)
    if code:
        raise SystemExit(f"the run ended with {code}")
    return args.cameras * args.seconds * 10 / took, under


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--watchers", type=int, default=100)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=120.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="crosscam-load-") as name:
        base = Path(name)
        alone, _ = measured(base / "alone", args, service=False, load=False)
        idle, _ = measured(base / "idle", args, service=True, load=False)
        loaded, under = measured(base / "loaded", args, service=True, load=True)
    assert under is not None
    p50, p95, p99 = np.percentile(under.latencies, [50, 95, 99]) if under.latencies else (np.nan,) * 3
    result: dict[str, Any] = {
        "frames_per_s": {"alone": round(alone, 1), "nobody_watches": round(idle, 1), "loaded": round(loaded, 1)},
        "ratio": {"nobody_watches": round(idle / alone, 3), "loaded": round(loaded / alone, 3)},
        "requests": {
            "asked": len(under.latencies),
            "statuses": under.statuses,
            "p50_ms": round(p50 * 1e3, 1),
            "p95_ms": round(p95 * 1e3, 1),
            "p99_ms": round(p99 * 1e3, 1),
        },
        "watchers": {
            "records_of_the_first": under.records[:3],
            "lost": under.lost[:3],
            "how_many_lost": len(under.lost),
        },
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
