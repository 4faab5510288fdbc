"""Tracks that are published under a guess while they wait for enough evidence."""

from __future__ import annotations

from fusion_scenes import camera, events, look, play, records, script, straight, topology

from mtmct.corrections import IdentityResolver
from mtmct.fusion import FusionEngine
from mtmct.settings import FusionSettings
from operators.records import SECOND_NS

ORIGINS = {"a": (0.0, 0.0), "b": (0.0, 0.0)}


def engine(**changes) -> FusionEngine:
    """Two cameras that are not calibrated; a track is decided at 25 points, or after 4 s."""
    settings = FusionSettings(provisional=True, min_evidence=25, max_wait_s=4.0, **changes)
    return FusionEngine("plaza", topology(*(camera(name, calibrated=False) for name in ("a", "b"))), settings)


def of(values: list[dict], name: str, track: int) -> list[dict]:
    return [value for value in values if (value["camera"], value["track"]) == (name, track)]


def test_a_newcomer_keeps_the_number_it_was_guessed_with_and_is_created_when_decided():
    commits = play(engine(), script({("a", 1): {"path": straight(3, 3), "start": 0, "end": 6}}, ORIGINS, 7))
    tracks = records(commits, "tracks")
    assert [value.get("provisional", False) for value in tracks] == [True, True, False, False, False, False]
    assert {value["number"] for value in tracks} == {1}
    assert [value["link"] is not None for value in tracks] == [True, False, True, False, False, False]
    assert events(commits[:2]) == [] and events(commits) == [("created", 1), ("closed", 1)]


def walks_back(first: int, then: int) -> dict:
    """Somebody who looks like `first`, and another track a while later that looks like `then`."""
    return {
        ("a", 1): {"path": straight(3, 3), "start": 0, "end": 6, "look": look(first)},
        ("b", 1): {"path": straight(3, 3), "start": 8, "end": 14, "look": look(then)},
    }


def test_a_good_guess_needs_no_correction_and_says_why_twice():
    commits = play(engine(), script(walks_back(1, 1), ORIGINS, 15))
    mine = of(records(commits, "tracks"), "b", 1)
    assert [(value["number"], value.get("provisional", False)) for value in mine][:3] == [
        (1, True),
        (1, True),
        (1, False),
    ]
    assert [value["link"] is not None for value in mine][:3] == [True, False, True]
    assert mine[0]["link"]["previous"] == {"camera": "a", "track": 1}
    assert events(commits) == [("created", 1), ("closed", 1)]


def test_a_wrong_guess_is_corrected_once_with_evidence():
    walks = walks_back(1, 1)
    # The first pictures of the second look like the first; what follows does not.
    steps = script(walks, ORIGINS, 15)
    other = script(walks_back(1, 2), ORIGINS, 15)
    commits = play(engine(), steps[:9] + other[9:])
    mine = of(records(commits, "tracks"), "b", 1)
    assert mine[0]["number"] == 1 and mine[0]["provisional"]
    corrections = [value for value in records(commits, "identities") if value["event"] in ("split", "merged")]
    if mine[-1]["number"] == 1:
        assert not corrections
    else:
        assert [value["event"] for value in corrections] == ["split"]
        assert corrections[0]["tracks"] == [["b", 1]] and corrections[0]["evidence"] is not None
    resolver = IdentityResolver()
    for value in records(commits, "tracks"):
        resolver.published(value)
    for value in records(commits, "identities"):
        resolver.apply(value)
    assert resolver.identity_of("b", 1) == mine[-1]["number"], "followers end where the decision is"
    assert resolver.identity_of("a", 1) == 1


def test_a_number_of_its_own_is_merged_into_whom_it_turns_out_to_be():
    walks = walks_back(1, 1)
    blank = {name: {**walk, "look": None} if name == ("b", 1) else walk for name, walk in walks.items()}
    steps = script(blank, ORIGINS, 15)[:9] + script(walks, ORIGINS, 15)[9:]
    commits = play(engine(), steps)
    mine = of(records(commits, "tracks"), "b", 1)
    assert [value["number"] for value in mine][:3] == [2, 2, 1]
    merged = next(value for value in records(commits, "identities") if value["event"] == "merged")
    assert (merged["identity"], merged["into"], merged["tracks"]) == ("plaza-000002", "plaza-000001", [["b", 1]])
    assert merged["evidence"]["terms"].keys() >= {"appearance"}
    assert ("created", 2) not in events(commits)


def test_who_is_erased_takes_along_what_was_guessed_to_be_the_same():
    steps = script(walks_back(1, 1), ORIGINS, 15)
    running = engine()
    commits = play(running, steps[:9])
    assert of(records(commits, "tracks"), "b", 1)[-1]["provisional"]
    erased = running.erase(1, 9 * SECOND_NS)
    assert ["b", 1] in erased.records[0].value["tracks"]
    assert not of(records(play(running, steps[9:]), "tracks"), "b", 1), "nothing more is said of it"


def test_a_guess_alone_can_be_erased():
    running = engine()
    play(running, script({("a", 1): {"path": straight(3, 3), "start": 0, "end": 6}}, ORIGINS, 7)[:1])
    erased = running.erase(1, SECOND_NS)
    assert [record.value["event"] for record in erased.records] == ["retracted"]
    assert events(play(running, [(2 * SECOND_NS, [])])) == []
