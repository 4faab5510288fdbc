"""Pictures out of the cameras' recordings: one of a time, and a stream with overlays.

Frames stay where they are decoded while a site runs; what is shown here is decoded again, only while somebody looks.
A live camera has no recording: of it there is the newest picture, from its worker, while the site is running.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from mtmct.records import EVENTS, TRACKS
from operators.analyse.rules import Rules
from operators.draw import Privacy, Style, blur_boxes
from operators.picture_bytes import decoded, jpeg
from operators.records import CrosscamError, Frame, Image
from pipeline.address import Place
from pipeline.assembly import build_source
from pipeline.config import Camera, Site
from pipeline.detached import ask
from pipeline.ledger.base import LedgerReader
from pipeline.mosaic import Tile
from pipeline.overlay import Overlay
from pipeline.recording import Player, RecordedCamera
from pipeline.rule_states import DRAWN, RuleStates
from pipeline.serve.live_shots import EVERY_S, LiveShots, Shot
from pipeline.serve.problems import NoPictureError, NotFoundError
from pipeline.serve.view import SiteView
from pipeline.sources.base import Source

_US_NS = 1_000
_ASK_AGAIN_S = 5.0
_TOO_OLD_S = 30.0  # then it is better to wait for an answer, as long as one can be expected
_ANSWER_S = 5.0
_SIMULATED = "simulated:"


class Shots:
    """The recordings of a site's cameras.

    Args:
        site: its file; None: no recordings are known, and every question is answered by that.
        place: its ledger, for what is drawn.
        view: who is who.
        privacy: what is blurred of everyone tracked.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        site: Site | None,
        place: Place,
        view: SiteView,
        privacy: Privacy = Privacy.NONE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._asked: tuple[float, bool] | None = None
        self._asked_since = float("-inf")
        self._asking = threading.Lock()
        self._answered = threading.Event()
        self._site = site
        self._place = place
        self._view = view
        self._privacy = privacy
        self._live_shots = LiveShots(place, view, self._rules, privacy, clock)
        # What it takes to know these, opening a source, is too much for every question.
        self._size = lru_cache(maxsize=None)(self._measured)
        self._lives = lru_cache(maxsize=None)(lambda camera: self._source(camera).live)
        self._shows = lru_cache(maxsize=None)(self._has_pictures)

    def configure(self, site: Site) -> None:
        """Go by this file of the site from now on."""
        self._site = site
        self._size.cache_clear()
        self._lives.cache_clear()
        self._shows.cache_clear()

    def running(self) -> bool:
        """Whether a run of the site can be reached from here, as of a few seconds ago.

        It is asked in the background: a run that is stuck holds up who wants to know for a moment, and once.
        """
        now = self._clock()
        age = float("inf") if self._asked is None else now - self._asked[0]
        if age > _ASK_AGAIN_S:
            if self._asking.acquire(blocking=False):
                self._asked_since = now
                self._answered.clear()
                threading.Thread(target=self._ask, name="running", daemon=True).start()
            if age > _TOO_OLD_S:
                self._answered.wait(max(self._asked_since + _ANSWER_S - now, 0.0))
        return self._asked is not None and self._asked[1]

    def reached(self) -> bool:
        """The same, asked now, however long that takes."""
        try:
            ask(self._place, "status")
            reached = True
        except CrosscamError:
            reached = False
        self._asked = (self._clock(), reached)
        return reached

    def _ask(self) -> None:
        try:
            self.reached()
        finally:
            self._answered.set()
            self._asking.release()

    def recorded(self, camera: str) -> bool:
        """Whether its pictures of any time can be had: of what is not a live camera, nor a file of boxes alone."""
        try:
            return not self._lives(camera) and self._shows(camera)
        except CrosscamError:
            return False

    def has(self, camera: str) -> bool:
        """Whether there are pictures of it: of a live camera its newest one, while the site is running."""
        return self.recorded(camera) or self.size(camera) is not None

    def live(self, camera: str) -> bool:
        """Whether it is a live camera of the site's file."""
        try:
            return self._lives(camera)
        except CrosscamError:
            return False

    def size(self, camera: str) -> tuple[int, int] | None:
        """Width and height of its pictures; of a live camera once it has given one."""
        if self.recorded(camera):
            return self._size(camera)
        return self._live_shots.size(camera) if self.live(camera) and self.running() else None

    def start_us(self, camera: str) -> int | None:
        """Event time of its first picture."""
        if not self.recorded(camera):
            return None
        frame = next(self._frames(camera, None), None)
        return None if frame is None else frame.time_ns // _US_NS

    def picture(self, camera: str, time_us: int | None, *, overlay: bool = True) -> bytes:
        """The picture at a time as JPEG, boxes and rules drawn on it if wanted; the first one if `time_us` is None.

        Of a live camera it is the newest, whatever the time.

        Raises:
            NoPictureError: there is none.
        """
        if self.live(camera):
            return self._live_shots.newest(camera, overlay=overlay).jpeg
        for image, _ in self._drawn(camera, time_us, overlay):
            return jpeg(image)
        raise NoPictureError(f"camera {camera!r} has no picture of that time")

    def frame(self, camera: str, time_us: int, *, shown: bool = True) -> Image:
        """The newest picture up to that time, (H, W, 3) uint8 BGR, to be written on.

        Args:
            shown: to somebody, so that it is blurred as the service is told to; false: it is only looked at here.

        Raises:
            NoPictureError: there is none.
        """
        newest: Frame | None = None
        with closing(self._plain(camera, time_us) if shown else self._frames(camera, time_us)) as frames:
            for frame in frames:
                if frame.time_ns > time_us * _US_NS + _US_NS // 2 and newest is not None:
                    break
                newest = frame
        if newest is None or newest.image is None:
            raise NoPictureError(f"camera {camera!r} has no picture of that time")
        return np.array(newest.image)

    def blurred(self, picture: bytes, camera: str, time_us: int) -> bytes:
        """A picture of a camera that was kept by somebody else, JPEG, with everybody blurred who is to be."""
        if self._privacy == Privacy.NONE:
            return picture
        image = decoded(picture)
        reader = self._place.reader()
        try:
            self._hide(image, self._marks(reader, camera, time_us * _US_NS), camera, time_us * _US_NS)
        finally:
            reader.close()
        return jpeg(image)

    def stream(
        self,
        camera: str,
        time_us: int | None,
        *,
        overlay: bool = True,
        speed: float = 1.0,
        stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> Generator[Shot | float, None, None]:
        """Pictures from that time on, at the pace of event time; those that would come late are left out.

        Of a live camera they are the newest, as they come. In between come seconds to wait before the next is asked
        for; a picture comes first.

        Raises:
            NoPictureError: there are no pictures of the camera.
        """
        if self.live(camera):
            last: Shot | None = None
            while not stop():
                newest = self._live_shots.newest(camera, overlay=overlay)
                if newest is not last:
                    yield newest
                last = newest
                yield EVERY_S
            return
        begun: tuple[float, int] | None = None
        for image, at_ns in self._drawn(camera, time_us, overlay):
            if stop():
                return
            begun = begun or (clock(), at_ns)
            ahead = (at_ns - begun[1]) / 1e9 / speed - (clock() - begun[0])
            if ahead < -0.2:
                continue
            if ahead > 0:
                yield ahead
            yield Shot(jpeg(image), at_ns // _US_NS)

    def _drawn(self, camera: str, time_us: int | None, overlay: bool) -> Iterator[tuple[Image, int]]:
        if not overlay:
            with closing(self._plain(camera, time_us)) as frames:
                for frame in frames:
                    if frame.image is not None:
                        yield frame.image, frame.time_ns
            return
        site, configured = self._configured(camera)
        recorded = RecordedCamera(camera, lambda: self._frames(camera, time_us), rules=site.rules(configured))
        player = Player(recorded)
        reader = self._place.reader()
        try:
            if player.first_ns is None:
                raise NoPictureError(f"camera {camera!r} has no picture of that time")
            happened = (one.value for one in reader.read(EVENTS) if one.value["type"] in DRAWN)
            marks = self._marks(reader, camera, player.first_ns)
            canvas = np.zeros((player.size[1], player.size[0], 3), np.uint8)
            style = Style.for_height(canvas.shape[0])
            tile = Tile(player, marks, RuleStates(happened), canvas, style, self._privacy)
            while player.next_ns is not None:
                tile.show(player.next_ns, player.next_ns)
                assert player.last_ns is not None
                yield canvas.copy(), player.last_ns
        finally:
            player.close()
            reader.close()

    def _plain(self, camera: str, time_us: int | None) -> Generator[Frame, None, None]:
        """`_frames` with everybody blurred who is to be, and nothing drawn."""
        if self._privacy == Privacy.NONE:
            yield from self._frames(camera, time_us)
            return
        reader = self._place.reader()
        marks: Overlay | None = None
        try:
            with closing(self._frames(camera, time_us)) as frames:
                for frame in frames:
                    marks = marks or self._marks(reader, camera, frame.time_ns)
                    if frame.image is None:
                        continue
                    image = np.array(frame.image)
                    self._hide(image, marks, camera, frame.time_ns)
                    yield replace(frame, image=image)
        finally:
            reader.close()

    def _hide(self, image: Image, marks: Overlay, camera: str, time_ns: int) -> None:
        there = marks.at(camera, time_ns)
        everyone = np.concatenate([there.boxes, there.retracted, there.unseen])
        names = (*there.classes, *there.retracted_classes, *there.unseen_classes)
        blur_boxes(image, everyone, self._privacy, names)

    def _marks(self, reader: LedgerReader, camera: str, from_ns: int) -> Overlay:
        """Who is where in the camera's pictures from that time on."""
        after = self._view.position_before(from_ns // _US_NS)
        values: Iterator[Mapping[str, Any]] = (one.value for one in reader.read(TRACKS, after=after))
        return Overlay(values, [camera], self._view.number_of, from_ns=from_ns)

    def _rules(self, camera: str) -> Rules:
        """Lines and zones as the site's file has them now."""
        if self._site is None or camera not in {one.id for one in self._site.cameras}:
            return Rules()
        return self._site.rules(self._site.camera(camera))

    def _frames(self, camera: str, time_us: int | None) -> Generator[Frame, None, None]:
        """From the last picture before that time on."""
        source = self._source(camera)
        if source.live:
            raise NoPictureError(f"camera {camera!r} is live: no pictures of it are kept")
        try:
            source.open(None)
            before: Frame | None = None
            if time_us is not None:
                source.skip_to(time_us * _US_NS)
            while isinstance(item := source.read(), Frame):
                if time_us is not None and item.time_ns <= time_us * _US_NS + _US_NS // 2:
                    before = item
                    continue
                if before is not None:
                    yield before
                    before = None
                yield item
            if before is not None:
                yield before
        finally:
            source.close()

    def _measured(self, camera: str) -> tuple[int, int] | None:
        source = self._source(camera)
        try:
            source.open(None)
            if source.size is not None:
                return source.size
            item = source.read()
            return item.image.shape[1::-1] if isinstance(item, Frame) and item.image is not None else None
        except CrosscamError:
            return None
        finally:
            source.close()

    def _has_pictures(self, camera: str) -> bool:
        _, configured = self._configured(camera)
        return configured.source.startswith(_SIMULATED) or self._source(camera).brings == "frames"

    def _source(self, camera: str) -> Source:
        site, configured = self._configured(camera)
        if configured.source.startswith(_SIMULATED):
            # What was simulated can be drawn at any time, whether or not it was when the site ran.
            settings = configured.source.removeprefix(_SIMULATED)
            drawn = f"{_SIMULATED}{settings},shown=1" if settings else f"{_SIMULATED}shown=1"
            configured = configured.model_copy(update={"source": drawn})
        return build_source(site, configured)

    def _configured(self, camera: str) -> tuple[Site, Camera]:
        if self._site is None:
            raise NoPictureError("this ledger was not named by its site's file, so no recordings are known")
        try:
            return self._site, self._site.camera(camera)
        except KeyError:
            raise NotFoundError(f"there is no camera {camera!r} in {self._site.site}") from None
