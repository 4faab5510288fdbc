"""How much faster a site goes with more workers on this machine's cores, and how many cameras fusion has room for.

    python tests/benchmarks/scale_out.py [--workers 1,2,4] [--cameras 16] [--fps 10] [--seconds 240] [--rounds 2]

`crosscam run` on a simulated site of given boxes, as fast as it goes: decoding and detecting, which are most of a real
site, are left out, so that what is measured is tracking, analysis, fusion and the ledger. Rounds are interleaved.

`frames_a_second` counts from when every worker has begun to the last look before the end. `cpu_ms_a_frame` is that of
all workers. `fusion_core_a_camera` is the share of a core that fusion takes for each camera at its real speed,
`fusion_room` the cameras for which one core would do. Nothing can be won by more workers than there are cores, and
fusion needs one of them. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from site_processes import Process, Run, ledger_in, write_site

from operators.records import SECOND_NS
from pipeline.sources.simulation.settings import Settings


def frames_of(told: dict[str, Any]) -> int:
    return sum(lane["counts"].get("tracked", 0) for lane in told["cameras"].values())


def once(options: argparse.Namespace, workers: int) -> dict[str, float]:
    """One run."""
    usual = {"place": "mall", "cameras": options.cameras, "people": options.people, "embedding": 128}
    settings = [Settings(**usual, camera=number, seconds=options.seconds) for number in range(1, options.cameras + 1)]
    with tempfile.TemporaryDirectory() as place, ledger_in(Path(place), "sqlite") as ledger:
        site = write_site(Path(place), "scale", settings, fps=options.fps, ledger=ledger, workers=workers)
        with Run(site) as run:
            first = run.under_way(workers)
            began, before = time.perf_counter(), {name: Process.of(pid) for name, pid in first["pids"].items()}
            last, ended, after = first, began, before
            while not run.over:
                told = run.status()
                if told is not None:
                    try:
                        after = {name: Process.of(pid) for name, pid in told["pids"].items()}
                    except OSError:
                        break  # it is ending
                    last, ended = told, time.perf_counter()
                time.sleep(0.1)
            while not run.over:
                time.sleep(0.1)
    frames, wall_s = frames_of(last) - frames_of(first), ended - began
    if last["restarts"] or frames < 0.3 * options.cameras * options.fps * options.seconds:
        raise SystemExit("too little was seen of the run; give more --seconds")
    spent = {name: after[name].cpu_s - before[name].cpu_s for name in after}
    seen_s = (last["watermark"] - first["watermark"]) / SECOND_NS
    return {
        "frames_a_second": frames / wall_s,
        "times_real": seen_s / wall_s,
        "cpu_ms_a_frame": 1e3 * sum(s for name, s in spent.items() if name != "fusion") / frames,
        "fusion_cores": spent["fusion"] / wall_s,
        "fusion_core_a_camera": spent["fusion"] / seen_s / options.cameras,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="1,2,4", help="how many, separated by commas")
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--fps", type=float, default=10.0)
    parser.add_argument("--people", type=int, default=160, help="in the whole place")
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    counts = [int(count) for count in options.workers.split(",")]
    load = os.getloadavg()[0]
    rounds = [{count: once(options, count) for count in counts} for _ in range(options.rounds)]
    by_workers = {
        count: {name: round(statistics.median(each[count][name] for each in rounds), 4) for name in rounds[0][count]}
        for count in counts
    }
    per_camera = statistics.median(each["fusion_core_a_camera"] for each in by_workers.values())
    print(
        json.dumps(
            {
                **vars(options),
                "cores": os.cpu_count(),
                "load_before": round(load, 2),
                "by_workers": by_workers,
                "speed_up": {
                    count: round(each["frames_a_second"] / by_workers[counts[0]]["frames_a_second"], 2)
                    for count, each in by_workers.items()
                },
                "fusion_room": round(1 / per_camera),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
