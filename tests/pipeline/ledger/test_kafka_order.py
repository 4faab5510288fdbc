"""Putting partitions back into order, without Kafka: what comes late, and what never comes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.ledger.kafka.order import GAP_S, Sequencer


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def out(merge: Sequencer) -> list[int]:
    return [sequence for sequence, _ in merge.ready()]


def test_the_next_number_goes_at_once_even_if_other_partitions_are_silent() -> None:
    merge = Sequencer([0, 1, 2], -1, Clock())
    merge.add(1, 0, "a")
    merge.add(1, 1, "b")
    assert list(merge.ready()) == [(0, "a"), (1, "b")]


def test_a_number_that_is_about_to_appear_is_waited_for() -> None:
    merge = Sequencer([0, 1], 4, Clock())
    merge.add(0, 6, None)
    assert out(merge) == []
    assert merge.held == 1
    merge.add(1, 5, None)
    assert out(merge) == [5, 6]
    assert merge.held == 0


def test_a_number_that_was_deleted_is_not_waited_for_long() -> None:
    clock = Clock()
    merge = Sequencer([0, 1], -1, clock)
    merge.add(0, 7, None)
    merge.add(0, 8, None)
    assert out(merge) == []
    clock.now += GAP_S
    assert out(merge) == [7, 8]


def test_a_missing_number_is_given_up_once_every_partition_shows_a_later_one() -> None:
    merge = Sequencer([0, 1], -1, Clock())
    merge.add(0, 7, None)
    merge.add(1, 9, None)
    assert out(merge) == [7]


@given(st.lists(st.integers(0, 2), max_size=60), st.data())
def test_whatever_the_order_of_arrival_the_numbers_come_out_in_order(owners: list[int], data: st.DataObject) -> None:
    merge = Sequencer([0, 1, 2], -1, Clock())
    queues = [[n for n, owner in enumerate(owners) if owner == partition] for partition in range(3)]
    seen: list[int] = []
    while any(queues):
        partition = data.draw(st.sampled_from([p for p, queue in enumerate(queues) if queue]))
        merge.add(partition, queues[partition].pop(0), None)
        seen += out(merge)
    assert seen == list(range(len(owners)))
