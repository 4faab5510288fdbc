"""Clocks that disagree: multi-camera IDF1 with one camera's clock wrong, and what fusion says of the clocks.

python tests/benchmarks/fusion_skew.py terrace|pets [--ahead SECONDS ...] [--modes off report apply]

Prints a line of JSON for every mode and every clock: the skew set, IDF1, identity switches, the skews that were found
at the end, when the correction came, seconds of computing, and bytes of state written.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping

import fusion_pets
import fusion_terrace
from fusion_support import CameraTable, fuse

from mtmct.fusion import FusionEngine
from mtmct.records import EVENTS
from mtmct.settings import FusionSettings
from mtmct.topology import CameraGeometry, Topology


def terrace() -> tuple[dict[str, CameraTable], Topology]:
    cameras = fusion_terrace.tables(False, 0.0, 0)
    return cameras, Topology([CameraGeometry(name, fusion_terrace.homography(name), (360, 288)) for name in cameras])


def pets() -> tuple[dict[str, CameraTable], Topology]:
    crops = fusion_pets.CROPS
    cameras = fusion_pets.tables(crops, 0.0, 0.0, True, 0)
    sizes = {name: (right - left, 576) for name, (left, right) in crops.items()}
    matrices = {name: fusion_pets.homography(left) for name, (left, _) in crops.items()}
    return cameras, Topology([CameraGeometry(name, matrices[name], sizes[name]) for name in cameras])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", choices=("terrace", "pets"))
    parser.add_argument("--ahead", type=float, nargs="*", default=[0.0, 0.5, 1.0, 2.0])
    parser.add_argument("--modes", nargs="*", default=["off", "report", "apply"])
    parser.add_argument("--camera", nargs="*", help="whose clock is wrong; all in turn if not given")
    options = parser.parse_args()
    cameras, topology = {"terrace": terrace, "pets": pets}[options.data]()
    for ahead in options.ahead:
        for wrong in options.camera or (list(cameras) if ahead else list(cameras)[:1]):
            for table in cameras.values():
                table.start_s = 1000.0
            cameras[wrong].start_s += ahead
            for mode in options.modes:
                print(json.dumps({"ahead": ahead, "camera": wrong, "mode": mode, **played(cameras, topology, mode)}))


def played(cameras: Mapping[str, CameraTable], topology: Topology, mode: str) -> dict[str, object]:
    engine = FusionEngine("site", topology, FusionSettings(clock_skew=mode))
    outcome = fuse(engine, cameras)
    scores = outcome.scores(cameras)
    said = [
        (round(record.time_ns / 1e9 - 1000, 1), record.key, record.value["skew"], record.value["applied"])
        for commit in outcome.commits
        for record in commit.records
        if record.topic == EVENTS and record.value["type"] == "clock_skew"
    ]
    latest = {camera: skew for _, camera, skew, _ in said}
    written = sum(len(data) for commit in outcome.commits for data in commit.state.values() if data is not None)
    return {
        **{name: scores[name] for name in ("idf1", "idsw", "identities", "seconds")},
        "skews": latest,
        "events": len(said),
        "corrected": [entry for entry in said if entry[3]],
        "state_bytes": written,
    }


if __name__ == "__main__":
    main()
