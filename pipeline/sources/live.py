"""Cameras that are watched while they film: network streams and devices, connected to again for ever."""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import av

from operators.records import SECOND_NS, Frame
from pipeline.sources.base import (
    Clock,
    Crop,
    Interrupted,
    Item,
    Restored,
    Source,
    SourceError,
    read_position,
    write_position,
)
from pipeline.sources.masking import mask
from pipeline.sources.pictures import PictureMaker, WrongSizeError
from pipeline.sources.staying_connected import LiveOptions, StillPicture, wait_s
from pipeline.sources.timing import CatchUp, ForwardClock, FpsCap, LiveTimeline

_KIND = "live"
# How long a `read` waits before it gives its thread the chance to stop.
_SLICE_S = 0.2
# Longer than any keyframe interval in use: what cannot be decoded by then never will be.
_LONGEST_BLIND_S = 30.0
# What servers buffer at most: a keyframe interval.
_LONGEST_BURST_NS = 30 * SECOND_NS
# Pictures without a container bring no timestamps; FFmpeg makes up 25 a second, whatever the camera's rate is.
_BARE = frozenset({"mpjpeg", "mjpeg", "h264", "hevc", "m4v"})

_Arrived = tuple[av.VideoFrame, int]  # with its arrival time


class _SilentError(Exception):
    """A connection that answers, but shows nothing."""


@dataclass(frozen=True, slots=True)
class Address:
    """What FFmpeg opens.

    Attributes:
        url: with user and password; never to be shown.
        format: FFmpeg's input format; None where the address tells.
        options: FFmpeg's.
    """

    url: str
    format: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return mask(self.url)


def network(url: str) -> Address:
    """A stream. RTSP runs over TCP (lost UDP packets become grey smears that detectors see things in), video only."""
    if url.lower().startswith(("rtsp://", "rtsps://")):
        return Address(url, options={"rtsp_transport": "tcp", "allowed_media_types": "video"})
    return Address(url)


def device(camera: str, number: int) -> Address:
    """A camera of this machine.

    Raises:
        SourceError: devices cannot be opened by number on this system.
    """
    if sys.platform.startswith("linux"):
        return Address(f"/dev/video{number}", format="v4l2")
    if sys.platform == "darwin":
        return Address(str(number), format="avfoundation", options={"framerate": "30"})
    raise SourceError(f"camera {camera!r}: devices cannot be opened by number on {sys.platform}; give a stream address")


class LiveVideo(Source):
    """A stream or a device. It connects with the first `read`, and again whenever it is lost.

    Waiting times double from one second to thirty, with jitter; a picture that can be used starts them anew. Event time
    is the wall clock at the first picture and from then on the spacing of the stream's own timestamps (`LiveTimeline`);
    of streams without any, Motion JPEG over HTTP among them, when each picture came.

    Dropped, counted: `fps_cap`; `damaged` (cannot be decoded, or in part only); `late` (skipped to catch up with the
    stream); `frozen` (the picture of a camera that is lost for showing always the same).

    Args:
        camera: camera id.
        address: what to open.
        fps: cap on frames a second.
        crop: x1, y1, x2, y2, pixels of the full picture.
        offset_ns: added to event time.
        clock: wall clock and waiting.
        options: what counts as lost, and when to give up.
        jitter: a random number in [0, 1).
    """

    live = True

    def __init__(
        self,
        camera: str,
        address: Address,
        *,
        clock: Clock,
        fps: float | None = None,
        crop: Crop | None = None,
        offset_ns: int = 0,
        options: LiveOptions | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(camera)
        self._address = address
        self._clock = ForwardClock(clock)
        self._options = options or LiveOptions()
        self._jitter = jitter
        self._fps = fps
        self._offset_ns = offset_ns
        self._pictures = PictureMaker(crop)
        self._connect_timeout_s = self._options.connect_timeout_s
        self._read_timeout_s = self._options.read_timeout_s
        self._container: av.container.InputContainer | None = None

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the cropped picture; known after the first."""
        return self._pictures.size

    def now_ns(self) -> int | None:
        """See `Source.now_ns`."""
        return self._clock.now_ns() + self._offset_ns

    def open(self, position: bytes | None) -> None:
        """See `Source.open`. Counts, frame numbers and time go on from the position; the stream is where it is."""
        state = {} if position is None else read_position(_KIND, self.camera, position)
        self._index = state.get("index", 0)
        self._tally.restore(state.get("counts", {}))
        self._timeline = LiveTimeline()
        self._timeline.last_ns = state.get("last_ns")
        self._cap = FpsCap(self._fps)
        self._failed = 0
        self._still = StillPicture(self._options.frozen_after_s)
        self._retry_at = self._clock.monotonic()
        self._frames: Iterator[av.VideoFrame | None] = iter(())
        self._forget()
        self._stopping = False

    def read(self) -> Item | None:
        """See `Source.read`."""
        if self._stopping:
            return None
        try:
            if self._container is None:
                waiting = self._retry_at - self._clock.monotonic()
                if waiting > 0:
                    self._clock.sleep(min(waiting, _SLICE_S))
                else:
                    self._connect()
                return None
            if not self._ready:
                self._take(next(self._frames))
            if self._settled and self._failed:
                return self._restored()
            return self._give(*self._ready.popleft()) if self._ready else None
        except StopIteration:
            return self._lost("the stream has ended")
        except (av.error.FFmpegError, OSError) as error:
            return self._lost(self._reason(error))
        except (WrongSizeError, _SilentError) as error:
            return self._lost(str(error))

    def position(self) -> bytes:
        """See `Source.position`."""
        return write_position(_KIND, index=self._index, last_ns=self._timeline.last_ns, counts=self._tally.counts)

    def interrupt(self) -> None:
        """See `Source.interrupt`. A connection in the making still takes its time-out."""
        self._stopping = True

    def close(self) -> None:
        """See `Source.close`."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def _forget(self) -> None:
        """Nothing is known of the connection to come."""
        self._settled = False
        self._held: _Arrived | None = None
        self._ready: deque[_Arrived] = deque()
        self._skipped_ns = 0
        self._timeline.disconnect()
        self._pictures.full_size = None

    def _connect(self) -> None:
        self._forget()
        self._asked_at = self._clock.monotonic()
        try:
            self._container = av.open(
                self._address.url,
                format=self._address.format,
                # Nobody asks for the frame rate; finding it out would hold back the first two seconds of pictures.
                options={"fpsprobesize": "0", **self._address.options},
                timeout=(self._connect_timeout_s, self._read_timeout_s),
            )
        except av.error.FFmpegError:
            raise
        except ValueError as error:  # this build of FFmpeg knows no such format
            raise _SilentError(str(error)) from None
        if not self._container.streams.video:
            raise _SilentError("there is no video in it")
        self._stream = self._container.streams.video[0]
        self._stream.codec_context.thread_count = 1
        self._timed = self._container.format.name not in _BARE
        self._frames = self._decode(self._container)

    def _take(self, frame: av.VideoFrame | None) -> None:
        """Make a picture that has come ready to be given.

        Many servers begin with what they had buffered, all at once. Of such a burst only the last picture is current,
        and only its arrival says what time it is: so at first every picture is held until the next one is there.
        """
        if frame is None:
            return
        if self._still.frozen(frame, self._asked_at):
            self._lose("frozen")
            if not self._still.told:
                self._still.told = True
                raise _SilentError(f"the same picture for {self._options.frozen_after_s:g} s")
            return  # it is connected again, and nothing has changed: not back before something does
        came = (frame, self._now_ns())
        if self._settled:
            self._ready.append(came)
            return
        if self._held is None:
            self._pictures.make(frame)  # only a picture that can be used is proof that the camera is there
            self._held = came
            return
        stamp, stamp_before = self._in_ns(frame.pts), self._in_ns(self._held[0].pts)
        passed = None if stamp is None or stamp_before is None else stamp - stamp_before
        # The very first picture often has no timestamp; streams without any at all come as they come.
        at_once = stamp is not None and (passed is None or came[1] - self._held[1] < passed // 2)
        self._skipped_ns += passed or 0
        if at_once and self._skipped_ns < _LONGEST_BURST_NS:
            self._lose("late")
            self._held = came
        else:
            self._settled = True
            self._ready.extend((self._held, came))

    def _restored(self) -> Restored:
        failed, self._failed = self._failed, 0
        tries = "1 try" if failed == 1 else f"{failed} tries"
        return Restored(f"{self._address}: it is back after {tries}", failed, self._now_ns())

    def _decode(self, container: av.container.InputContainer) -> Iterator[av.VideoFrame | None]:
        """Pictures as they come, None for every packet without one. Counts what is damaged or skipped as late."""
        catching_up = CatchUp()
        last_packet = last_picture = self._clock.monotonic()
        # All streams, not the video alone: sound must not keep a camera alive whose pictures have stopped.
        for packet in container.demux():
            now = self._asked_at = self._clock.monotonic()
            if packet.stream.index != self._stream.index:
                if now - last_packet > self._read_timeout_s:
                    raise _SilentError(f"no pictures for {self._read_timeout_s:g} s")
                continue
            last_packet = now
            shown = False
            late = self._timeline.lateness_ns(self._in_ns(packet.pts), self._now_ns())
            if catching_up.skips(late, packet.is_keyframe):
                self._lose("late")
            else:
                if catching_up.in_vain:
                    self._timeline.disconnect()
                try:
                    for frame in packet.decode():
                        shown = True
                        if frame.is_corrupt:
                            self._lose("damaged")  # grey smears, in which detectors see things
                            yield None
                        else:
                            yield frame
                except av.error.InvalidDataError:
                    self._lose("damaged")
            if shown:
                last_picture = now
                continue
            if now - last_picture > _LONGEST_BLIND_S:
                raise _SilentError(f"none of its pictures could be decoded for {_LONGEST_BLIND_S:g} s")
            yield None

    def _give(self, frame: av.VideoFrame, arrival_ns: int) -> Frame | None:
        self._index += 1
        self._tally.decoded()
        time_ns = self._timeline.time_of(self._in_ns(frame.pts), arrival_ns)
        if not self._cap.keeps(time_ns):
            self._tally.dropped("fps_cap")
            return None
        try:
            return Frame(self.camera, self._index, time_ns, self._pictures.make(frame))
        except WrongSizeError:
            self._tally.dropped("wrong_size")
            raise

    def _lose(self, reason: str) -> None:
        self._index += 1
        self._tally.decoded()
        self._tally.dropped(reason)

    def _lost(self, why: str) -> Interrupted:
        self.close()
        self._failed += 1
        self._tally.add("interruptions")
        limit = self._options.max_reconnects
        if limit is not None and self._failed > limit:
            raise SourceError(f"camera {self.camera!r}: {self._address}: {why}; given up after {limit} reconnects")
        wait = wait_s(self._failed, self._jitter)
        self._retry_at = self._clock.monotonic() + wait
        detail = f"{self._address}: {why}; trying again in {wait:.1f} s"
        return Interrupted(detail, self._failed, wait, self._now_ns())

    def _now_ns(self) -> int:
        return self._clock.now_ns() + self._offset_ns

    def _reason(self, error: Exception) -> str:
        """What went wrong, in words, without the address."""
        limit = self._connect_timeout_s if self._container is None else self._read_timeout_s
        if self._clock.monotonic() - self._asked_at > 0.9 * limit:
            return f"no answer within {limit:g} s"
        if isinstance(error, av.error.HTTPUnauthorizedError):
            return "it does not accept this user and password"
        return mask(getattr(error, "strerror", None) or str(error)).lower()

    def _in_ns(self, timestamp: int | None) -> int | None:
        if timestamp is None or not self._timed:
            return None
        unit = self._stream.time_base or Fraction(1, 90_000)
        return timestamp * SECOND_NS * unit.numerator // unit.denominator
