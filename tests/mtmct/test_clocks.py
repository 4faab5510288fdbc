"""Clocks that disagree: seen from people who walk through two views, reported, and put right."""

from __future__ import annotations

import pytest
from fusion_scenes import camera, crowd, follows_the_schema, play, records, topology
from hypothesis import given
from hypothesis import settings as example
from hypothesis import strategies as st

from mtmct import state as stored
from mtmct.clocks import clocks_of
from mtmct.fusion import FusionEngine
from mtmct.settings import FusionSettings
from mtmct.skew import Difference, solve
from operators.records import StateError

WALKS = 18  # of a crowd


def engine(mode: str) -> FusionEngine:
    return FusionEngine("plaza", topology(*(camera(name) for name in "abc")), FusionSettings(clock_skew=mode))


def said(commits) -> dict[str, dict]:
    """The latest word on each clock."""
    return {value["camera"]: value for value in records(commits, "events") if value["type"] == "clock_skew"}


@pytest.mark.parametrize("ahead", [1.5, -0.75])
def test_a_wrong_clock_is_measured_and_said(ahead: float):
    commits = play(engine("report"), crowd({"b": ahead}))
    latest = said(commits)
    assert latest["b"]["skew"] == pytest.approx(ahead, abs=0.1)
    assert latest["a"]["skew"] == pytest.approx(0, abs=0.1) and latest["c"]["skew"] == pytest.approx(0, abs=0.1)
    assert all(value["applied"] == 0 and value["state"] == "measured" for value in latest.values())
    assert all(follows_the_schema(value) for value in latest.values())
    revisions = [value["revision"] for value in records(commits, "events") if value["camera"] == "b"]
    assert revisions == list(range(1, len(revisions) + 1))


def test_with_the_clock_put_right_everybody_is_one_identity_again():
    steps = crowd({"b": 3.0})
    wrong, right = play(engine("off"), steps), play(engine("apply"), steps)
    assert said(right)["b"]["applied"] == 3.0 and said(right)["b"]["state"] == "corrected"

    # Of those who came after the clock was known.
    def torn(commits) -> int:
        numbers: dict[int, set[int]] = {}
        for value in records(commits, "tracks"):
            if value["track"] > WALKS // 2:
                numbers.setdefault(value["track"], set()).add(value["number"])
        return sum(len(each) > 1 for each in numbers.values())

    assert torn(right) == 0 < torn(wrong)


def test_published_times_stay_those_of_the_camera():
    steps = crowd({"b": 1.5})
    points = [
        {(value["camera"], value["track"], point[0]) for value in records(play(engine(mode), steps), "tracks")
         for point in value["points"]}
        for mode in ("off", "apply")
    ]  # fmt: skip
    assert points[0] == points[1]


def test_clocks_that_agree_are_left_alone():
    steps = crowd({})
    off, right = play(engine("off"), steps), play(engine("apply"), steps)
    for topic in ("tracks", "identities"):
        assert records(off, topic) == records(right, topic)
    assert all(value["applied"] == 0 for value in said(right).values())


def test_a_clock_that_is_far_off_is_reported_and_not_corrected():
    latest = said(play(engine("apply"), crowd({"b": 11.5})))
    assert latest["b"]["state"] == "too_large" and latest["b"]["applied"] == 0
    assert latest["b"]["skew"] == pytest.approx(11.5, abs=0.2)
    assert "camera b is 12 s ahead" in latest["b"]["detail"] and "clock_offset_ms" in latest["b"]["detail"]


@pytest.mark.parametrize("stop", [24, 33])
def test_an_engine_restored_in_between_goes_on_as_if_never_stopped(stop: int):
    steps = crowd({"b": 1.5, "c": -0.5})
    whole = play(engine("apply"), steps)
    first, second = engine("apply"), engine("apply")
    begun = play(first, steps[:stop])
    second.restore(first.snapshot())
    assert begun + play(second, steps[stop:]) == whole


def test_a_site_that_no_longer_wants_it_takes_the_corrections_back():
    steps = crowd({"b": 1.5})
    first, second = engine("apply"), engine("off")
    play(first, steps[:35])
    second.restore(first.snapshot())
    commits = play(second, steps[35:])
    assert not any(key.startswith("fusion/clock/") for key in second.snapshot())
    seen = {value["track"] for value in records(commits, "tracks") if value["camera"] == "b"}
    assert WALKS in seen and not said(commits)


def test_what_is_remembered_of_walkers_does_not_grow():
    fusion = engine("apply")
    sizes = []
    for watermark, batches in crowd({"b": 1.5})[:-1]:
        fusion.advance(batches, watermark)
        sizes.append(sum(key.startswith("fusion/clock/placed/") for key in fusion.snapshot()))
    assert max(sizes) <= 13, "the window of ten seconds, and the correction"


def test_a_ledger_tells_what_is_known_of_the_clocks():
    fusion = engine("apply")
    play(fusion, crowd({"b": 1.5})[:-1])
    known = clocks_of(fusion.snapshot())
    skew, applied = known["b"]
    assert skew.seconds == pytest.approx(1.5, abs=0.1) and applied == 1.5
    assert clocks_of({}) == {}
    with pytest.raises(StateError, match="another version"):
        clocks_of({"fusion/clock/meta": stored.pack({"version": 99})})


@example(deadline=None)
@given(st.lists(st.floats(-9, 9), min_size=2, max_size=8), st.randoms(use_true_random=False))
def test_differences_of_pairs_come_to_one_skew_a_camera_with_the_median_at_zero(clocks: list[float], dice):
    count = len(clocks)
    pairs = {(dice.randrange(two), two) for two in range(1, count)} | {(0, count - 1)}
    found = solve({(one, two): Difference(clocks[two] - clocks[one], 0.1, 30.0) for one, two in pairs})
    middle = sorted(found[camera].seconds for camera in found)
    assert abs(middle[(count - 1) // 2] + middle[count // 2]) < 1e-6
    for one in range(count):
        assert found[one].seconds - found[0].seconds == pytest.approx(clocks[one] - clocks[0], abs=1e-6)


def test_one_pair_that_lies_does_not_move_the_others():
    differences = {(one, two): Difference(0.0, 0.05, 30.0) for one in range(4) for two in range(one + 1, 4)}
    found = solve({**differences, (0, 1): Difference(5.0, 0.05, 30.0)})
    assert all(abs(skew.seconds) < 0.2 for skew in found.values())
