"""Search by looks, the same for `POST /v1/search` and for the page: by a picture, an identity, or somebody in view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from mtmct.search import Found
from pipeline.serve.answers import FoundAnswer
from pipeline.serve.context import Served
from pipeline.serve.looks import decoded
from pipeline.serve.problems import NotFoundError, UnfitError


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is looked for: exactly one of `picture`, `identity` and `camera` is given.

    Attributes:
        picture: JPEG or PNG. whole: it is of one person, cut out.
        identity: who looks like this one?
        camera, time: whoever was in the picture of a recorded camera at that event time, microseconds.
        box: where in the picture, xyxy, pixels; the person nearest to the camera if not given.
    """

    picture: bytes | None = None
    whole: bool = False
    identity: str | None = None
    camera: str | None = None
    time: int | None = None
    box: Sequence[float] | None = None


async def search(of: Served, asked: Asked, count: int) -> list[FoundAnswer]:
    """Identities by how much they look like who is asked for, best first.

    Raises:
        UnfitError: the question is none, or there is nobody in the picture.
        NotFoundError: there is no such identity, camera or picture.
        SearchError: nothing is kept of the identity's looks.
        HTTPException: 429, there were too many searches lately.
    """
    if sum(one is not None for one in (asked.picture, asked.identity, asked.camera)) != 1:
        raise UnfitError("send one of `picture`, `identity` and `camera`")
    if (asked.camera is None) != (asked.time is None):
        raise UnfitError("send `camera` and `time` together: who was in its picture at that event time?")
    if asked.identity is not None and of.view.identity(asked.identity) is None:
        raise NotFoundError(f"there is no {asked.identity} in this site, or it was forgotten")
    if asked.camera is not None and asked.camera not in of.camera_names():
        raise NotFoundError(f"there is no camera {asked.camera!r} in this site")
    wait = of.searches.take()
    if wait > 0:
        raise HTTPException(429, "too many searches at once: try again shortly", {"Retry-After": str(int(wait) + 1)})
    return await run_in_threadpool(lambda: [_answer(of, one) for one in _found(of, asked, count)])


def _found(of: Served, asked: Asked, count: int) -> list[Found]:
    if asked.identity is not None:
        return of.looks.of_identity(asked.identity, count)
    if asked.camera is not None:
        assert asked.time is not None
        image = of.shots.frame(asked.camera, asked.time, shown=False)
    else:
        assert asked.picture is not None
        image = decoded(asked.picture)
    return of.looks.of_picture(image, count, whole=asked.whole, box=asked.box)


def _answer(of: Served, one: Found) -> FoundAnswer:
    """Who was found, by name, and where he was seen."""
    name = f"{of.view.site}-{one.number:06d}"
    visits = of.view.visits(name)
    pictures: dict[str, str] = {}
    for visit in visits:
        if visit.camera not in pictures and of.thumbnails.has(visit):
            pictures[visit.camera] = f"/v1/identities/{name}/thumbnails/{visit.camera}/{visit.track}.jpg"
    return FoundAnswer(
        identity=name,
        cosine=round(one.cosine, 4),
        score=round(one.score, 2),
        open=one.open,
        cameras=list(dict.fromkeys(visit.camera for visit in visits)),
        thumbnails=pictures,
    )
