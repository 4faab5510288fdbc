"""Fusion on a simulated site: 8 cameras, 20 people, 10 minutes, embeddings of rank-1 0.7, ground truth beside it.

Boxes are simulated (jitter, misses, occlusion); local tracks are made of them by a tracker, or come with the
simulation (`--tracker none`), broken and swapped now and then. One JSON line a seed and kind of calibration, with the
offline baseline on the same local tracks. Fusion's beliefs are the usual ones, whatever the seed; the calibration of
the embeddings comes from the simulation, fitted to other people's.

`wait_s`: seconds of event time from a local track's first frame to the commit that says its right identity.

python tests/benchmarks/fusion_site.py [--place mall] [--seeds 3] [--tracker steady] [--set missed=0.1]
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace

import numpy as np
from fusion_support import read
from offline_clustering import Offline, identify
from site_support import Recorded, recordings, site_options, waits

from mtmct.evaluation import evaluate
from mtmct.fusion import END_OF_TIME, FusionEngine
from mtmct.mot_text import Boxes
from pipeline.bridging import fill_gaps

BASELINES = {
    "as_published": Offline(),
    "reranked": Offline(rerank=True),
    "keeping_all": Offline(keep_alone=True),
    "keeping_all_reranked": Offline(rerank=True, keep_alone=True),
}


def scores(recorded: Recorded, results: dict[str, Boxes]) -> dict[str, float]:
    """IDF1 and HOTA over all cameras as one problem."""
    empty = np.zeros(0, np.int64)
    nothing = Boxes(empty.astype(float), empty, np.zeros((0, 4)), empty.astype(float), empty)
    across = evaluate(recorded.truth, {name: results.get(name, nothing) for name in recorded.truth}).across
    return {"idf1": round(across.idf1, 2), "hota": round(across.hota, 2), "assa": round(across.assa, 2)}


def bridged(boxes: Boxes, longest: int) -> Boxes:
    """With short gaps of an identity filled by straight lines, as `crosscam export --bridge` does."""
    gaps = fill_gaps(boxes.frames.astype(np.int64), boxes.ids, longest)
    rows = np.concatenate([np.arange(len(boxes.frames)), gaps.before])
    frames = np.concatenate([boxes.frames, gaps.frames])
    xywh = np.concatenate([boxes.xywh, gaps.between(boxes.xywh)])
    return replace(boxes[rows], frames=frames, xywh=xywh)


def fused(recorded: Recorded, calibrated: bool, bridge: int) -> dict[str, object]:
    engine = FusionEngine("simulated", recorded.topology(calibrated), recorded.beliefs())
    commits, spent = [], 0.0
    for watermark, batches in [*recorded.intervals(), (END_OF_TIME, [])]:
        begun = time.process_time()
        commits.append(engine.advance(batches, watermark))
        spent += time.process_time() - begun
    outcome = read(commits, spent)
    corrected = {name: bridged(once(boxes), bridge) for name, boxes in outcome.corrected.items()}
    return {
        "calibrated": calibrated,
        "corrected": scores(recorded, corrected),
        "as_published": scores(recorded, {name: once(boxes) for name, boxes in outcome.published.items()}),
        "identities": outcome.identities,
        "events": outcome.events,
        "wait_s": asdict(waits(recorded, commits)),
        "fusion_s": round(spent, 1),
    }


def once(boxes: Boxes) -> Boxes:
    """An identity may stand twice in a frame, if two tracks of one camera were given it: one counts."""
    _, first = np.unique(np.stack([boxes.frames, boxes.ids], axis=1), axis=0, return_index=True)
    return boxes[np.sort(first)]


def perfect(recorded: Recorded) -> dict[str, float]:
    """What local tracks of whom nobody is mistaken would give: each box the person it is on."""
    from site_support import owners_of

    owners = owners_of(recorded)[0]
    results = {}
    for name, table in recorded.tables().items():
        ids = np.array([owners.get((name, track), -1) for track in table.tracks.tolist()])
        kept = ids >= 0
        xyxy = table.boxes[kept].astype(np.float64)
        xywh = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1)
        count = int(kept.sum())
        results[name] = once(Boxes(table.frames[kept], ids[kept], xywh, np.ones(count), np.full(count, -1)))
    return scores(recorded, results)


def main() -> None:
    options = site_options(__doc__, rank1=0.7)
    for recorded in recordings(options):
        tables = recorded.tables()
        offline = {name: scores(recorded, identify(tables, how)) for name, how in BASELINES.items()}
        row = {
            "site": recorded.settings.text(),
            "tracker": options.tracker,
            "bridge": options.bridge,
            "people": len(np.unique(np.concatenate([boxes.ids for boxes in recorded.truth.values()]))),
            "tracks": sum(len(np.unique(table.tracks)) for table in tables.values()),
            "perfect_joins": perfect(recorded),
            "offline": offline,
        }
        for calibrated in (True, False):
            if options.only in (None, "calibrated" if calibrated else "uncalibrated"):
                print(json.dumps({**row, **fused(recorded, calibrated, options.bridge)}), flush=True)


if __name__ == "__main__":
    main()
