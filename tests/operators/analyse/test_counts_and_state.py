"""Interval counts, and going on from a snapshot."""

from __future__ import annotations

import numpy as np
import pytest
from walks import SECOND, feed, run, straight

from operators.analyse import Crowding, Event, Line, Proximity, Rules, Zone
from operators.analyse.analyser import Analyser

SQUARE = ((200, 200), (400, 200), (400, 400), (200, 400))
DOOR = Line("door", ((0, 300), (640, 300)))
ALL = Rules(
    lines=(DOOR, Line("bend", ((100, 100), (300, 250), (500, 100)))),
    zones=(
        Zone("till", SQUARE, restricted=True, loitering_s=1, crowding=Crowding(1, 0.5)),
        Zone("lane", SQUARE, direction=((200, 300), (400, 300)), stopped_s=1, proximity=Proximity(0.5)),
    ),
    interval_s=2,
)


def counts(events: list[Event]) -> list[dict[str, object]]:
    return [event.fields for event in events if event.type == "counts"]


def test_each_interval_counts_who_crossed_who_was_there_and_who_is() -> None:
    rules = Rules(lines=(DOOR,), zones=(Zone("till", SQUARE),), interval_s=2)
    paths = {1: straight((300, 100), (300, 390), 30), 2: straight((500, 390), (500, 100), 25)}
    told = counts(run(rules, paths))
    assert [(c["start"], c["end"], c["revision"], c["frames"]) for c in told] == [
        (0, 2_000_000, 1, 20),
        (2_000_000, 4_000_000, 1, 10),
    ]
    first, second = told
    assert (first["present"], first["peak"], first["unique"]) == (2, 2, 2)
    assert (second["present"], second["unique"]) == (1, 2)
    assert [c["lines"]["door"]["directions"] for c in told] == [{"in": 0, "out": 1}, {"in": 1, "out": 0}]  # type: ignore[index]
    assert first["zones"]["till"]["entries"] == 1 and second["zones"]["till"]["exits"] == 1  # type: ignore[index]
    assert first["classes"] == {"person": {"present": 2, "peak": 2, "unique": 2}}


def test_a_crossing_that_is_certain_only_later_has_its_interval_told_again() -> None:
    rules = Rules(lines=(DOOR,), interval_s=1)
    path = [*straight((300, 250), (300, 304), 9), *[(300, 304)] * 40]  # over the line at the end of the first second
    told = counts(run(rules, {1: path}))
    revised = [(c["start"], c["revision"], c["lines"]["door"]["directions"]["in"]) for c in told if c["start"] == 0]  # type: ignore[index]
    assert revised == [(0, 1, 0), (0, 2, 1)]


def test_an_interval_without_frames_is_not_told() -> None:
    told = counts(run(Rules(interval_s=1), {1: [*[(0, 0)] * 5, *[None] * 3, (0, 0)]}, fps=1))
    assert [c["unique"] for c in told] == [1, 1, 1, 1, 1, 0, 0, 0, 1]
    analyser = Analyser(Rules(interval_s=1), ("person",))
    none = np.zeros(0, np.int64), np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    events = [*analyser.update(*none, 0), *analyser.update(*none, 3600 * SECOND), *analyser.finish()]
    assert [c["start"] for c in counts(events)] == [0, 3_600_000_000]


def crowd(seed: int, seconds: int) -> dict[int, list[tuple[float, float] | None]]:
    random = np.random.default_rng(seed)
    paths: dict[int, list[tuple[float, float] | None]] = {}
    for track in range(12):
        begin, length = int(random.integers(0, 40)), int(random.integers(20, 10 * seconds - 40))
        steps = np.cumsum(random.normal(0, 12, (length, 2)), axis=0) + random.uniform(150, 450, 2)
        walk = [None if random.random() < 0.05 else (float(x), float(y)) for x, y in steps]
        paths[track + 1] = [*[None] * begin, *walk]
    return paths


@pytest.mark.parametrize("cut", [1, 37, 80])
def test_a_restored_analyser_goes_on_as_if_it_had_never_stopped(cut: int) -> None:
    paths = crowd(3, 12)
    metres = np.diag([0.01, 0.01, 1.0])
    whole = Analyser(ALL, ("person", "car"), metres)
    expected = [*feed(whole, paths), *whole.finish()]
    assert {event.type for event in expected} == {"crossing", "entry", "exit", "incident", "counts"}
    before, after = Analyser(ALL, ("person", "car"), metres), Analyser(ALL, ("person", "car"), metres)
    events = feed(before, paths, last=cut)
    after.restore(before.snapshot())
    assert after.snapshot() == before.snapshot()
    events += feed(after, paths, first=cut)
    events += after.finish()
    assert events == expected


def test_the_order_in_which_tracks_came_leaves_no_mark_on_a_snapshot() -> None:
    analysers = []
    for order in ((1, 2, 3), (3, 1, 2)):
        one = Analyser(ALL, ("person", "car"))
        ids = np.array(order, np.int64)
        boxes = np.array([[10 * i, 10, 10 * i + 20, 60] for i in order], np.float32)
        one.update(ids, boxes, np.zeros(3, np.int32), SECOND)
        analysers.append(one)
    assert analysers[0].snapshot() == analysers[1].snapshot()


def test_totals_and_other_lines_survive_a_change_of_the_rules() -> None:
    path = {1: straight((300, 100), (300, 390), 30)}
    before = Analyser(Rules(lines=(DOOR,)), ("person",))
    feed(before, path)
    after = Analyser(Rules(lines=(Line("new", ((0, 200), (640, 200))), DOOR)), ("car", "person"))
    after.restore(before.snapshot())
    assert after.totals == {"new": {"in": 0, "out": 0}, "door": {"in": 1, "out": 0}}


def test_memory_does_not_grow_with_the_tracks_that_have_been() -> None:
    analyser = Analyser(ALL, ("person", "car"))
    sizes = []
    for second in range(1, 400):
        ids = np.array([second], np.int64)
        analyser.update(ids, np.array([[300, 200, 340, 300]], np.float32), np.zeros(1, np.int32), second * SECOND)
        sizes.append(len(analyser.snapshot()))
    assert max(sizes[200:]) <= max(sizes[:200]) + 64


def test_boxes_that_are_no_numbers_and_frames_from_the_past_are_passed_over() -> None:
    analyser = Analyser(Rules(interval_s=1), ("person",))
    boxes = np.array([[0, 0, 10, 10], [np.nan, 0, 10, 10]], np.float32)
    analyser.update(np.array([1, 2]), boxes, np.zeros(2, np.int32), SECOND)
    assert analyser.update(np.array([1]), boxes[:1], np.zeros(1, np.int32), SECOND // 2) == []
    assert counts(analyser.finish())[0]["unique"] == 1
