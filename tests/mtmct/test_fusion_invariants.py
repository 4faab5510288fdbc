"""What holds whatever the cameras say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from fusion_scenes import camera, crowd, look, play, records, script, straight, topology
from hypothesis import HealthCheck, given
from hypothesis import settings as example
from hypothesis import strategies as st

from mtmct.corrections import IdentityResolver
from mtmct.fusion import FusionEngine
from mtmct.records import CameraBatch, Commit
from mtmct.settings import FusionSettings
from mtmct.tracklets import Tracklet

Steps = list[tuple[int, list[CameraBatch]]]
ORIGINS = {"a": (0.0, 0.0), "b": (6.0, 0.0), "c": (0.0, 0.0)}


def engine(provisional: bool = False, exemplars: int = 8) -> FusionEngine:
    # Patient, so that many tracks wait for evidence for some commits.
    settings = FusionSettings(provisional=provisional, min_evidence=15, max_wait_s=3.5, exemplars=exemplars)
    return FusionEngine("plaza", topology(camera("a"), camera("b", 6), camera("c", 300, calibrated=False)), settings)


def in_picture(tracklet: Tracklet) -> int:
    """How many of its boxes have a part in the picture of 1000x500."""
    x1, y1, x2, y2 = tracklet.boxes.T
    return int(((x2 > 0) & (y2 > 0) & (x1 < 1000) & (y1 < 500)).sum())


@st.composite
def scenes(draw):
    """Up to a dozen tracks anywhere, with looks of a few people or none, some ids swapping places on the way."""
    dice = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    walks = {}
    for track in range(1, draw(st.integers(2, 12)) + 1):
        start = round(dice.uniform(0, 10), 1)
        one = straight(dice.uniform(6, 20), dice.uniform(1, 9), dice.uniform(-1, 1), 0.0, start)
        other = straight(dice.uniform(6, 20), dice.uniform(1, 9), dice.uniform(-1, 1), 0.0, start)
        turn = dice.uniform(start, start + 12)
        walks["abc"[dice.integers(3)], track] = {
            "path": lambda t, one=one, other=other, turn=turn: (one if t < turn else other)(t),
            "start": start,
            "end": round(start + dice.uniform(0.1, 12), 1),
            "look": look(int(dice.integers(4))) if dice.random() < 0.6 else None,
            "cls": "person" if dice.random() < 0.9 else "car",
        }
    return script(walks, ORIGINS, 25)


@st.composite
def crowds(draw):
    """People who walk through the common view of three cameras, the clocks of two of which are off by seconds."""
    ahead = {name: draw(st.integers(-12, 12)) / 4 for name in "bc"}
    return crowd(ahead, walks=draw(st.integers(10, 13)), turned=draw(st.floats(0, 6)))


def correcting() -> FusionEngine:
    return FusionEngine("plaza", topology(*(camera(name) for name in "abc")), FusionSettings(clock_skew="apply"))


def holds(make: Callable[[], FusionEngine], steps: Steps, stop: int) -> list[Commit]:
    """Play the steps and assert what must hold, also if the engine is restored at step `stop`; the commits."""
    commits = play(make(), steps)
    tracks, identities = records(commits, "tracks"), records(commits, "identities")

    sent = sum(in_picture(tracklet) for _, batches in steps for batch in batches for tracklet in batch.tracklets)
    assert sum(len(value["points"]) for value in tracks) == sent, "every point in the picture is published once"

    resolver = IdentityResolver()
    for value in identities:
        resolver.apply(value)
    for value in tracks:
        resolver.published(value)
    seen = set()
    for value in tracks:
        number = resolver.identity_of(value["camera"], value["track"], value["start"])
        for frame in value["frames"]:
            assert (value["camera"], frame, number) not in seen, "an identity twice in one picture"
            seen.add((value["camera"], frame, number))

    revisions: dict[str, int] = {}
    created = [value["number"] for value in identities if value["event"] == "created"]
    assert len(created) == len(set(created)), "no number is used twice"
    for value in identities:
        assert value["revision"] >= revisions.get(value["identity"], 0), "revisions never go back"
        revisions[value["identity"]] = value["revision"]

    interrupted = make()
    for watermark, batches in steps[:stop]:
        interrupted.advance(batches, watermark)
    restored = make()
    restored.restore(interrupted.snapshot())
    assert [restored.advance(batches, watermark) for watermark, batches in steps[stop:]] == commits[stop:]
    return commits


@example(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenes(), st.booleans())
def test_exclusive_complete_monotone_and_restartable(steps, provisional):
    holds(lambda: engine(provisional), steps, len(steps) // 2)


@example(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenes())
def test_it_all_holds_where_the_gallery_is_large(steps):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mtmct.gallery.LARGE", 2)
        holds(lambda: engine(exemplars=1), steps, len(steps) // 2)


@example(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(crowds(), st.data())
def test_it_all_holds_while_clocks_are_being_put_right(steps, data):
    commits = holds(correcting, steps, data.draw(st.integers(18, len(steps) - 10), "restored before step"))
    assert any(value["type"] == "clock_skew" for value in records(commits, "events")), "the clocks are being measured"


@example(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenes())
def test_guesses_are_said_at_once_and_change_no_decision(steps):
    decided, guessed = (play(engine(provisional), steps) for provisional in (False, True))
    early, late = (_first_seen(commits) for commits in (guessed, decided))
    assert early.keys() == late.keys() and all(early[track] <= late[track] for track in early)
    arrived = {
        (tracklet.camera, tracklet.track): row
        for row, (_, batches) in reversed(list(enumerate(steps)))
        for batch in batches
        for tracklet in batch.tracklets
        if in_picture(tracklet)
    }
    assert early == arrived, "nothing is held back"
    assert _partition(guessed) == _partition(decided)
    assert not any("provisional" in value for value in records(decided, "tracks"))
    last: dict[tuple[str, int], bool] = {}
    for value in records(guessed, "tracks"):
        track = (value["camera"], value["track"])
        assert not (value.get("provisional") and last.get(track) is False), "what is decided is not a guess again"
        last[track] = "provisional" in value


def _first_seen(commits) -> dict[tuple[str, int], int]:
    """The commit in which each track was published first."""
    seen: dict[tuple[str, int], int] = {}
    for row, commit in enumerate(commits):
        for value in records([commit], "tracks"):
            seen.setdefault((value["camera"], value["track"]), row)
    return seen


def _partition(commits) -> set[frozenset[tuple[str, int, int]]]:
    """Which points are one identity in the end, whatever its number."""
    resolver = IdentityResolver()
    for topic, take in (("identities", resolver.apply), ("tracks", resolver.published)):
        for value in records(commits, topic):
            take(value)
    groups: dict[int | None, set[tuple[str, int, int]]] = {}
    for value in records(commits, "tracks"):
        number = resolver.identity_of(value["camera"], value["track"], value["start"])
        groups.setdefault(number, set()).update((value["camera"], value["track"], frame) for frame in value["frames"])
    return {frozenset(group) for group in groups.values()}
