"""Hours of a whole site: do memory, open files and threads of each of its processes stay what they were?

    python tests/benchmarks/site_endurance.py [--hours 8] [--cameras 16] [--people 12] [--ledger sqlite] [--each]

`crosscam run` on a simulated site, as fast as it goes: given boxes, the usual tracker, fusion with looks and positions,
the ledger. Nobody comes twice (`renewal=1`), so that everything which is kept by person, track or identity would grow.
Every ten minutes of event time the driver and each actor are looked at. Memory's slope is that of a straight line
through what was seen after the first hour, in megabytes an hour of event time. Prints JSON; a run that is interrupted
(Ctrl-C, SIGTERM) or has used up --limit tells of the hours that it has seen. 1 where something grows or dies.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from site_processes import Process, Run, ledger_in, write_site

from operators.records import SECOND_NS
from pipeline.cli.signals import install_sigterm
from pipeline.sources.simulation.settings import Settings

LOOK_S = 600.0
WARM_UP_H = 1.0
# What may be allowed of a slope: a day of it is less than a worker takes at its start.
GROWS_MB_AN_HOUR = 2.0


def look(told: dict[str, Any], driver: int) -> dict[str, Any]:
    pids = {"driver": driver, **told["pids"]}
    return {
        "hours": round(told["watermark"] / SECOND_NS / 3600, 3),
        "processes": {name: Process.of(pid) for name, pid in pids.items()},
        "restarts": told["restarts"],
        "frames": sum(lane["counts"].get("tracked", 0) for lane in told["cameras"].values()),
    }


def summary(looks: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each process: first and last after the warm-up, and the slope of its memory."""
    warm = [each for each in looks if each["hours"] >= WARM_UP_H] or looks
    hours = np.array([each["hours"] for each in warm])
    result = {}
    for name in warm[-1]["processes"]:
        seen = [each["processes"][name] for each in warm]
        memory = np.array([one.rss_mb for one in seen])
        enough = len(seen) > 2
        result[name] = {
            "rss_mb": [round(seen[0].rss_mb, 1), round(seen[-1].rss_mb, 1)],
            "rss_mb_most": round(float(memory.max()), 1),
            "rss_mb_an_hour": round(float(np.polyfit(hours, memory, 1)[0]), 3) if enough else None,
            "fds": [seen[0].fds, seen[-1].fds],
            "threads": [seen[0].threads, seen[-1].threads],
            "cpu_s": round(seen[-1].cpu_s, 1),
        }
    return result


def watch(run: Run, workers: int, limit_s: float, each: bool) -> tuple[list[dict[str, Any]], str]:
    """Looks at a run until it ends, or time is up, or somebody interrupts; and which of them."""
    looks: list[dict[str, Any]] = []
    until = time.monotonic() + limit_s
    try:
        run.under_way(workers)
        while not run.over:
            if time.monotonic() > until:
                return looks, "limit"
            told = run.status()
            due = len(looks) * LOOK_S * SECOND_NS
            if told is not None and told["watermark"] >= due and len(told["pids"]) == 1 + workers:
                looks.append(look(told, run.process.pid))
                if each:
                    said = {name: vars(process) for name, process in looks[-1]["processes"].items()}
                    print(json.dumps({**looks[-1], "processes": said}), file=sys.stderr, flush=True)
            time.sleep(1.0)
    except KeyboardInterrupt:
        return looks, "interrupted"
    return looks, "ended"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--people", type=int, default=12, help="in the whole place")
    parser.add_argument("--fps", type=float, default=5.0)
    parser.add_argument("--interval", default="1s", help="event time of a commit")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ledger", choices=("sqlite", "kafka"), default="sqlite")
    parser.add_argument("--limit", type=float, default=7200.0, help="seconds after which it tells what it has")
    parser.add_argument("--each", action="store_true", help="also tell every look, on stderr")
    given = parser.parse_args()
    install_sigterm()
    usual = {"place": "mall", "cameras": given.cameras, "people": given.people, "renewal": 1, "embedding": 64}
    settings = [Settings(**usual, camera=number, seconds=given.hours * 3600) for number in range(1, given.cameras + 1)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place, ledger_in(Path(place), given.ledger) as ledger:
        site = write_site(
            Path(place), "endurance", settings, fps=given.fps, ledger=ledger, workers=given.workers,
            more=f"interval: {given.interval}",
        )  # fmt: skip
        with Run(site) as run:
            looks, end = watch(run, given.workers, given.limit, given.each)
        size = sum(file.stat().st_size for file in Path(place).rglob("*") if file.is_file())
    if len(looks) < 2:
        print("it came not far enough to tell anything", file=sys.stderr)
        return 1
    processes = summary(looks)
    slopes = [each["rss_mb_an_hour"] for each in processes.values() if each["rss_mb_an_hour"] is not None]
    flat = all(
        each["fds"][1] <= each["fds"][0] + 2 and each["threads"][1] <= each["threads"][0] + 2
        for each in processes.values()
    )
    result = {
        **vars(given),
        "end": end,
        "hours_seen": looks[-1]["hours"],
        "wall_s": round(time.monotonic() - began),
        "restarts": looks[-1]["restarts"],
        "frames": looks[-1]["frames"],
        "ledger_mb": round(size / 2**20, 1),
        "processes": processes,
        "steepest_mb_an_hour": max(slopes, default=None),
        "files_and_threads_flat": flat,
    }
    print(json.dumps(result))
    return 0 if flat and max(slopes, default=0.0) < GROWS_MB_AN_HOUR and not looks[-1]["restarts"] else 1


if __name__ == "__main__":
    sys.exit(main())
