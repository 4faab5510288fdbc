"""What a ledger says, as it stands after every record."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtmct.corrections import IdentityResolver
from pipeline.ledger.base import Stored
from pipeline.serve.view import SiteView

US = 1_000_000


def track(camera: str, track: int, second: int, identity: str, **more: Any) -> dict[str, Any]:
    box = [10.0, 20.0, 30.0 + second, 80.0]
    return {
        "site": "plaza",
        "camera": camera,
        "track": track,
        "class": "person",
        "identity": identity,
        "revision": 0,
        "start": second * US,
        "end": second * US + 900_000,
        "points": [[second * US, *box, 0.9, 1.0, 2.0], [second * US + 900_000, *box, 0.9, 1.0, 2.5]],
        "link": None,
        "ended": False,
        **more,
    }


def said(identity: str, event: str, second: int, into: str | None = None, **more: Any) -> dict[str, Any]:
    fields = {"site": "plaza", "identity": identity, "event": event, "into": into, "revision": 1, "class": "person"}
    return {**fields, "time": second * US, "tracks": [], **more}


def event(type_: str, second: int, camera: str = "north", **fields: Any) -> dict[str, Any]:
    return {"site": "plaza", "camera": camera, "type": type_, "time": second * US, **fields}


@pytest.fixture
def view() -> SiteView:
    return SiteView()


def tell(view: SiteView, topic: str, *values: dict[str, Any]) -> None:
    for value in values:
        view.take([Stored(topic, "", value, b"", 0, str(view.version))])


def test_who_is_in_view_is_who_was_seen_by_the_camera_just_now(view: SiteView) -> None:
    tell(view, "tracks", track("north", 1, 0, "plaza-000001"), track("north", 2, 0, "plaza-000002"))
    tell(view, "tracks", track("north", 2, 1, "plaza-000002", ended=True), track("south", 1, 5, "plaza-000003"))
    assert [(one.camera, one.identity) for one in view.in_view()] == [
        ("north", "plaza-000001"),
        ("south", "plaza-000003"),
    ]
    tell(view, "events", event("counts", 9, start=0, end=9, revision=1))
    assert view.in_view("north") == [], "the camera went on and saw him no more"


def test_a_merge_moves_everything_to_whom_it_turned_out_to_be(view: SiteView) -> None:
    tell(view, "tracks", track("north", 1, 0, "plaza-000001"), track("south", 4, 3, "plaza-000002"))
    assert len(view.visits("plaza-000001")) == 1
    tell(view, "identities", said("plaza-000002", "merged", 4, "plaza-000001"))
    visits = view.visits("plaza-000001")
    assert [(visit.camera, visit.first) for visit in visits] == [("north", "plaza-000001"), ("south", "plaza-000002")]
    merged = view.identity("plaza-000002")
    assert merged is not None and (merged.state, merged.into, merged.tracks) == ("merged", "plaza-000001", 0)
    assert [one.state for one in view.identities()] == ["open", "merged"]
    assert view.said("plaza-000001") == view.said("plaza-000002")


def test_a_split_takes_a_part_of_a_track_away(view: SiteView) -> None:
    tell(view, "tracks", *(track("north", 1, second, "plaza-000001") for second in range(4)))
    fields = {"tracks": [["north", 1]], "since": 2 * US, "until": None}
    tell(view, "identities", said("plaza-000001", "split", 4, "plaza-000009", **fields))
    (kept,), (taken,) = view.visits("plaza-000001"), view.visits("plaza-000009")
    assert (kept.start, kept.end) == (0, 1_900_000)
    assert (taken.start, taken.end) == (2 * US, 3_900_000)


def test_the_retracted_are_seen_nowhere(view: SiteView) -> None:
    tell(view, "tracks", track("north", 1, 0, "plaza-000001"))
    tell(view, "identities", said("plaza-000001", "retracted", 1))
    assert view.in_view() == [] and view.visits("plaza-000001") == []
    gone = view.identity("plaza-000001")
    assert gone is not None and gone.state == "retracted"


def test_who_was_merged_twice_is_said_to_be_whom_he_is_in_the_end(view: SiteView) -> None:
    tell(view, "tracks", *(track("north", number, number, f"plaza-{number:06d}") for number in (1, 2, 3)))
    tell(view, "identities", said("plaza-000003", "merged", 4, "plaza-000002"))
    assert [one.into for one in view.identities()] == [None, None, "plaza-000002"]
    tell(view, "identities", said("plaza-000002", "merged", 5, "plaza-000001"))
    assert [one.into for one in view.identities()] == [None, "plaza-000001", "plaza-000001"]
    assert [visit.track for visit in view.visits("plaza-000001")] == [1, 2, 3]
    tell(view, "identities", said("plaza-000001", "retracted", 6))
    assert [one.state for one in view.identities()] == ["retracted"] * 3


IDENTITIES = [f"plaza-{number:06d}" for number in range(1, 6)]
identity = st.sampled_from(IDENTITIES)
moment = st.integers(0, 9)
corrections = st.one_of(
    st.builds(lambda who, into: said(who, "merged", 9, into), identity, identity).filter(
        lambda value: value["identity"] != value["into"]
    ),
    st.builds(lambda who: said(who, "retracted", 9), identity),
    st.builds(
        lambda who, into, tracks, since: said(who, "split", 9, into, tracks=tracks, since=since * US, until=None),
        identity,
        identity,
        st.lists(st.integers(0, 3).map(lambda number: ["north", number]), min_size=1, max_size=2),
        moment,
    ).filter(lambda value: value["identity"] != value["into"]),
)
tracks = st.builds(lambda number, second, who: track("north", number, second, who), st.integers(0, 3), moment, identity)


@pytest.mark.parametrize("only_of_who_stands", [True, False])
@given(told=st.lists(tracks | corrections, max_size=30))
def test_whatever_is_corrected_everybody_has_what_one_who_hears_it_all_at_once_gives_him(
    only_of_who_stands: bool, told: list[dict[str, Any]]
) -> None:
    view, resolver = SiteView(), IdentityResolver()
    heard: list[dict[str, Any]] = []
    begun: dict[int, int] = {}
    for value in told:
        # A track's tracklets are told in the order of their times.
        if "points" in value and value["start"] <= begun.get(value["track"], -1):
            continue
        if "points" in value:
            begun[value["track"]] = value["start"]
        if only_of_who_stands and "points" not in value and resolver.current(value["identity"]) != value["identity"]:
            continue
        heard.append(value)
        tell(view, "tracks" if "points" in value else "identities", value)
        resolver.published(value) if "points" in value else resolver.apply(value)
        view.identities()  # whoever asks in between gets no other answer in the end
    said_tracks = [value for value in heard if "points" in value]
    for name in IDENTITIES:
        mine = [one for one in said_tracks if resolver.name_of("north", one["track"], one["start"]) == name]
        kept = view.identity(name)
        assert (kept is None or kept.start is None) == (not mine)
        if kept is not None:
            current = resolver.current(name)
            assert kept.into == (current if current != name else None)
            assert kept.tracks == len({one["track"] for one in mine})
            assert kept.start == min((one["start"] for one in mine), default=None)
            assert kept.end == max((one["end"] for one in mine), default=None)
        pieces = Counter(one["track"] for one in mine)
        assert {visit.track: visit.points for visit in view.visits(name)} == {
            number: 2 * many for number, many in pieces.items()
        }


def test_a_visit_is_shown_as_it_was_seen_best(view: SiteView) -> None:
    tell(view, "tracks", *(track("north", 1, second, "plaza-000001") for second in range(3)))
    (visit,) = view.visits("plaza-000001")
    assert visit.best == (2 * US, (10.0, 20.0, 32.0, 80.0)), "the largest box"
    assert visit.points == 6


def test_the_newest_revision_of_a_count_stands(view: SiteView) -> None:
    for revision, unique in ((1, 5), (2, 4)):
        tell(view, "events", event("site_counts", 60, "", start=0, end=60 * US, revision=revision, unique=unique))
    tell(view, "events", event("site_counts", 60, "", start=0, end=60 * US, revision=1, unique=9))
    assert [value["unique"] for value in view.counts("site_counts")] == [4]


def test_incidents_begin_and_end(view: SiteView) -> None:
    fields = {"incident": 3, "start": US, "end": None, "kind": "loitering", "zone": "door", "tracks": [1]}
    tell(view, "events", event("incident", 1, state="started", **fields))
    assert view.cameras()["north"].open_incidents == {3}
    tell(view, "events", event("incident", 5, state="ended", **{**fields, "end": 5 * US}))
    assert view.cameras()["north"].open_incidents == set()
    assert [value["end"] for value in view.incidents()] == [5 * US]


def test_what_ended_too_long_ago_is_forgotten() -> None:
    view = SiteView(keep_s=60)
    for second in range(3000):
        tell(view, "tracks", track("north", second, second, f"plaza-{second:06d}", ended=True))
    kept = view.identities()
    assert 60 <= len(kept) <= 60 + 2000 and kept[0].start is not None
    assert view.identity("plaza-000000") is None
    assert len(view._marks) < 40


def test_reading_can_begin_near_a_time(view: SiteView) -> None:
    tell(view, "tracks", *(track("north", 1, second, "plaza-000001") for second in range(0, 600, 10)))
    position = view.position_before(300 * US)
    assert position is not None and 17 <= int(position) <= 24, "a minute or two before, not at the beginning"
    assert view.position_before(0) is None


def test_what_an_identity_is_like_is_what_was_said_last_of_it(view: SiteView) -> None:
    name = "plaza-000001"
    tell(view, "tracks", track("north", 1, 0, name, attributes={"hat": "hat"}), track("north", 1, 1, name))
    assert view.identity(name).attributes == {"hat": "hat"}  # type: ignore[union-attr]
    tell(view, "tracks", track("north", 1, 2, name, attributes={"hat": "hat", "bag": "handbag"}))
    assert view.identity(name).attributes == {"hat": "hat", "bag": "handbag"}  # type: ignore[union-attr]
    tell(view, "identities", said(name, "closed", 9, attributes={"bag": "backpack"}))
    assert view.identity(name).attributes == {"bag": "backpack"}  # type: ignore[union-attr]
