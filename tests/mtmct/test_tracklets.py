"""Tracklets as columns: nothing is lost, nothing mixed up, and what does not fit together is left as it came."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace

import numpy as np
import pytest
from fusion_scenes import look, straight, tracklet

from mtmct.fusion import END_OF_TIME, FusionEngine
from mtmct.records import CameraBatch
from mtmct.topology import Topology
from mtmct.tracklets import Tracklet, Tracklets, as_columns, names_of, those_at
from operators.records import SECOND_NS


def a_few(name: str = "a") -> list[Tracklet]:
    """Without a look, with two and attributes, ended without another point, and with one look."""
    looks = replace(
        tracklet(name, 5, straight(4, 4), 0, 0.5, look=look(1), cls="dog"),
        embeddings=np.stack([look(1), look(2)]),
        qualities=np.array([0.5, 1], np.float32),
        attributes={"bag": {"backpack": 1.0}},
    )
    return [
        tracklet(name, 3, straight(5, 5), 0, 1),
        looks,
        tracklet(name, 8, straight(1, 1), 0, 0, ended=True),
        tracklet(name, 2**40, straight(9, 5), 0.2, 0.6, look=look(3), ended=True),
    ]


def same(one: Tracklet, other: Tracklet) -> bool:
    """By value and type; None and an empty table say the same: no look."""
    for part in fields(Tracklet):
        mine, theirs = getattr(one, part.name), getattr(other, part.name)
        if part.name == "embeddings" and not len(one.qualities):
            mine, theirs = len([] if mine is None else mine), len([] if theirs is None else theirs)
        if isinstance(mine, np.ndarray):
            if not np.array_equal(mine, theirs) or mine.dtype != theirs.dtype:
                return False
        elif mine != theirs or type(mine) is not type(theirs):
            return False
    return True


def all_same(some: Tracklets, others: list[Tracklet]) -> bool:
    return len(some) == len(others) and all(map(same, some, others))


def test_columns_give_back_every_tracklet_as_it_was():
    pieces = a_few()
    columns = Tracklets.of(pieces)
    assert all_same(columns, pieces)
    assert same(columns[-1], pieces[-1]) and all_same(columns[1:3], pieces[1:3])
    assert columns.names == [("a", 3), ("a", 5), ("a", 8), ("a", 2**40)]
    with pytest.raises(IndexError):
        columns[4]
    assert not Tracklets.of([]) and list(Tracklets.of([])) == []


def test_batches_put_together_keep_order_names_and_what_is_whose():
    of_b = [replace(piece, cls="cat") for piece in a_few("b")]
    together = Tracklets.joined([Tracklets.of(of_b), Tracklets.of([]), Tracklets.of(a_few("a"))])
    assert all_same(together, [*of_b, *a_few("a")])
    assert together.cameras == ("a", "b") and together.heard_of == ["a", "b"]
    rows = [6, 0, 3]
    assert all_same(together.at(np.array(rows)), [[*of_b, *a_few("a")][row] for row in rows])
    assert together.at(np.array([0, 1])).heard_of == ["b"]
    assert [len(piece.qualities) for piece in together.without_looks()] == [0] * 8


def test_leaving_out_those_without_points_copies_no_points():
    columns = Tracklets.of(a_few())
    seen = columns.at(np.flatnonzero(columns.lengths > 0))
    assert all_same(seen, [piece for piece in a_few() if len(piece)])
    assert np.shares_memory(seen.boxes, columns.boxes) and np.shares_memory(seen.looks, columns.looks)


def test_a_batch_is_the_same_after_it_has_travelled_and_a_fraction_of_the_bytes():
    pieces = [tracklet("a", number, straight(5, 5), 0, 1, look=look(number)) for number in range(10)]
    plain, batch = (CameraBatch("a", 1, 0, 0, SECOND_NS, kind(pieces)) for kind in (tuple, as_columns))
    sent = pickle.dumps(batch, protocol=5)
    assert all_same(pickle.loads(sent).tracklets, pieces)
    content = sum(getattr(piece, name).nbytes for piece in pieces for name in ("times_ns", "boxes", "embeddings"))
    assert len(sent) < 2 * content < len(pickle.dumps(plain, protocol=5))


@pytest.mark.parametrize("change", [{}, {"boxes": np.ones((10, 4))}, {"times_ns": np.arange(10, dtype=np.int32)}])
def test_a_batch_of_any_tracklets_travels_and_what_it_says_is_the_same(change):
    pieces = [replace(a_few()[0], **change), *a_few()[1:]] if change else []
    columns = Tracklets.of(pieces)
    again = pickle.loads(pickle.dumps(columns))
    assert all_same(again, list(columns)) and again.cameras == columns.cameras
    joined = Tracklets.joined([again, again])
    assert all_same(joined, [*columns, *columns])
    assert joined.boxes.flags.writeable, "in arrays of their own"


@pytest.mark.parametrize(
    "odd",
    [
        {"embeddings": np.ones((1, 8), np.float32)},
        {"embeddings": np.ones((2, 16), np.float32)},
        {"embeddings": np.ones(1, np.float32)},
        {"embeddings": np.ones((1, 4, 4), np.float32)},
        {"qualities": np.ones(0, np.float32)},
    ],
)
def test_what_does_not_fit_together_stays_as_it_came_and_is_said(odd):
    pieces = [
        tracklet("a", number, straight(5 * number, 5), 0, 1, look=look(number), ended=True) for number in (1, 2, 3)
    ]
    pieces[1] = replace(pieces[1], **odd)
    with pytest.raises(ValueError):
        Tracklets.of(pieces)
    kept = as_columns(pieces)
    assert list(map(id, kept)) == list(map(id, pieces))
    engine = FusionEngine("plaza", Topology())
    commit = engine.advance([CameraBatch("a", 1, 0, 0, SECOND_NS, kept)], END_OF_TIME)
    (letter,) = [record.value for record in commit.records if record.topic == "deadletter"]
    assert letter["reason"] == "wrong_embedding" and letter["payload"]["track"] == 2
    assert sorted(record.value["track"] for record in commit.records if record.topic == "tracks") == [1, 2, 3]


def test_looks_of_another_length_in_another_camera_are_set_aside_alone():
    batches = [
        CameraBatch(
            name, 1, 0, 0, SECOND_NS,
            as_columns([tracklet(name, 1, straight(5, 5), 0, 1, look=look(1, dim), ended=True)]),
        )
        for name, dim in (("b", 8), ("a", 16))
    ]  # fmt: skip
    commit = FusionEngine("plaza", Topology()).advance(batches, END_OF_TIME)
    (letter,) = [record.value for record in commit.records if record.topic == "deadletter"]
    assert letter["camera"] == "b" and "[1, 8] at a site of length 16" in letter["detail"]
    assert {record.value["camera"] for record in commit.records if record.topic == "tracks"} == {"a", "b"}


@pytest.mark.parametrize("kind", [tuple, as_columns])
def test_some_are_picked_by_name_columns_or_not(kind):
    said = kind(a_few())
    rows = [row for row, name in enumerate(names_of(said)) if name != ("a", 5)]
    assert names_of(those_at(said, rows)) == [("a", 3), ("a", 8), ("a", 2**40)]
