"""The site's figures while it runs: everybody once, restated where a correction changes them, bounded, restartable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from site_story import (
    US,
    Corrected,
    as_counted,
    as_travelled,
    crossed,
    entered_zone,
    left_zone,
    name,
    said,
    story,
    told_counts,
    told_journeys,
    tracked,
)

from mtmct.records import Record
from mtmct.site_flow import SiteFlow, SiteFlowSettings, stored_settings

SETTINGS = SiteFlowSettings(interval_s=10, gone_after_s=20, restate_s=10_000)


def flow(settings: SiteFlowSettings = SETTINGS) -> SiteFlow:
    return SiteFlow("plaza", settings)


def commit(running: SiteFlow, second: int | None, *records: Record) -> list[Record]:
    """What the figures add to a commit with these records; None: the last one."""
    for record in records:
        running.take(record)
    return running.advance(None if second is None else second * US)[0]


def play(running: SiteFlow, commits: Sequence[Sequence[Record]], first: int = 0) -> list[Record]:
    added = []
    for second, records in enumerate(commits, first):
        added += commit(running, second + 1, *records)
    return added


def walk(camera: str, track: int, number: int, start: int, end: int) -> list[Record]:
    return [tracked(camera, track, number, [second, second + 0.5]) for second in range(start, end)]


def uniques(records: Sequence[Record]) -> list[tuple[int, int, int]]:
    """Start in seconds, revision and visitors of the counts among these records."""
    told = [record.value for record in records if record.value["type"] == "site_counts"]
    return [(value["start"] // US, value["revision"], value["unique"]) for value in told]


def journeys(records: Sequence[Record]) -> list[dict[str, Any]]:
    return [record.value for record in records if record.value["type"] == "journey"]


def places(journey: dict[str, Any]) -> list[tuple[str, str | None, float, float]]:
    return [(stay["camera"], stay["zone"], stay["start"] / US, stay["end"] / US) for stay in journey["stays"]]


# --- counts ----------------------------------------------------------------------------------------------------


def test_who_is_seen_by_two_cameras_is_counted_once_when_the_interval_is_over() -> None:
    running = flow()
    seen = [*walk("north", 1, 1, 0, 6), *walk("south", 7, 1, 3, 10), *walk("north", 2, 2, 4, 6)]
    assert commit(running, 9, *seen) == []
    (told,) = commit(running, 10)
    assert (told.topic, told.key, told.time_ns) == ("events", "plaza", 10 * US * 1000)
    assert told.value == {
        "schema": "crosscam.events/1", "site": "plaza", "camera": "", "type": "site_counts", "time": 10 * US,
        "start": 0, "end": 10 * US, "revision": 1, "present": 1, "unique": 2,
        "classes": {"person": {"present": 1, "unique": 2}}, "lines": {}, "zones": {},
    }  # fmt: skip


def test_cameras_that_look_and_see_nobody_count_nobody() -> None:
    running = flow(SiteFlowSettings(interval_s=10, lines=(("door", ("in", "out")),)))
    running.watched(0, 10 * US)
    (told,) = commit(running, 10)
    assert told.value["unique"] == 0
    assert told.value["lines"] == {"door": {"directions": {"in": 0, "out": 0}}}


def test_a_merge_and_a_split_restate_the_intervals_they_change_and_no_others() -> None:
    running = flow()
    seen = [*walk("north", 1, 1, 0, 15), *walk("south", 7, 2, 12, 19), *walk("yard", 3, 3, 0, 19)]
    assert uniques(commit(running, 20, *seen)) == [(0, 1, 2), (10, 1, 3)]
    assert uniques(commit(running, 21, said("merged", 2, 1))) == [(10, 2, 2)]
    assert uniques(commit(running, 22, said("split", 1, 4, tracks=[("south", 7)]))) == [(10, 3, 3)]
    assert uniques(commit(running, 23, said("split", 1, 4, tracks=[("north", 1)], since=12))) == []
    assert uniques(commit(running, 24, said("split", 1, 3, tracks=[("north", 1)], since=5, until=8))) == []
    assert uniques(commit(running, 25, said("retracted", 3))) == [(0, 2, 1), (10, 4, 2)]


def test_a_track_that_is_linked_late_restates_the_interval_in_which_it_was_seen() -> None:
    running = flow()
    assert uniques(commit(running, 10, *walk("north", 1, 1, 0, 10))) == [(0, 1, 1)]
    assert uniques(commit(running, 11, *walk("south", 7, 2, 8, 11))) == [(0, 2, 2)]


def test_one_identity_crosses_a_line_of_two_cameras_once_and_again_after_the_cool_down() -> None:
    running = flow()
    seen = [*walk("north", 1, 1, 0, 20), *walk("south", 7, 1, 0, 20), *walk("yard", 3, 2, 0, 20)]
    crossings = [crossed("north", 1, 5), crossed("south", 7, 5.4), crossed("yard", 3, 6), crossed("north", 1, 11)]
    told = told_counts(commit(running, 20, *seen, *crossings, crossed("yard", 99, 6)))
    assert [told[start * US]["lines"]["door"]["directions"] for start in (0, 10)] == [{"in": 2}, {"in": 1}]


def test_a_merge_restates_crossings() -> None:
    running = flow()
    seen = [*walk("north", 1, 1, 0, 20), *walk("south", 7, 2, 0, 20)]
    first = commit(running, 20, *seen, crossed("north", 1, 5), crossed("south", 7, 5.4))
    again = commit(running, 21, said("merged", 2, 1))
    told = told_counts([*first, *again])[0]
    assert (told["revision"], told["unique"], told["lines"]) == (2, 1, {"door": {"directions": {"in": 1}}})


def test_a_zone_of_two_cameras_holds_each_identity_once_for_as_long_as_it_stays() -> None:
    running = flow(SiteFlowSettings(interval_s=10, restate_s=10_000, zones=("till", "yard")))
    seen = [*walk("north", 1, 1, 0, 25), *walk("south", 7, 1, 0, 25), *walk("south", 8, 2, 0, 25)]
    entries = [entered_zone("north", 1, 4), entered_zone("south", 7, 5), entered_zone("south", 8, 12)]
    first = commit(running, 20, *seen, *entries, left_zone("south", 7, 5, 8), left_zone("south", 8, 12, 15))
    second = commit(running, 30)
    told = told_counts([*first, *second])
    assert [told[start * US]["zones"]["till"] for start in (0, 10, 20)] == [
        {"unique": 1, "occupancy": 1}, {"unique": 2, "occupancy": 1}, {"unique": 1, "occupancy": 0},
    ]  # fmt: skip
    assert told[0]["zones"]["yard"] == {"unique": 0, "occupancy": 0}
    told = told_counts([*first, *second, *commit(running, 31, said("merged", 2, 1))])
    assert told[10 * US]["zones"]["till"] == {"unique": 1, "occupancy": 1}


# --- journeys --------------------------------------------------------------------------------------------------


def test_a_journey_is_told_once_its_identity_is_gone_and_again_if_it_comes_back() -> None:
    running = flow()
    seen = [*walk("north", 1, 1, 0, 6), *walk("south", 7, 1, 10, 20), left_zone("south", 7, 12, 14)]
    assert journeys(commit(running, 39, *seen)) == []
    (told,) = journeys(commit(running, 40))
    assert told["identity"] == name(1) and told["class"] == "person" and told["into"] is None
    assert (told["start"], told["end"], told["visits"], told["revision"]) == (0, 19.5 * US, 1, 1)
    assert places(told) == [("north", None, 0, 5.5), ("south", None, 10, 19.5), ("south", "till", 12, 14)]
    assert journeys(commit(running, 50, *walk("yard", 3, 1, 48, 50))) == []
    (again,) = journeys(commit(running, 51, said("closed", 1)))
    assert (again["revision"], again["visits"]) == (2, 2)
    assert places(again) == [*places(told), ("yard", None, 48, 49.5)]


def test_a_journey_that_turns_out_to_be_anothers_is_taken_back_and_the_others_restated() -> None:
    running = flow()
    assert len(journeys(commit(running, 50, *walk("north", 1, 1, 0, 6), *walk("south", 7, 2, 10, 20)))) == 2
    one, other = journeys(commit(running, 51, said("merged", 2, 1)))
    assert (one["identity"], one["revision"], one["stays"], one["into"]) == (name(2), 2, [], name(1))
    assert (other["identity"], other["revision"]) == (name(1), 2)
    assert places(other) == [("north", None, 0, 5.5), ("south", None, 10, 19.5)]
    one, other = journeys(commit(running, 52, said("split", 1, 3, tracks=[("south", 7)])))
    assert places(one) == [("north", None, 0, 5.5)] and places(other) == [("south", None, 10, 19.5)]
    (gone,) = journeys(commit(running, 53, said("retracted", 3)))
    assert (gone["stays"], gone["start"], gone["visits"], gone["into"]) == ([], None, 0, None)


# --- all of it, against brute force ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_the_figures_after_all_corrections_are_those_of_the_corrected_tracks(seed: int) -> None:
    commits = story(seed, 90)
    running = flow()
    told = [*play(running, commits), *commit(running, None)]
    truth = Corrected([record for records in commits for record in records])
    assert as_counted(told_counts(told)) == truth.counts(10)
    assert as_travelled(told_journeys(told)) == truth.journeys(20)
    assert any(value["revision"] > 1 for value in told_counts(told).values())
    assert any(value["revision"] > 1 for value in told_journeys(told).values())


@pytest.mark.parametrize("restate_s", [20, 10_000])
def test_figures_restored_from_any_commit_go_on_as_if_they_had_never_stopped(restate_s: int) -> None:
    settings = SiteFlowSettings(interval_s=5, gone_after_s=8, restate_s=restate_s)
    commits = story(3, 70)
    unbroken, broken = flow(settings), flow(settings)
    for second, records in enumerate(commits):
        state = broken.snapshot()
        broken = flow(settings)
        broken.restore(state)
        for running in (unbroken, broken):
            for record in records:
                running.take(record)
        assert broken.advance((second + 1) * US) == unbroken.advance((second + 1) * US)
        assert broken.snapshot() == unbroken.snapshot()
    assert broken.advance(None) == unbroken.advance(None)


def test_the_changes_of_all_commits_are_the_state() -> None:
    running, state = flow(SiteFlowSettings(interval_s=5, restate_s=20)), {}
    for second, records in enumerate(story(4, 60)):
        for record in records:
            running.take(record)
        state |= running.advance((second + 1) * US)[1]
        assert {key: data for key, data in state.items() if data is not None} == running.snapshot()


# --- bounds ----------------------------------------------------------------------------------------------------


def churn(minutes: int, settings: SiteFlowSettings) -> tuple[list[int], list[Record]]:
    """Somebody new every 4 seconds, seen for 6; and one who never leaves. Size of the state after each minute."""
    running, sizes, told = flow(settings), [], []
    for second in range(minutes * 60):
        records = [tracked("yard", 10_000 + second // 50, 1, [second, second + 0.5])]
        here = [number for number in range(max(second // 4 - 2, 0), second // 4 + 1) if second < 4 * number + 6]
        records += [tracked("north", number, number + 2, [second, second + 0.5]) for number in here]
        if second % 4 == 0 and second >= 100:
            records.append(said("closed", (second - 100) // 4 + 2))
        told += commit(running, second + 1, *records)
        if second % 60 == 59:
            sizes.append(sum(len(key) + len(data) for key, data in running.snapshot().items()))
    return sizes, told


def test_half_an_hour_of_churn_leaves_the_state_as_small_as_the_window_makes_it() -> None:
    sizes, told = churn(30, SiteFlowSettings(interval_s=10, gone_after_s=20, restate_s=120))
    assert max(sizes[-5:]) < 1.1 * max(sizes[4:10])
    assert {value["unique"] for start, value in told_counts(told).items() if start} == {4, 5}


def test_what_lies_before_the_window_is_not_restated_but_a_journey_keeps_it() -> None:
    running = flow(SiteFlowSettings(interval_s=10, gone_after_s=20, restate_s=60))
    commit(running, 40, *walk("north", 1, 1, 0, 6), *walk("south", 7, 2, 0, 6), crossed("north", 1, 5))
    commit(running, 199, *walk("north", 2, 1, 190, 199))
    assert uniques(commit(running, 200, said("merged", 2, 1))) == [(190, 1, 1)]
    (told,) = journeys(commit(running, 240))
    assert places(told) == [("north", None, 0, 5.5), ("south", None, 0, 5.5), ("north", None, 190, 198.5)]
    assert told["visits"] == 2


def test_with_another_interval_length_counting_begins_anew_and_journeys_go_on() -> None:
    running = flow()
    commit(running, 15, *walk("north", 1, 1, 0, 15))
    changed = SiteFlowSettings(interval_s=4, gone_after_s=20, restate_s=10_000)
    assert stored_settings(running.snapshot()) == SETTINGS
    after = flow(changed)
    after.restore(running.snapshot())
    told = commit(after, 60, *walk("north", 1, 1, 15, 22))
    assert uniques(told) == [(16, 1, 1), (20, 1, 1)]
    (journey,) = journeys(told)
    assert places(journey) == [("north", None, 0, 21.5)]
