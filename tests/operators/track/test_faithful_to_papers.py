"""DeepSORT, FairMOT and CenterTrack give the ids that plain re-implementations of their papers give, in every frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracles import CenterTrackOracle, DeepSortOracle, FairMotOracle, iou

from operators.records import SECOND_NS, Detections, TrackState
from operators.track import create
from operators.track.mot_text import read_mot
from operators.track.scoring import read_truth

MOT = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "mot"
FPS = 25.0

ORACLES = {
    "deepsort": (DeepSortOracle, {"lost_seconds": 70 / FPS}),
    "fairmot": (FairMotOracle, {"lost_seconds": 30 / FPS}),
    "centertrack": (CenterTrackOracle, {"offsets": True}),
}

Frames = Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]


def compare(name: str, frames: Frames) -> set[int]:
    """Runs both on (boxes, scores, looks, offsets) a frame; returns the ids told."""
    kind, parameters = ORACLES[name]
    oracle, tracker, told = kind(), create(name, rate_hz=FPS, **parameters), set()
    for k, (boxes, scores, looks, offsets) in enumerate(frames):
        beside = offsets if name == "centertrack" else looks
        tracks = tracker.update(
            Detections(boxes, scores, np.zeros(len(boxes), np.int32), beside), round(k * SECOND_NS / FPS)
        )
        assert (tracks.states == TrackState.CONFIRMED).all()
        found = dict(zip(tracks.detections.tolist(), tracks.ids.tolist(), strict=True))
        assert found == oracle.update(boxes, scores, beside), f"frame {k + 1}"
        told |= set(found.values())
    return told


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def scene(seed: int, people: int, frames: int, missed: float, blur: float, speed: float) -> Frames:
    """People of different sizes who cross each other's ways, go away for a while, are missed, look alike or not."""
    rng = np.random.default_rng(seed)
    place, walk = rng.uniform(0, 500, (people, 2)), rng.normal(0, speed, (people, 2))
    size, looks = rng.uniform([25, 60], [60, 140], (people, 2)), unit(rng.normal(size=(people, 8)))
    leave, stay = rng.uniform(0, frames, people), rng.uniform(0, 0.7 * frames, people)
    for k in range(frames):
        walk += rng.normal(0, speed / 10, (people, 2))
        place += walk
        here = (k < leave) | (k > leave + stay)
        seen = rng.permutation(np.flatnonzero(here & (rng.random(people) > missed)))
        corner = place[seen] + rng.normal(0, 1.5, (len(seen), 2))
        wide = size[seen] * np.exp(rng.normal(0, 0.03, (len(seen), 2)))
        scores = rng.uniform(0.15, 1.0, len(seen)).astype(np.float32)
        offsets = (rng.normal(0, 2, (len(seen), 2)) - walk[seen]).astype(np.float32)
        yield (
            np.hstack([corner, corner + wide]).astype(np.float32),
            scores,
            unit(looks[seen] + rng.normal(0, blur, (len(seen), 8))),
            offsets,
        )


@pytest.mark.parametrize("name", ORACLES)
@given(
    seed=st.integers(0, 2**32 - 1),
    people=st.integers(1, 10),
    missed=st.floats(0, 0.5),
    blur=st.floats(0.01, 0.6),
    speed=st.floats(0.1, 12),
)
# A look 7e-6 beyond DeepSORT's limit is no match.
@example(seed=128, people=9, missed=0.21875, blur=0.5, speed=1.0)
@settings(max_examples=40, deadline=None)
def test_ids_are_the_papers_in_any_scene(
    name: str, seed: int, people: int, missed: float, blur: float, speed: float
) -> None:
    compare(name, scene(seed, people, 25, missed, blur, speed))


@pytest.mark.parametrize("name", ORACLES)
def test_a_long_scene_has_lost_tracks_that_come_back_and_lost_tracks_that_do_not(name: str) -> None:
    assert len(compare(name, scene(7, 12, 160, 0.1, 0.25, 3.0))) > 12


def real(folder: Path, frames: int) -> Frames:
    """A sequence's detections; each looks like whom it shows, by ground truth, or like nobody; offsets likewise."""
    truth, rng = read_truth(folder / "gt" / "gt.txt"), np.random.default_rng(5)
    looks = unit(rng.normal(size=(1 + max(int(ids.max(initial=0)) for ids in truth.ids), 16)))
    last: dict[int, np.ndarray] = {}
    for k, detections in enumerate(read_mot(folder / "det" / "det.txt")[:frames]):
        now: dict[int, np.ndarray] = {}
        beside, offsets = rng.normal(size=(len(detections), 16)), np.zeros((len(detections), 2))
        for row, box in enumerate(detections.boxes.astype(float)):
            overlaps = [iou(box, other) for other in truth.boxes[k]]
            if overlaps and max(overlaps) > 0.3:
                who = int(truth.ids[k][int(np.argmax(overlaps))])
                beside[row] = looks[who] + 0.2 * rng.normal(size=16)
                now[who] = (box[:2] + box[2:]) / 2
                offsets[row] = last.get(who, now[who]) - now[who] + rng.normal(0, 2, 2)
        last = now
        yield detections.boxes, detections.scores, unit(beside), offsets.astype(np.float32)


@pytest.mark.skipif(not MOT.exists(), reason="needs shared/data/mot")
@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("folder", ["MOT15/TUD-Stadtmitte", "MOT15/KITTI-17", "MOT17-val/MOT17-09-FRCNN"])
def test_ids_are_the_papers_on_real_detections(name: str, folder: str) -> None:
    assert len(compare(name, real(MOT / folder, 150))) > 5
