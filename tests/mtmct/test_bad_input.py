"""What cameras should never say, and what becomes of it: a rule, a count, and everybody else unharmed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace

import numpy as np
import pytest
from fusion_scenes import camera, look, play, records, script, straight, topology, tracklet

from mtmct.fusion import END_OF_TIME, FusionEngine
from mtmct.intake import take_in
from mtmct.records import CameraBatch
from mtmct.topology import CameraGeometry, Topology
from mtmct.tracklets import Tracklet, as_columns
from mtmct.tracks import TrackMemory
from operators.records import SECOND_NS

ORIGINS = {"a": (0.0, 0.0), "b": (10.0, 0.0)}


def engine() -> FusionEngine:
    return FusionEngine("plaza", topology(camera("a"), camera("b", 10)))


def one_camera(*tracklets: Tracklet, kind: Callable[..., Sequence[Tracklet]] = tuple) -> list:
    batch = CameraBatch(tracklets[0].camera, 1, 0, 0, SECOND_NS, kind(tracklets))
    return [(SECOND_NS, [batch]), (END_OF_TIME, [])]


def usual() -> Tracklet:
    return tracklet("a", 1, straight(5, 5), 0, 1, look=look(1), ended=True)


def letters(commits) -> list[tuple[str, str]]:
    return [(value["reason"], value["detail"]) for value in records(commits, "deadletter")]


def published(commits) -> dict[tuple[str, int], int]:
    counts: dict[tuple[str, int], int] = {}
    for value in records(commits, "tracks"):
        name = (value["camera"], value["track"])
        counts[name] = counts.get(name, 0) + len(value["points"])
    return counts


@pytest.mark.parametrize("kind", [tuple, as_columns])
@pytest.mark.parametrize(
    ("change", "reason", "said", "left"),
    [
        (lambda t: {"boxes": np.where(np.arange(10)[:, None] == 3, np.nan, t.boxes)}, "bad_box", "1 of 10 boxes", 9),
        (lambda t: {"boxes": t.boxes[:, [2, 3, 0, 1]]}, "bad_box", "10 of 10 boxes", 0),
        (lambda t: {"scores": np.where(np.arange(10) == 3, np.nan, t.scores)}, "bad_score", "1 of 10 scores", 9),
        (lambda t: {"times_ns": t.times_ns[[0, 1, 2, 3, 2, 1, 4, 5, 6, 7]]}, "time_backwards", "2 of 10 points", 8),
        (lambda t: {"times_ns": np.full(10, 5)}, "time_backwards", "9 of 10 points", 1),
        (lambda t: {"embeddings": np.full((1, 16), np.inf, np.float32)}, "nan_embedding", "1 of 1 embeddings", 10),
        (lambda t: {"qualities": np.full(1, np.nan, np.float32)}, "nan_embedding", "1 of 1 embeddings", 10),
        (lambda t: {"embeddings": np.ones((2, 16), np.float32)}, "wrong_embedding", r"shape [2, 16]", 10),
    ],
)
def test_useless_rows_are_left_out_counted_and_explained(change, reason, said, left, kind):
    bad = usual()
    good = tracklet("a", 2, straight(9, 5), 0, 1, ended=True)
    commits = play(engine(), one_camera(replace(bad, **change(bad)), good, kind=kind))
    ((why, detail),) = letters(commits)
    assert why == reason and said in detail and "track 1 of camera a" in detail
    assert published(commits).get(("a", 1), 0) == left
    assert published(commits)["a", 2] == 10, "others are unharmed"


@pytest.mark.parametrize("kind", [tuple, as_columns])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: {"boxes": np.hstack([t.boxes, t.boxes[:, :1]])}, "boxes [10, 5]"),
        (lambda t: {"boxes": t.boxes[:, :3]}, "boxes [10, 3]"),
        (lambda t: {"boxes": t.boxes.reshape(-1)}, "boxes [40]"),
        (lambda t: {"scores": t.scores[:5]}, "scores [5]"),
        (lambda t: {"scores": t.scores[:, None]}, "scores [10, 1]"),
        (lambda t: {"times_ns": t.times_ns[:0]}, "times_ns [0]"),
        (lambda t: {"frames": t.frames[:0]}, "frames [0]"),
        (lambda t: {"times_ns": t.times_ns / SECOND_NS}, "times_ns are float64"),
        (lambda t: {"boxes": t.boxes.astype(str)}, "boxes are <U"),
    ],
)
def test_a_tracklet_whose_points_do_not_fit_together_is_set_aside_and_explained(change, said, kind):
    bad = usual()
    good = tracklet("a", 2, straight(9, 5), 0, 1, look=look(2), ended=True)
    commits = play(engine(), one_camera(replace(bad, **change(bad)), good, kind=kind))
    ((why, detail),) = letters(commits)
    assert why == "wrong_shape" and said in detail and "track 1 of camera a" in detail
    assert published(commits) == {("a", 2): 10}


def test_too_few_boxes_of_one_track_are_not_made_up_for_by_too_many_of_another():
    few, many = usual(), tracklet("a", 2, straight(9, 5), 0, 1, ended=True)
    few, many = replace(few, boxes=few.boxes[:9]), replace(many, boxes=many.boxes[[0, *range(10)]])
    commits = play(engine(), one_camera(few, many))
    assert [why for why, _ in letters(commits)] == ["wrong_shape"] * 2 and published(commits) == {}


@pytest.mark.parametrize("kind", [np.uint32, np.uint64, np.int32])
def test_whole_numbers_of_another_kind_say_the_same(kind):
    plain = usual()
    other = replace(plain, times_ns=plain.times_ns.astype(kind), frames=plain.frames.astype(kind))
    assert play(engine(), one_camera(other)) == play(engine(), one_camera(plain))


def test_qualities_in_two_dimensions_cost_the_looks_and_no_more():
    commits = play(engine(), one_camera(replace(usual(), qualities=np.ones((1, 1), np.float32))))
    assert [why for why, _ in letters(commits)] == ["wrong_embedding"] and published(commits) == {("a", 1): 10}


def test_another_length_of_embeddings_than_the_sites_first_is_set_aside():
    first, other = usual(), tracklet("a", 2, straight(9, 5), 0, 1, look=look(2, dim=8), ended=True)
    commits = play(engine(), one_camera(first, other))
    ((why, detail),) = letters(commits)
    assert why == "wrong_embedding" and "[1, 8] at a site of length 16" in detail
    assert published(commits) == {("a", 1): 10, ("a", 2): 10}


def test_a_camera_that_the_topology_does_not_know_counts_as_not_calibrated():
    stranger = tracklet("z", 1, straight(5, 5), 0, 1, look=look(1), ended=True)
    commits = play(engine(), one_camera(stranger))
    assert published(commits) == {("z", 1): 10} and letters(commits) == []
    assert all(point[6] is None for value in records(commits, "tracks") for point in value["points"])


def test_boxes_outside_the_picture_are_set_aside_and_disturb_nobody():
    path = straight(5, 5)
    far = tracklet("a", 2, straight(2000, 900), 0, 6, ended=True)
    walks = {(name, 1): {"path": path if name == "a" else straight(12, 5), "start": 0, "end": 6} for name in "ab"}
    steps = script(walks, ORIGINS, 7)
    with_far = [*steps]
    watermark, made = steps[5]
    with_far[5] = (watermark, [replace(each, tracklets=(*each.tracklets, far)) if each.camera == "a" else each
                               for each in made])  # fmt: skip
    plain, disturbed = play(engine(), steps), play(engine(), with_far)
    ((why, detail),) = letters(disturbed)
    assert why == "outside_picture" and "60 of 60 boxes" in detail and "track 2 of camera a" in detail
    assert published(disturbed) == published(plain)


@pytest.mark.parametrize("edge", [[-30, 50, 1, 90], [499, 0, 520, 40], [0, -50, 20, 1]])
def test_a_box_with_a_part_in_the_picture_is_inside(edge):
    kept = replace(usual(), boxes=np.tile(np.array(edge, np.float32), (10, 1)))
    commits = play(engine(), one_camera(kept))
    assert published(commits) == {("a", 1): 10} and letters(commits) == []


def test_clocks_minutes_apart_cost_recognition_and_nothing_else():
    late = 240
    walks = {
        ("a", 1): {"path": straight(15, 5), "start": 0, "end": 8, "look": look(1)},
        ("b", 1): {"path": straight(15, 5), "start": late, "end": late + 8, "look": look(1)},
    }
    commits = play(engine(), script(walks, ORIGINS, late + 10))
    assert published(commits) == {("a", 1): 80, ("b", 1): 80} and letters(commits) == []
    starts = [value["start"] for value in records(commits, "tracks")]
    assert starts == sorted(starts)


def test_a_batch_of_a_worker_thought_dead_counts_as_the_repetition_that_it_is():
    batch = CameraBatch("a", 1, 0, 0, SECOND_NS, (usual(),))
    again = replace(batch, epoch=2)
    commits = play(engine(), [(SECOND_NS, [again, batch, batch]), (END_OF_TIME, [])])
    assert published(commits) == {("a", 1): 10} and letters(commits) == []


def test_feet_beyond_the_horizon_are_counted_and_published_without_a_place():
    tilted = CameraGeometry("a", np.array([[0.05, 0.0, -16.0], [0.0, 0.02, 4.0], [0.0, 0.002, -0.6]]), (1000, 500))
    fusion = FusionEngine("plaza", Topology([tilted]))  # horizon at v = 300
    standing = tracklet("a", 1, straight(10, 8), 0, 1)
    boxes = standing.boxes.copy()
    boxes[:4, [1, 3]] -= 120
    commits = play(fusion, one_camera(replace(standing, boxes=boxes)))
    ((reason, detail),) = letters(commits)
    assert reason == "beyond_horizon" and "4 of 10 boxes" in detail
    points = [point for value in records(commits, "tracks") for point in value["points"]]
    assert [point[6] is None for point in points] == [True] * 4 + [False] * 6


def test_what_can_be_used_is_taken_in_with_all_that_it_says():
    one = Tracklet(
        "a",
        7,
        "person",
        np.array([1, 2]),
        np.array([0, SECOND_NS // 2]),
        np.array([[10, 10, 20, 40], [11, 10, 21, 40]], np.float32),
        np.array([0.5, 0.25], np.float32),
        np.array([[3.0, 4.0]], np.float32),
        np.array([0.75], np.float32),
        True,
        {"bag": {"backpack": 1.0}},
    )
    batch = CameraBatch("a", 1, 0, 0, SECOND_NS, (one,))
    taken_in = take_in([batch], TrackMemory(), Topology(), "plaza", 0).arrivals
    (taken,) = taken_in
    assert taken_in.looks.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)]]
    for part in fields(Tracklet):
        if part.name != "embeddings":
            assert np.array_equal(getattr(taken, part.name), getattr(one, part.name)), part.name
