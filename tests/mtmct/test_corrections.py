"""What a consumer that follows the corrections believes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtmct.corrections import CorrectionError, IdentityResolver, number_of


def name(number: int) -> str:
    return f"old-town-{number:06d}"


def tracklet(camera: str, track: int, number: int) -> dict[str, Any]:
    return {"camera": camera, "track": track, "identity": name(number), "number": number}


def correction(
    event: str, number: int, into: int | None = None, tracks: list[list[Any]] | None = None
) -> dict[str, Any]:
    return {
        "event": event,
        "identity": name(number),
        "into": None if into is None else name(into),
        "tracks": tracks or [],
    }


def resolver(*values: dict[str, Any]) -> IdentityResolver:
    resolver = IdentityResolver()
    for value in values:
        if "event" in value:
            resolver.apply(value)
        else:
            resolver.published(value)
    return resolver


def test_an_uncorrected_track_keeps_its_identity():
    followed = resolver(correction("created", 7), tracklet("north", 1, 7), correction("closed", 7))
    assert followed.identity_of("north", 1) == 7
    assert followed.name_of("north", 1) == "old-town-000007"
    assert followed.first_published("north", 1) == "old-town-000007"


def test_a_chain_of_merges_is_followed_to_its_end():
    followed = resolver(
        tracklet("north", 1, 3),
        tracklet("south", 1, 2),
        tracklet("south", 2, 1),
        correction("merged", 3, into=2),
        correction("merged", 2, into=1),
    )
    assert [followed.identity_of(*track) for track in (("north", 1), ("south", 1), ("south", 2))] == [1, 1, 1]
    assert followed.first_published("north", 1) == name(3)
    assert followed.current(name(3)) == name(1)


def test_a_split_moves_only_the_tracks_it_names():
    followed = resolver(
        tracklet("north", 1, 1), tracklet("south", 5, 1), correction("split", 1, into=9, tracks=[["south", 5]])
    )
    assert followed.identity_of("north", 1) == 1
    assert followed.identity_of("south", 5) == 9


def test_a_merge_after_a_split_takes_only_what_was_left():
    followed = resolver(
        tracklet("north", 1, 1),
        tracklet("south", 5, 1),
        correction("split", 1, into=9, tracks=[["south", 5]]),
        correction("merged", 1, into=4),
    )
    assert (followed.identity_of("north", 1), followed.identity_of("south", 5)) == (4, 9)


def test_a_split_undoes_a_wrong_merge():
    followed = resolver(
        tracklet("north", 1, 1),
        tracklet("south", 5, 2),
        correction("merged", 2, into=1),
        correction("split", 1, into=3, tracks=[["south", 5]]),
    )
    assert (followed.identity_of("north", 1), followed.identity_of("south", 5)) == (1, 3)


def test_a_split_may_revive_an_identity_that_was_merged_away():
    followed = resolver(
        tracklet("north", 1, 1),
        tracklet("south", 5, 2),
        tracklet("south", 6, 2),
        correction("merged", 2, into=1),
        correction("split", 1, into=2, tracks=[["south", 5]]),
        tracklet("south", 8, 2),
    )
    assert [followed.identity_of("south", track) for track in (5, 6, 8)] == [2, 1, 2]


def test_a_split_from_a_time_on_leaves_what_the_track_was_before():
    split = correction("split", 1, into=9, tracks=[["south", 5]]) | {"since": 2_000_000, "until": None}
    followed = resolver(tracklet("south", 5, 1) | {"start": 0}, split)
    assert [followed.identity_of("south", 5, time) for time in (0, 1_999_999, 2_000_000, 9_000_000)] == [1, 1, 9, 9]
    assert followed.identity_of("south", 5) == 9


def test_a_split_up_to_a_time_leaves_what_the_track_is_after():
    split = correction("split", 1, into=9, tracks=[["south", 5]]) | {"since": None, "until": 2_000_000}
    followed = resolver(tracklet("south", 5, 1) | {"start": 0}, split)
    assert [followed.identity_of("south", 5, time) for time in (0, 1_999_999, 2_000_000)] == [9, 9, 1]
    assert followed.identity_of("south", 5) == 1


def test_a_merge_after_a_timed_split_moves_each_part_with_its_identity():
    split = correction("split", 1, into=9, tracks=[["south", 5]]) | {"since": 2_000_000, "until": 4_000_000}
    followed = resolver(tracklet("south", 5, 1) | {"start": 0}, split, correction("merged", 9, into=3))
    assert [followed.identity_of("south", 5, time) for time in (0, 3_000_000, 4_000_000)] == [1, 3, 1]


def test_tracks_of_a_retracted_identity_are_nobody():
    followed = resolver(tracklet("north", 1, 1), tracklet("north", 2, 2), correction("retracted", 1))
    assert followed.identity_of("north", 1) is None
    assert followed.identity_of("north", 2) == 2
    assert followed.current(name(1)) is None


def test_later_tracklets_do_not_bring_an_old_identity_back():
    followed = resolver(
        tracklet("north", 1, 2), correction("merged", 2, into=1), tracklet("north", 1, 1), tracklet("north", 1, 1)
    )
    assert followed.identity_of("north", 1) == 1
    assert followed.first_published("north", 1) == name(2)


def test_corrections_may_be_read_before_the_tracks_they_are_about():
    followed = resolver(
        correction("merged", 2, into=1),
        correction("split", 1, into=3, tracks=[["south", 5]]),
        tracklet("south", 5, 1),
        tracklet("south", 6, 2),
    )
    assert (followed.identity_of("south", 5), followed.identity_of("south", 6)) == (3, 1)


def test_a_track_nobody_has_named_is_an_error():
    with pytest.raises(KeyError):
        IdentityResolver().identity_of("north", 1)


@pytest.mark.parametrize(
    "value",
    [correction("merged", 1), correction("merged", 1, into=1), correction("split", 1), correction("renamed", 1)],
    ids=["merge into nothing", "merge into itself", "split into nothing", "unknown event"],
)
def test_a_correction_without_sense_is_refused_by_name(value: dict[str, Any]):
    with pytest.raises(CorrectionError, match="old-town-000001"):
        IdentityResolver().apply(value)


def test_a_name_that_is_no_identity_is_refused():
    with pytest.raises(CorrectionError, match="plaza-000017"):
        number_of("somebody")


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Tracks and corrections as fusion would write them; new identities always get a fresh number."""
    alive: dict[int, set[int]] = {}
    values: list[dict[str, Any]] = []
    fresh, next_track = 1, 1
    for step in draw(st.lists(st.sampled_from(["track", "track", "more", "merge", "split", "retract"]), max_size=30)):
        if step == "track" or not alive:
            number = draw(st.sampled_from([fresh, *alive]))
            fresh += number == fresh
            alive.setdefault(number, set()).add(next_track)
            values.append(tracklet("north", next_track, number))
            next_track += 1
            continue
        number = draw(st.sampled_from(sorted(alive)))
        members = sorted(alive[number])
        if step == "more":
            values.append(tracklet("north", draw(st.sampled_from(members)), number))
        elif step == "merge" and len(alive) > 1:
            into = draw(st.sampled_from(sorted(set(alive) - {number})))
            alive[into] |= alive.pop(number)
            values.append(correction("merged", number, into))
        elif step == "split" and len(members) > 1:
            moved = draw(st.sets(st.sampled_from(members), min_size=1, max_size=len(members) - 1))
            alive[number] -= moved
            alive[fresh] = moved
            values.append(correction("split", number, fresh, [["north", track] for track in sorted(moved)]))
            fresh += 1
        elif step == "retract":
            del alive[number]
            values.append(correction("retracted", number))
    values.append({"expected": {track: number for number, tracks in alive.items() for track in tracks}})
    return values


@given(histories())
def test_both_topics_in_any_interleaving_lead_to_the_same_identities(history: list[dict[str, Any]]):
    *values, last = history
    expected = last["expected"]
    tracks = [value for value in values if "event" not in value]
    corrections = [value for value in values if "event" in value]
    for order in (values, tracks + corrections, corrections + tracks):
        followed = resolver(*order)
        for value in tracks:
            assert followed.identity_of("north", value["track"]) == expected.get(value["track"])
