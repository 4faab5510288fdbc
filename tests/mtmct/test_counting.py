"""Figures in the engine's commits: equal to what the corrected tracks give, whatever was corrected or interrupted."""

from __future__ import annotations

import pytest
from fusion_scenes import camera, look, play, records, script, straight, topology
from site_story import US, Corrected, as_counted, as_travelled, told_counts, told_journeys

from mtmct.counting import CountingEngine, restate
from mtmct.erasure import erase
from mtmct.fusion import FusionEngine
from mtmct.records import CameraBatch, Commit, Record
from mtmct.settings import FusionSettings
from mtmct.site_flow import SiteFlow, SiteFlowSettings
from operators.records import SECOND_NS

ORIGINS = {"a": (0.0, 0.0), "b": (10.0, 0.0), "c": (0.0, 0.0)}
SETTINGS = SiteFlowSettings(interval_s=2, gone_after_s=10)
Steps = list[tuple[int, list[CameraBatch]]]


def engine(*names: str) -> CountingEngine:
    plain = FusionEngine("plaza", topology(*(camera(name, ORIGINS[name][0]) for name in names)))
    return CountingEngine(plain, SiteFlow("plaza", SETTINGS), SECOND_NS)


def merging() -> Steps:
    """Both cameras see one person whom they take for two at first."""
    path = straight(11, 3, 0.3)
    walks = {
        ("a", 1): {"path": path, "start": 0, "end": 16},
        ("b", 1): {"path": lambda t: (path(t)[0] + max(0.0, 4.0 - t), 3), "start": 0, "end": 16},
    }
    return script(walks, ORIGINS, 40)


def splitting() -> Steps:
    """Both cameras see two people who begin on one spot, and are taken for one."""
    walks = {
        ("a", 1): {"path": straight(12, 3), "start": 0, "end": 15},
        ("b", 1): {"path": lambda t: (12 + 0.8 * max(0, t - 4), 3), "start": 0, "end": 15},
    }
    return script(walks, ORIGINS, 40)


def swapping() -> Steps:
    """Two people side by side; from second 8 on camera a confuses them, so that its tracks are cut."""
    north, south = straight(11, 2, 0.2), straight(11, 7, 0.2)
    walks = {}
    for name in "abc":
        for track, own, other in ((1, north, south), (2, south, north)):
            swaps = name == "a"
            walks[name, track] = {
                "path": lambda t, own=own, other=other, swaps=swaps: (other if swaps and t >= 8 else own)(t),
                "start": 0,
                "end": 20 if track == 1 else 17,
            }
    return script(walks, ORIGINS, 24)


def returning() -> Steps:
    """Two with looks of their own; one comes back after the other has gone."""
    walks = {}
    for person, row in ((1, 2.0), (2, 8.0)):
        path = straight(11, row, 0.5)
        walks["a", person] = {"path": path, "start": 0, "end": 12, "look": look(person)}
        walks["b", person] = {"path": path, "start": 3, "end": 12, "look": look(person)}
    walks["a", 3] = {"path": straight(12, 2.0), "start": 30, "end": 36, "look": look(1)}
    return script(walks, ORIGINS, 50)


SCENES = {
    "merging": (merging, "ab", {"merged"}),
    "splitting": (splitting, "ab", {"split"}),
    "swapping": (swapping, "abc", {"split"}),
    "returning": (returning, "ab", set()),
}


def all_records(commits: list[Commit]) -> list[Record]:
    return [record for commit in commits for record in commit.records]


def hold(commits: list[Commit]) -> None:
    """The figures last told are those of the corrected tracks."""
    written = all_records(commits)
    truth = Corrected([record for record in written if record.value.get("type") not in ("site_counts", "journey")])
    assert as_counted(told_counts(written)) == truth.counts(2)
    assert as_travelled(told_journeys(written)) == truth.journeys(10)


@pytest.mark.parametrize("name", SCENES)
def test_the_figures_are_those_of_the_corrected_tracks(name: str) -> None:
    scene, cameras, corrections = SCENES[name]
    commits = play(engine(*cameras), scene())
    assert {value["event"] for value in records(commits, "identities")} >= corrections
    hold(commits)
    restated = any(value["revision"] > 1 for value in told_counts(all_records(commits)).values())
    assert restated is (name in ("merging", "splitting"))  # where two swap, there are two before and after


@pytest.mark.parametrize("name", SCENES)
def test_an_engine_restored_before_every_commit_writes_the_same_bytes(name: str) -> None:
    scene, cameras, _ = SCENES[name]
    unbroken, state, kept = engine(*cameras), {}, []
    for watermark, batches in scene():
        broken = engine(*cameras)
        broken.restore(state)
        kept.append(broken.advance(batches, watermark))
        assert kept[-1] == unbroken.advance(batches, watermark)
        state = {key: data for key, data in {**state, **kept[-1].state}.items() if data is not None}
        assert state == broken.snapshot() == unbroken.snapshot()


def test_a_journey_is_told_while_the_site_runs_and_again_after_a_return() -> None:
    steps = returning()
    told = [
        (watermark // SECOND_NS, value["identity"], value["revision"], value["visits"])
        for commit, (watermark, _) in zip(play(engine("a", "b"), steps), steps, strict=True)
        for value in (record.value for record in commit.records)
        if value.get("type") == "journey"
    ]
    assert told == [(22, "plaza-000001", 1, 1), (22, "plaza-000002", 1, 1), (46, "plaza-000001", 2, 2)]


def test_who_is_erased_is_taken_out_of_the_figures_while_the_site_runs() -> None:
    running, steps = engine("a", "b"), returning()
    commits = play(running, steps[:26])
    commits.append(running.erase(1, 26 * SECOND_NS))
    hold(commits)
    (journey,) = [value for value in records(commits[-1:], "events") if value["type"] == "journey"]
    assert (journey["identity"], journey["revision"], journey["stays"]) == ("plaza-000001", 2, [])
    counts = {value["start"] // US: value["unique"] for value in told_counts(all_records(commits)).values()}
    assert (counts[0], counts[8], counts[12]) == (1, 1, 0)
    commits += play(running, steps[26:])
    hold(commits)


def test_who_is_erased_after_the_end_is_taken_out_of_a_state() -> None:
    running = engine("a", "b")
    commits = play(running, returning())
    before = running.snapshot()
    last_said = {value["number"]: value for value in records(commits, "identities")}
    for number in (1, 2):
        erasure = erase(before, number, "plaza", FusionSettings(), 50 * SECOND_NS, last_said[number])
        told, changes = restate(before, "plaza", erasure, 50 * SECOND_NS)
        commits += [Commit(0, erasure.records), Commit(0, tuple(told))]
        hold(commits)
        changes = {**before, **erasure.changes, **changes}
        before = {key: data for key, data in changes.items() if data is not None}


def test_figures_begin_anew_after_a_while_without_them() -> None:
    steps = returning()
    counting, plain, again = (
        engine("a", "b"),
        FusionEngine("plaza", topology(camera("a"), camera("b", 10.0))),
        engine("a", "b"),
    )
    play(counting, steps[:5])
    plain.restore(counting.snapshot())
    play(plain, steps[5:8])
    state = {**counting.snapshot(), **plain.snapshot()}
    again.restore(state)
    commits = play(again, steps[8:])
    told = told_counts(all_records(commits))
    assert (min(told) // US, told[8 * US]["unique"], told[8 * US]["revision"]) == (8, 2, 1)
    for commit in commits:
        state = {key: data for key, data in {**state, **commit.state}.items() if data is not None}
    assert state == again.snapshot()


def test_a_state_without_figures_is_left_alone() -> None:
    plain = FusionEngine("plaza", topology(camera("a"), camera("b", 10.0)))
    play(plain, returning()[:9])
    erasure = erase(plain.snapshot(), 1, "plaza", FusionSettings(), 9 * SECOND_NS)
    assert restate(plain.snapshot(), "plaza", erasure, 9 * SECOND_NS) == ([], {})
