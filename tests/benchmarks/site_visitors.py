"""How many visitors a simulated site counts, live, against how many there were: 8 cameras, rank-1 0.9.

`source: simulated`. The cameras' local tracks go through fusion and the site's figures as in `crosscam run`; one JSON
line a seed and kind of calibration. Aim: unique visitors within 3 % of the truth.

`visitors`: of the whole recording. `truth`: people of whom any box was given; `counted`: identities that stand in the
end, which are the journeys told and not taken back. `intervals`: the same by minute, `told` when the minute was over
and `corrected` as last restated; errors in per cent of the truth, summed over the intervals (`bias`), and of their
absolute values (`error`). `figures_ms`: what the figures cost a commit, and `fusion_ms` what fusion does.

python tests/benchmarks/site_visitors.py [--place mall] [--seeds 3] [--rank1 0.9]
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import numpy as np
from site_support import Recorded, recordings, site_options

from mtmct.fusion import END_OF_TIME, FusionEngine
from mtmct.records import Record
from mtmct.site_flow import SiteFlow, SiteFlowSettings
from operators.records import SECOND_NS

AIM = 3.0  # per cent
INTERVAL_S = 60


def count(recorded: Recorded, calibrated: bool) -> dict[str, object]:
    engine = FusionEngine("simulated", recorded.topology(calibrated), recorded.beliefs())
    flow = SiteFlow("simulated", SiteFlowSettings(interval_s=INTERVAL_S))
    told: list[Record] = []
    spent = {"fusion": 0.0, "figures": 0.0}
    steps = [*recorded.intervals(), (END_OF_TIME, [])]
    for watermark, batches in steps:
        begun = time.process_time()
        commit = engine.advance(batches, watermark)
        between = time.process_time()
        for written in commit.records:
            flow.take(written)
        told += flow.advance(None if watermark == END_OF_TIME else watermark // 1000)[0]
        spent["fusion"] += between - begun
        spent["figures"] += time.process_time() - between
    people = {int(one) for boxes in recorded.truth.values() for one in np.unique(boxes.ids).tolist()}
    journeys = {one.value["identity"]: one.value for one in told if one.value["type"] == "journey"}
    counted = sum(bool(journey["stays"]) for journey in journeys.values())
    error = round(100 * (counted / len(people) - 1), 1)
    return {
        "calibrated": calibrated,
        "visitors": {"truth": len(people), "counted": counted, "error_percent": error, "within_aim": abs(error) <= AIM},
        "intervals": intervals(recorded, told),
        "revisions": sum(one.value["revision"] > 1 for one in told),
        **{f"{name}_ms": round(1000 * seconds / len(steps), 2) for name, seconds in spent.items()},
        "state_kb": round(sum(len(key) + len(data) for key, data in flow.snapshot().items()) / 1000),
    }


def intervals(recorded: Recorded, told: Sequence[Record]) -> dict[str, object]:
    seen: dict[int, set[int]] = {}
    for boxes in recorded.truth.values():
        numbers = np.floor((boxes.frames - 1) / recorded.fps / INTERVAL_S).astype(np.int64)
        for number, person in np.unique(np.stack([numbers, boxes.ids]), axis=1).T.tolist():
            seen.setdefault(number, set()).add(person)
    truth = np.array([len(seen[number]) for number in sorted(seen)])
    counts = [one.value for one in told if one.value["type"] == "site_counts"]
    length = INTERVAL_S * SECOND_NS // 1000
    first = {one["start"] // length: one["unique"] for one in reversed(counts)}
    last = {one["start"] // length: one["unique"] for one in counts}

    def against(said: dict[int, int]) -> dict[str, float]:
        off = np.array([said.get(number, 0) for number in sorted(seen)]) - truth
        share = 100 / truth.sum()
        return {"bias": round(float(off.sum() * share), 1), "error": round(float(np.abs(off).sum() * share), 1)}

    return {
        "number": len(seen),
        "mean": round(float(truth.mean()), 1),
        "told": against(first),
        "corrected": against(last),
    }


def main() -> None:
    options = site_options(__doc__, rank1=0.9)
    for recorded in recordings(options):
        row = {"source": "simulated", "site": recorded.settings.text(), "tracker": options.tracker}
        for calibrated in (True, False):
            if options.only in (None, "calibrated" if calibrated else "uncalibrated"):
                print(json.dumps({**row, **count(recorded, calibrated)}), flush=True)


if __name__ == "__main__":
    main()
