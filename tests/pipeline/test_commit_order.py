"""Which interval is ready: asked with every batch, so it must not look at everybody, and say the same as if it did."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from mtmct.records import CameraBatch
from operators.records import CrosscamError
from pipeline.commit_order import CommitOrder

SECOND = 1_000_000_000


class Clock:
    """Seconds that stand still until they are set; counts how often it is asked."""

    def __init__(self) -> None:
        self.now, self.asked = 0.0, 0

    def __call__(self) -> float:
        self.asked += 1
        return self.now


def order_of(cameras: int, clock: Clock) -> CommitOrder:
    order = CommitOrder("plaza", {f"c{number}": True for number in range(cameras)}, SECOND, 5.0, clock)
    for camera in order.lanes:
        order.take_over(camera, 1, retry_failed=True)
    return order


def send(order: CommitOrder, camera: str, sequence: int, interval: int) -> None:
    batch = CameraBatch(camera, order.lanes[camera].epoch, sequence, interval, (interval + 1) * SECOND)
    order.heard(batch).put(batch)


def looked_at_everybody(order: CommitOrder) -> int | None:
    """The rule itself."""
    heads = [lane.queue[0][0].interval for lane in order.lanes.values() if lane.queue]
    if not heads:
        return None
    interval = max(min(heads), -1 if order.last_interval is None else order.last_interval + 1)
    behind = [
        lane
        for lane in order.lanes.values()
        if lane.watermark_ns < order.end_ns(interval) and not (lane.live and order.clock() - lane.heard > 5.0)
    ]
    if not behind:
        return interval
    return order.last_interval if min(heads) < interval else None


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_commit_of_many_cameras_does_not_look_at_all_of_them_with_every_batch(shuffled):
    async def run() -> int:
        clock, cameras = Clock(), 300
        order = order_of(cameras, clock)
        dice = random.Random(0)
        for interval in range(4):
            names = list(order.lanes)
            if shuffled:
                dice.shuffle(names)
            before = clock.asked
            for place, camera in enumerate(names):
                clock.now += 1e-3
                send(order, camera, interval, interval)
                assert order.ready() == (interval if place == cameras - 1 else None)
            order.committed(order.entries(interval), interval)
        return clock.asked - before

    # One look a batch at the camera that is waited for, one to note when it came, and now and then all of them.
    assert asyncio.run(run()) < 20 * 300 < 300 * 300 / 2


@pytest.mark.parametrize("seed", range(6))
def test_it_says_the_same_as_if_it_looked_at_everybody(seed):
    async def run() -> Counter:
        dice, clock = random.Random(seed), Clock()
        order = order_of(5, clock)
        sequences, intervals = dict.fromkeys(order.lanes, 0), dict.fromkeys(order.lanes, 0)
        said: Counter = Counter()
        for _ in range(600):
            camera = dice.choice(list(order.lanes))
            what = dice.choices(["send", "wait", "take over", "change"], [20, 4, 1, 1])[0]
            if what == "send":
                intervals[camera] += dice.choice([0, 1, 1, 1, 2])
                send(order, camera, sequences[camera], intervals[camera])
                sequences[camera] += 1
            elif what == "wait":
                clock.now += dice.choice([0.1, 2.0, 6.0])
            elif what == "take over":
                resume = order.take_over(camera, 1, retry_failed=True)
                sequences[camera] = resume.sequence
            else:
                left = {name: True for name in order.lanes if name != camera}
                order.change(left, {}, [camera])
                order.change({**left, camera: True}, {camera: order.joining(camera, True)}, [])
                sequences[camera] = order.take_over(camera, 1, retry_failed=True).sequence
            for _ in range(3):
                asked, ready = looked_at_everybody(order), order.ready()
                assert ready == asked
                said[ready is None] += 1
                if ready is None:
                    break
                order.committed(order.entries(ready), ready)
        return said

    said = asyncio.run(run())
    assert said[True] > 50 and said[False] > 50


def test_who_is_no_camera_of_the_site_holds_nobody_up():
    async def run() -> None:
        order = order_of(2, Clock())
        send(order, "c0", 0, 0)
        assert order.ready() is None
        order.change({"c0": True}, {}, ["c1"])
        assert order.ready() == 0
        with pytest.raises(CrosscamError):
            order.lane("c1")

    asyncio.run(run())
