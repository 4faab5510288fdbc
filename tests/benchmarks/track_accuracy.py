"""How well the trackers track: faithfulness, our default with its ablations and left-one-out tuning, dropped frames.

python tests/benchmarks/track_accuracy.py > accuracy.json
"""

from __future__ import annotations

import itertools
import json
import sys
from typing import Any

from track_common import BENCHES, OFFICIAL, official, row, score, sequences, summed, unfaithful

from operators.track.scoring import Counts

# What our default's own numbers were chosen from. Everything else in it is ByteTrack's or BoT-SORT's published value.
GRID = [
    {"coast_seconds": coast, "lost_seconds": lost, "match": match}
    for coast, lost, match in itertools.product([0.75, 1.5, 3.0, 1000.0], [1.0, 1.5, 2.0], [0.85, 0.9])
]
ABLATIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "camera not followed": {"follow_camera": False},
    "lost tracks keep their speed": {"coast_seconds": 1e6},
    "lost tracks live 1 s": {"lost_seconds": 1.0},
    "match 0.8": {"match": 0.8},
    "velocity noise x 1.5": {"velocity_noise": 1.5 / 160},
    "velocity noise / 1.5": {"velocity_noise": 1 / 240},
}


def left_one_out() -> dict[str, object]:
    """Each MOT17 sequence scored at the grid point that is best (HOTA + IDF1) on the other six; and tuned on MOT15."""
    benches = {bench: sequences(bench) for bench in BENCHES}
    counts = {b: [[score(s, "steady", point) for point in GRID] for s in benches[b]] for b in BENCHES}
    real = counts["MOT17-val"]

    def best(rows: list[list[Counts]]) -> int:
        totals = [summed(list(column)) for column in zip(*rows, strict=True)]
        return max(range(len(GRID)), key=lambda k: totals[k].hota + totals[k].idf1)

    chosen = [best(real[:k] + real[k + 1 :]) for k in range(len(real))]
    abroad = best(counts["MOT15"])
    return {
        "left one out": row(summed([real[k][choice] for k, choice in enumerate(chosen)])),
        "chosen": [GRID[choice] for choice in chosen],
        "tuned on MOT15": {**row(summed([part[abroad] for part in real])), "point": GRID[abroad]},
        "worst of the grid": row(
            min((summed(list(c)) for c in zip(*real, strict=True)), key=lambda c: c.hota + c.idf1)
        ),
    }


def main() -> None:
    """Prints everything as one JSON object."""
    result: dict[str, object] = {"unfaithful": unfaithful()}
    for bench in BENCHES:
        parts = sequences(bench)
        table = {}
        for reference in OFFICIAL:
            table[reference] = row(summed([score(s, *official(s, reference)) for s in parts]))
        for name in ("botsort", "steady"):
            table[name] = row(summed([score(s, name, {}) for s in parts]))
        result[bench] = table
        result[f"{bench} ablations"] = {
            label: row(summed([score(s, "steady", change) for s in parts])) for label, change in ABLATIONS.items()
        }
        result[f"{bench} sequences"] = {s.name: row(score(s, "steady", {})) for s in parts}
    result["tuning"] = left_one_out()
    parts = sequences("MOT17-val")
    result["MOT17-val, every n-th frame"] = {
        str(every): {name: row(summed([score(s, name, {}, every) for s in parts])) for name in ("bytetrack", "steady")}
        # The reference knows frames only: the frame rate it is told is the one that is left.
        | {
            "ByteTrack-ref": row(
                summed(
                    [
                        score(s, "bytetrack", {"rate_hz": s.fps / every, "lost_seconds": 30 * every / s.fps}, every)
                        for s in parts
                    ]
                )
            )
        }
        for every in (1, 2, 3)
    }
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
