"""What is drawn beside a line or in a zone at a moment: what had happened by then, whenever it was told."""

from __future__ import annotations

import numpy as np
import pytest

from operators.analyse import Line, Rules, Severity, Zone
from operators.draw_rules import OpenIncident, RuleState
from operators.records import Frame
from pipeline.analysis import CameraAnalysis
from pipeline.rule_states import RuleStates

SECOND = 1_000_000_000
RULES = Rules(
    lines=(Line("door", ((0.0, 100.0), (640.0, 100.0)), cool_down_s=0.0),),
    zones=(Zone("yard", ((0.0, 150.0), (640.0, 150.0), (640.0, 300.0), (0.0, 300.0)), restricted=True, band=0.0),),
    interval_s=5,
)


def walked(paths: dict[int, list[float]], fps: int = 10) -> list[dict]:
    """Events of feet that are at these heights in the picture, a frame each, all in its middle."""
    analysis = CameraAnalysis(site="p", camera="a", rules=RULES, classes=("person",), size=(640, 480))
    records = []
    for frame in range(max(map(len, paths.values()))):
        here = {track: ys[frame] for track, ys in paths.items() if frame < len(ys)}
        boxes = np.array([[300, y - 80, 340, y] for y in here.values()], np.float32).reshape(-1, 4)
        ids = np.array(list(here), np.int64)
        when = Frame("a", frame, frame * SECOND // fps, None)
        records += analysis.frame(when, ids, boxes, np.zeros(len(ids), np.int32), [])
    return [record.value for record in records + analysis.finish()]


def test_at_every_frame_the_counts_are_those_of_the_paths_up_to_it() -> None:
    # Down through the line and the zone, and up again; a second one half a second later.
    there = np.concatenate([np.linspace(52, 352, 61), np.linspace(352, 52, 61)]).tolist()
    paths = {1: there, 2: [52.0] * 5 + there}
    states = RuleStates(walked(paths))
    for frame in range(len(paths[2])):
        expected_in = expected_out = inside = 0
        for ys in paths.values():
            so_far = np.array(ys[: frame + 1])
            below = so_far > 100
            expected_in += int((below[1:] & ~below[:-1]).sum())
            expected_out += int((~below[1:] & below[:-1]).sum())
            inside += int(150 < so_far[-1] < 300) if frame < len(ys) else 0
        state = states.at("a", frame * SECOND // 10)
        assert state.crossed.get(("door", "in"), 0) == expected_in, frame
        assert state.crossed.get(("door", "out"), 0) == expected_out, frame
        assert state.inside.get("yard", 0) == inside, frame
        incidents = state.incidents.get("yard", ())
        assert incidents == ((OpenIncident("restricted", Severity.WARNING),) if inside else ())


def test_who_is_lost_inside_is_inside_in_the_last_frame_that_shows_him() -> None:
    states = RuleStates(walked({1: [200.0] * 11}))
    assert states.at("a", SECOND).inside == {"yard": 1}
    assert states.at("a", SECOND + 1_000_000).inside == {"yard": 0}


def test_events_may_come_in_any_order_of_time() -> None:
    events = walked({1: np.linspace(52, 352, 61).tolist(), 2: np.linspace(352, 52, 61).tolist()})
    one, other = (
        RuleStates(events),
        RuleStates(sorted(events, key=lambda value: -value["time"] if value["type"] != "incident" else 0)),
    )
    assert all(one.at("a", t * SECOND // 10) == other.at("a", t * SECOND // 10) for t in range(70))


@pytest.mark.parametrize("camera", ["a", "b"])
def test_before_anything_has_happened_nothing_is_counted(camera: str) -> None:
    state = RuleStates(walked({1: [250.0, 251.0]})).at(camera, -1)
    assert state == RuleState() or (not any(state.crossed.values()) and not any(state.inside.values()))
    assert not state.incidents
