"""The service as an ASGI application: `/v1` for programs, health, and the page for people."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response

from operators.draw import Privacy
from pipeline.address import Place
from pipeline.serve import (
    analysis_routes,
    figure_routes,
    identity_routes,
    live_routes,
    metrics,
    problems,
    site_routes,
)
from pipeline.serve.analyses import Analyses
from pipeline.serve.answers import HealthAnswer
from pipeline.serve.context import Remembered, Served
from pipeline.serve.feed import Feed
from pipeline.serve.guard import Guard
from pipeline.serve.looks import Looks
from pipeline.serve.shots import Shots
from pipeline.serve.thumbnails import Thumbnails
from pipeline.serve.view import SiteView
from pipeline.serve.workings import Workings


@dataclass(frozen=True, slots=True)
class Options:
    """How a site is served.

    Attributes:
        token: asked from everybody; None: from nobody, which is for loopback only.
        local: bound to loopback.
        keep_s: what ended longer ago, in event time, is forgotten; None keeps all.
        privacy: what is blurred of everyone tracked.
        largest: bytes of a request's body, at most: of an upload.
        work: folder of new analyses. models: folder of models that were fetched, for them.
        page: with the page for people.
    """

    token: str | None = None
    local: bool = True
    keep_s: float | None = None
    privacy: Privacy = Privacy.NONE
    largest: int = 4_000_000_000
    work: Path = Path("analyses")
    models: Path = Path("models")
    page: bool = True


def create_app(place: Place, options: Options | None = None) -> Guard:
    """The application for the site whose ledger is at `place`. It begins to read when it is started."""
    options = options or Options()
    view = SiteView(options.keep_s)
    feed = Feed(place.reader, view)
    shots = Shots(place.site, place, view, options.privacy)
    served = Served(
        place=place,
        site=place.site,
        feed=feed,
        shots=shots,
        looks=Looks(place, place.site),
        thumbnails=Thumbnails(shots, place, options.privacy),
        workings=Workings(place),
    )

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        feed.start()
        yield
        app.state.analyses.close()
        feed.close()

    app = FastAPI(
        title="crosscam",
        version=version("crosscam"),
        description="Who is who across the cameras of a site: live, and as corrected.",
        lifespan=life,
        docs_url="/v1/docs",
        redoc_url=None,
        openapi_url="/v1/openapi.json",
    )
    app.state.served = served
    app.state.analyses = Analyses(options.work, models=options.models, privacy=options.privacy)
    app.state.largest = options.largest
    app.state.portions = live_routes.Portions()
    app.state.remembered = Remembered()
    app.state.requests = requests = metrics.Requests()
    problems.install(app)
    _add_health(app, feed)
    for routes in (site_routes, identity_routes, figure_routes, analysis_routes, live_routes, metrics):
        app.include_router(routes.router, responses=_PROBLEMS)
    problems.add_the_rest(app, "/v1")
    guard = Guard(
        app,
        token=options.token,
        largest=options.largest,
        local=options.local,
        served=served,
        uploads=frozenset({"/v1/analyses"}),
        answered=requests.answered,
    )
    if options.page:
        from pipeline.serve.page import add_pages

        add_pages(app, served, guard)
    return guard


_PROBLEM: dict[str, Any] = {
    "description": "What is wrong, and what to do (RFC 9457).",
    "content": {
        problems.MEDIA_TYPE: {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "detail"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                },
            }
        }
    },
}
_PROBLEMS: dict[int | str, dict[str, Any]] = {"4XX": _PROBLEM, 503: _PROBLEM}


def _add_health(app: FastAPI, feed: Feed) -> None:
    @app.get("/healthz", tags=["health"])
    def healthz() -> HealthAnswer:
        """It lives."""
        return HealthAnswer(status="ok")

    @app.get("/readyz", tags=["health"], responses={503: {"model": HealthAnswer}})
    def readyz(response: Response) -> HealthAnswer:
        """It has read the ledger up to where it was at the start, and reads on."""
        if feed.ready:
            return HealthAnswer(status="ok")
        response.status_code = 503
        return HealthAnswer(status="waiting", detail=problems.sentence(feed.error or "the ledger is still being read"))
