"""Online fusion against PP-Tracking's offline clustering, on the same tracklets of pets_s2l1 as two cameras.

Fusion is shown three times: with all it has, with appearance alone, and what was published before corrections.
The baseline is shown as published, with those in no cluster kept instead of dropped, with re-ranking, and with
the thresholds that suit this recording best, chosen with the ground truth in hand.

python tests/benchmarks/offline_mtmct.py [--gap] [--jitter] [--broken] [--tracker]
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from fusion_pets import CROPS, CROPS_WITH_A_GAP, homography, tables
from fusion_support import CameraTable, evaluation, fuse, tracked
from offline_clustering import Offline, identify

from mtmct.fusion import FusionEngine
from mtmct.settings import AppearanceCalibration, FusionSettings
from mtmct.topology import CameraGeometry, Topology
from operators.embed import StripeEmbedder


def offline_rows(seen: Mapping[str, CameraTable], truth: Mapping[str, CameraTable]) -> dict[str, object]:
    """The baseline's IDF1 in its variants."""

    def idf1(how: Offline) -> float:
        return round(evaluation(truth, identify(seen, how)).across.idf1, 2)

    distances = (0.02, 0.05, 0.1, 0.2, 0.5, 0.9)
    grid = [
        Offline(first, second, rerank, keep_alone=keep)
        for first, second in itertools.product(distances, distances)
        for rerank, keep in itertools.product((False, True), repeat=2)
        if first <= second
    ]
    best = max(grid, key=idf1)
    usual = Offline()
    return {
        "offline": idf1(usual),
        "offline_reranked": idf1(replace(usual, rerank=True)),
        "offline_keeping_all": idf1(replace(usual, keep_alone=True)),
        "offline_keeping_all_reranked": idf1(replace(usual, keep_alone=True, rerank=True)),
        "offline_best_thresholds": {
            "idf1": idf1(best),
            "first": best.first,
            "second": best.second,
            "rerank": best.rerank,
            "keeping_all": best.keep_alone,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gap", action="store_true", help="a blind gap of 64 pixels instead of an overlap")
    parser.add_argument("--jitter", type=float, default=0.0, help="standard deviation of box sides, part of the size")
    parser.add_argument("--broken", type=float, default=0.0, help="track breaks a second")
    parser.add_argument("--tracker", help="forget the ids and let this tracker make its own")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    crops = CROPS_WITH_A_GAP if options.gap else CROPS
    truth = tables(crops, options.jitter, options.broken, True, options.seed)
    seen = {name: tracked(table, options.tracker) for name, table in truth.items()} if options.tracker else truth
    settings = FusionSettings(appearance=AppearanceCalibration(*StripeEmbedder.calibration))
    online = {}
    for name, calibrated in (("fusion", True), ("fusion_appearance_only", False)):
        sites = [
            CameraGeometry(camera, homography(left) if calibrated else None, (right - left, 576))
            for camera, (left, right) in crops.items()
        ]
        scores = fuse(FusionEngine("pets", Topology(sites), settings), seen).scores(truth)
        online[name] = {"corrected": scores["idf1"], "as_published": scores["idf1_as_published"]}
    tracklets = sum(len(np.unique(table.tracks)) for table in seen.values())
    print(json.dumps({**vars(options), "tracklets": tracklets, "idf1": {**online, **offline_rows(seen, truth)}}))


if __name__ == "__main__":
    main()
