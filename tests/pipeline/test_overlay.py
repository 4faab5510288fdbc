"""Who is drawn where at a moment: from `tracks` values to boxes, trails and what is to be blurred."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from still_tracks import NOON, SECOND, tracks

from pipeline.overlay import Overlay


def test_box_stays_until_the_next_sampled_frame_and_no_longer():
    # 10 frames a second, capped to every third: frames 1, 4, 7 were sampled.
    overlay = Overlay([tracks("a", 1, 3, [1, 4, 7])], ["a"])
    shown = [len(overlay.at("a", NOON + n * SECOND // 10).boxes) for n in range(12)]
    assert shown == [1] * 9 + [0] * 3


def test_a_lost_track_shows_nothing_until_it_is_found():
    overlay = Overlay([tracks("a", 1, 3, [1, 2, 3, 8, 9])], ["a"])
    shown = [len(overlay.at("a", NOON + n * SECOND // 10).boxes) for n in range(10)]
    assert shown == [1, 1, 1, 0, 0, 0, 0, 1, 1, 0]


def test_who_is_lost_for_a_moment_is_still_to_be_blurred_on_his_way():
    there, gone_on = tracks("a", 1, 3, [1, 2, 3]), tracks("a", 2, 3, [11, 12], (80, 40, 110, 100))
    overlay = Overlay([there, gone_on], ["a"])
    marks = [overlay.at("a", NOON + n * SECOND // 10) for n in range(12)]
    assert [len(one.boxes) for one in marks] == [1] * 3 + [0] * 7 + [1] * 2
    assert [len(one.unseen) for one in marks] == [0] * 3 + [1] * 7 + [0] * 2
    assert [one.unseen[0, 0] for one in marks[3:10]] == pytest.approx([45, 50, 55, 60, 65, 70, 75])
    assert marks[5].unseen_classes == ("person",)


def test_shortly_before_and_after_he_is_taken_to_be_where_he_is_seen_first_and_last():
    overlay = Overlay([tracks("a", 1, 3, range(11, 14))], ["a"])
    unseen = [len(overlay.at("a", NOON + n * SECOND // 10).unseen) for n in range(25)]
    assert unseen == [0] * 5 + [1] * 5 + [0] * 3 + [1] * 5 + [0] * 7


def test_pieces_of_one_track_follow_each_other_without_doubling():
    overlay = Overlay([tracks("a", 1, 3, range(1, 11)), tracks("a", 1, 3, range(11, 21))], ["a"])
    assert [len(overlay.at("a", NOON + n * SECOND // 10).boxes) for n in range(20)] == [1] * 20


def test_times_rounded_to_microseconds_meet_their_frames():
    start = NOON + 333_333_999
    overlay = Overlay([tracks("a", 1, 3, range(1, 6), fps=30, start_ns=start)], ["a"])
    assert [len(overlay.at("a", start + round(n * SECOND / 30)).boxes) for n in range(6)] == [1] * 5 + [0]


def test_a_record_that_is_late_within_the_window_is_drawn_and_beyond_it_counted():
    late = tracks("a", 2, 9, range(1, 6))
    others = [tracks("a", 1, 3, range(n, n + 10)) for n in range(1, 200, 10)]
    within = Overlay([*others[:2], late, *others[2:]], ["a"], lookahead_ns=5 * SECOND)
    assert within.at("a", NOON).identities == (3, 9)
    assert within.late == 0
    beyond = Overlay([*others, late], ["a"], lookahead_ns=5 * SECOND)
    assert [beyond.at("a", NOON + n * SECOND // 10).identities for n in range(200)] == [(3,)] * 200
    assert beyond.late == 5


def test_reads_no_further_ahead_than_it_must():
    read = []

    def endless() -> Iterator[dict]:
        for n in range(10_000):
            read.append(n)
            yield tracks("a", n, n, range(10 * n + 1, 10 * n + 11))

    overlay = Overlay(endless(), ["a"], lookahead_ns=20 * SECOND)
    overlay.at("a", NOON)
    assert len(read) <= 22
    overlay.at("a", NOON + 100 * SECOND)
    assert len(read) <= 122


def test_all_at_once_takes_records_in_any_order():
    records = [tracks("a", 1, 3, range(n, n + 10)) for n in range(1, 2000, 10)]
    overlay = Overlay(records[::-1], ["a"], lookahead_ns=None)
    assert [overlay.at("a", NOON + n * SECOND // 10).identities for n in range(2000)] == [(3,)] * 2000


def test_trails_follow_the_feet():
    overlay = Overlay([tracks("a", 1, 3, range(1, 11))], ["a"])
    overlay.at("a", NOON)
    (trail,) = overlay.at("a", NOON + SECOND // 2).trails
    assert trail.identity == 3
    assert trail.points.tolist() == [[55, 100]] * 6


def test_cameras_outside_the_mosaic_are_passed_over():
    overlay = Overlay([tracks("elsewhere", 1, 3, range(1, 11)), tracks("a", 1, 4, range(1, 11))], ["a"])
    assert overlay.at("a", NOON).identities == (4,)
    assert overlay.points == 10
