"""Identities that nobody has seen for long are found in time, whatever has become of their tracks."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import settings as example
from hypothesis import strategies as st

from mtmct.expiry import Expiry, last_seen
from mtmct.identities import IdentityBook
from mtmct.identity import Why
from mtmct.settings import FusionSettings
from mtmct.track_state import TrackState
from mtmct.tracks import TrackMemory

WHY = Why(1.0, {})
NOWHERE = np.zeros(8)


class People:
    """Tracks of one camera, each an identity of its own to begin with."""

    def __init__(self, ends: list[int]) -> None:
        self.memory = TrackMemory()
        self.book = IdentityBook("plaza", self.memory, FusionSettings())
        self.expiry = Expiry(self.book)
        for uid, end in enumerate(ends, start=1):
            self.memory.put(TrackState(uid, "a", uid, {"person": 1}, 0, end, 1, NOWHERE, NOWHERE, np.zeros(4), True))
            self.book.create(self.memory[uid], 0)
        self.commit()

    def commit(self) -> None:
        self.expiry.note(self.book.changed)
        self.book.changed.clear()

    def overdue(self, time_ns: int) -> list[int]:
        return [n for n, one in sorted(self.book.identities.items()) if self.book.last_seen(one) < time_ns]


def test_who_is_seen_again_is_not_due():
    people = People([10, 20])
    people.memory[1].last_ns = 100
    assert people.expiry.unseen_since(50) == [2]


def test_who_loses_the_track_that_was_seen_last_is_due_by_the_rest():
    people = People([10, 90])
    people.book.merge(people.book[2], people.book[1], WHY, 90)
    people.commit()
    assert people.expiry.unseen_since(50) == []
    people.book.move(people.memory[2], None, WHY, 95)
    people.commit()
    assert people.expiry.unseen_since(50) == [1]


@example(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 50), min_size=2, max_size=8), st.data())
def test_it_is_the_same_as_looking_at_everybody(ends, data):
    people = People(ends)
    numbers, steps = st.integers(1, len(ends)), st.sampled_from(("seen", "moved", "new"))
    for now in range(10, 120, 10):
        for step in data.draw(st.lists(steps, max_size=3)):
            track = people.memory[data.draw(numbers)]
            if step == "seen":
                track.last_ns = max(track.last_ns, now)
                continue
            own = people.book.identities.get(track.identity)
            target = people.book.identities.get(data.draw(numbers))
            if own is None or target is own:
                continue
            if len(own.uids) > 1:
                people.book.move(track, target if step == "moved" else None, WHY, now)
            elif target is not None:
                people.book.merge(own, target, WHY, now)
        people.commit()
        due = people.overdue(now - 30)
        assert people.expiry.unseen_since(now - 30) == due
        for number in due:
            people.book.close(people.book[number], now)
        people.commit()


def test_the_track_seen_last_may_be_forgotten_already_and_of_equals_is_the_last_by_name():
    people = People([10, 30, 20])
    for number in (2, 3):
        people.book.merge(people.book[number], people.book[1], WHY, 30)
    one = people.book[1]
    assert people.book.latest(one) == ("a", 2)
    people.book.forget([people.memory[2]])
    people.memory.forget(2)
    assert people.book.latest(one) == ("a", 2), "as its identity remembers"
    people.memory[3].last_ns = 30
    assert people.book.latest(one) == ("a", 3)
    people.memory[1].last_ns = 31
    assert people.book.latest(one) == ("a", 1)
    assert last_seen(people.book, [1]) == [people.book.last_seen(one)] == [31]
