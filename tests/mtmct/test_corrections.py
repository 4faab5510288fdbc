"""What a consumer that follows the corrections believes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtmct.corrections import CorrectionError, IdentityResolver, TrackOwners, number_of


def name(number: int) -> str:
    return f"old-town-{number:06d}"


def tracklet(camera: str, track: int, number: int, start: int = 0) -> dict[str, Any]:
    return {"camera": camera, "track": track, "identity": name(number), "number": number, "start": start}


def correction(
    event: str, number: int, into: int | None = None, tracks: list[list[Any]] | None = None, time: int = 10_000_000
) -> dict[str, Any]:
    return {
        "event": event,
        "time": time,
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
    followed = resolver(tracklet("south", 5, 1), split)
    assert [followed.identity_of("south", 5, time) for time in (0, 1_999_999, 2_000_000, 9_000_000)] == [1, 1, 9, 9]
    assert followed.identity_of("south", 5) == 9


def test_a_split_up_to_a_time_leaves_what_the_track_is_after():
    split = correction("split", 1, into=9, tracks=[["south", 5]]) | {"since": None, "until": 2_000_000}
    followed = resolver(tracklet("south", 5, 1), split)
    assert [followed.identity_of("south", 5, time) for time in (0, 1_999_999, 2_000_000)] == [9, 9, 1]
    assert followed.identity_of("south", 5) == 1


def test_a_merge_after_a_timed_split_moves_each_part_with_its_identity():
    split = correction("split", 1, into=9, tracks=[["south", 5]]) | {"since": 2_000_000, "until": 4_000_000}
    followed = resolver(tracklet("south", 5, 1), split, correction("merged", 9, into=3))
    assert [followed.identity_of("south", 5, time) for time in (0, 3_000_000, 4_000_000)] == [1, 3, 1]


def test_a_track_that_comes_back_is_what_it_is_published_as_then():
    """Whoever gives ids may give one again when nobody remembers it; corrections of before do not speak of it."""
    before, back = tracklet("south", 5, 1), tracklet("south", 5, 7, start=60_000_000)
    split = correction("split", 1, into=9, tracks=[["south", 5]], time=20_000_000) | {"since": 0}
    for order in ((before, split, back), (before, back, split), (split, before, back)):
        followed = resolver(*order)
        assert (followed.identity_of("south", 5, 0), followed.identity_of("south", 5, 60_000_000)) == (9, 7)
        assert followed.identity_of("south", 5) == 7 and followed.first_published("south", 5) == name(1)


def test_what_is_corrected_of_a_track_that_came_back_leaves_what_it_was_before():
    split = correction("split", 7, into=9, tracks=[["south", 5]], time=80_000_000) | {"since": 60_000_000}
    followed = resolver(tracklet("south", 5, 1), tracklet("south", 5, 7, start=60_000_000), split)
    assert (followed.identity_of("south", 5, 0), followed.identity_of("south", 5)) == (1, 9)


def test_whose_a_track_was_is_kept_and_read_again_and_as_it_was_kept_before():
    owners = TrackOwners()
    owners.publish(0, 1)
    owners.assign(2, None, 9, 10)
    again = TrackOwners(*owners.stored())
    assert not again.publish(5, 1) and again.publish(20, 1)
    assert [again.at(time) for time in (0, 5, 20)] == [1, 9, 1]
    older = TrackOwners(*owners.stored()[:2])
    assert not older.publish(20, 1) and older.at(20) == 9


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
    """Tracks and corrections as fusion would write them; new identities always get a fresh number.

    Every step is a commit: its corrections speak of what starts before it, its tracklets start with it. A track that is
    let go may come back as anybody's.
    """
    alive: dict[int, set[int]] = {}
    begun: dict[int, int] = {}
    whose: dict[tuple[int, int], int] = {}  # by track and where a tracklet starts
    values: list[dict[str, Any]] = []
    fresh, next_track = 1, 1
    steps = ["track", "track", "more", "merge", "split", "retract", "back"]
    for now, step in enumerate(draw(st.lists(st.sampled_from(steps), max_size=30))):
        gone = sorted(set(range(1, next_track)) - {track for tracks in alive.values() for track in tracks})
        if step == "track" or not alive or (step == "back" and not gone):
            number, track = draw(st.sampled_from([fresh, *alive])), next_track
            next_track += 1
        elif step == "back":
            number, track = draw(st.sampled_from([fresh, *alive])), draw(st.sampled_from(gone))
        else:
            number, track = draw(st.sampled_from(sorted(alive))), 0
        members = sorted(alive.get(number, ()))
        if track:
            fresh += number == fresh
            alive.setdefault(number, set()).add(track)
            begun[track] = now
        elif step == "more":
            track = draw(st.sampled_from(members))
        elif step == "merge" and len(alive) > 1:
            into = draw(st.sampled_from(sorted(set(alive) - {number})))
            alive[into] |= alive.pop(number)
            whose = {key: into if owner == number else owner for key, owner in whose.items()}
            values.append(correction("merged", number, into, time=now))
        elif step == "split" and len(members) > 1:
            moved = draw(st.sets(st.sampled_from(members), min_size=1, max_size=len(members) - 1))
            alive[number] -= moved
            alive[fresh] = moved
            for one in sorted(moved):
                value = correction("split", number, fresh, [["north", one]], time=now)
                values.append(value | {"since": begun[one], "until": None})
                whose |= {key: fresh for key in whose if key[0] == one and key[1] >= begun[one]}
            fresh += 1
        elif step == "retract":
            del alive[number]
            whose = {key: owner for key, owner in whose.items() if owner != number}
            values.append(correction("retracted", number, time=now))
        if track:
            whose[track, now] = number
            values.append(tracklet("north", track, number, start=now))
    values.append({"expected": whose})
    return values


@given(histories())
def test_both_topics_in_any_interleaving_lead_to_the_same_identities(history: list[dict[str, Any]]):
    *values, last = history
    tracks = [value for value in values if "event" not in value]
    corrections = [value for value in values if "event" in value]
    for order in (values, tracks + corrections, corrections + tracks):
        followed = resolver(*order)
        for value in tracks:
            found = followed.identity_of("north", value["track"], value["start"])
            assert found == last["expected"].get((value["track"], value["start"]))
