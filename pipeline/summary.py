"""What a run found, read back from its ledger: frames, tracks, identities, hand-overs, corrections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from mtmct.corrections import IdentityResolver
from mtmct.records import DEADLETTER, IDENTITIES, TRACKS
from operators.records import unpack
from pipeline.ledger.base import LedgerReader

CORRECTIONS = ("merged", "split", "retracted")


@dataclass(frozen=True, slots=True)
class CameraSummary:
    """One camera: frame accounting (decoded = tracked + the sum of dropped), tracks, late tracklets.

    Attributes:
        interruptions: times that a live source was lost, or not reached.
        rows: rows of a detections file that are in no frame, by reason (`rejected`, `other_class`, `outside_crop`).
    """

    decoded: int
    tracked: int
    dropped: Mapping[str, int]
    tracks: int
    late: int
    interruptions: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Summary:
    """A run.

    Attributes:
        cameras: by id.
        identities: after corrections.
        hand_overs: times that an identity went on in another camera than the one it was last first seen in.
        corrections: number of `merged`, `split` and `retracted` records.
        dead_letters: number of records by reason.
        guesses: tracklets that were published before their track was decided.
    """

    cameras: Mapping[str, CameraSummary]
    identities: int
    hand_overs: int
    corrections: Mapping[str, int]
    dead_letters: Mapping[str, int] = field(default_factory=dict)
    guesses: int = 0


def summarise(reader: LedgerReader, cameras: Iterable[str] = ()) -> Summary:
    """Read the whole ledger once.

    Args:
        reader: the ledger.
        cameras: ids that have a place in the summary even if they never committed anything.

    Raises:
        LedgerError: the ledger is not there or cannot be read.
    """
    resolver = IdentityResolver()
    starts: dict[tuple[str, int], list[int]] = {}
    guesses = 0
    for stored in reader.read(TRACKS):
        value = stored.value
        resolver.published(value)
        guesses += value.get("provisional", False)
        starts.setdefault((value["camera"], value["track"]), []).append(value["start"])
    corrections = dict.fromkeys(CORRECTIONS, 0)
    for stored in reader.read(IDENTITIES):
        resolver.apply(stored.value)
        if stored.value["event"] in corrections:
            corrections[stored.value["event"]] += 1
    letters: dict[str, int] = {}
    for stored in reader.read(DEADLETTER):
        letters[stored.value["reason"]] = letters.get(stored.value["reason"], 0) + 1
    tracks: dict[str, int] = {}
    path: dict[int, list[tuple[int, str]]] = {}
    for (camera, track), times in starts.items():
        tracks[camera] = tracks.get(camera, 0) + 1
        parts: dict[int, int] = {}  # a track may have gone over from one object to another
        for start in times:
            identity = resolver.identity_of(camera, track, start)
            if identity is not None:
                parts.setdefault(identity, start)
        for identity, start in parts.items():
            path.setdefault(identity, []).append((start, camera))
    prefix = "camera/"
    states = {key.removeprefix(prefix): s for key, s in reader.state().items() if key.startswith(prefix)}
    silent = CameraSummary(decoded=0, tracked=0, dropped={}, tracks=0, late=0)
    return Summary(
        cameras={
            camera: _camera(unpack(states[camera]), tracks.get(camera, 0)) if camera in states else silent
            for camera in sorted({*states, *cameras})
        },
        identities=len(path),
        hand_overs=sum(_moves(steps) for steps in path.values()),
        corrections=corrections,
        dead_letters=letters,
        guesses=guesses,
    )


def _moves(steps: list[tuple[int, str]]) -> int:
    cameras = [camera for _, camera in sorted(steps)]
    return sum(a != b for a, b in pairwise(cameras))


def _camera(state: Mapping[str, object], tracks: int) -> CameraSummary:
    counts = state["counts"]
    assert isinstance(counts, dict)
    late = state["late"]
    assert isinstance(late, int)
    return CameraSummary(
        decoded=counts.get("decoded", 0),
        tracked=counts.get("tracked", 0),
        dropped=_by_reason(counts, "dropped."),
        tracks=tracks,
        late=late,
        interruptions=counts.get("interruptions", 0),
        rows=_by_reason(counts, "rows."),
    )


def _by_reason(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {key.removeprefix(prefix): n for key, n in counts.items() if key.startswith(prefix)}
