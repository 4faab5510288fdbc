"""Gates of a view: where it is entered and left says where somebody comes from, and goes to."""

from __future__ import annotations

import numpy as np
import pytest
from fusion_scenes import camera, look, play, records, script, straight, topology

from mtmct.fusion import FusionEngine
from mtmct.gates import ANYWHERE, MOST, Gates
from mtmct.itinerary import Stay
from mtmct.settings import AppearanceCalibration, FusionSettings
from mtmct.travel import TravelTimes
from operators.records import SECOND_NS

LEARNING = FusionSettings(travel=True, appearance=AppearanceCalibration(12.0, -6.0))
SIZES = dict.fromkeys("abc", (1000, 500))
LEFT, RIGHT = (40.0, 250.0), (960.0, 250.0)


def stay(name: str, start_s: float, end_s: float, came: tuple | None = LEFT, went: tuple | None = LEFT) -> Stay:
    return Stay(round(start_s * SECOND_NS), round(end_s * SECOND_NS), name, came, went)


def fork(sizes: dict = SIZES, visits: int = 12) -> TravelTimes:
    """Who leaves `a` by the left comes into `b` by its right 10 s later; who leaves it by the right, into `c`."""
    times = TravelTimes(["a", "b", "c"], LEARNING, sizes)
    for visit in range(visits):
        start = 30.0 * visit
        gone = stay("a", start, start + 5, RIGHT if visit % 2 else LEFT, LEFT if visit % 2 else RIGHT)
        come = stay("b" if visit % 2 else "c", start + 15, start + 20, RIGHT if visit % 2 else LEFT)
        times.arrived(gone, [], 1.0)
        times.arrived(come, [(gone, 1.0)], 0.0)
        times.left(gone)
        times.left(come)
    return times


def test_the_side_on_which_a_view_is_left_says_where_somebody_comes_up():
    times = fork(visits=40)
    into_b = stay("b", 1215, 1220, RIGHT)
    by_the_left = times.llr(stay("a", 1200, 1205, RIGHT, LEFT), into_b)
    by_the_right = times.llr(stay("a", 1200, 1205, LEFT, RIGHT), into_b)
    assert by_the_left > by_the_right + 1.5


def test_while_somebody_is_in_view_it_counts_where_he_came():
    times = TravelTimes(["a", "b"], LEARNING, SIZES)
    for visit in range(12):
        start = 30.0 * visit
        side = LEFT if visit % 2 else RIGHT
        there = stay("a", start, start + 10, side, None)
        times.arrived(there, [], 1.0)
        if side == LEFT:
            times.arrived(stay("b", start + 3, start + 12), [(there, 1.0)], 0.0)
        times.left(there)
    into_b = stay("b", 1003, 1012)
    assert times.llr(stay("a", 1000, 1010, LEFT, None), into_b) > times.llr(stay("a", 1000, 1010, RIGHT), into_b) + 1.0


@pytest.mark.parametrize("sizes", [{}, SIZES])
def test_where_gates_are_not_known_the_cameras_as_a_whole_count(sizes: dict):
    times = fork(sizes)
    nowhere = {"came": None, "went": None}
    unknown = times.llr(stay("a", 1000, 1005, **nowhere), stay("b", 1015, 1020, **nowhere))
    known = times.llr(stay("a", 1000, 1005, RIGHT, LEFT), stay("b", 1015, 1020, RIGHT))
    assert np.isfinite(unknown) and (known > unknown + 0.3 if sizes else known == unknown)


def test_the_soonest_are_those_whose_times_say_most():
    times = fork()
    into_b = stay("b", 1015, 1020, RIGHT)
    known = [stay("a", 1000, 1005, RIGHT, LEFT), stay("a", 1000, 1005, LEFT, RIGHT), stay("c", 1003, 1009)]
    known += [stay("a", 1010, 1030, LEFT), stay("a", 1000, 1005, None, None)]
    rates = times.soonest(into_b, times.whereabouts(known))
    said = [times.llr(one, into_b) for one in known]
    assert rates - rates[0] == pytest.approx(np.array(said) - said[0])


def test_counts_of_gates_come_back_from_the_state_and_older_states_have_none():
    times = fork()
    again, older = TravelTimes(["a", "b", "c"], LEARNING, SIZES), TravelTimes(["a", "b", "c"], LEARNING, SIZES)
    for name in "abc":
        value = times.stored(name)
        again.restore(value)
        older.restore({key: said for key, said in value.items() if key != "gates"})
    gone, come = stay("a", 1000, 1005, RIGHT, LEFT), stay("b", 1015, 1020, RIGHT)
    assert again.llr(gone, come) == times.llr(gone, come)
    assert older.llr(gone, come) == pytest.approx(fork({}).llr(gone, come))
    assert older.stored("b")["gates"]["places"] == []


def test_gates_are_few_and_stay_where_most_pass():
    gates, random = Gates(10), np.random.default_rng(0)
    assert gates.nearest((0.5, 0.5)) == ANYWHERE and gates.learn(None) == ANYWHERE
    for spot in random.uniform(size=(500, 2)).tolist():
        gates.learn((spot[0], spot[1]))
    assert len(gates.places) == MOST
    door = Gates(10)
    for x, y in random.normal(0.3, 0.03, (200, 2)).tolist():
        door.learn((x, y))
    ((x, y, _),) = door.places
    assert (x, y) == pytest.approx((0.3, 0.3), abs=0.02)


def test_where_newcomers_begin_a_track_is_less_likely_one_that_was_lost():
    times = TravelTimes(["a"], LEARNING, SIZES)
    nowhere = stay("a", 0, 1, None)
    assert times.crowding(stay("a", 0, 1), 0.0) == times.crowding(nowhere, 0.0) == 0.0
    for visit in range(20):
        times.arrived(stay("a", 30.0 * visit, 30.0 * visit + 5, LEFT), [], 1.0)
        times.left(stay("a", 30.0 * visit, 30.0 * visit + 5, LEFT, RIGHT))
    assert times.crowding(stay("a", 700, 705, LEFT), 0.0) > 1.5, "most begin there"
    assert times.crowding(stay("a", 700, 705, RIGHT), -1.5) < -2.5, "nobody does"
    assert times.crowding(nowhere, -1.5) == -1.5


def test_who_should_have_come_by_now_is_soon_to_come():
    """Half of them take 10 s and the others a minute: who has not come after half a minute is one of the latter."""
    times, sure = TravelTimes(["a", "b"], LEARNING), TravelTimes(["a", "b"], LEARNING)
    for visit in range(40):
        start = 100.0 * visit
        gone, late = stay("a", start, start + 5), stay("b", start + 65, start + 70)
        for learned, come in ((times, late if visit % 2 else stay("b", start + 15, start + 20)), (sure, late)):
            learned.left(gone)
            learned.arrived(come, [(gone, 1.0)] if learned is times or visit % 2 else [], 0.0)
            learned.left(come)
    said = [learned.llr(stay("a", 5000, 5005), stay("b", 5065, 5070)) for learned in (times, sure)]
    assert said[0] > said[1] + 0.3, "as many came so late, but fewer were still on their way"
    (way,) = [row for row in times.table() if row.source == "a"]
    assert way.share > 0.9 and way.low_s < 15 < 55 < way.high_s


def test_ways_are_bounded_and_the_busiest_are_kept():
    gates = Gates(10)
    for number in range(400):
        gates.arrived((f"c{number}", 0, 0, 0))[0] = number
    gates.tidy()
    assert len(gates.came) == 128 and min(came.sum() for came in gates.came.values()) == 400 - 128
    gates.fade(0.5)
    assert sorted(came[0] for came in gates.came.values()) == [n / 2 for n in range(400 - 128, 400)]
    gates.fade(1e-6)
    assert not gates.came


def forked_walks(visits: int) -> dict:
    """Through `a`, then by the left into `b` or by the right into `c`; the last two at once, without looks."""
    walks = {}
    for visit in range(visits + 2):
        left = visit % 2 == 0
        start = 25 * min(visit, visits)
        way = -1 if left else 1
        seen = look(visit, 64) if visit < visits else None
        ways = straight(10, 5, 3.0 * way, 0.0, start)
        walks["a", visit + 1] = {"path": ways, "start": start, "end": start + 3, "look": seen}
        beyond = start + 3 + 12
        path = straight(19.5 if left else 0.5, 5, 3.0 * way, 0.0, beyond)
        walks["b" if left else "c", visit + 1] = {"path": path, "start": beyond, "end": beyond + 6, "look": seen}
    return walks


def test_two_who_part_at_one_time_are_told_apart_by_the_sides_they_leave_on():
    visits = 12
    origins = dict.fromkeys("abc", (0.0, 0.0))
    engine = FusionEngine("plaza", topology(*(camera(name, calibrated=False) for name in "abc")), LEARNING)
    commits = play(engine, script(forked_walks(visits), origins, 25 * visits + 60))
    people = {(value["camera"], value["track"]): value["number"] for value in records(commits, "tracks")}
    assert people["a", visits + 1] == people["b", visits + 1] != people["a", visits + 2] == people["c", visits + 2]
