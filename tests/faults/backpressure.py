"""Stops the broker of a running site for a while, and measures what fills up and what does not.

    python tests/faults/backpressure.py [--hold 60]      prints JSON

A live camera and a file, a worker each, with a ledger in the Kafka of deploy/kafka. Its process gets SIGSTOP: it keeps
its connections and answers nobody.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

ROOT = Path(__file__).resolve().parents[2]
for folder in ("tests/faults", "tests/support", "deploy/kafka"):
    sys.path.insert(0, str(ROOT / folder))
from in_thread import InThread  # noqa: E402
from ray_metrics import Scraped  # noqa: E402

from operators.records import unpack  # noqa: E402
from pipeline.assembly import build_reader  # noqa: E402
from pipeline.cluster import NAMESPACE  # noqa: E402
from pipeline.config import Site  # noqa: E402
from pipeline.config_file import load  # noqa: E402
from pipeline.member import MAX_UNACKNOWLEDGED  # noqa: E402
from pipeline.metrics import catalogue as metrics  # noqa: E402
from pipeline.reader import READ_AHEAD  # noqa: E402

LIVE, FILE = "gate", "recording"
LIVE_FPS, FILE_FPS = 10, 10
# Looks of a kilobyte or two for everybody in every frame: what is kept without need shows in the memory.
SEEN = "people=12,embedding=512,tracks=1"
SAMPLE_S = 0.5


@dataclass(frozen=True)
class Outage:
    """What was measured.

    Attributes:
        until_full_s: from the stop of the broker until both cameras' buffers are full.
        unacknowledged: batches on their way, by camera, while it lasts.
        read_ahead: frames of the file that wait.
        file_tracked: of the file, frames tracked when the buffers were full and when the outage ended.
        dropped: of the live camera, frames dropped for `ledger_backpressure`, as the metric said before the end.
        rss_mb: by actor, at the time when the buffers were full, and the most and the last of the outage.
        recovery_s: from SIGCONT to the next commit.
        counts: by camera, frames as committed in the end.
    """

    until_full_s: float
    unacknowledged: dict[str, int]
    read_ahead: int
    file_tracked: tuple[int, int]
    dropped: int
    rss_mb: dict[str, tuple[float, float, float]]
    recovery_s: float
    counts: dict[str, dict[str, int]]


def write_site(folder: Path, bootstrap: str, live_s: float, file_s: float) -> Site:
    """The site of one live camera and one file."""
    sources = {
        LIVE: (f"simulated:{SEEN},cameras=2,camera=1,paced=1,seconds={live_s:g}", LIVE_FPS),
        FILE: (f"simulated:{SEEN},cameras=2,camera=2,seconds={file_s:g}", FILE_FPS),
    }
    cameras = "".join(f"  - {{id: {name}, source: '{text}', fps: {fps}}}\n" for name, (text, fps) in sources.items())
    name = f"away-{time.time_ns()}"
    file = folder / f"{name}.yaml"
    file.write_text(
        f"site: {name}\ninterval: 500ms\ncameras:\n{cameras}resources: {{cameras_per_worker: 1}}\n"
        f"ledger: {{kafka: {{bootstrap_servers: '{bootstrap}', request_timeout_ms: 2000}}}}\n"
    )
    return load(file)


def rss_mb(pid: int) -> float:
    """Memory of a process that is its own or shared and there, in megabytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def committed_counts(site: Site) -> dict[str, dict[str, int]]:
    """Frame accounting by camera, as the ledger's state has it."""
    with contextlib.closing(build_reader(site)) as reader:
        state = reader.state()
    return {name: dict(unpack(state[f"camera/{name}"])["counts"]) for name in (LIVE, FILE)}


def measure(site: Site, frozen: Callable[[], contextlib.AbstractContextManager[None]], hold_s: float) -> Outage:
    """Run the site through an outage.

    Args:
        site: see `write_site`.
        frozen: stops the broker for the length of a `with` block.
        hold_s: how long it stays away once all buffers are full.

    Raises:
        FaultError: the site does not do as it has to.
    """
    run = InThread(site)
    run.until(lambda: run.progress.commits >= 4 and len(run.progress.pids) == 3, "a run that begins")
    seen: list[Scraped] = []

    def full() -> bool:
        seen.append(Scraped(site.site))
        waiting = [seen[-1].of(metrics.BATCHES_UNACKNOWLEDGED, name) for name in (LIVE, FILE)]
        dropped = seen[-1].of(metrics.FRAMES_DROPPED, LIVE, "ledger_backpressure")
        return bool(dropped) and min(waiting) == MAX_UNACKNOWLEDGED and bool(seen[-1].of(metrics.LEDGER_WAITING))

    rss: dict[str, list[float]] = {name: [] for name in run.progress.pids}
    with frozen():
        began = time.monotonic()
        run.until(full, "buffers that fill up")
        until_full_s = time.monotonic() - began
        tracked_then = run.progress.counts[FILE]["tracked"]
        for _ in range(round(hold_s / SAMPLE_S)):
            for name, pid in run.progress.pids.items():
                rss[name].append(rss_mb(pid))
            time.sleep(SAMPLE_S)
        last = Scraped(site.site)
        tracked_now = run.progress.counts[FILE]["tracked"]
        before = run.progress.commits
    began = time.monotonic()
    run.until(lambda: run.progress.commits > before, "a commit once the broker answers again")
    recovery_s = time.monotonic() - began
    run.ends()
    return Outage(
        until_full_s=round(until_full_s, 2),
        unacknowledged={name: int(last.of(metrics.BATCHES_UNACKNOWLEDGED, name) or 0) for name in (LIVE, FILE)},
        read_ahead=int(last.of(metrics.FRAMES_WAITING, FILE) or 0),
        file_tracked=(tracked_then, tracked_now),
        dropped=int(last.of(metrics.FRAMES_DROPPED, LIVE, "ledger_backpressure") or 0),
        rss_mb={name: (round(s[0], 1), round(max(s), 1), round(s[-1], 1)) for name, s in rss.items()},
        recovery_s=round(recovery_s, 2),
        counts=committed_counts(site),
    )


def problems(outage: Outage, frames: int) -> list[str]:
    """What is not as it has to be, a sentence each; empty where everything is.

    Args:
        outage: as measured.
        frames: of the file.
    """
    live, file = outage.counts[LIVE], outage.counts[FILE]
    dropped = {name: n for name, n in live.items() if name.startswith("dropped.")}
    said = {
        "a buffer is not at its bound": set(outage.unacknowledged.values()) != {MAX_UNACKNOWLEDGED},
        "the file is read on beyond its bound": not 0 < outage.read_ahead <= READ_AHEAD,
        "the file does not pause": outage.file_tracked[0] != outage.file_tracked[1],
        "the live camera's drops are not told": not 0 < outage.dropped <= live.get("dropped.ledger_backpressure", 0),
        "frames of the live camera are unaccounted for": live["decoded"] != live["tracked"] + sum(dropped.values()),
        "frames of the file are lost": file != {"decoded": frames, "tracked": frames},
    }
    return [sentence for sentence, wrong in said.items() if wrong]


def main() -> int:
    """Measure; 1 where something is not as it has to be."""
    import server as kafka

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hold", type=float, default=60.0, help="seconds with all buffers full")
    given = parser.parse_args()
    ray.init(
        address="local", num_cpus=4, namespace=NAMESPACE, include_dashboard=False, log_to_driver=False,
        object_store_memory=200_000_000, _system_config={"metrics_report_interval_ms": 300},
    )  # fmt: skip
    seconds = given.hold + 40
    with tempfile.TemporaryDirectory() as folder, kafka.KafkaServer(Path(folder) / "kafka") as server:
        site = write_site(Path(folder), server.bootstrap, seconds, seconds)
        outage = measure(site, server.frozen, given.hold)
    ray.shutdown()
    wrong = problems(outage, round(seconds * FILE_FPS))
    told: dict[str, Any] = {"hold_s": given.hold, **vars(outage), "wrong": wrong}
    print(json.dumps(told))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
