"""Video files, read frame by frame with PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av

from operators.records import SECOND_NS, Frame
from pipeline.sources.base import Crop, End, Item, Rejected, Source, SourceError, read_position, write_position
from pipeline.sources.pictures import PictureMaker, WrongSizeError
from pipeline.sources.timing import FileTimeline, FpsCap

_KIND = "video"
_USUAL_FPS = 25
# A file that ends so much before the length it declares has lost something.
_MISSING_S = 1


class VideoFile(Source):
    """A video file. Event time is `start_ns` plus the presentation time counted from the first frame's.

    A position is resumed by seeking to the keyframe before it and decoding forward. Where that does not lead to
    the very frame (no index, joined recordings) the file is decoded from its beginning instead: slower, as exact.

    Dropped, counted: `fps_cap`; `damaged` (cannot be decoded); `wrong_size` (another size than the first picture).

    Args:
        camera: camera id.
        path: the file.
        fps: cap on frames a second.
        crop: x1, y1, x2, y2, pixels of the full picture.
        start_ns: event time of the first frame.
    """

    def __init__(
        self, camera: str, path: Path, *, fps: float | None = None, crop: Crop | None = None, start_ns: int = 0
    ) -> None:
        super().__init__(camera)
        self._path = path
        self._fps = fps
        self._crop = crop
        self._start_ns = start_ns
        self._container: av.container.InputContainer | None = None
        self._frames: Iterator[av.VideoFrame | None] = iter(())

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the cropped picture; known once open."""
        return self._pictures.size if self._container is not None else None

    def length(self) -> int | None:
        """See `Source.length`. What the container says, or what its duration comes to."""
        frames, seconds, rate = self._declared()
        return frames or (round(seconds * rate) if seconds and rate else None)

    def rate(self) -> float | None:
        """See `Source.rate`."""
        own = self._declared()[2]
        return own if self._fps is None or own is None else min(own, self._fps)

    def _declared(self) -> tuple[int, float, float | None]:
        """Frames, seconds and frame rate as the container states them; zeros and None where it does not."""
        try:
            with av.open(str(self._path)) as container:
                stream = container.streams.video[0]
                rate = stream.average_rate
                return stream.frames, (container.duration or 0) / av.time_base, float(rate) if rate else None
        except (OSError, IndexError, av.error.FFmpegError):
            return 0, 0.0, None  # `open` says what is wrong with it

    def open(self, position: bytes | None) -> None:
        """See `Source.open`. Decodes one frame, so that a file without a picture is found out here."""
        self._connect()
        self._cap = FpsCap(self._fps)
        self._tally.restore({})
        self._index = 0
        self._timestamp: int | None = None
        self._told_cut_short = False
        state = None if position is None else read_position(_KIND, self.camera, position)
        if state is None or state["index"] == 0:
            self._start()
        else:
            self._resume(state)

    def read(self) -> Item | None:
        """See `Source.read`."""
        for frame in self._frames:
            self._index += 1
            self._tally.decoded()
            if frame is None:
                self._tally.dropped("damaged")
                continue
            self._timestamp = frame.pts
            time_ns = self._timeline.time_of(frame.pts)
            if not self._cap.keeps(time_ns):
                self._tally.dropped("fps_cap")
                continue
            try:
                image = self._pictures.make(frame)
            except WrongSizeError:
                self._tally.dropped("wrong_size")
                continue
            return Frame(self.camera, self._index, time_ns, image)
        self._tell_if_cut_short()
        return End()

    def skip_to(self, time_ns: int) -> None:
        """See `Source.skip_to`. To the keyframe before it; of joined recordings, by the first one's timestamps."""
        first = next((frame for frame in self._frames if frame is not None and frame.pts is not None), None)
        if first is None or self._container is None:
            return
        first_pts = first.pts
        self._timeline.time_of(first_pts)
        unit = self._stream.time_base or Fraction(1, _USUAL_FPS)
        with suppress(av.error.FFmpegError):
            ahead = Fraction(time_ns - self._start_ns, SECOND_NS) / unit
            self._container.seek(first_pts + int(ahead), stream=self._stream)
            later = (frame for frame in self._decode() if frame is None or frame.pts is None or frame.pts > first_pts)
            self._frames = later if ahead > 0 else chain([first], later)

    def position(self) -> bytes:
        """See `Source.position`."""
        return write_position(
            _KIND,
            index=self._index,
            timestamp=self._timestamp,
            timeline=self._timeline.state,
            cap=self._cap.state,
            full_size=self._pictures.full_size,
            counts=self._tally.counts,
        )

    def close(self) -> None:
        """See `Source.close`."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def _connect(self) -> None:
        self.close()
        if not self._path.exists():
            raise self._error("there is no such file", "check the path under `source:`")
        try:
            if self._path.stat().st_size == 0:
                raise self._error("the file is empty", "copy it again")
            self._container = av.open(str(self._path))
        except av.error.InvalidDataError:
            raise self._error("this is no video that can be read", "copy it again, or convert it to MP4") from None
        except (OSError, av.error.FFmpegError) as error:
            raise self._error(f"the file cannot be opened ({error.strerror})", "check its permissions") from None
        if not self._container.streams.video:
            self.close()
            raise self._error("there is sound in it, but no video", "check the path under `source:`")
        self._stream = self._container.streams.video[0]
        # One thread a camera: cameras run side by side, and one decoder must not take their cores.
        self._stream.codec_context.thread_count = 1
        self._pictures = PictureMaker(self._crop)
        self._frame_interval = 1 / Fraction(self._stream.average_rate or self._stream.guessed_rate or _USUAL_FPS)
        unit = self._stream.time_base or Fraction(1, _USUAL_FPS)
        self._timeline = FileTimeline(self._start_ns, unit, round(SECOND_NS * self._frame_interval))

    def _start(self) -> None:
        frames = self._decode()
        ahead: list[av.VideoFrame | None] = []
        for frame in frames:
            ahead.append(frame)
            if frame is not None:
                break
        else:
            raise self._error("there is no picture in it that can be decoded", "copy it again, or convert it")
        try:
            self._pictures.make(ahead[-1])
        except WrongSizeError as error:
            raise SourceError(f"camera {self.camera!r}: {self._path}: {error}") from None
        self._frames = chain(ahead, frames)

    def _resume(self, state: dict[str, Any]) -> None:
        timestamp = state["timestamp"]
        told_apart = timestamp is not None and not state["timeline"][-1]
        if not (told_apart and self._seek_past(timestamp)):
            self._connect()
            self._frames = self._decode()
            for _ in range(state["index"]):
                if next(self._frames, self) is self:
                    raise self._error(
                        f"it is shorter than the {state['index']} frames that were already read from it",
                        "bring back the file as it was, or start a new ledger",
                    )
        self._index, self._timestamp = state["index"], timestamp
        self._cap.restore(state["cap"])
        self._timeline.restore(state["timeline"])
        self._tally.restore(state["counts"])
        full_size = state["full_size"]
        self._pictures.full_size = None if full_size is None else (full_size[0], full_size[1])

    def _seek_past(self, timestamp: int) -> bool:
        """Go on after the frame of that timestamp; False where seeking does not lead to it exactly."""
        assert self._container is not None
        try:
            self._container.seek(timestamp, stream=self._stream)
        except av.error.FFmpegError:
            return False
        self._frames = self._decode()
        first = True
        for frame in self._frames:
            if frame is None:
                continue
            if frame.pts is None or frame.pts > timestamp or (first and not frame.key_frame):
                return False
            if frame.pts == timestamp:
                return True
            first = False
        return False

    def _decode(self) -> Iterator[av.VideoFrame | None]:
        """All frames from here on; None stands for one that is damaged."""
        assert self._container is not None
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                detail = (
                    f"{self._path}: the rest of the file after frame {self._index} cannot be read ({error.strerror})"
                )
                self._rejected.append(Rejected("unreadable", detail, "", self._timeline.last_ns or self._start_ns))
                return
            if packet is None:
                return
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                yield None
            else:
                yield from frames

    def _tell_if_cut_short(self) -> None:
        """Reject, once, what the file promises but does not hold: copied while it was written, or damaged."""
        assert self._container is not None
        promised = None
        if self._stream.duration is not None and self._stream.time_base is not None:
            promised = self._stream.duration * self._stream.time_base
        elif self._container.duration is not None and len(self._container.streams) == 1:
            promised = Fraction(self._container.duration, av.time_base)
        last_ns = self._timeline.last_ns
        if promised is None or last_ns is None or self._told_cut_short:
            return
        held = Fraction(last_ns - self._start_ns, SECOND_NS)
        if promised - held > max(_MISSING_S, 2 * self._frame_interval):
            self._told_cut_short = True
            what = f"it ends after {float(held):.1f} of {float(promised):.1f} seconds; copy it again"
            self._rejected.append(Rejected("cut_short", f"{self._path}: {what}", "", last_ns))

    def _error(self, what: str, remedy: str) -> SourceError:
        return SourceError(f"camera {self.camera!r}: {self._path}: {what}; {remedy}")
