"""The contract of a ledger: one atomic commit of output records and state.

A ledger has one writer at a time and any number of readers. `open()` fences every earlier writer of the
same site: from then on their commits raise `FencedError` and change nothing.

The same commits leave the same records, byte for byte and in the same order, whatever interrupted them: a writer
that is killed, opened again and fed from the state that `open()` returns leaves no trace of it. Both ledgers
are held to this contract by the same tests (tests/pipeline/ledger/test_conformance.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from mtmct.records import TOPICS
from operators.records import CrosscamError

#     LedgerError
#     ├── UnavailableError     the broker or the disk does not answer, and patience has run out: open again later
#     ├── FencedError          another writer has taken over: stop
#     └── CorruptError         what is stored cannot be read


class LedgerError(CrosscamError):
    """Base of what can go wrong with a ledger."""


class UnavailableError(LedgerError):
    """The ledger does not answer, and the caller did not want to wait any longer.

    A commit that ends so has been made as a whole or not at all. `open()` again: the state tells which.
    """


class FencedError(LedgerError):
    """Another writer has taken over this site's ledger. This one must stop."""


class CorruptError(LedgerError):
    """What is stored cannot be read."""


def check_topic(topic: str) -> None:
    """Raise a `LedgerError` unless it is a topic that ledgers have."""
    if topic not in TOPICS:
        raise LedgerError(f"there is no topic '{topic}' in a ledger; there are {', '.join(TOPICS)}")


@dataclass(frozen=True, slots=True)
class Encoded:
    """A record as stored: the codec has made `value` bytes."""

    topic: str
    key: str
    value: bytes
    time_ns: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as read back.

    Attributes:
        position: where the next read goes on, exclusive of this record; opaque text, ordered by the ledger.
        value: the decoded record (JSON types).
        raw: the stored bytes.
    """

    topic: str
    key: str
    value: dict[str, Any]
    raw: bytes
    time_ns: int
    position: str


class LedgerWriter(ABC):
    """Writes commits. Not thread-safe; owned by one fusion actor."""

    @property
    @abstractmethod
    def epoch(self) -> int:
        """How often this ledger has been opened for writing, the last `open()` included: each one makes it grow."""

    @abstractmethod
    def open(self) -> dict[str, bytes]:
        """Fence earlier writers and read the whole state as of the last commit.

        Waits with back-off while the ledger is away, telling `on_wait` once a try. May be called again on the
        same writer, after an error for instance.

        Raises:
            CorruptError: the state cannot be read.
            LedgerError: waiting would not help (a permission, a setting, another site's ledger).
        """

    @abstractmethod
    def commit(self, records: Sequence[Encoded], state: Mapping[str, bytes | None]) -> None:
        """Make records and state visible together, or not at all. None deletes a state key.

        Returns once durable. Waits with back-off while the ledger is away: after an unclear end (the
        connection died during the commit) it finds out what became of it and never writes twice. What
        `on_wait` raises ends the wait and the commit.

        Raises:
            FencedError: another writer has taken over.
            UnavailableError: the ledger stayed away for longer than the writer's patience.
            LedgerError: waiting would not help. After any error but `FencedError` the writer has to be opened again.
        """

    def scrub(self) -> str | None:
        """Make state that has been deleted unreadable at once, as far as this kind of ledger can.

        Returns:
            What is left of it where, as a sentence; None if nothing is.
        """
        return None

    @abstractmethod
    def close(self) -> None:
        """Release what is held; safe to call twice."""


class LedgerReader(ABC):
    """Reads committed records only."""

    @abstractmethod
    def pages(
        self, topic: str, *, after: str | None = None, follow: bool = False, stop: Callable[[], bool] = lambda: False
    ) -> Iterator[list[Stored]]:
        """Records of `topic` in commit order, by what there was at each look: never an empty page.

        A ledger that shows a commit all at once (SQLite) cuts none in two, unless a page would be longer than it can
        be. One that shows it partition by partition (Kafka) gives what is in order after a look: commits are whole in
        a page most of the time, and nobody can rely on it.

        Args:
            topic: tracks, identities, events or deadletter.
            after: position of the last record already seen; None starts at the beginning.
            follow: wait for more instead of ending; `stop` is asked in between.

        Raises:
            LedgerError: unknown topic, or the ledger is not there.
        """

    def read(
        self, topic: str, *, after: str | None = None, follow: bool = False, stop: Callable[[], bool] = lambda: False
    ) -> Iterator[Stored]:
        """The records of `pages`, one by one."""
        return chain.from_iterable(self.pages(topic, after=after, follow=follow, stop=stop))

    @abstractmethod
    def end(self, topic: str) -> str | None:
        """Where to read on `after` the last committed record of `topic`; None where there is none.

        Need not be the same text as that record's own position.
        """

    @abstractmethod
    def state(self) -> dict[str, bytes]:
        """The whole state as of the last commit."""

    @abstractmethod
    def close(self) -> None:
        """Release what is held; safe to call twice."""
