"""Trackers that lose somebody to another for a moment: two tracks of one person overlap, and are his all the same."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from fusion_scenes import camera, play, records, script, straight, topology, tracklet

from mtmct import exclusion
from mtmct.corrections import IdentityResolver
from mtmct.fusion import END_OF_TIME, FusionEngine
from mtmct.hand_over import shared_moments
from mtmct.identities import IdentityBook
from mtmct.identity import Why
from mtmct.settings import AppearanceCalibration, FusionSettings
from mtmct.site_flow import SiteFlow
from mtmct.spans import Asked, gather
from mtmct.tracks import TrackMemory
from operators.records import SECOND_NS

ORIGINS = {"north": (0.0, 0.0)}
SETTINGS = FusionSettings(appearance=AppearanceCalibration(20.0, -10.0))
ONE, OTHER = np.eye(16, dtype=np.float32)[:2]
US = 10**6


def walk(start: float, end: float, look, y: float = 4) -> dict:
    return {"path": straight(2 + 0.3 * start, y, 0.3, 0, start), "start": start, "end": end, "look": look}


def lost_to_another(goes_on: bool, until: int = 36) -> list[tuple[int, list]]:
    """Track 1 shows one person and goes over to another, whom nobody had tracked; track 2 finds the one again.

    For a moment there are both; after it track 1 is over, or goes on with the other.
    """
    walks = {
        ("north", 1): walk(0, 24 if goes_on else 12.6, lambda second: ONE if second < 12 else OTHER),
        ("north", 2): walk(11.4, 24, ONE, y=4.5),
    }
    return script(walks, ORIGINS, until)


def engine(settings: FusionSettings = SETTINGS, *, calibrated: bool = False) -> FusionEngine:
    return FusionEngine("plaza", topology(camera("north", calibrated=calibrated)), settings)


def owners(commits: list) -> IdentityResolver:
    return IdentityResolver.of(records(commits, "tracks"), records(commits, "identities"))


@pytest.mark.parametrize("goes_on", [False, True])
def test_who_is_found_again_before_the_track_lost_to_another_is_over_is_one(goes_on):
    commits = play(engine(), lost_to_another(goes_on))
    whose = owners(commits)
    one = whose.identity_of("north", 1, 3 * US)
    assert one is not None and one == whose.identity_of("north", 2, 20 * US)
    shown = [
        (frame, whose.identity_of("north", value["track"], value["start"]))
        for value in records(commits, "tracks")
        for frame in value["frames"]
    ]
    assert len(shown) == len(set(shown)), "nobody is twice in one picture"
    assert {identity for _, identity in shown} == (
        {one, None} | ({whose.identity_of("north", 1)} if goes_on else set())
    )
    noise = [
        value
        for value in records(commits, "tracks")
        if whose.identity_of("north", value["track"], value["start"]) is None
    ]
    assert noise and all(value["track"] == 1 and 10 * US <= value["start"] < 13 * US for value in noise)


def test_the_moment_is_said_to_be_noise_and_why():
    said = records(play(engine(), lost_to_another(goes_on=False)), "identities")
    merged, split, retracted = (
        next(v for v in said if v["event"] == kind) for kind in ("merged", "split", "retracted")
    )
    assert said.index(merged) < said.index(split) < said.index(retracted)
    assert split["identity"] == merged["into"] and split["into"] == retracted["identity"]
    assert split["tracks"] == [["north", 1]] and split["since"] < split["until"]
    assert merged["evidence"]["terms"]["hand_over"] < 0
    assert split["evidence"]["terms"] == {"hand_over": merged["evidence"]["terms"]["hand_over"]}


def test_the_site_counts_one_visitor():
    flow, told = SiteFlow("plaza"), []
    for (watermark, _), commit in zip(
        lost_to_another(goes_on=False), play(engine(), lost_to_another(goes_on=False)), strict=True
    ):
        for record in commit.records:
            flow.take(record)
        told += flow.advance(None if watermark == END_OF_TIME else watermark // 1000)[0]
    journeys = {one.value["identity"]: one.value for one in told if one.value["type"] == "journey"}
    assert sum(bool(journey["stays"]) for journey in journeys.values()) == 1


def test_who_is_found_again_is_not_taken_for_another_who_looks_a_little_like_him():
    """A track shares no moment with its own identity: whoever else is like him is a poor second, and yet the best."""
    a_little = 0.57 * ONE + np.sqrt(np.float32(1 - 0.57**2)) * np.eye(16, dtype=np.float32)[2]
    walks = {
        ("north", 1): walk(0, 12.4, lambda second: ONE if second < 12 else OTHER),
        ("north", 2): walk(11.9, 24, ONE, y=4.5),
        ("north", 3): {"path": straight(15, 8), "start": 0, "end": 8, "look": a_little},
    }
    steps = script(walks, ORIGINS, 36)
    for odds, taken_for in ((SETTINGS.link_odds, 3), (SETTINGS.first_link_odds, 1)):
        commits = play(engine(replace(SETTINGS, first_link_odds=odds), calibrated=True), steps)
        whose = owners(commits)
        assert whose.identity_of("north", 2) == whose.identity_of("north", taken_for, 3 * US)


def test_two_who_look_alike_and_stand_side_by_side_stay_two():
    walks = {("north", 1): walk(0, 24, ONE), ("north", 2): walk(1, 25, ONE, y=5)}
    whose = owners(play(engine(), script(walks, ORIGINS, 30)))
    assert whose.identity_of("north", 1) != whose.identity_of("north", 2)


def test_one_who_is_seen_whole_beside_another_is_somebody_else_however_short_it_was():
    walks = {("north", 1): walk(0, 24, ONE), ("north", 2): walk(11, 13, ONE, y=5)}
    whose = owners(play(engine(), script(walks, ORIGINS, 30)))
    assert whose.identity_of("north", 1) != whose.identity_of("north", 2)


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_restart_at_any_moment_changes_nothing(goes_on):
    steps = lost_to_another(goes_on)
    expected = play(engine(), steps)
    for stop in range(11, 26, 3):
        before = engine()
        told = play(before, steps[:stop])
        after = engine()
        after.restore(before.snapshot())
        assert told + play(after, steps[stop:]) == expected


def a_book(spans: list[tuple[str, int, float, float]]) -> tuple[TrackMemory, IdentityBook]:
    """An identity a number: camera, number, start and end of tracks, seconds; all over and no longer in memory."""
    memory = TrackMemory()
    book = IdentityBook("plaza", memory, SETTINGS)
    for row, (name, number, start, end) in enumerate(spans, start=1):
        said = tracklet(name, row, straight(2, 4), start, end, ended=True)
        memory.take([said], topology(camera("a", calibrated=False), camera("b", calibrated=False)), SETTINGS)
        track = memory.find(name, row)
        if number in book:
            book.join(track, book[number], 0)
        else:
            book.create(track, 0)
        book.forget([track])
        memory.forget(track.uid)
    return memory, book


def test_a_moment_long_past_is_given_up_as_well():
    _, book = a_book([("a", 1, 0, 10), ("a", 2, 9, 20), ("b", 1, 30, 40), ("b", 2, 50, 60), ("a", 2, 70, 80)])
    moments = shared_moments(book, book[2], book[1], SECOND_NS // 2, {"a": 2 * SECOND_NS})
    assert [(one.camera, one.track, one.since_ns) for one in moments] == [("a", 1, round(8.5 * SECOND_NS))]
    book.said()
    book.merge(book[2], book[1], Why(3.0, {"hand_over": -2.9}), 90 * SECOND_NS)
    book.give_up(book[1], moments, Why(-2.9, {"hand_over": -2.9}), 90 * SECOND_NS)
    spans = sorted((one.start_ns, one.end_ns) for one in book[1].past if one.camera == "a")
    assert all(end < start for (_, end), (start, _) in pairwise(spans)), "nobody at once"
    _, split, retracted = [record.value for record in book.said()]
    # By the camera's own clock, as its tracklets are.
    assert (split["since"], split["until"]) == (10_500_000, 11_900_001)
    assert retracted["event"] == "retracted" and retracted["number"] not in book


def plainly(one: tuple[float, float], other: tuple[float, float], grain: float) -> float:
    first, second = sorted((one, other), key=lambda span: span[1])
    common = first[1] - max(second[0], first[0])
    if common < 0:
        return 0.0
    shorter = min(first[1] - first[0], second[1] - second[0])
    if second[0] - grain <= first[0] or common > 3 or common > shorter / 2:
        return -np.inf
    return SETTINGS.hand_over_odds + SETTINGS.hand_over_odds_a_second * common


@pytest.mark.parametrize("seed", range(6))
def test_moments_say_for_all_pairs_at_once_what_they_say_one_by_one(seed):
    dice = np.random.default_rng(seed)
    spans = []
    for number in range(1, 9):
        for start in (0, 25, 50):
            begun = start + round(dice.uniform(0, 9), 1)
            spans.append(("ab"[dice.integers(2)], number, begun, begun + round(dice.uniform(1, 9), 1)))
    _, book = a_book(spans)
    people, slots = book.people, book.slots(np.array(list(book.identities)))
    none, zeros = np.zeros(0, np.int64), np.zeros(8, np.int64)
    bounds = np.arange(9, dtype=np.int64) * 8
    everybody = Asked(
        np.zeros(9, np.int64), none, slots, zeros, zeros, bounds, np.tile(slots, 8), np.zeros(64, np.int64), none
    )
    allowed = exclusion.Allowance(3 * SECOND_NS, SETTINGS.hand_over_odds, SETTINGS.hand_over_odds_a_second, SECOND_NS)
    compared = gather(book.track_table(), people.table(), everybody)
    found = exclusion.shared(people.table(), compared, np.zeros((1, 1)), allowed, everybody).reshape(8, 8)
    some = 0
    for one, other in product(range(1, 9), repeat=2):
        mine, theirs = ([span for span in spans if span[1] == number] for number in (one, other))
        if one == other:
            continue
        expected = sum(
            plainly((a[2], a[3] - 0.1), (b[2], b[3] - 0.1), 1.0) for a in mine for b in theirs if a[0] == b[0]
        )
        assert found[one - 1, other - 1] == pytest.approx(expected, abs=1e-6)
        some += np.isfinite(expected) and expected < 0
    assert some or seed, "of six crowds one has somebody with a moment in common"
