"""Counts as PP-Tracking writes them: a text file a camera, one line a frame.

    Frame id: 12, Total count: 5, In count: 2, Out count: 1, Break_in count: 0, Count during 10 secs: 4

Other than there, people are counted by global identity as corrected so far: who was lost and found again, or was seen
by another camera before, is no new one; a crossing by jitter does not count. In and out are the sums over the camera's
lines, break-ins those into its restricted zones, and each part stands only where the camera has any.

A ledger holds no record of a frame in which nobody was seen: its time is taken from the frames around it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from mtmct.corrections import IdentityResolver
from mtmct.records import EVENTS, IDENTITIES, TRACKS
from operators.records import unpack
from pipeline.export import ExportError
from pipeline.ledger.base import LedgerReader

_US = 1_000_000
_CAMERA = "camera/"  # of a camera's key in the ledger's state


def write_flow_statistics(reader: LedgerReader, output: Path, *, interval_s: float | None = None) -> list[Path]:
    """Write `<camera>_flow_statistic.txt` for every camera that had a frame.

    Args:
        reader: the site's ledger.
        output: a folder; made if missing.
        interval_s: length of the intervals of the last column, counted from 1970; None leaves it out.

    Raises:
        ExportError: the folder cannot be written.
        LedgerError: the ledger cannot be read.
    """
    resolver = IdentityResolver()
    for stored in reader.read(IDENTITIES):
        resolver.apply(stored.value)
    seen: dict[str, list[tuple[int, int, str | None]]] = {}  # frame, time, who
    for stored in reader.read(TRACKS):
        value = stored.value
        resolver.published(value)
        who = resolver.name_of(value["camera"], value["track"], value["start"])
        rows = zip(value["frames"], value["points"], strict=True)
        seen.setdefault(value["camera"], []).extend((frame, point[0], who) for frame, point in rows)
    crossed: dict[str, list[tuple[int, bool]]] = {}  # when, and whether forward
    broke_in: dict[str, list[int]] = {}
    for stored in reader.read(EVENTS):
        value = stored.value
        if value["type"] == "crossing":
            forward = value["direction"] == next(iter(value["total"]))  # a line's forward direction stands first
            crossings = crossed.setdefault(value["camera"], [])
            if value["counted"]:
                crossings.append((value["time"], forward))
        elif value["type"] == "incident" and value["kind"] == "restricted" and value["state"] == "started":
            broke_in.setdefault(value["camera"], []).append(value["start"])
    frames = _frames(reader)
    try:
        output.mkdir(parents=True, exist_ok=True)
        files = []
        for camera in sorted({*seen, *frames}):
            path = output / f"{camera}_flow_statistic.txt"
            rows_of = sorted(seen.get(camera, ()), key=lambda row: row[:2])
            lines = _lines(rows_of, frames.get(camera, 0), crossed.get(camera), broke_in.get(camera), interval_s)
            path.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
            files.append(path)
    except OSError as error:
        raise ExportError(f"cannot write the export into {output}: {error.strerror or error}") from error
    return files


def _frames(reader: LedgerReader) -> dict[str, int]:
    """Number of frames that each camera has had by the last commit."""
    counts = {
        key.removeprefix(_CAMERA): unpack(data)["counts"].get("decoded", 0)
        for key, data in reader.state().items()
        if key.startswith(_CAMERA)
    }
    return {camera: frames for camera, frames in counts.items() if frames}


def _lines(
    seen: list[tuple[int, int, str | None]],
    frames: int,
    crossed: list[tuple[int, bool]] | None,
    broke_in: list[int] | None,
    interval_s: float | None,
) -> list[str]:
    """One line a frame, of `frames` or as many as `seen` (frame, time, who; ascending) tells of."""
    everyone: set[str] = set()
    lately: set[str] = set()
    interval, row = None, 0
    into, out = (sorted(time for time, forward in crossed or () if forward is way) for way in (True, False))
    forced = sorted(broke_in or ())
    lines = []
    for frame, time in _timed({frame: time for frame, time, _ in seen}, frames):
        if interval_s is not None and time // round(interval_s * _US) != interval:
            interval, lately = time // round(interval_s * _US), set()
        while row < len(seen) and seen[row][0] == frame:
            who = seen[row][2]
            if who is not None:
                everyone.add(who)
                lately.add(who)
            row += 1
        parts = [f"Frame id: {frame}", f"Total count: {len(everyone)}"]
        if crossed is not None:
            parts += [f"In count: {bisect_right(into, time)}", f"Out count: {bisect_right(out, time)}"]
        if broke_in is not None:
            parts.append(f"Break_in count: {bisect_right(forced, time)}")
        if interval_s is not None:
            parts.append(f"Count during {interval_s:g} secs: {len(lately)}")
        lines.append(", ".join(parts))
    return lines


def _timed(times: Mapping[int, int], frames: int) -> Iterator[tuple[int, int]]:
    """Number and time of every frame from 1 on: known of some, between two of those in proportion, after the last of
    them at the pace of all. Before the first of them nothing can have been counted, whatever the time."""
    known = sorted(times)
    if not known:
        yield from ((frame, 0) for frame in range(1, frames + 1))
        return
    first, last = known[0], known[-1]
    yield from ((frame, times[first] - 1) for frame in range(1, first))
    for one, following in pairwise(known):
        gap, lasts = following - one, times[following] - times[one]
        yield from ((frame, times[one] + (frame - one) * lasts // gap) for frame in range(one, following))
    gap, lasts = max(last - first, 1), times[last] - times[first]
    yield from ((frame, times[last] + (frame - last) * lasts // gap) for frame in range(last, max(frames, last) + 1))
