"""Sequences and references for the trackers' benchmarks."""

from __future__ import annotations

import configparser
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from operators.records import SECOND_NS  # noqa: E402
from operators.track import create  # noqa: E402
from operators.track.mot_text import read_mot  # noqa: E402
from operators.track.scoring import Counts, Truth, count, read_truth  # noqa: E402

SHARED = ROOT / ".." / "shared"
BENCHES = ("MOT15", "MOT17-val")

# The references at official parameters; lost tracks live for 30 frames (SORT: one), whatever the frame rate.
OFFICIAL = {
    "SORT-ref": ("sort", 1),
    "ByteTrack-ref": ("bytetrack", 30),
    "OC-SORT-ref": ("ocsort", 30),
}


@dataclass(frozen=True)
class Sequence:
    """One sequence: its detections as (N, 5) rows, its ground truth, its frame rate."""

    bench: str
    name: str
    fps: float
    rows: list[np.ndarray]
    truth: Truth

    @property
    def floor(self) -> float:
        """The score that a one-stage tracker's detections must have: all of MOT15's are used."""
        return 0.0 if self.bench == "MOT15" else 0.6


def sequences(bench: str) -> list[Sequence]:
    """All sequences of a bench; raises SystemExit where the data is absent."""
    folder = SHARED / "data" / "mot" / bench
    if not folder.exists():
        raise SystemExit(f"needs {folder}")
    found = []
    for place in sorted(folder.iterdir()):
        info = configparser.ConfigParser()
        info.read(place / "seqinfo.ini")
        frames = int(info["Sequence"]["seqLength"])
        given = read_mot(place / "det" / "det.txt")
        rows = [np.column_stack([d.boxes, d.scores]).astype(np.float64) for d in given]
        rows += [np.zeros((0, 5))] * (frames - len(rows))
        truth = read_truth(place / "gt" / "gt.txt", frames)
        found.append(Sequence(bench, place.name, float(info["Sequence"]["frameRate"]), rows, truth))
    return found


def official(sequence: Sequence, reference: str) -> tuple[str, dict[str, Any]]:
    """The tracker and the parameters that stand for a reference on a sequence."""
    name, frames = OFFICIAL[reference]
    parameters: dict[str, Any] = {"rate_hz": sequence.fps, "lost_seconds": frames / sequence.fps}
    if name == "sort":
        parameters["min_score"] = sequence.floor
    return name, parameters


def score(sequence: Sequence, name: str, parameters: Mapping[str, Any], every: int = 1) -> Counts:
    """Tracks every `every`-th frame of a sequence and counts on those; times are the video's own."""
    tracker = create(name, **{"rate_hz": sequence.fps, **parameters})
    box = slice(8, 12) if name == "ocsort" else slice(0, 4)
    ids, boxes = [], []
    kept = range(0, len(sequence.rows), every)
    for k in kept:
        told = tracker.update_rows(sequence.rows[k], round(k * SECOND_NS / sequence.fps))
        ids.append(told[:, 4].astype(int))
        left, size = np.round(told[:, box][:, :2], 2), np.round(told[:, box][:, 2:] - told[:, box][:, :2], 2)
        boxes.append(np.hstack([left, left + size]))  # as MOT text has them
    truth = sequence.truth
    part = Truth([truth.ids[k] for k in kept], [truth.boxes[k] for k in kept], [truth.distractor[k] for k in kept])
    return count(part, ids, boxes)


def summed(counts: Iterator[Counts] | list[Counts]) -> Counts:
    """The counts of several sequences together."""
    first, *rest = counts
    for other in rest:
        first = first + other
    return first


def row(counts: Counts) -> dict[str, float]:
    """What is printed of counts."""
    return {
        "HOTA": round(counts.hota, 2),
        "IDF1": round(counts.idf1, 2),
        "MOTA": round(counts.mota, 2),
        "IDSW": int(counts.switches),
        "FP": int(counts.false),
        "FN": int(counts.missed),
    }


def unfaithful() -> list[str]:
    """Where SORT, ByteTrack or OC-SORT miss the official FP, FN or ID switches; empty where all are met."""
    tables = json.loads((SHARED / "bench" / "reference_tables.json").read_text())
    missed = []
    for bench in BENCHES:
        for sequence in sequences(bench):
            for reference in OFFICIAL:
                name, parameters = official(sequence, reference)
                found, expected = row(score(sequence, name, parameters)), tables[bench][reference][sequence.name]
                got, wanted = ([one[key] for key in ("FP", "FN", "IDSW")] for one in (found, expected))
                if got != wanted:
                    missed.append(f"{reference} on {sequence.name}: FP, FN, IDSW {got}, official {wanted}")
    return missed
