"""The newest pictures of live cameras, asked of the running site and drawn on: once for everybody who watches.

The worker gives its newest picture with the boxes that it tracked in that very frame; the ledger knows who they are a
commit later. So boxes are where people are, and a number stands at whoever has been committed already.
"""

from __future__ import annotations

import base64
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from operators.analyse.rules import Rules, Severity
from operators.draw import Privacy, Style, blur_boxes, draw_bar, draw_boxes, draw_labels, draw_trails
from operators.draw_rules import OpenIncident, RuleState, draw_rule_labels, draw_rules
from operators.picture_bytes import decoded, jpeg
from operators.records import CrosscamError, Float32, Image
from operators.trails import Trail
from pipeline.address import Place
from pipeline.detached import ask
from pipeline.serve.problems import NoPictureError
from pipeline.serve.view import SiteView

EVERY_S = 0.1  # a new picture is asked for so often at most, however many watch
_AGAIN_S = 1.0  # the same where there was none


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture, JPEG, and its event time, microseconds."""

    jpeg: bytes
    time: int


@dataclass(frozen=True, slots=True)
class _Tracked:
    """What the worker said: its JPEG, event time in microseconds, and N tracks in it."""

    jpeg: bytes
    time: int
    tracks: tuple[int, ...]
    classes: tuple[str, ...]
    boxes: Float32


@dataclass(slots=True)
class _Held:
    """Of one camera: what was got when, and what was made of it, plain and with overlays."""

    lock: threading.Lock
    at: float = 0.0
    got: _Tracked | None = None
    failed: NoPictureError | None = None
    plain: Shot | None = None
    drawn: Shot | None = None


class LiveShots:
    """The live cameras of a site.

    Args:
        place: its ledger, beside which the running site is found.
        view: who is who.
        rules: lines and zones of a camera.
        privacy: what is blurred of everyone tracked.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        place: Place,
        view: SiteView,
        rules: Callable[[str], Rules],
        privacy: Privacy = Privacy.NONE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place, self._view, self._rules, self._privacy, self._clock = place, view, rules, privacy, clock
        self._sizes: dict[str, tuple[int, int]] = {}
        self._held: defaultdict[str, _Held] = defaultdict(lambda: _Held(threading.Lock()))

    def newest(self, camera: str, *, overlay: bool) -> Shot:
        """The newest picture of a camera.

        Raises:
            NoPictureError: there is none yet, or the site is not running.
        """
        held = self._held[camera]
        with held.lock:
            now = self._clock()
            if held.failed is not None and now - held.at < _AGAIN_S:
                raise held.failed
            if held.got is None or now - held.at >= EVERY_S:
                held.at, held.failed = now, None
                try:
                    got = self._ask(camera)
                except NoPictureError as failed:
                    held.failed = failed
                    raise
                if held.got is None or got.time != held.got.time:
                    held.got, held.plain, held.drawn = got, None, None
            if overlay:
                held.drawn = held.drawn or self._made(camera, held.got, overlay=True)
                return held.drawn
            held.plain = held.plain or self._made(camera, held.got, overlay=False)
            return held.plain

    def size(self, camera: str) -> tuple[int, int] | None:
        """Width and height of its pictures, as of the first one; None if there is none."""
        if camera not in self._sizes:
            try:
                height, width = decoded(self.newest(camera, overlay=False).jpeg).shape[:2]
            except NoPictureError:
                return None
            self._sizes[camera] = width, height
        return self._sizes[camera]

    def _ask(self, camera: str) -> _Tracked:
        try:
            said = ask(self._place, "picture", camera)
        except CrosscamError as error:
            raise NoPictureError(f"there is no picture of camera {camera!r} now: {error}") from None
        if said is None:
            raise NoPictureError(f"camera {camera!r} has given no picture yet")
        data, time_ns, tracked = said
        boxes = np.array([one[2:] for one in tracked], np.float32).reshape(-1, 4)
        tracks, classes = tuple(one[0] for one in tracked), tuple(one[1] for one in tracked)
        return _Tracked(base64.b64decode(data), time_ns // 1000, tracks, classes, boxes)

    def _made(self, camera: str, got: _Tracked, *, overlay: bool) -> Shot:
        if not overlay and self._privacy == Privacy.NONE:
            return Shot(got.jpeg, got.time)
        image = decoded(got.jpeg)
        blur_boxes(image, got.boxes, self._privacy, got.classes)
        if overlay:
            self._draw(image, camera, got)
        return Shot(jpeg(image), got.time)

    def _draw(self, image: Image, camera: str, got: _Tracked) -> None:
        style = Style.for_height(image.shape[0])
        numbers = [self._number(camera, track) for track in got.tracks]
        rules, _ = self._rules(camera).placed((image.shape[1], image.shape[0]))
        state = self._state(camera)
        draw_rules(image, rules, state, style)
        draw_trails(image, self._trails(camera, got, numbers), style)
        draw_boxes(image, got.boxes, numbers, style)
        bar = draw_bar(image, camera, f"{len(numbers)} in view", style)
        taken = [bar, *draw_rule_labels(image, rules, state, style, 1.0, [bar])]
        draw_labels(image, got.boxes, numbers, style, taken=taken)

    def _number(self, camera: str, track: int) -> int:
        """Of the identity; -1 of whom no commit has told yet."""
        name = self._view.name_of(camera, track)
        return -1 if name is None else int(name.rpartition("-")[2])

    def _trails(self, camera: str, got: _Tracked, numbers: list[int]) -> list[Trail]:
        """The way as far as it is committed, and from there to where he stands now."""
        known = {one.track: one.trail for one in self._view.in_view(camera)}
        trails = []
        for track, number, box in zip(got.tracks, numbers, got.boxes, strict=True):
            if number >= 0 and track in known:
                points = np.array([*known[track], ((box[0] + box[2]) / 2, box[3])], np.float32)
                trails.append(Trail(number, points, np.linspace(0.2, 1.0, len(points), dtype=np.float32)))
        return trails

    def _state(self, camera: str) -> RuleState:
        """What lines and zones have counted up to the last commit."""
        known = self._view.cameras().get(camera)
        if known is None:
            return RuleState()
        incidents: dict[str, tuple[OpenIncident, ...]] = {}
        for value in self._view.incidents() if known.open_incidents else ():
            if value["camera"] == camera and value["incident"] in known.open_incidents:
                kind = OpenIncident(value["kind"], Severity(value["severity"]))
                incidents[value["zone"]] = (*incidents.get(value["zone"], ()), kind)
        crossed = {(line, way): n for line, total in known.lines.items() for way, n in total.items()}
        return RuleState(crossed=crossed, inside=dict(known.zones), incidents=incidents)
