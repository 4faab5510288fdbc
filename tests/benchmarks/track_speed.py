"""How fast the trackers track, in one run with the peers; nothing is printed unless the official numbers come out.

    python tests/benchmarks/track_speed.py [--rounds 5] [--peers a,b] > speed.json

Needs the shared bench and its environments (`peers.py setup`), and beside them `venv/ds` with deep-sort-realtime 1.3.2
and setuptools below 81; which peers there are for which tracker stands in `track_plugin.py`. Every tracker runs on one
thread; the rounds are interleaved, and ratios are ratios of medians.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from track_common import ROOT, SHARED, unfaithful

OURS = {
    "ours-sort": "pyxtrackers-sort",
    "ours-bytetrack": "pyxtrackers-byte",
    "ours-bytetrack-records": "pyxtrackers-byte",
    "ours-ocsort": "pyxtrackers-ocsort",
    "ours-botsort": "trackers-botsort",
    "ours-deepsort": "deep-sort-realtime",
    "ours-jde": "motpy-looks",
    "ours-fairmot": "motpy-looks",
    "ours-centertrack": "norfair-euclid",
    "ours-steady": "pyxtrackers-byte",
    "ours-steady-records": "pyxtrackers-byte",
}
_START = """
import time; begun = time.perf_counter()
from operators.track import create
import numpy as np
imported = time.perf_counter()
tracker = create("{name}")
tracker.update_rows(np.zeros((0, 5)), 0)
print(imported - begun, time.perf_counter() - imported)
"""


def start_up(name: str, cache: str) -> dict[str, float]:
    """Seconds for the import, and for the first frame, in a fresh process with its compile cache at `cache`."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", _START.format(name=name)], env=environment, capture_output=True, text=True, check=True
    )
    imported, first = map(float, done.stdout.split())
    return {"import s": round(imported, 2), "first frame s": round(first, 2)}


def main() -> None:
    """Prints the medians, the ratios, and what a process pays before its first frame."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--peers", default=",".join(dict.fromkeys(OURS.values())))
    chosen = arguments.parse_args()
    missed = unfaithful()
    if missed:
        raise SystemExit("no speed without the reference's results:\n" + "\n".join(missed))
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "times.json"
        bench = SHARED / "bench" / "peers.py"
        plugin = Path(__file__).with_name("track_plugin.py")
        names = f"{','.join(OURS)},{chosen.peers}"
        command = [sys.executable, str(bench), "time", "--plugin", str(plugin), "--peers", names]
        command += ["--rounds", str(chosen.rounds), "--json", str(report)]
        subprocess.run(command, check=True, stdout=sys.stderr)
        median = json.loads(report.read_text())["median"]
        starts = {}
        for name in ("bytetrack", "steady"):
            starts[name] = {"compiling": start_up(name, folder), "from the cache": start_up(name, folder)}
    ratios = {
        name: {sequence: round(micros / median[peer][sequence], 2) for sequence, micros in median[name].items()}
        for name, peer in OURS.items()
        if name in median and peer in median
    }
    result = {
        "unfaithful": missed,
        "microseconds a frame": {n: {s: round(t, 1) for s, t in row.items()} for n, row in median.items()},
        "ratio to": OURS,
        "ratios": ratios,
        "start": starts,
        "at": time.strftime("%Y-%m-%d"),
    }
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
