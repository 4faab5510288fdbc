"""The service under load, and what it costs the pipeline: 100 watchers and 50 requests a second beside a running site.

    python tests/benchmarks/serve_load.py [--paced] [--watchers 100] [--rate 50] [--cameras 16] [--seconds 120]

A simulated site of given boxes is run three times: alone, beside the service while nobody asks it anything, and beside
it with watchers on `/v1/live` and requests in turn over a list of paths. All on the same cores, in turn. Without
`--paced` the files are read as fast as they go, many times faster than they happened, and so are their commits: the
ratios of frames a second say what the service takes from the pipeline. With it, pictures come when they are due, as
from live cameras: what users have. CPU seconds of the pipeline, of the service and of the load itself are counted
apart, since they do not depend on what else the machine does, as frames a second and latencies do.

Prints JSON, unless a run left another ledger than the first (not paced), a watcher missed a record or got one twice, or
a request was answered by anything but 200.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import websockets

from pipeline.ledger.sqlite import SqliteReader

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
CHECKED = 3  # watchers whose every record is compared with the ledger
TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


def site(folder: Path, args: argparse.Namespace) -> Path:
    """The site's file, in an empty folder."""
    folder.mkdir()
    file = folder / "site.yaml"
    paced = ",paced=1" if args.paced else ""
    listed = [
        f"  - {{id: c{n:02d}, fps: 10, source: 'simulated:cameras={args.cameras},people=40,seconds={args.seconds:g},"
        f"embedding=64,tracks=1,camera={n}{paced}'}}"
        for n in range(1, args.cameras + 1)
    ]
    text = ["site: load", "cameras:", *listed, f"resources: {{cameras_per_worker: {args.cameras}}}"]
    text += ["flow_interval: 10s", f"ledger: {{sqlite: {{path: {folder / 'ledger.sqlite'}}}}}"]
    file.write_text("\n".join(text) + "\n", encoding="utf-8")
    return file


class Spent:
    """CPU seconds of a process and of all that it started, looked at every quarter of a second."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seen: dict[int, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> float:
        """So many."""
        self._stop.set()
        self._thread.join()
        return self.so_far()

    def so_far(self) -> float:
        return sum(list(self._seen.values()))

    def _watch(self) -> None:
        while not self._stop.wait(0.25):
            parents, times = {}, {}
            for entry in os.scandir("/proc"):
                if entry.name.isdecimal():
                    with contextlib.suppress(OSError):
                        fields = (Path(entry.path) / "stat").read_text().rpartition(") ")[2].split()
                        parents[int(entry.name)] = int(fields[1])
                        times[int(entry.name)] = (int(fields[11]) + int(fields[12])) * TICK_S
            mine = {self._pid}
            while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
                mine |= more
            self._seen |= {pid: times[pid] for pid in mine if pid in times}


def crosscam(file: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", *words], stdout=subprocess.PIPE, text=True, cwd=file.parent
    )


@contextlib.contextmanager
def service(file: Path) -> Iterator[tuple[int, str]]:
    """Process and address of a service that waits for the site's ledger."""
    process = crosscam(file, "serve", str(file), "--port", "0")
    assert process.stdout is not None
    address = process.stdout.readline().split()[0]
    try:
        yield process.pid, address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def wait_until_ready(address: str) -> None:
    while httpx.get(f"{address}/readyz", timeout=60).status_code != 200:
        time.sleep(0.1)


class Load:
    """Watchers and requests until they are told to end."""

    def __init__(self, address: str, watchers: int, rate: float) -> None:
        self.address, self.watchers, self.rate = address, watchers, rate
        self.latencies: list[float] = []
        self.statuses: dict[str, int] = {}
        self.frames = [0] * watchers
        self.heard: list[list[dict[str, Any]]] = [[] for _ in range(watchers)]
        self.positions: list[dict[str, str]] = [{} for _ in range(watchers)]
        self.lost: list[str] = []
        self.cpu_s = 0.0

    async def until(self, ended: threading.Event, ledger: Path) -> None:
        begun = time.process_time()
        tasks = [asyncio.create_task(self._watch(n)) for n in range(self.watchers)]
        asking = asyncio.create_task(self._ask(ended))
        while not ended.is_set():
            await asyncio.sleep(0.1)
        await asking
        last, patience = SqliteReader(ledger).end("tracks"), time.monotonic() + 60
        while time.monotonic() < patience and {one.get("tracks") for one in self.positions} != {last}:
            await asyncio.sleep(0.1)
        self.cpu_s = time.process_time() - begun
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, number: int) -> None:
        address = self.address.replace("http", "ws") + "/v1/live?topics=tracks,identities"
        try:
            async with websockets.connect(address, max_size=None, open_timeout=60, compression=None) as socket:
                async for said in socket:
                    assert isinstance(said, str)
                    self.frames[number] += 1
                    self.positions[number] |= json.loads(said[said.rindex("{") : -1])
                    if number < CHECKED:
                        self.heard[number] += json.loads(said)["records"]
        except (OSError, websockets.WebSocketException) as error:
            self.lost.append(repr(error))

    async def _ask(self, ended: threading.Event) -> None:
        async with httpx.AsyncClient(base_url=self.address, timeout=30.0) as client:
            under_way: set[asyncio.Task[None]] = set()
            due, number = time.monotonic(), 0
            while not ended.is_set():
                task = asyncio.create_task(self._one(client, PATHS[number % len(PATHS)]))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                number += 1
                due += 1.0 / self.rate
                await asyncio.sleep(max(due - time.monotonic(), 0))
            await asyncio.gather(*under_way)

    async def _one(self, client: httpx.AsyncClient, path: str) -> None:
        begun = time.perf_counter()
        try:
            status = str((await client.get(path)).status_code)
        except httpx.HTTPError as error:
            status = type(error).__name__
        self.latencies.append(time.perf_counter() - begun)
        self.statuses[status] = self.statuses.get(status, 0) + 1

    def check(self, ledger: Path) -> None:
        """Raise SystemExit unless every request was answered, and watchers got what was committed, each record once."""
        wrong = {status: many for status, many in self.statuses.items() if status != "200"}
        if wrong or self.lost:
            raise SystemExit(f"requests: {wrong}; watchers lost: {self.lost[:3]}")
        for topic in ("tracks", "identities"):
            written = [stored.value for stored in SqliteReader(ledger).read(topic)]
            for heard in self.heard[: min(CHECKED, self.watchers)]:
                mine = [one["record"] for one in heard if one["topic"] == topic]
                if not mine or written[-len(mine) :] != mine:
                    last = written.index(mine[-1]) if mine else -1
                    raise SystemExit(f"a watcher got {len(mine)} of {topic}, up to {last} of {len(written)}")
        if len({tuple(sorted(one.items())) for one in self.positions}) != 1:
            raise SystemExit("not every watcher came to the end")


def wait_until_committing(file: Path, process: subprocess.Popen[str]) -> None:
    ledger = file.parent / "ledger.sqlite-wal"
    while process.poll() is None and (not ledger.exists() or ledger.stat().st_size < 200_000):
        time.sleep(0.02)


def frames_of(file: Path, args: argparse.Namespace) -> float:
    """Frames that have been committed so far."""
    reader = SqliteReader(file.parent / "ledger.sqlite")
    ends = [stored.value["end"] for stored in reader.read("tracks")]
    starts = [stored.value["start"] for stored in reader.read("tracks")]
    reader.close()
    return args.cameras * 10 * round((max(ends) - min(starts)) / 1e6) if ends else 0


def measured(folder: Path, args: argparse.Namespace, *, served: bool, load: bool) -> tuple[dict[str, Any], Load | None]:
    """One run: frames a second and CPU seconds, start left out."""
    file = site(folder, args)
    under: Load | None = None
    result: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        pid, address = stack.enter_context(service(file)) if served else (0, "")
        process = crosscam(file, "run", str(file))
        spent = Spent(process.pid)
        wait_until_committing(file, process)
        if served:
            wait_until_ready(address)
            service_spent = Spent(pid)
            if load:
                under = Load(address, args.watchers, args.rate)
        time.sleep(0.5)
        begun, before = time.monotonic(), spent.so_far()
        started = service_spent.so_far() if served else 0.0
        frames = frames_of(file, args)
        ended = threading.Event()
        loading = threading.Thread(
            target=lambda: under is not None and asyncio.run(under.until(ended, file.parent / "ledger.sqlite"))
        )
        loading.start()
        code = process.wait()
        took = time.monotonic() - begun
        result["pipeline_cpu_s"] = round(spent.end() - before, 2)
        ended.set()
        loading.join()
        if served:
            result["service_cpu_s"] = round(service_spent.end() - started, 2)
    if code:
        raise SystemExit(f"the run ended with {code}")
    if under is not None:
        result["load_cpu_s"] = round(under.cpu_s, 2)
        under.check(file.parent / "ledger.sqlite")
    frames = args.cameras * args.seconds * 10 - frames
    return {"frames": frames, "frames_per_s": round(frames / took, 1), "wall_s": round(took, 1), **result}, under


def tracks(folder: Path) -> list[bytes]:
    return [stored.raw for stored in SqliteReader(folder / "ledger.sqlite").read("tracks")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--watchers", type=int, default=100)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--paced", action="store_true", help="pictures come when they are due")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="crosscam-load-") as name:
        base = Path(name)
        runs: dict[str, dict[str, Any]] = {}
        runs["alone"], _ = measured(base / "alone", args, served=False, load=False)
        runs["nobody_watches"], _ = measured(base / "idle", args, served=True, load=False)
        runs["loaded"], under = measured(base / "loaded", args, served=True, load=True)
        if not args.paced and not tracks(base / "alone") == tracks(base / "idle") == tracks(base / "loaded"):
            raise SystemExit("the runs left different ledgers")
        records = len(tracks(base / "loaded"))
    assert under is not None
    p50, p95, p99 = (round(1e3 * float(of), 1) for of in np.percentile(under.latencies, [50, 95, 99]))
    alone = runs["alone"]["frames_per_s"]
    result = {
        "paced": args.paced,
        "runs": runs,
        "ratio": {name: round(run["frames_per_s"] / alone, 3) for name, run in runs.items() if name != "alone"},
        "requests": {"answered": len(under.latencies), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99},
        "watchers": {"how_many": args.watchers, "frames_each": max(under.frames), "records_in_the_ledger": records},
        "load_average": [round(one, 1) for one in os.getloadavg()],
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
