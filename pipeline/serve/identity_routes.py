"""`/v1/identities` and `/v1/search`: who was seen, why they are who they are, who looks like whom, and erasing."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Path, Query, Response, UploadFile

from pipeline.erase import erase_identity
from pipeline.explain import correction, reason
from pipeline.serve import searching
from pipeline.serve.answers import ErasedAnswer, FoundAnswer, IdentityAnswer, IdentityDetail, Page, VisitAnswer
from pipeline.serve.context import Etagged, Served, from_view, page, served
from pipeline.serve.known import Summary, Visit
from pipeline.serve.problems import NotFoundError, UnfitError
from pipeline.serve.searching import Asked

router = APIRouter(prefix="/v1", route_class=Etagged, tags=["identities"])

Site = Annotated[Served, Depends(served)]
IdentityName = Annotated[str, Path(description="Such as plaza-000017.", max_length=100)]
Limit = Annotated[int, Query(ge=1, le=1000)]
# Whoever was erased is not to be shown out of a browser's memory.
ASK_AGAIN = {"Cache-Control": "private, no-cache"}


@router.get("/identities")
@from_view
def identities(
    of: Site,
    state: Annotated[str | None, Query(description="open, closed, merged or retracted.")] = None,
    camera: Annotated[str | None, Query(description="Seen by this camera.")] = None,
    cls: Annotated[str | None, Query(alias="class")] = None,
    attribute: Annotated[
        list[str] | None, Query(description="Facet and value, `bag:backpack`; given several times, all must hold.")
    ] = None,
    since: Annotated[int | None, Query(description="Seen at this event time (microseconds) or later.")] = None,
    until: Annotated[int | None, Query(description="Seen at this event time or before.")] = None,
    after: Annotated[str | None, Query(description="`next` of the page before.", max_length=100)] = None,
    limit: Limit = 100,
) -> Page[IdentityAnswer]:
    """Identities by number; those that were merged into others or retracted as well, unless `state` says otherwise."""
    wanted = {_facet(text) for text in attribute or ()}
    found = [
        one
        for one in of.view.identities()
        if state in (None, one.state)
        and (camera is None or camera in one.cameras)
        and cls in (None, one.cls)
        and wanted <= {*one.attributes.items()}
        and (since is None or (one.end is not None and one.end >= since))
        and (until is None or (one.start is not None and one.start <= until))
    ]
    some, following = page(found, lambda one: one.identity, after, limit)
    return Page(items=[IdentityAnswer.model_validate(one) for one in some], next=following)


def _facet(text: str) -> tuple[str, str]:
    facet, colon, value = text.partition(":")
    if not (facet and colon and value):
        raise UnfitError(f"attribute {text!r}: write facet and value as in bag:backpack")
    return facet, value


@router.get("/identities/{identity}")
@from_view
def identity(of: Site, identity: IdentityName) -> IdentityDetail:
    """One identity: its visits with the evidence of each link, corrections, and its journey."""
    summary = _find(of, identity)
    said = of.view.said(identity)
    return IdentityDetail(
        **IdentityAnswer.model_validate(summary).model_dump(),
        visits=[_visit(of, identity, visit) for visit in of.view.visits(identity)],
        corrections=[dict(value) for value in said],
        said=[correction(value, identity) for value in said],
        journey=None if (journey := of.view.journey(identity)) is None else dict(journey),
    )


@router.get(
    "/identities/{identity}/thumbnails/{camera}/{track}.jpg",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}},
)
def thumbnail(of: Site, identity: IdentityName, camera: str, track: int) -> Response:
    """A picture of it in one of its visits, when it was seen best. Of live cameras as kept by `thumbnails`."""
    for visit in of.view.visits(identity):
        if (visit.camera, visit.track) == (camera, track):
            return Response(of.thumbnails.of(visit), media_type="image/jpeg", headers=ASK_AGAIN)
    raise NotFoundError(f"{identity} has no track {track} of camera {camera!r}")


@router.delete("/identities/{identity}")
def erase(of: Site, identity: IdentityName) -> ErasedAnswer:
    """Forget what it looks like, at once and for good, its thumbnails too, and retract it; also while the site runs."""
    _find(of, identity)
    try:
        return ErasedAnswer.model_validate(erase_identity(of.place, identity))
    finally:
        of.looks.forget()
        of.thumbnails.forget()


@router.post("/search")
async def search(
    of: Site,
    picture: Annotated[UploadFile | None, File(description="JPEG or PNG of a person, or of a scene with one.")] = None,
    identity: Annotated[str | None, Form(description="Instead of a picture: who looks like this one?")] = None,
    camera: Annotated[str | None, Form(description="Instead of both: who was in this camera's recording ...")] = None,
    time: Annotated[int | None, Form(ge=0, le=2**62, description="... at this event time, microseconds.")] = None,
    whole: Annotated[bool, Form(description="The picture is of one person, cut out.")] = False,
    box: Annotated[str | None, Form(description="Where the person is: x1,y1,x2,y2 in pixels.")] = None,
    count: Annotated[int, Form(ge=1, le=100)] = 10,
) -> list[FoundAnswer]:
    """The identities that look most like a picture, an identity, or somebody whom a camera saw; best first."""
    data = None if picture is None else await picture.read()
    asked = Asked(data, whole, identity, camera, time, _box(box))
    return await searching.search(of, asked, count)


def _box(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4:
        raise UnfitError("write the box as x1,y1,x2,y2 in pixels")
    return numbers


def _find(of: Served, identity: str) -> Summary:
    summary = of.view.identity(identity)
    if summary is None:
        raise NotFoundError(f"there is no {identity} in this site, or it was forgotten")
    return summary


def _visit(of: Served, identity: str, visit: Visit) -> VisitAnswer:
    address = f"/v1/identities/{identity}/thumbnails/{visit.camera}/{visit.track}.jpg"
    return VisitAnswer(
        camera=visit.camera,
        track=visit.track,
        start=visit.start,
        end=visit.end,
        points=visit.points,
        first=visit.first,
        provisional=visit.provisional,
        links=[dict(link) for link in visit.links],
        reasons=[reason(link) for link in visit.links],
        thumbnail=address if of.thumbnails.has(visit) else None,
    )
