"""From what stands under `source:` to a source."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pipeline.sources.base import Clock, Crop, Source, SourceError, SystemClock
from pipeline.sources.masking import mask
from pipeline.sources.staying_connected import LiveOptions
from pipeline.sources.timing import start_of

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")
STREAMS = frozenset({"rtsp", "rtsps", "http", "https", "rtmp", "srt", "udp", "tcp"})
_MOT_ENDINGS = frozenset({".txt", ".csv"})
_ROW_ENDINGS = frozenset({".jsonl", ".ndjson", ".json", ".parquet", ".pq"})


def open_source(
    camera: str,
    source: str | int,
    *,
    base: Path = Path(),
    fps: float | None = None,
    crop: Crop | None = None,
    start: datetime | None = None,
    clock_offset_ms: float = 0,
    classes: Sequence[str] | None = None,
    paced: bool = False,
    clock: Clock | None = None,
    live: LiveOptions | None = None,
) -> Source:
    """The source that `source` names, not yet opened: of a file only its kind is looked at, if it is there.

    Args:
        camera: camera id.
        source: `rtsp://` and other stream addresses; a device number; `detections:FILE`; `simulated:...` (see
            `pipeline.sources.simulation`); a folder of pictures; else a video file.
        base: folder that relative paths start at.
        fps: cap on frames a second; for pictures, MOT text and simulated cameras, the rate itself.
        crop: x1, y1, x2, y2 of the region to look at, pixels of the full picture.
        start: event time of a file's first frame; 1970-01-01T00:00:00Z if not given, UTC where it has no zone.
        clock_offset_ms: added to event time.
        classes: names wanted from detection files, which class indices refer to.
        paced: a file comes at its own speed as though it were live.
        clock: of live and paced sources; this machine's if not given.
        live: of live sources; the usual ones if not given.

    Raises:
        SourceError: `source` names nothing that is known.
    """
    text = str(source).strip()
    if not text:
        raise SourceError(
            f"camera {camera!r}: its `source:` is empty; give a video file, an address or a device number"
        )
    clock = clock or SystemClock()
    offset_ns = round(clock_offset_ms * 1_000_000)
    if text.isdecimal() or _SCHEME.match(text):
        return _live(camera, text, fps, crop, offset_ns, clock, live)
    start_ns = start_of(start) + offset_ns
    if text.startswith("simulated:"):
        from pipeline.sources.simulation.camera import SimulatedCamera
        from pipeline.sources.simulation.settings import read_settings

        settings = read_settings(camera, text)
        paced = paced or settings.paced
        found: Source = SimulatedCamera(camera, settings, fps=fps, crop=crop, start_ns=start_ns, classes=classes)
    elif text.startswith("detections:"):
        path = base / text.removeprefix("detections:").strip()
        found = _detections(camera, path, fps, crop, start_ns, offset_ns, classes)
    else:
        found = _pictures(camera, base / text, fps, crop, start_ns)
    if paced:
        from pipeline.sources.paced import Paced

        return Paced(found, clock)
    return found


# Decoders are imported where they are used: a site of detection files needs none of them.


def _live(
    camera: str,
    text: str,
    fps: float | None,
    crop: Crop | None,
    offset_ns: int,
    clock: Clock,
    options: LiveOptions | None,
) -> Source:
    from pipeline.sources.live import LiveVideo, device, network

    scheme = text.partition("://")[0].lower()
    if not text.isdecimal() and scheme not in STREAMS:
        raise SourceError(
            f"camera {camera!r}: {mask(text)}: no stream can be read by {scheme}://; known are "
            f"{', '.join(sorted(STREAMS))}, and files by their path"
        )
    address = device(camera, int(text)) if text.isdecimal() else network(text)
    return LiveVideo(camera, address, fps=fps, crop=crop, offset_ns=offset_ns, clock=clock, options=options)


def _detections(
    camera: str,
    path: Path,
    fps: float | None,
    crop: Crop | None,
    start_ns: int,
    offset_ns: int,
    classes: Sequence[str] | None,
) -> Source:
    if _holds_rows(path):
        from pipeline.sources.rows import RowFile

        return RowFile(camera, path, fps=fps, crop=crop, start_ns=start_ns, offset_ns=offset_ns, classes=classes)
    from pipeline.sources.mot_text import MotTextFile

    return MotTextFile(camera, path, fps=fps, crop=crop, start_ns=start_ns, classes=classes)


def _pictures(camera: str, path: Path, fps: float | None, crop: Crop | None, start_ns: int) -> Source:
    if path.is_dir():
        from pipeline.sources.images import ImageFolder

        return ImageFolder(camera, path, fps=fps, crop=crop, start_ns=start_ns)
    from pipeline.sources.video import VideoFile

    return VideoFile(camera, path, fps=fps, crop=crop, start_ns=start_ns)


def _holds_rows(path: Path) -> bool:
    """Whether a detections file is JSONL or Parquet rather than MOT text: by its name, else by how it begins."""
    ending = path.suffix.lower()
    if ending in _ROW_ENDINGS or ending in _MOT_ENDINGS:
        return ending in _ROW_ENDINGS
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip().startswith((b"{", b"PAR1"))
    except OSError:
        return False
