"""What the routers share: the site being served, and the questions that they put to it."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from fastapi import Request, Response
from fastapi.routing import APIRoute

from mtmct.records import TRACKS
from operators.records import CrosscamError
from pipeline.address import Place
from pipeline.config import ConfigError, Site
from pipeline.config_file import load
from pipeline.detached import apply
from pipeline.serve.drawing import Counted, Drawn, counted, put_rules
from pipeline.serve.feed import Feed
from pipeline.serve.guard import Rate
from pipeline.serve.known import Box
from pipeline.serve.looks import Looks
from pipeline.serve.problems import UnfitError
from pipeline.serve.shots import Shots
from pipeline.serve.site_file import replace, rewrite
from pipeline.serve.thumbnails import Thumbnails
from pipeline.serve.view import SiteView
from pipeline.serve.workings import Workings

T = TypeVar("T")
# Records of different cameras are that far out of order in a ledger, at most: a commit waits no longer for one of them.
_OUT_OF_ORDER_US = 60_000_000
_NEAR_US = 500_000
E = TypeVar("E", bound=Callable[..., Any])


@dataclass(slots=True)
class Served:
    """A site being served.

    Attributes:
        place: its ledger. site: its file, None if it was not named by it.
        thumbnails: of identities. workings: of its cameras. searches: how often anybody may search.
        changes: how often the site's file was changed from here.
    """

    place: Place
    site: Site | None
    feed: Feed
    shots: Shots
    looks: Looks
    thumbnails: Thumbnails
    workings: Workings
    searches: Rate = field(default_factory=lambda: Rate(per_s=5.0, burst=20))
    changes: int = 0

    @property
    def view(self) -> SiteView:
        """What is known of it."""
        return self.feed.view

    @property
    def name(self) -> str:
        """Of the site; empty while nothing is known but a ledger's file that says nothing yet."""
        if self.site is not None:
            return self.site.site
        return self.view.site or (self.place.kafka[0] if self.place.kafka is not None else "")

    def camera_names(self) -> list[str]:
        """Those of the site's file, then those that only the ledger knows."""
        configured = [camera.id for camera in self.site.cameras] if self.site is not None else []
        return list(dict.fromkeys([*configured, *self.view.cameras()]))

    def records(self, camera: str | None = None) -> Iterator[Mapping[str, Any]]:
        """Values of the `tracks` topic, up to now: of a camera, or of all."""
        reader = self.place.reader()
        try:
            for stored in reader.read(TRACKS):
                if camera is None or stored.value["camera"] == camera:
                    yield stored.value
        finally:
            reader.close()

    def people_at(self, camera: str, time_us: int) -> list[tuple[str, Box]]:
        """Who was in a camera's picture at a time, by name, and where: the box of the time nearest to it."""
        found: dict[str, tuple[int, Box]] = {}
        reader = self.place.reader()
        try:
            for stored in reader.read(TRACKS, after=self.view.position_before(time_us)):
                value = stored.value
                if value["start"] > time_us + _OUT_OF_ORDER_US:
                    break
                if value["camera"] != camera or not value["start"] - _NEAR_US <= time_us <= value["end"] + _NEAR_US:
                    continue
                who = self.view.name_of(camera, value["track"], value["start"])
                point = min(value["points"], key=lambda one: abs(one[0] - time_us), default=None)
                if who is None or point is None:
                    continue
                away = abs(point[0] - time_us)
                if away <= _NEAR_US and (who not in found or away < found[who][0]):
                    found[who] = away, (point[1], point[2], point[3], point[4])
        finally:
            reader.close()
        return [(who, box) for who, (_, box) in sorted(found.items())]

    def preview(self, camera: str, drawn: Drawn) -> Counted:
        """What lines and zones would have counted in a camera."""
        known = None if self.site is None else next((one for one in self.site.cameras if one.id == camera), None)
        homography = None if known is None or known.homography is None else np.array(known.homography, np.float64)
        return counted(drawn, self.records(camera), self.shots.size(camera), homography)

    def draw(self, camera: str, drawn: Drawn) -> None:
        """Keep lines and zones in the site's file, and have a running site go by them; see `change`."""
        self.change(put_rules(camera, drawn))

    def change(self, edit: Callable[[Any], None]) -> None:
        """Change the site's file, and have a running site go by it. What that refuses is taken out of the file again.

        Raises:
            UnfitError: there is no file, or it would not be a site's any more.
            CrosscamError: the file cannot be written, or the running site cannot change to that.
        """
        if self.site is None or self.site.file is None:
            raise UnfitError("this ledger was not named by its site's file: there is nothing to write to")
        file = self.site.file
        before = file.read_text(encoding="utf-8")
        try:
            rewrite(file, edit)
            changed = load(file)
            if self.shots.reached():
                apply(changed)
        except CrosscamError as error:
            if file.read_text(encoding="utf-8") != before:
                replace(file, before)
            if isinstance(error, ConfigError):
                raise UnfitError(str(error).replace(str(file), file.name)) from None
            raise
        self.site = changed
        self.changes += 1
        self.shots.configure(changed)

    def state(self) -> Hashable:
        """Equal as long as nothing of it has changed."""
        return self.view.version, self.changes, self.feed.error

    def running(self) -> bool:
        """Whether a run of it can be reached from here."""
        return self.shots.running()


def served(request: Request) -> Served:
    """The site of the application that a request came to."""
    site: Served = request.app.state.served
    return site


class Remembered:
    """The newest answers that follow from what has been read of the ledger, to be given again until more is read.

    Args:
        size: bytes of answers, at most.
        age_s: no older ones are given: whether a site is running does not stand in its ledger.
        clock: monotonic seconds.
    """

    def __init__(self, size: int = 32_000_000, age_s: float = 2.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._size, self._age_s, self._clock = size, age_s, clock
        self._held: OrderedDict[str, tuple[float, Hashable, Response]] = OrderedDict()
        self._bytes = 0

    def get(self, question: str, state: Hashable) -> Response | None:
        """The answer to it in that state of things."""
        found = self._held.get(question)
        if found is None or found[1] != state or self._clock() - found[0] > self._age_s:
            return None
        return found[2]

    def put(self, question: str, state: Hashable, answer: Response) -> None:
        """Keep an answer."""
        before = self._held.pop(question, None)
        self._bytes += len(answer.body) - (0 if before is None else len(before[2].body))
        self._held[question] = self._clock(), state, answer
        while self._bytes > self._size:
            self._bytes -= len(self._held.popitem(last=False)[1][2].body)


def from_view(endpoint: E) -> E:
    """Mark a GET whose answer is the same until more of the ledger is read, or the site's file changes."""
    endpoint.from_view = True  # type: ignore[attr-defined]
    return endpoint


class Etagged(APIRoute):
    """Answers to GET carry an ETag, and `304 Not Modified` where the asker has the answer already.

    Of endpoints that are marked `from_view`, answers are remembered.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()
        remember = getattr(self.endpoint, "from_view", False)

        async def handler(request: Request) -> Response:
            if request.method != "GET":
                return await answer(request)
            remembered: Remembered = request.app.state.remembered
            question, state = f"{request.url.path}?{request.url.query}", served(request).state() if remember else None
            response = remembered.get(question, state) if remember else None
            if response is None:
                response = await answer(request)
                if response.status_code != 200 or not getattr(response, "body", b""):
                    return response
                response.headers["ETag"] = f'"{hashlib.blake2b(response.body, digest_size=12).hexdigest()}"'
                if remember:
                    remembered.put(question, state, response)
            tag = response.headers["ETag"]
            if tag in request.headers.get("if-none-match", "").replace("W/", "").split(", "):
                return Response(status_code=304, headers={"ETag": tag})
            return response

        return handler


def page(items: Sequence[T], key: Callable[[T], str], after: str | None, limit: int) -> tuple[list[T], str | None]:
    """The part of a list that follows the item called `after`, and what to give as `after` next.

    An item that is gone meanwhile leaves the beginning.
    """
    start = 0
    if after is not None:
        start = next((row + 1 for row, item in enumerate(items) if key(item) == after), 0)
    some = list(items[start : start + limit])
    more = start + limit < len(items)
    return some, key(some[-1]) if more and some else None
