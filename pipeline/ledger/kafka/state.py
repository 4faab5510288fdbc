"""The state as records of a compacted topic, and back.

A value is cut into parts of at most 512 KiB, each a record of its own, because Kafka's default limit for a
record is 1 MiB and many clusters let nobody raise it. The transaction keeps the parts together. Keys:

    fusion/links            the value, or its first part; then the header "parts" says how many there are
    fusion/links NUL 1      the second part, and so on
    NUL stamp               which commit this is (`Stamp`), in every transaction

Keys given by callers hold no NUL. Parts that a shorter value leaves over are deleted with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pipeline.ledger.base import CorruptError

PART_BYTES = 512 * 1024
_MOST_PARTS = 2**20  # half a terabyte

_NUL = "\0"
_STAMP_KEY = b"\0stamp"
_PARTS = "parts"

Headers = list[tuple[str, bytes]]
Change = tuple[bytes, bytes | None, Headers]


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who made a commit and how much had been written with it.

    Attributes:
        epoch: how often a writer has opened this ledger; the one of the latest is the owner's.
        commit: commits made so far.
        written: records written so far, per topic. The next record of a topic has this sequence number.
    """

    epoch: int = 0
    commit: int = 0
    written: Mapping[str, int] = field(default_factory=dict)

    def change(self) -> Change:
        """The stamp as a record of the state topic."""
        fields = {"epoch": self.epoch, "commit": self.commit, "written": dict(sorted(self.written.items()))}
        return _STAMP_KEY, json.dumps(fields, separators=(",", ":")).encode(), []


class StateTable:
    """The state topic's latest record of every key."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[bytes, int]] = {}
        self.stamp = Stamp()

    def apply(self, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Take the topic's next record in.

        Raises:
            CorruptError: it was not written by a ledger.
        """
        if key == _STAMP_KEY:
            self.stamp = _read_stamp(value)
            return
        try:
            if key is None:
                raise ValueError("a record without a key")
            name, parts = key.decode(), int(dict(headers).get(_PARTS, b"1"))
            if not 0 < parts <= _MOST_PARTS:
                raise ValueError(f"a value of {parts} parts")
        except (ValueError, TypeError) as error:
            raise CorruptError(
                f"the state topic in Kafka holds what was not written by crosscam ({error}): nothing else may write to "
                "a site's topics"
            ) from error
        if value is None:
            self._values.pop(name, None)
        else:
            self._values[name] = value, parts

    def values(self) -> dict[str, bytes]:
        """Whole values by key.

        Raises:
            CorruptError: a part is missing.
        """
        whole: dict[str, bytes] = {}
        for name in sorted(self._values):
            if _NUL in name:
                continue
            try:
                names = [_part_name(name, part) for part in range(self._values[name][1])]
                whole[name] = b"".join(self._values[part][0] for part in names)
            except KeyError as error:
                raise CorruptError(
                    f"the state '{name}' in Kafka lacks a part: records were deleted from its topic"
                ) from error
        return whole

    def part_counts(self) -> dict[str, int]:
        """Number of parts of every value that has more than one."""
        return {name: parts for name, (_, parts) in self._values.items() if parts > 1}


def changes(state: Mapping[str, bytes | None], part_counts: Mapping[str, int]) -> Iterator[Change]:
    """The records that bring the state topic up to date.

    Args:
        state: changed values; None deletes.
        part_counts: parts that values in the topic have now, for those with more than one.
    """
    for name, value in state.items():
        if _NUL in name:
            raise ValueError(f"a state key must not hold a NUL character: {name!r}")
        parts = [] if value is None else [value[i : i + PART_BYTES] for i in range(0, len(value), PART_BYTES)] or [b""]
        for number, part in enumerate(parts):
            first_of_many = number == 0 and len(parts) > 1
            yield _part_name(name, number).encode(), part, [(_PARTS, str(len(parts)).encode())] if first_of_many else []
        before = part_counts.get(name, 1)
        for number in range(len(parts), before):
            yield _part_name(name, number).encode(), None, []


def after(state: Mapping[str, bytes | None], part_counts: Mapping[str, int]) -> dict[str, int]:
    """`part_counts` once the changes are made."""
    counts = {name: count for name, count in part_counts.items() if name not in state}
    sizes = {name: len(value) for name, value in state.items() if value is not None}
    return counts | {name: -(-size // PART_BYTES) for name, size in sizes.items() if size > PART_BYTES}


def _part_name(name: str, part: int) -> str:
    return name if part == 0 else f"{name}{_NUL}{part}"


def _read_stamp(value: bytes | None) -> Stamp:
    try:
        fields = json.loads(value or b"")
        written = {str(topic): int(count) for topic, count in fields["written"].items()}
        return Stamp(int(fields["epoch"]), int(fields["commit"]), written)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise CorruptError(
            "the state topic in Kafka holds a stamp of another version: use the build that wrote it"
        ) from error
