"""Clocks of a running site: those that are minutes apart are found, counted and said; skews are in the status."""

from __future__ import annotations

import logging

import pytest

from mtmct.records import EVENTS, Record
from pipeline.clock_watch import ClockWatch
from pipeline.lane import Lane

SECOND = 1_000_000_000


class Site:
    """Live cameras, each of which says every second that it is complete up to its own clock's time."""

    def __init__(self, **ahead_s: float) -> None:
        self.ahead_s = dict(ahead_s)
        self.lanes = {camera: Lane(True, attached=True) for camera in ahead_s}
        self.watch = ClockWatch()
        self.now = 0

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1
            for camera, ahead in self.ahead_s.items():
                lane = self.lanes[camera]
                lane.heard, lane.watermark_ns = float(self.now), round((1000 + self.now + ahead) * SECOND)
                self.watch.heard(camera, lane.watermark_ns, self.lanes)


@pytest.mark.parametrize("ahead", [300.0, -300.0])
def test_a_camera_minutes_away_from_the_others_is_counted_and_said_once_with_the_remedy(ahead, caplog):
    site = Site(a=0, b=ahead, c=1.5, d=-2)
    with caplog.at_level(logging.WARNING):
        site.run(10)
    assert site.watch.apart_s.keys() == {"b"}
    assert site.watch.apart_s["b"] == pytest.approx(ahead, abs=3)
    assert site.watch.batches_apart["b"] in (9, 10) and site.watch.batches_apart.keys() == {"b"}
    (said,) = [record.message for record in caplog.records]
    assert "camera b" in said and f"`clock_offset_ms: {'-' if ahead > 0 else ''}" in said


def test_of_two_cameras_it_is_said_of_both():
    site = Site(a=0, b=120)
    site.run(3)
    assert site.watch.apart_s.keys() == {"a", "b"}


def test_half_a_minute_is_no_matter_and_a_clock_put_right_is_forgiven():
    site = Site(a=0, b=25, c=90)
    site.run(3)
    assert site.watch.apart_s.keys() == {"c"}
    site.ahead_s["c"] = 0
    site.run(3)
    assert not site.watch.apart_s


def test_recordings_may_be_of_any_time():
    site = Site(a=0, b=0)
    site.lanes["b"].live = False
    site.ahead_s["b"] = 4000
    site.run(3)
    assert not site.watch.apart_s and not site.watch.batches_apart


def test_who_fell_silent_is_not_compared_with():
    site = Site(a=0, b=0)
    site.run(2)
    del site.ahead_s["b"]
    site.now += 400
    site.run(3)
    assert not site.watch.apart_s


def test_the_latest_word_on_a_skew_is_kept():
    watch = ClockWatch()
    for skew in (0.4, 0.75):
        watch.committed([Record(EVENTS, "a", {"type": "clock_skew", "camera": "a", "skew": skew}, 0)])
    assert watch.skew_ms == {"a": 750.0}
