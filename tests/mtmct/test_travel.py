"""Times between views that no homography joins: learned from who is recognised, and then a reason to recognise."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from fusion_scenes import camera, follows_the_schema, look, play, records, script, straight, topology

from mtmct.fusion import FusionEngine
from mtmct.itinerary import Stay
from mtmct.settings import AppearanceCalibration, FusionSettings, Path
from mtmct.travel import TravelTimes
from operators.records import SECOND_NS

ORIGINS = {"a": (0.0, 0.0), "b": (0.0, 0.0)}
LEARNING = FusionSettings(travel=True, appearance=AppearanceCalibration(12.0, -6.0))
VISITS, EVERY, STAY, WAY = 12, 25, 6, 14


def engine(settings: FusionSettings = LEARNING) -> FusionEngine:
    return FusionEngine("plaza", topology(camera("a", calibrated=False), camera("b", calibrated=False)), settings)


def commuters(looks: bool = True) -> list:
    """Every 25 s somebody walks through `a`, and 14 s after leaving it through `b`."""
    walks = {}
    for visit in range(VISITS):
        start = visit * EVERY
        there = start + STAY + WAY
        seen = look(visit, 64) if looks else None
        path = straight(0.5, 5, 3.0, 0.0, start)
        walks["a", visit + 1] = {"path": path, "start": start, "end": start + STAY, "look": seen}
        path = straight(0.5, 5, 3.0, 0.0, there)
        walks["b", visit + 1] = {"path": path, "start": there, "end": there + STAY, "look": seen}
    return script(walks, ORIGINS, VISITS * EVERY + 40)


def stay(name: str, start_s: float, end_s: float) -> Stay:
    return Stay(round(start_s * SECOND_NS), round(end_s * SECOND_NS), name)


def test_the_time_between_two_views_is_learned_from_who_is_recognised():
    fusion = engine()
    play(fusion, commuters()[:-1])
    (way,) = [row for row in fusion.travel_times() if (row.source, row.target) == ("a", "b")]
    assert way.typical_s == pytest.approx(WAY, abs=1.5)
    assert way.low_s > WAY - 4 and way.high_s < WAY + 6  # as fine as the grid of times is there
    assert way.overlap < 0.05 and way.share > 0.7


def test_what_was_learned_is_a_reason_for_the_next_link():
    commits = play(engine(), commuters())
    links = [value["link"] for value in records(commits, "tracks") if value["camera"] == "b" and value["link"]]
    said = [link["terms"]["travel"] for link in links if "travel" in link["terms"]]
    assert len(said) == VISITS and said[-1] > said[0] + 1.0
    people = {(value["camera"], value["track"]): value["number"] for value in records(commits, "tracks")}
    assert all(people["a", visit + 1] == people["b", visit + 1] for visit in range(VISITS))


def test_a_site_that_does_not_ask_for_it_learns_nothing():
    fusion = engine(replace(LEARNING, travel=False))
    commits = play(fusion, commuters())
    assert fusion.travel_times() == []
    links = [value["link"] for value in records(commits, "tracks") if value["link"]]
    assert not any("travel" in link["terms"] for link in links)
    assert not any(key.startswith("fusion/travel/") for key in fusion.snapshot())


@pytest.mark.parametrize("stop", [40, 133])
def test_an_engine_restored_in_between_goes_on_as_if_never_stopped(stop: int):
    steps = commuters()
    whole = play(engine(), steps)
    first = engine()
    begun = play(first, steps[:stop])
    second = engine()
    second.restore(first.snapshot())
    assert begun + play(second, steps[stop:]) == whole


def test_views_that_overlap_learn_so_themselves():
    times = TravelTimes(["a", "b"], LEARNING)
    before = times.llr(stay("a", 0, 10), stay("b", 3, 12))
    for visit in range(10):
        come = 60.0 * visit
        times.arrived(stay("b", come + 3, come + 12), [(stay("a", come, come + 10), 1.0)], 0.0)
        times.left(stay("a", come, come + 10))
        times.left(stay("b", come + 3, come + 12))
    (way,) = times.table()
    assert way.overlap > 0.95 and math.isnan(way.typical_s)
    assert times.llr(stay("a", 600, 610), stay("b", 603, 612)) > before + 2


def test_the_file_may_say_how_long_a_way_takes_and_that_there_is_no_other():
    settings = replace(LEARNING, paths=(Path("a", "b", 10.0, 15.0, 30.0),), only_paths=True)
    times = TravelTimes(["a", "b", "c"], settings)
    assert times.llr(stay("a", 0, 10), stay("b", 25, 30)) > times.llr(stay("a", 0, 10), stay("b", 60, 65)) + 2
    assert times.llr(stay("a", 0, 10), stay("c", 25, 30)) == -math.inf
    assert times.llr(stay("b", 0, 10), stay("a", 25, 30)) == -math.inf


def test_what_is_learned_fades_and_stays_bounded():
    times = TravelTimes(["z"], replace(LEARNING, travel_memory_s=600.0))
    for number in range(200):
        start = 10.0 * number
        times.arrived(stay("z", start + 9, start + 10), [(stay(f"c{number}", start, start + 5), 1.0)], 0.0)
    assert len(times.table()) == 64
    times.arrived(stay("z", 20_000, 20_001), [], 1.0)
    assert times.table() == []


def test_longer_than_the_longest_gap_is_never():
    times = TravelTimes(["a", "b"], LEARNING)
    assert times.llr(stay("a", 0, 10), stay("b", 10 + LEARNING.max_gap_s + 1, 400)) == -math.inf
    assert np.isfinite(times.llr(stay("a", 0, 10), stay("b", 9 + LEARNING.max_gap_s, 400)))


def test_given_paths_count_between_calibrated_cameras_too():
    shops = topology(camera("a"), camera("b", 500))
    settings = replace(LEARNING, paths=(Path("a", "b", 10.0, WAY, 20.0),))
    fusion = FusionEngine("plaza", shops, settings)
    commits = play(fusion, commuters(looks=False))
    links = [value["link"] for value in records(commits, "tracks") if value["camera"] == "b" and value["link"]]
    assert any("travel" in link["terms"] for link in links)
    people = {(value["camera"], value["track"]): value["number"] for value in records(commits, "tracks")}
    found = sum(people["a", visit + 1] == people["b", visit + 1] for visit in range(VISITS))
    assert found >= VISITS - 2
    without = play(FusionEngine("plaza", shops, replace(settings, paths=())), commuters(looks=False))
    assert not any("travel" in v["link"]["terms"] for v in records(without, "tracks") if v["link"])


def test_what_was_learned_is_an_event_and_again_when_it_has_changed():
    commits = play(engine(), commuters())
    said = [
        v for v in records(commits, "events") if v["type"] == "travel_time" and (v["camera"], v["to"]) == ("a", "b")
    ]
    assert [value["revision"] for value in said] == list(range(1, len(said) + 1))
    assert 1 <= len(said) <= 4, "not again for what is no news"
    assert said[-1]["typical"] == pytest.approx(WAY, abs=1.5) and said[-1]["low"] <= said[-1]["typical"]
    assert said[0]["arrivals"] >= 5 and all(follows_the_schema(value) for value in said)
    quiet = play(engine(replace(LEARNING, travel=False)), commuters())
    assert not records(quiet, "events")
