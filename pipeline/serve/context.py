"""What the routers share: the site being served, and the questions that they put to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
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
from pipeline.serve.looks import Looks
from pipeline.serve.problems import UnfitError
from pipeline.serve.shots import Shots
from pipeline.serve.site_file import replace, rewrite
from pipeline.serve.view import SiteView

T = TypeVar("T")


@dataclass(slots=True)
class Served:
    """A site being served.

    Attributes:
        place: its ledger. site: its file, None if it was not named by it.
        searches: how often anybody may search.
    """

    place: Place
    site: Site | None
    feed: Feed
    shots: Shots
    looks: Looks
    searches: Rate = field(default_factory=lambda: Rate(per_s=5.0, burst=20))

    @property
    def view(self) -> SiteView:
        """What is known of it."""
        return self.feed.view

    def camera_names(self) -> list[str]:
        """Those of the site's file, then those that only the ledger knows."""
        configured = [camera.id for camera in self.site.cameras] if self.site is not None else []
        return list(dict.fromkeys([*configured, *self.view.cameras()]))

    def records(self, camera: str) -> Iterator[Mapping[str, Any]]:
        """Values of the `tracks` topic of a camera, up to now."""
        reader = self.place.reader()
        try:
            end = reader.end(TRACKS)
            for stored in reader.read(TRACKS) if end is not None else ():
                if stored.value["camera"] == camera:
                    yield stored.value
                if stored.position == end:
                    return
        finally:
            reader.close()

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
            if self.shots.running():
                apply(changed)
        except CrosscamError as error:
            if file.read_text(encoding="utf-8") != before:
                replace(file, before)
            if isinstance(error, ConfigError):
                raise UnfitError(str(error).replace(str(file), file.name)) from None
            raise
        self.site = changed
        self.shots.configure(changed)

    def running(self) -> bool:
        """Whether a run of it can be reached from here."""
        return self.shots.running()


def served(request: Request) -> Served:
    """The site of the application that a request came to."""
    site: Served = request.app.state.served
    return site


class Etagged(APIRoute):
    """Answers to GET carry an ETag, and `304 Not Modified` where the asker has the answer already."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def handler(request: Request) -> Response:
            response = await answer(request)
            if request.method != "GET" or response.status_code != 200 or not getattr(response, "body", b""):
                return response
            tag = f'"{hashlib.blake2b(response.body, digest_size=12).hexdigest()}"'
            response.headers["ETag"] = tag
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
