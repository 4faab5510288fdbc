"""An annotated mosaic of all cameras as a video file, made from the ledger and the cameras' recordings.

Nothing is detected or tracked here: the pictures are decoded once more, and what the ledger says is drawn on
them. Every camera runs through once, side by side in event time, two pictures each in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from operators.draw import Privacy
from operators.records import SECOND_NS, CrosscamError, Image
from pipeline.clock import clock_text
from pipeline.mosaic import Layout, Tile, draw_head_line
from pipeline.overlay import IdentityOf, Overlay
from pipeline.recording import Player, RecordedCamera
from pipeline.rule_states import RuleStates

_JUMP_NS = 10 * SECOND_NS  # where no camera has a picture for longer, the mosaic skips ahead


class RenderError(CrosscamError):
    """The mosaic cannot be made."""


@dataclass(frozen=True, slots=True)
class RenderReport:
    """What was written.

    Attributes:
        frames: of the video.
        size: width and height of the video, pixels.
        boxes: drawn, over all pictures.
        identities: drawn, each counted once.
        late: points left out because their record lay too far behind others in the topic; see `lookahead_s`.
    """

    frames: int
    size: tuple[int, int]
    boxes: int
    identities: int
    late: int


def render_mosaic(
    records: Iterable[Mapping[str, Any]],
    cameras: Sequence[RecordedCamera],
    output: Path,
    *,
    events: Iterable[Mapping[str, Any]] = (),
    identity_of: IdentityOf | None = None,
    fps: float = 10.0,
    title: str = "",
    trail_s: float = 3.0,
    privacy: Privacy = Privacy.NONE,
    max_size: tuple[int, int] = (1920, 1080),
    lookahead_s: float | None = 60.0,
    progress: Callable[[int, int], None] | None = None,
) -> RenderReport:
    """Write the mosaic as H.264 in MP4, playing at the speed of event time.

    Where no camera has a picture for more than ten seconds the mosaic skips ahead. The file appears under its
    name when it is complete.

    Args:
        records: values of the `tracks` topic in commit order.
        cameras: in the order in which they are laid out, row by row.
        output: the video to write, ending in .mp4; what is there is replaced.
        events: values of the `events` topic: what the cameras' lines and zones had counted at each frame.
        identity_of: who a track is after all corrections; by default what the records themselves say.
        fps: frames a second of the video; the cameras' own may differ.
        title: stands in the head line, usually the site.
        trail_s: length of the trails, seconds of event time.
        privacy: what is blurred of everyone tracked, retracted tracks included.
        max_size: width and height the video keeps within; small pictures are not enlarged to fill it.
        lookahead_s: how far behind others, in event time, a record can be and still be drawn; None: any distance,
            at the price of holding all records in memory.
        progress: told the number of frames written and the event time reached, once a frame.

    Raises:
        RenderError: no cameras, no pictures, or records whose times lie outside those of the pictures.
        CrosscamError: whatever a source says it cannot open or read.
    """
    rate = Fraction(fps).limit_denominator(1001)
    if not cameras:
        raise RenderError("there is no camera to render: name at least one of the site's")
    if rate <= 0:
        raise RenderError(f"cannot render {fps} frames a second: ask for a positive number")
    if output.suffix.lower() != ".mp4":
        raise RenderError(f"cannot render to '{output.name}': the mosaic is an MP4 file, so let the name end in .mp4")
    partial = output.with_name(f".{output.stem}.partial.mp4")
    frames = 0
    with ExitStack() as held:
        players = []
        for camera in cameras:
            players.append(Player(camera))
            held.callback(players[-1].close)
        overlay = Overlay(
            records,
            [camera.camera for camera in cameras],
            identity_of,
            trail_ns=round(trail_s * SECOND_NS),
            from_ns=min((player.first_ns for player in players if player.first_ns is not None), default=None),
            lookahead_ns=None if lookahead_s is None else round(lookahead_s * SECOND_NS),
        )
        states = RuleStates(events)
        layout = Layout.of([player.size for player in players], max_size)
        canvas = layout.canvas()
        tiles = [
            Tile(player, overlay, states, canvas[cell.y1 : cell.y2, cell.x1 : cell.x2], layout.style, privacy)
            for player, cell in zip(players, layout.cells, strict=True)
        ]
        output.parent.mkdir(parents=True, exist_ok=True)
        held.callback(partial.unlink, missing_ok=True)
        with _Video(partial, layout, rate) as video:
            for now in _play(tiles, rate):
                draw_head_line(canvas, layout, title, tiles, now)
                video.write(canvas)
                frames += 1
                if progress is not None:
                    progress(frames, now)
        if overlay.points and not overlay.met:
            raise _never_met(players, overlay)
        partial.replace(output)
    identities = len(set().union(*(tile.identities for tile in tiles)))
    boxes = sum(tile.boxes for tile in tiles)
    return RenderReport(frames, (layout.width, layout.height), boxes, identities, overlay.late)


def _play(tiles: Sequence[Tile], rate: Fraction) -> Iterator[int]:
    """Bring all cells up to date once a frame of the mosaic, and give its event time, until every camera has ended."""
    starts = [tile.player.next_ns for tile in tiles if tile.player.next_ns is not None]
    if not starts:
        names = ", ".join(tile.player.camera for tile in tiles)
        raise RenderError(f"none of the cameras {names} has a single picture: check their sources")
    start, frame = min(starts), 0
    while True:
        now = start + round(frame * SECOND_NS / rate)
        # The nearest frame of the mosaic, not the next one: a camera's jitter then neither drops nor doubles pictures.
        fresh = [tile.show(now + int(SECOND_NS / rate / 2), now) for tile in tiles]
        coming = [tile.player.next_ns for tile in tiles if tile.player.next_ns is not None]
        if not coming and not any(fresh):
            return
        yield now
        frame += 1
        if coming and min(coming) - now > _JUMP_NS:
            start, frame = min(coming), 0


def _never_met(players: Sequence[Player], overlay: Overlay) -> RenderError:
    firsts = [player.first_ns for player in players if player.first_ns is not None]
    lasts = [player.last_ns for player in players if player.last_ns is not None]
    names = ", ".join(player.camera for player in players)
    return RenderError(
        f"none of the tracks falls on a picture of {names}: the tracks read are from {clock_text(overlay.first_ns)} to "
        f"{clock_text(overlay.last_ns)}, the pictures from {clock_text(min(firsts))} to {clock_text(max(lasts))}; "
        "give the sources the start times they had when the site ran"
    )


class _Video:
    """An H.264 file being written at a constant frame rate."""

    def __init__(self, path: Path, layout: Layout, rate: Fraction) -> None:
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "faststart"})
        self._stream = self._container.add_stream("libx264", rate=rate)
        self._stream.width, self._stream.height, self._stream.pix_fmt = layout.width, layout.height, "yuv420p"
        # A key frame every two seconds, so that a player can jump about in the video.
        self._stream.options = {"preset": "veryfast", "crf": "23", "g": str(max(1, round(2 * rate)))}

    def __enter__(self) -> _Video:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self._container.mux(self._stream.encode(None))
        self._container.close()

    def write(self, canvas: Image) -> None:
        """The next frame, (H, W, 3) uint8 BGR."""
        self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(canvas, format="bgr24")))
