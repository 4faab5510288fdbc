"""`/v1`: counts, incidents, journeys and heat maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query, Response

from operators.picture_bytes import png
from operators.records import Image
from pipeline.plan_view import PlanCamera
from pipeline.serve.answers import Page
from pipeline.serve.context import Etagged, Served, from_view, page, served
from pipeline.serve.problems import NoPictureError, NotFoundError
from pipeline.whereabouts import (
    FloorPictures,
    Whereabouts,
    WhereaboutsError,
    camera_heat,
    camera_trails,
    whereabouts,
)

router = APIRouter(prefix="/v1", route_class=Etagged, tags=["figures"])

Site = Annotated[Served, Depends(served)]
Since = Annotated[int | None, Query(description="Event time, microseconds.")]
After = Annotated[str | None, Query(description="`next` of the page before.", max_length=200)]
Limit = Annotated[int, Query(ge=1, le=1000)]
PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}


@router.get("/counts")
@from_view
def counts(
    of: Site,
    camera: Annotated[str | None, Query(description="Of this camera; of the whole site if not given.")] = None,
    since: Since = None,
    until: Since = None,
    after: After = None,
    limit: Limit = 100,
) -> Page[dict[str, Any]]:
    """Counts per flow interval, corrected: of the site everybody once, of a camera by local track."""
    kind = "site_counts" if camera is None else "counts"
    found = [value for value in of.view.counts(kind, camera) if _within(value["start"], value["end"], since, until)]
    some, following = page(found, lambda value: str(value["start"]), after, limit)
    return Page(items=[dict(value) for value in some], next=following)


@router.get("/incidents")
@from_view
def incidents(
    of: Site,
    camera: str | None = None,
    kind: str | None = None,
    severity: Annotated[str | None, Query(description="info, warning or alarm.")] = None,
    state: Annotated[str | None, Query(description="started (going on) or ended.")] = None,
    since: Since = None,
    until: Since = None,
    after: After = None,
    limit: Limit = 100,
) -> Page[dict[str, Any]]:
    """Incidents by their start, with the identities that took part."""
    wanted = {"camera": camera, "kind": kind, "severity": severity, "state": state}
    found = [
        value
        for value in of.view.incidents()
        if all(chosen in (None, value[name]) for name, chosen in wanted.items())
        and _within(value["start"], value["end"] or value["time"], since, until)
    ]
    some, following = page(found, lambda value: f"{value['camera']}/{value['incident']}", after, limit)
    return Page(items=[{**value, "identities": _who(of, value)} for value in some], next=following)


@router.get("/incidents/{camera}/{number}/picture.jpg", response_class=Response)
def incident_picture(of: Site, camera: str, number: int) -> Response:
    """What it looked like: as it was kept of a live camera, else out of the recording."""
    value = next((one for one in of.view.incidents() if (one["camera"], one["incident"]) == (camera, number)), None)
    if value is None:
        raise NotFoundError(f"there is no incident {camera}/{number} in this site")
    kept = value["snapshot"].get("file")
    if kept is not None and of.site is not None and of.site.snapshots is not None:
        folder = of.site.snapshots.folder.resolve()
        path = (folder / kept).resolve()
        if path.is_relative_to(folder) and path.is_file():
            data = of.shots.blurred(path.read_bytes(), camera, value["snapshot"]["time"])
            return Response(data, media_type="image/jpeg")
    return Response(of.shots.picture(camera, value["snapshot"]["time"]), media_type="image/jpeg")


@router.get("/journeys")
@from_view
def journeys(of: Site, after: After = None, limit: Limit = 100) -> Page[dict[str, Any]]:
    """Where identities were, of those that are gone, by their end."""
    some, following = page(of.view.journeys(), lambda value: str(value["identity"]), after, limit)
    return Page(items=[dict(value) for value in some], next=following)


@router.get("/heatmap.png", response_class=Response, responses=PNG)
@from_view
def heat_map(
    of: Site,
    camera: Annotated[str | None, Query(description="Of its picture; of the floor if not given.")] = None,
    half_life_s: Annotated[float | None, Query(gt=0, description="Older points count half per so long.")] = None,
    until: Since = None,
    trails: Annotated[bool, Query(description="Ways instead of heat.")] = False,
) -> Response:
    """Where feet were in a camera's picture, or on the floor of a site with calibrated cameras."""
    if camera is not None and camera not in of.camera_names():
        raise NotFoundError(f"there is no camera {camera!r} in this site")
    until_ns = None if until is None else until * 1000
    try:
        if camera is None:
            picture = _floor(of, until_ns, half_life_s, trails=trails)
        else:
            # Of one camera's records there is one camera, or an error.
            (where,) = whereabouts(of.records(camera), of.view.number_of, until_ns).cameras.values()
            draw = camera_trails if trails else camera_heat
            picture = draw(where, _ground(of, camera, where), camera, half_life_s)
    except WhereaboutsError as error:
        raise NotFoundError(str(error)) from None
    return Response(png(picture), media_type="image/png")


def _floor(of: Served, until_ns: int | None, half_life_s: float | None, *, trails: bool) -> Image:
    records = list(of.records())
    where = whereabouts(records, of.view.number_of, until_ns).floor
    if where is None:
        raise NotFoundError("no camera of this site has a homography: there is no floor to draw on")
    cameras = []
    for known in () if of.site is None else of.site.cameras:
        size = of.shots.size(known.id)
        if known.homography is not None and size is not None:
            cameras.append(PlanCamera(known.id, np.asarray(known.homography, np.float64), size))
    pictures = FloorPictures(records, where, site=of.view.site, cameras=cameras, identity_of=of.view.number_of)
    return pictures.trails(half_life_s) if trails else pictures.heat(half_life_s)


def _ground(of: Served, camera: str, where: Whereabouts) -> Image:
    try:
        start = of.shots.start_us(camera)
        if start is not None:
            return of.shots.frame(camera, start)
    except NoPictureError:
        pass
    width, height = of.shots.size(camera) or np.ceil(where.boxes[:, 2:].max(axis=0) + 8).astype(int).tolist()
    return np.full((max(height, 64), max(width, 64), 3), 40, np.uint8)


def _within(start: int, end: int, since: int | None, until: int | None) -> bool:
    return (since is None or end >= since) and (until is None or start <= until)


def _who(of: Served, value: Mapping[str, Any]) -> list[str]:
    names = (of.view.name_of(value["camera"], track, value["start"]) for track in value["tracks"])
    return sorted({name for name in names if name is not None})
