"""The strategies at official parameters give the official numbers, sequence by sequence."""

from __future__ import annotations

import configparser
import json
from pathlib import Path
from typing import Any

import pytest

from operators.track import create
from operators.track.mot_text import mot_rows, read_mot, track_frames

SHARED = Path(__file__).resolve().parents[3] / ".." / "shared"
TABLES = SHARED / "bench" / "reference_tables.json"
MOT = SHARED / "data" / "mot"

pytestmark = pytest.mark.skipif(not (TABLES.exists() and MOT.exists()), reason="needs shared/data/mot and its tables")

OFFICIAL: dict[str, tuple[str, Any]] = {
    # The references keep lost tracks for 30 frames, whatever the frame rate.
    "ByteTrack-ref": ("bytetrack", lambda fps, floor: {"lost_seconds": 30 / fps}),
    "SORT-ref": ("sort", lambda fps, floor: {"lost_seconds": 1 / fps, "min_score": floor}),
    "OC-SORT-ref": ("ocsort", lambda fps, floor: {"lost_seconds": 30 / fps}),
}
QUICK = [("MOT15", "KITTI-17"), ("MOT15", "TUD-Stadtmitte"), ("MOT17-val", "MOT17-09-FRCNN")]


@pytest.mark.parametrize(("bench", "sequence"), QUICK)
@pytest.mark.parametrize("reference", OFFICIAL)
def test_errors_are_the_references_own(reference: str, bench: str, sequence: str, tmp_path: Path) -> None:
    pytest.importorskip("trackeval")
    folder = MOT / bench / sequence
    info = configparser.ConfigParser()
    info.read(folder / "seqinfo.ini")
    fps = float(info["Sequence"]["frameRate"])
    name, parameters = OFFICIAL[reference]
    tracker = create(name, rate_hz=fps, **parameters(fps, 0.0 if bench == "MOT15" else 0.6))
    frames = read_mot(folder / "det" / "det.txt")
    with (tmp_path / f"{sequence}.txt").open("w") as out:
        for number, tracks in enumerate(track_frames(tracker, frames, fps), 1):
            out.write(mot_rows(number, tracks, measured=name == "ocsort"))
    found = _errors(MOT / bench, tmp_path, bench, sequence, int(info["Sequence"]["seqLength"]))
    expected = json.loads(TABLES.read_text())[bench][reference][sequence]
    assert found == {key: expected[key] for key in ("FP", "FN", "IDSW")}


def _errors(truth: Path, results: Path, bench: str, sequence: str, frames: int) -> dict[str, int]:
    import trackeval

    data = results / "ours" / "data"
    data.mkdir(parents=True)
    (results / f"{sequence}.txt").rename(data / f"{sequence}.txt")
    dataset = trackeval.datasets.MotChallenge2DBox(
        {
            "GT_FOLDER": str(truth),
            "TRACKERS_FOLDER": str(results),
            "TRACKERS_TO_EVAL": ["ours"],
            "BENCHMARK": bench[:5],
            "SKIP_SPLIT_FOL": True,
            "SEQ_INFO": {sequence: frames},
            "PRINT_CONFIG": False,
            "OUTPUT_FOLDER": str(results),
        }
    )
    prepared = dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data("ours", sequence), "pedestrian")
    scores = trackeval.metrics.CLEAR({"PRINT_CONFIG": False}).eval_sequence(prepared)
    return {"FP": int(scores["CLR_FP"]), "FN": int(scores["CLR_FN"]), "IDSW": int(scores["IDSW"])}
