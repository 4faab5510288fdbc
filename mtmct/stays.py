"""Where identities were and which lines they crossed: from pieces of tracks to stays, visits and counts.

All times are microseconds of event time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_US = 1_000_000
# Pieces of one identity in one camera that lie no farther apart are one stay there.
ONE_STAY_US = 5 * _US
COOL_DOWN_S = 5.0
RETURN_S = 60.0

Piece = tuple[str, int, int]  # camera, start, end
Passage = tuple[int, str, str]  # time, line, direction
Way = tuple[str, str]  # line, direction


@dataclass(frozen=True, slots=True)
class Stay:
    """An identity at one place; `zone` is None for the camera's whole picture."""

    camera: str
    zone: str | None
    start: int
    end: int

    @property
    def place(self) -> str:
        """`camera`, or `camera/zone`."""
        return self.camera if self.zone is None else f"{self.camera}/{self.zone}"


def join_pieces(pieces: Iterable[Piece]) -> list[Piece]:
    """Pieces of tracks of one identity as stays, by start.

    What a stay is does not depend on the order of the pieces, nor on which of them have been joined before.
    """
    stays: list[Piece] = []
    latest: dict[str, int] = {}
    for camera, start, end in sorted(set(pieces), key=lambda piece: (piece[1], piece[2], piece[0])):
        row = latest.get(camera)
        if row is not None and start - stays[row][2] <= ONE_STAY_US:
            stays[row] = (camera, stays[row][1], max(stays[row][2], end))
        else:
            latest[camera] = len(stays)
            stays.append((camera, start, end))
    return stays


def in_order(stays: Iterable[Stay]) -> list[Stay]:
    """By start; a camera before its zones."""
    return sorted(stays, key=lambda stay: (stay.start, stay.zone is not None, stay.place, stay.end))


def find_returns(stays: Sequence[Stay], return_us: int) -> list[tuple[Stay, Stay]]:
    """Where and when an identity that was seen nowhere for so long had gone, and come back; `stays` by start."""
    found, latest = [], stays[0]
    for stay in stays:
        if stay.start - latest.end >= return_us:
            found.append((latest, stay))
        latest = max(latest, stay, key=lambda one: one.end)
    return found


def count_passages(
    passages: Iterable[Passage], cool_down_us: int, last: Mapping[Way, int] | None = None
) -> list[Passage]:
    """Those of one identity's crossings that count: within the cool-down after one that did, the same is no new one.

    Lines of one name in several cameras are the same line on the ground.

    Args:
        passages: in any order.
        cool_down_us: for crossings of one line in one direction.
        last: when the last one before these counted, by line and direction.
    """
    known = dict(last or {})
    counted = []
    for time, line, direction in sorted(passages):
        before = known.get((line, direction))
        if before is None or time - before >= cool_down_us:
            known[line, direction] = time
            counted.append((time, line, direction))
    return counted
