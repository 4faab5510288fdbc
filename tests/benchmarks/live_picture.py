"""How long after it was taken a live picture reaches who watches, with everybody drawn where he is in it.

    python tests/benchmarks/live_picture.py [--cameras 2] [--watchers 1 10] [--seconds 15]

Simulated cameras (1280x720, boxes given, so that no detector takes the cores) run by the wall clock; watchers read
`/v1/cameras/.../stream.mjpg`, whose parts say their event time. Prints, for each number of watchers, the delay of
their pictures, how many each got a second, and frames tracked and dropped meanwhile as JSON; unless a watcher got a
picture twice, or one older than the one before.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

COMMAND = (sys.executable, "-m", "pipeline.cli")
FPS = 10
_BEGINS_IN_S = 25  # until it does the site has started


def site(folder: Path, cameras: int, start: datetime) -> Path:
    file = folder / "site.yaml"
    entries = "".join(
        f"  - {{id: c{n}, fps: {FPS}, start: '{start.isoformat()}', source: 'simulated:cameras={cameras},camera={n},"
        f"people={4 * cameras},seconds=0,paced=1,tracks=1,shown=1'}}\n"
        for n in range(1, cameras + 1)
    )
    ledger = f"ledger: {{sqlite: {{path: {folder / 'ledger.sqlite'}}}}}\n"
    file.write_text(f"site: plaza\ncameras:\n{entries}thumbnails: {{}}\n{ledger}", encoding="utf-8")
    return file


def watch(address: str, until: float, delays: list[float]) -> None:
    """Note the delay of each picture of a stream; NaN where it is no newer than the one before."""
    last = 0
    with urllib.request.urlopen(address, timeout=30) as stream:
        while time.time() < until:
            fields: dict[str, str] = {}
            while line := stream.readline().strip():
                name, _, value = line.decode().partition(": ")
                fields[name] = value
            stream.read(int(fields["Content-Length"]))
            stream.readline()
            at = int(fields["X-Event-Time"])
            delays.append(time.time() - at / 1e6 if at > last else float("nan"))
            last = at


def frames(address: str, camera: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{address}/v1/cameras/{camera}", timeout=30) as answer:
        told = json.load(answer)["frames"]
    return {"tracked": told["tracked"], "dropped": sum(told["dropped"].values())}


def measured(address: str, cameras: int, watchers: int, seconds: float) -> dict[str, Any]:
    delays: list[list[float]] = [[] for _ in range(watchers)]
    until = time.time() + seconds
    streams = [f"{address}/v1/cameras/c{n % cameras + 1}/stream.mjpg" for n in range(watchers)]
    threads = [
        threading.Thread(target=watch, args=(stream, until, mine)) for stream, mine in zip(streams, delays, strict=True)
    ]
    before = frames(address, "c1")
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(2.5)  # until what was counted meanwhile is told
    after = frames(address, "c1")
    every = np.concatenate([np.array(mine) for mine in delays])
    if np.isnan(every).any() or any(len(mine) < 2 for mine in delays):
        raise SystemExit("a picture came twice or out of order, or none came")
    p50, p95 = np.percentile(1e3 * every, [50, 95]).round().astype(int).tolist()
    return {
        "watchers": watchers,
        "ms_after_it_was_taken": {"p50": p50, "p95": p95},
        "pictures_a_second_each": round(len(every) / watchers / seconds, 1),
        "one_camera": {name: after[name] - before[name] for name in after},
        "load_average": [round(one, 1) for one in os.getloadavg()],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=2)
    parser.add_argument("--watchers", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--seconds", type=float, default=15)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="crosscam-live-") as name:
        folder = Path(name)
        start = datetime.now(UTC) + timedelta(seconds=_BEGINS_IN_S)
        file = site(folder, args.cameras, start)
        run = subprocess.Popen([*COMMAND, "run", str(file)], cwd=folder, stdout=subprocess.DEVNULL)
        try:
            while not (folder / "ledger.sqlite").exists() and run.poll() is None:
                time.sleep(0.5)
            serve = subprocess.Popen(
                [*COMMAND, "serve", str(file), "--port", "0", "--no-page"],
                cwd=folder,
                stdout=subprocess.PIPE,
                text=True,
            )
            try:
                assert serve.stdout is not None
                address = serve.stdout.readline().split()[0]
                time.sleep(max(start.timestamp() + 10 - time.time(), 0))
                print(json.dumps([measured(address, args.cameras, n, args.seconds) for n in args.watchers], indent=1))
            finally:
                serve.terminate()
                serve.wait(30)
        finally:
            run.terminate()
            run.wait(60)


if __name__ == "__main__":
    main()
