"""What holds whatever the cameras say."""

from __future__ import annotations

import numpy as np
from fusion_scenes import camera, look, play, records, script, straight, topology
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtmct.corrections import IdentityResolver
from mtmct.fusion import FusionEngine

ORIGINS = {"a": (0.0, 0.0), "b": (6.0, 0.0), "c": (300.0, 0.0)}


def engine() -> FusionEngine:
    return FusionEngine("plaza", topology(camera("a"), camera("b", 6), camera("c", 300, calibrated=False)))


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


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenes())
def test_exclusive_complete_monotone_and_restartable(steps):
    commits = play(engine(), steps)
    tracks, identities = records(commits, "tracks"), records(commits, "identities")

    sent = sum(len(tracklet) for _, batches in steps for batch in batches for tracklet in batch.tracklets)
    assert sum(len(value["points"]) for value in tracks) == sent, "every point is published once"

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

    middle = len(steps) // 2
    interrupted = engine()
    for watermark, batches in steps[:middle]:
        interrupted.advance(batches, watermark)
    restored = engine()
    restored.restore(interrupted.snapshot())
    assert [restored.advance(batches, watermark) for watermark, batches in steps[middle:]] == commits[middle:]
