"""What fusion is made of that depends on the site's cameras."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mtmct.records import CameraBatch, Commit


class Engine(Protocol):
    """What the service needs of a FusionEngine."""

    def advance(self, batches: Sequence[CameraBatch], watermark_ns: int) -> Commit: ...
    def restore(self, state: Mapping[str, bytes]) -> None: ...
    def snapshot(self) -> dict[str, bytes]: ...
    def erase(self, number: int, now_ns: int, last_said: Mapping[str, Any] | None = None) -> Commit: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What depends on the site's cameras: their ids and whether they are live, the engine, and which of them keep to
    the wall clock."""

    cameras: Mapping[str, bool]
    engine: Engine
    by_the_clock: Collection[str] = ()
