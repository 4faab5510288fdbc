"""How many visitors a simulated site counts, live, against how many there were: 8 cameras, rank-1 0.9.

`source: simulated`. The cameras' local tracks go through fusion and the site's figures as in `crosscam run`; one JSON
line a seed and kind of calibration, and one over all seeds. Aim: unique visitors within 3 % of the truth.

Without more said it is 20 people for ten minutes, who come back all the time: one of them is 5 %. `--hour` is an hour
of people who come, come back once, and are never seen again: 170 or so, as many in the place at a time as before.

`visitors`: of the whole recording. `truth`: people of whom any box was given; `counted`: identities that stand in the
end, which are the journeys told and not taken back. The two may agree by chance, so beside them: `again`, identities
of people who have a larger one, and `of_nobody`, both counted too much; `missed`, people who are most of no identity,
counted too little. `intervals`: the same by minute, `told` when the minute was over and `corrected` as last restated;
errors in per cent of the truth, summed over the intervals (`bias`), and of their absolute values (`error`).
`figures_ms`: what the figures cost a commit, and `fusion_ms` what fusion does.

python tests/benchmarks/site_visitors.py [--hour] [--place mall] [--seeds 3] [--rank1 0.9]
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from site_support import Recorded, recordings, site_arguments

from mtmct.corrections import IdentityResolver
from mtmct.evaluation import box_ious
from mtmct.fusion import END_OF_TIME, FusionEngine
from mtmct.records import IDENTITIES, TRACKS, Record
from mtmct.site_flow import SiteFlow, SiteFlowSettings
from operators.records import SECOND_NS

AIM = 3.0  # per cent
INTERVAL_S = 60


def count(recorded: Recorded, calibrated: bool) -> dict[str, Any]:
    engine = FusionEngine("simulated", recorded.topology(calibrated), recorded.beliefs())
    flow = SiteFlow("simulated", SiteFlowSettings(interval_s=INTERVAL_S))
    told: list[Record] = []
    written: list[Record] = []
    spent = {"fusion": 0.0, "figures": 0.0}
    steps = [*recorded.intervals(), (END_OF_TIME, [])]
    for watermark, batches in steps:
        begun = time.process_time()
        commit = engine.advance(batches, watermark)
        between = time.process_time()
        for one in commit.records:
            flow.take(one)
        written += commit.records
        told += flow.advance(None if watermark == END_OF_TIME else watermark // 1000)[0]
        spent["fusion"] += between - begun
        spent["figures"] += time.process_time() - between
    people = {int(one) for boxes in recorded.truth.values() for one in np.unique(boxes.ids).tolist()}
    owners = owners_of(recorded, written)
    journeys = {one.value["identity"]: one.value for one in told if one.value["type"] == "journey"}
    counted = sum(bool(journey["stays"]) for journey in journeys.values())
    found = set(owners.values())
    return {
        "calibrated": calibrated,
        "visitors": {
            **against_truth(len(people), counted),
            "again": len(owners) - len(found),
            "of_nobody": counted - len(owners),
            "missed": len(people - found),
        },
        "intervals": intervals(recorded, told),
        "revisions": sum(one.value["revision"] > 1 for one in told),
        **{f"{name}_ms": round(1000 * seconds / len(steps), 2) for name, seconds in spent.items()},
        "state_kb": round(sum(len(key) + len(data) for key, data in flow.snapshot().items()) / 1000),
    }


def against_truth(truth: int, counted: int) -> dict[str, object]:
    error = 100 * (counted / truth - 1)
    return {"truth": truth, "counted": counted, "error_percent": round(error, 1), "within_aim": abs(error) <= AIM}


def owners_of(recorded: Recorded, written: Sequence[Record]) -> dict[int, int]:
    """Whose each identity is in the end that is anybody's: who has most of its points, corrections applied.

    Whose the points of a tracklet are, of a second at most, is said by the one in the middle.
    """
    truth = {}
    for name, boxes in recorded.truth.items():
        order = np.argsort(boxes.frames, kind="stable")
        truth[name] = boxes.frames[order], boxes.ids[order], boxes.xywh[order]
    tracks = [one.value for one in written if one.topic == TRACKS]
    resolver = IdentityResolver.of(tracks, [one.value for one in written if one.topic == IDENTITIES])
    votes: dict[int, Counter[int]] = {}
    for track in tracks:
        identity = resolver.identity_of(track["camera"], track["track"], track["start"])
        if identity is None:
            continue
        middle = len(track["frames"]) // 2
        frames, ids, xywh = truth[track["camera"]]
        rows = slice(*np.searchsorted(frames, [track["frames"][middle], track["frames"][middle] + 1]))
        x1, y1, x2, y2 = track["points"][middle][1:5]
        ious = box_ious(np.array([[x1, y1, x2 - x1, y2 - y1]]), xywh[rows])[0]
        if len(ious) and ious.max() >= 0.5:
            votes.setdefault(identity, Counter())[int(ids[rows][ious.argmax()])] += len(track["frames"])
    return {identity: min(count, key=lambda who: (-count[who], who)) for identity, count in votes.items()}


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
    parser = site_arguments(__doc__, rank1=0.9)
    parser.add_argument("--hour", action="store_true", help="an hour of people who come, come back once and are gone")
    options = parser.parse_args()
    if options.hour:
        options.minutes = 60.0
        options.set = ["renewal=2", *options.set]
    counts: dict[bool, list[tuple[int, int]]] = {}
    for recorded in recordings(options):
        row = {"source": "simulated", "site": recorded.settings.text(), "tracker": options.tracker}
        for calibrated in (True, False):
            if options.only in (None, "calibrated" if calibrated else "uncalibrated"):
                figures = count(recorded, calibrated)
                counts.setdefault(calibrated, []).append((figures["visitors"]["truth"], figures["visitors"]["counted"]))
                print(json.dumps({**row, **figures}), flush=True)
    for calibrated, pairs in counts.items():
        truth, counted = (sum(column) for column in zip(*pairs, strict=True))
        errors = [abs(100 * (one / of - 1)) for of, one in pairs]
        over_all = {**against_truth(truth, counted), "mean_absolute_error_percent": round(sum(errors) / len(errors), 1)}
        print(json.dumps({"seeds": len(pairs), "calibrated": calibrated, "visitors": over_all}), flush=True)


if __name__ == "__main__":
    main()
