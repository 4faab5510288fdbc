"""One camera's chain: what becomes of its frames, interval by interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from mtmct.floor import Floor, FloorMask
from mtmct.records import CameraBatch
from mtmct.topology import CameraGeometry, Topology
from operators.records import Detections, Frame, StateError, pack
from operators.track import create
from pipeline.camera import CameraChain, Delivery
from pipeline.chain_parts import Describer
from pipeline.sources.base import Rejected

SECOND = 1_000_000_000
FPS = 10


def walker(index: int, *, tracks: bool = False, embedding: bool = False) -> Delivery:
    """Frame `index` of somebody who walks to the right, two pixels a frame."""
    box = np.array([[100 + 2 * index, 100, 140 + 2 * index, 200]], np.float32)
    unit = np.array([[1, 0]], np.float32) if embedding else None
    ids = np.array([7]) if tracks else None
    given = Detections(box, np.array([0.9], np.float32), np.zeros(1, np.int32), unit, ids)
    frame = Frame("north", index, (index - 1) * SECOND // FPS, None, given)
    return Delivery(frame, pack(index), {"decoded": index})


def chain(
    *,
    tracks: bool = False,
    state: bytes | None = None,
    epoch: int = 1,
    sequence: int = 0,
    mask: FloorMask | None = None,
    describers: Sequence[Describer] = (),
) -> CameraChain:
    return CameraChain(
        site="plaza",
        camera="north",
        classes=("person",),
        interval_ns=SECOND,
        tracker=None if tracks else create("bytetrack", rate_hz=FPS),
        embedder=None,
        embed_every=3,
        mask=mask,
        describers=describers,
        describe_every=5,
        epoch=epoch,
        sequence=sequence,
        state=state,
    )


def feed(one: CameraChain, deliveries: list[Delivery]) -> list[CameraBatch]:
    batches = []
    for delivery in deliveries:
        assert delivery.frame.given is not None
        batches += one.add(delivery, delivery.frame.given)
    return batches


def test_a_batch_is_one_interval_with_its_tracklets_and_a_watermark_at_its_end() -> None:
    batches = feed(chain(), [walker(i) for i in range(1, 22)])
    assert [(b.sequence, b.interval, b.watermark_ns) for b in batches] == [(0, 0, SECOND), (1, 1, 2 * SECOND)]
    (tracklet,) = batches[1].tracklets
    assert tracklet.cls == "person"
    assert tracklet.frames.tolist() == list(range(11, 21))
    assert not tracklet.ended


def test_the_final_batch_ends_every_track() -> None:
    one = chain()
    feed(one, [walker(i) for i in range(1, 16)])
    (last,) = one.finish()
    assert last.final and last.watermark_ns == np.iinfo(np.int64).max
    assert [t.ended for t in last.tracklets] == [True]


def test_ids_and_embeddings_that_the_source_gives_are_taken_as_they_are() -> None:
    (batch,) = feed(chain(tracks=True), [walker(i, tracks=True, embedding=True) for i in range(1, 12)])
    (tracklet,) = batch.tracklets
    assert tracklet.track == 7 and len(tracklet) == 10
    assert tracklet.embeddings is not None and tracklet.embeddings.shape == (4, 2)


def test_a_box_without_an_embedding_leaves_no_exemplar() -> None:
    deliveries = [walker(i, tracks=True, embedding=True) for i in range(1, 12)]
    for delivery in deliveries[1:]:
        assert delivery.frame.given is not None and delivery.frame.given.embeddings is not None
        delivery.frame.given.embeddings[:] = np.nan
    (batch,) = feed(chain(tracks=True), deliveries)
    assert batch.tracklets[0].embeddings is not None
    assert batch.tracklets[0].embeddings.tolist() == [[1, 0]]


class Clothes:
    """Everybody wears the same; keeps which boxes it was asked for."""

    def __init__(self, *classes: str) -> None:
        self.classes, self.asked = frozenset(classes), []  # type: ignore[var-annotated]

    def votes(self, image: np.ndarray, boxes: np.ndarray, rows: Sequence[int]) -> list[dict[str, dict[str, float]]]:
        self.asked += [boxes[row].tolist() for row in rows]
        return [{"hat": {"hat": 0.25, "none": 0.5}} for _ in rows]


def test_a_track_is_described_now_and_then_and_its_tracklet_carries_the_votes() -> None:
    people, cars = Clothes("person"), Clothes("car")
    deliveries = [walker(index) for index in range(1, 24)]
    picture = np.zeros((300, 400, 3), np.uint8)
    seen = [replace(one, frame=replace(one.frame, image=picture)) for one in deliveries]
    first, second = feed(chain(describers=[people, cars]), seen)
    assert first.tracklets[0].attributes == {"hat": {"hat": 0.5, "none": 1.0}}, "two of its frames"
    assert second.tracklets[0].attributes == {"hat": {"hat": 0.5, "none": 1.0}}
    assert len(people.asked) == 5 and not cars.asked
    again = chain(describers=[people], state=first.state, epoch=2, sequence=1)
    assert feed(again, seen[10:])[0].tracklets[0].attributes == second.tracklets[0].attributes, (
        "in step after a restart"
    )


def test_a_restored_chain_goes_on_as_if_it_had_never_stopped() -> None:
    deliveries = [walker(i) for i in range(1, 42)]
    whole = feed(chain(), deliveries)
    first = feed(chain(), deliveries[:21])[1]
    again = chain(state=first.state, epoch=2, sequence=2)
    rest = feed(again, deliveries[20:])
    assert [replace(b, epoch=1, tracklets=()) for b in rest] == [replace(b, tracklets=()) for b in whole[2:]]
    for mine, theirs in zip(rest, whole[2:], strict=True):
        for a, b in zip(mine.tracklets, theirs.tracklets, strict=True):
            assert a.track == b.track and np.array_equal(a.boxes, b.boxes) and np.array_equal(a.frames, b.frames)


def test_decoded_is_tracked_plus_all_that_was_dropped() -> None:
    one = chain()
    feed(one, [replace(walker(3), counts={"decoded": 3, "dropped.fps_cap": 1}, skipped={"stale": 1})])
    feed(one, [replace(walker(6), counts={"decoded": 6, "dropped.fps_cap": 3}, skipped={"stale": 0})])
    counts = one.counts
    assert counts == {"decoded": 6, "dropped.fps_cap": 3, "dropped.stale": 1, "tracked": 2}
    assert counts["decoded"] == counts["tracked"] + counts["dropped.fps_cap"] + counts["dropped.stale"]


def test_boxes_that_the_tracker_leaves_out_are_counted_with_their_reason() -> None:
    one = chain()
    for index in range(1, 4):
        delivery = walker(index)
        assert delivery.frame.given is not None
        nothing = Detections(np.full((1, 4), np.nan, np.float32), np.ones(1, np.float32), np.zeros(1, np.int32))
        one.add(delivery, nothing if index == 2 else delivery.frame.given)
    (last,) = one.finish()
    assert last.counts["tracker.box_not_finite"] == 1
    assert last.counts["decoded"] == last.counts["tracked"] == 3


def test_rejected_input_becomes_dead_letters_of_the_interval() -> None:
    one = chain()
    rejected = Rejected("nan_embedding", "lab.jsonl, line 3: the embedding holds NaN", "{}", 5)
    feed(one, [replace(walker(1), rejected=(rejected,))])
    (batch,) = feed(one, [walker(12)])
    assert [(r.value["reason"], r.value["camera"]) for r in batch.deadletters] == [("nan_embedding", "north")]


def test_a_silent_live_camera_closes_its_intervals_by_the_clock() -> None:
    one = chain()
    assert one.advance_to(10 * SECOND) == []
    one.source_event("lost", "rtsp://***@10.0.0.1/main does not answer", 10 * SECOND)
    (batch,) = one.advance_to(12 * SECOND + 1)
    assert (batch.interval, batch.watermark_ns) == (10, 12 * SECOND)
    assert [e.value["state"] for e in batch.events] == ["lost"]


def test_a_source_that_breaks_leaves_what_it_had_shown_and_says_why() -> None:
    one = chain()
    feed(one, [walker(i) for i in range(1, 16)])
    rejected = Rejected("unreadable", "north.mp4: the rest cannot be read", "", 5)
    (last,) = one.fail("camera 'north': the disk is gone", [rejected], {"decoded": 15})
    assert (last.failed, last.final) == ("camera 'north': the disk is gone", False)
    assert [len(t) for t in last.tracklets] == [5]
    assert [e.value["state"] for e in last.events] == ["failed"]
    assert [d.value["reason"] for d in last.deadletters] == ["unreadable"]


def test_a_live_frame_that_comes_after_its_interval_was_closed_is_dropped_and_counted() -> None:
    one = chain()
    feed(one, [walker(1)])
    one.advance_to(2 * SECOND)
    feed(one, [walker(3)])
    assert one.counts == {"decoded": 3, "dropped.late": 1, "tracked": 1}


def test_a_state_of_another_version_is_refused_in_a_sentence() -> None:
    with pytest.raises(StateError, match="camera 'north': its stored state is of version 99"):
        chain(state=pack({"version": 99}))


@pytest.mark.parametrize("tracks", [False, True], ids=["boxes", "tracks"])
def test_who_walks_off_the_floor_is_no_longer_followed_but_counted(tracks: bool) -> None:
    topology = Topology([CameraGeometry("north", np.diag([0.01, 0.01, 1.0]), (640, 480))])
    mask = FloorMask(Floor([(0, 0), (1.605, 0), (1.605, 4), (0, 4)]), topology, "north")
    first = chain(mask=mask, tracks=tracks)
    batches = feed(first, [walker(i, tracks=tracks) for i in range(1, 31)])
    assert max(int(tracklet.frames.max()) for batch in batches for tracklet in batch.tracklets) == 20
    (last,) = first.finish()
    assert last.counts["boxes.off_floor"] == 10
    (resumed,) = chain(mask=mask, tracks=tracks, state=last.state).finish()
    assert resumed.counts["boxes.off_floor"] == 10
