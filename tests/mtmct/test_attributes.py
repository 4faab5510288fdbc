"""Attributes: how votes are gathered, and what they say of who is who."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from fusion_scenes import camera, look, play, records, script, straight, topology

from mtmct.attributes import AttributeBeliefs, Population, agreement, fault, held, together
from mtmct.fusion import FusionEngine
from operators.records import NO_VALUE

BELIEFS = AttributeBeliefs(error=0.1, weight=1.0, clip=3.0)
RED = {"coat": {"red": 1.0}, "bag": {"backpack": 0.9, NO_VALUE: 0.1}, "sleeves": {"long": 1.0}}
GREEN = {"coat": {"green": 1.0}, "bag": {"backpack": 0.1, NO_VALUE: 0.9}, "sleeves": {"short": 1.0}}


def crowd(*votes: dict) -> Population:
    population = Population()
    for one in votes:
        population.add(one)
    return population


# --- votes -----------------------------------------------------------------------------------------------------


def test_what_holds_has_more_than_half_of_the_votes_and_is_something() -> None:
    votes = together([RED, {"coat": {"green": 1.0}}, GREEN, GREEN])
    assert held(votes) == {"coat": "green", "sleeves": "short"}, "no bag for most, and that is no value"
    assert held({"coat": {"red": 1.0, "green": 1.0}}) == {}


def test_votes_that_make_no_sense_are_told() -> None:
    assert fault(RED) is None
    assert "no table" in str(fault({"coat": "red"}))
    assert "'coat'" in str(fault({"coat": {"red": math.nan}}))
    assert "no weight" in str(fault({"coat": {"red": 0.0}}))


# --- evidence --------------------------------------------------------------------------------------------------


def test_the_same_speaks_for_and_another_against_whichever_comes_first() -> None:
    population = crowd(RED, GREEN)
    same, other = agreement(RED, RED, population, BELIEFS), agreement(RED, GREEN, population, BELIEFS)
    assert same is not None and other is not None and same > 1 > -1 > other
    assert agreement(GREEN, RED, population, BELIEFS) == pytest.approx(other)


def test_what_everybody_has_says_nothing_and_what_few_have_says_much() -> None:
    grey = {"coat": {"grey": 1.0}}
    population = crowd(*[grey] * 1000, *[{"coat": {"yellow": 1.0}}] * 10)
    common = agreement(grey, grey, population, BELIEFS)
    rare = agreement({"coat": {"yellow": 1.0}}, {"coat": {"yellow": 1.0}}, population, BELIEFS)
    assert common == pytest.approx(0, abs=0.02)
    assert rare == BELIEFS.clip, "one in a hundred: more than attributes may ever say"


def test_a_look_that_could_be_anything_says_nothing() -> None:
    population = crowd(RED, GREEN)
    unclear = {"coat": population.shares("coat", ())}
    assert agreement(unclear, RED, population, BELIEFS) == pytest.approx(0, abs=1e-9)


def test_without_a_facet_in_common_there_is_nothing_to_say() -> None:
    assert agreement({"coat": {"red": 1.0}}, {"bag": {"backpack": 1.0}}, crowd(RED), BELIEFS) is None
    assert agreement({}, RED, crowd(RED), BELIEFS) is None


def test_the_population_forgets_by_halves() -> None:
    population = crowd({"coat": {"red": 9_999.0}}, {"coat": {"green": 2.0}})
    assert population.votes == {"coat": {"red": 4999.5, "green": 1.0}}


# --- in the engine ---------------------------------------------------------------------------------------------


def steps(attributes: dict[tuple[str, int], dict]) -> list:
    """Two who look alike are seen by a, and half a minute later two by b; all of their tracklets have attributes."""
    walks = {
        (name, track): {"path": straight(3, 3 + 3 * track), "start": start, "end": start + 6, "look": look(1)}
        for name, start in (("a", 0), ("b", 30))
        for track in (1, 2)
    }
    return [
        (
            watermark,
            [
                replace(
                    batch,
                    tracklets=tuple(
                        replace(one, attributes=attributes.get((one.camera, one.track), {})) for one in batch.tracklets
                    ),
                )
                for batch in batches
            ],
        )
        for watermark, batches in script(walks, {"a": (0.0, 0.0), "b": (0.0, 0.0)}, 40)
    ]


def engine() -> FusionEngine:
    return FusionEngine("plaza", topology(camera("a", calibrated=False), camera("b", calibrated=False)))


def who(commits: list) -> dict[tuple[str, int], int]:
    return {(one["camera"], one["track"]): one["number"] for one in records(commits, "tracks")}


TOLD = {("a", 1): RED, ("a", 2): GREEN, ("b", 1): GREEN, ("b", 2): RED}


def test_two_who_look_alike_are_told_apart_by_what_they_wear() -> None:
    commits = play(engine(), steps(TOLD))
    found = who(commits)
    assert found["b", 1] == found["a", 2] and found["b", 2] == found["a", 1]
    first = next(one for one in records(commits, "tracks") if one["camera"] == "b" and one["link"])
    assert first["link"]["terms"]["attributes"] > 0.5
    assert first["attributes"] == {"coat": "green", "sleeves": "short"}


def test_the_other_way_round_they_are_the_other_ones() -> None:
    swapped = {**TOLD, ("b", 1): RED, ("b", 2): GREEN}
    found = who(play(engine(), steps(swapped)))
    assert found["b", 1] == found["a", 1] and found["b", 2] == found["a", 2]


def test_identities_say_what_they_are_like_when_they_are_gone() -> None:
    closed = {
        one["number"]: one for one in records(play(engine(), steps(TOLD)), "identities") if one["event"] == "closed"
    }
    assert sorted(one["attributes"]["coat"] for one in closed.values()) == ["green", "red"]


def test_restored_it_goes_on_as_if_it_had_never_stopped() -> None:
    script_ = steps(TOLD)
    whole = play(engine(), script_)
    for stop in (3, 12, 33, 38):
        first = engine()
        play(first, script_[:stop])
        second = engine()
        second.restore(first.snapshot())
        assert play(second, script_[stop:]) == whole[stop:]


def test_without_attributes_nothing_of_them_is_said_or_stored() -> None:
    running = engine()
    commits = play(running, steps({}))
    assert all("attributes" not in one for one in records(commits, "tracks") + records(commits, "identities"))
    assert not any(b"attributes" in data for data in running.snapshot().values())


def test_what_is_no_attribute_is_a_dead_letter_and_the_track_goes_on() -> None:
    commits = play(engine(), steps({("a", 1): {"coat": {"red": math.nan}}}))
    letters = records(commits, "deadletter")
    assert {letter["reason"] for letter in letters} == {"bad_attributes"} and "'coat'" in letters[0]["detail"]
    assert ("a", 1) in who(commits)


def test_an_erased_identity_leaves_no_attribute_behind() -> None:
    running = engine()
    said = play(running, steps(TOLD)[:4])
    last = [one for one in records(said, "identities") if one["number"] == 1][-1]
    commit = running.erase(1, 4 * 10**9, last)
    assert all("attributes" not in record.value for record in commit.records)
    closed = engine()
    said = play(closed, steps(TOLD))
    last = [one for one in records(said, "identities") if one["number"] == 1][-1]
    assert "attributes" in last
    assert all("attributes" not in record.value for record in closed.erase(1, 41 * 10**9, last).records)
