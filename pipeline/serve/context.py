"""What the routers share: the site being served, and the questions that they put to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute

from pipeline.address import Place
from pipeline.config import Site
from pipeline.running import NotRunningError, ask
from pipeline.serve.feed import Feed
from pipeline.serve.guard import Rate
from pipeline.serve.looks import Looks
from pipeline.serve.shots import Shots
from pipeline.serve.view import SiteView

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
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

    def running(self) -> bool:
        """Whether a run of it can be reached from here."""
        try:
            ask(self.place, "ping")
        except NotRunningError:
            return False
        except Exception:  # it answers, if only that it does not know the question
            return True
        return True


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
