"""The state as records of a compacted topic, without Kafka."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ledger.base import CorruptError
from pipeline.ledger.kafka.state import PART_BYTES, Stamp, StateTable, after, changes

# Sizes around the places where a value gets another part.
SIZES = st.sampled_from([0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES, 3 * PART_BYTES + 7])
COMMITS = st.lists(st.dictionaries(st.sampled_from(["a", "a/b", "ü"]), st.none() | SIZES, max_size=3), max_size=6)


@given(COMMITS)
def test_a_compacted_topic_gives_back_the_state(commits: list[dict[str, int | None]]) -> None:
    state: dict[str, bytes] = {}
    compacted: dict[bytes, tuple[bytes | None, list[tuple[str, bytes]]]] = {}
    counts: dict[str, int] = {}
    for number, sizes in enumerate(commits):
        change = {key: None if size is None else bytes([number]) * size for key, size in sizes.items()}
        for key, value, headers in changes(change, counts):
            compacted[key] = value, headers
            assert value is None or len(value) <= PART_BYTES
        counts = after(change, counts)
        state |= {key: value for key, value in change.items() if value is not None}
        state = {key: value for key, value in state.items() if change.get(key, value) is not None}
    table = StateTable()
    for key, (value, headers) in compacted.items():
        table.apply(key, value, headers)
    assert table.values() == state
    assert table.part_counts() == counts
    assert sum(value is not None for value, _ in compacted.values()) == sum(counts.get(key, 1) for key in state)


def test_the_stamp_is_told_from_the_state() -> None:
    table = StateTable()
    stamp = Stamp(3, 17, {"tracks": 5, "events": 2})
    table.apply(*stamp.change())
    assert table.stamp == stamp
    assert table.values() == {}


def test_a_missing_part_is_an_error() -> None:
    table = StateTable()
    for key, value, headers in list(changes({"a": b"x" * (2 * PART_BYTES)}, {}))[:1]:
        table.apply(key, value, headers)
    with pytest.raises(CorruptError, match="'a' in Kafka lacks a part"):
        table.values()


def test_keys_with_the_separator_are_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        list(changes({"a\0b": b""}, {}))
