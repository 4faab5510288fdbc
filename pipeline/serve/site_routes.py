"""`/v1`: the site, its cameras and who is in view, and pictures of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import StreamingResponse

from pipeline.serve.answers import CameraAnswer, CameraFields, FramesAnswer, InViewAnswer, SiteAnswer
from pipeline.serve.context import Etagged, Served, from_view, served
from pipeline.serve.drawing import Counted, Drawn
from pipeline.serve.known import CameraState
from pipeline.serve.live_shots import Shot
from pipeline.serve.problems import NotFoundError, sentence
from pipeline.serve.site_file import put_camera, remove_camera

router = APIRouter(prefix="/v1", route_class=Etagged, tags=["site"])

Site = Annotated[Served, Depends(served)]
CameraId = Annotated[str, Path(description="The camera's id.", max_length=64)]
Time = Annotated[int | None, Query(ge=0, le=2**62, description="Event time, microseconds; the beginning if not given.")]
Overlay = Annotated[bool, Query(description="Draw boxes, identities, lines and zones.")]
BOUNDARY = "picture"


@router.get("/site")
@from_view
def site(of: Site) -> SiteAnswer:
    """The site as a whole."""
    view = of.view
    identities = view.identities()
    cameras = view.cameras()
    return SiteAnswer(
        site=of.name,
        newest=view.newest,
        running=of.running(),
        cameras=len(of.camera_names()),
        in_view=len({one.identity for one in view.in_view()}),
        identities=sum(one.state in ("open", "closed") for one in identities),
        open_incidents=sum(len(state.open_incidents) for state in cameras.values()),
        problem=None if of.feed.error is None else sentence(of.feed.error),
    )


@router.get("/sites")
@from_view
def sites(of: Site) -> list[SiteAnswer]:
    """All sites that are served here: one, as each has a service of its own."""
    return [site(of)]


@router.get("/cameras")
@from_view
def cameras(of: Site) -> list[CameraAnswer]:
    """All cameras, those of the site's file that have said nothing yet included."""
    return [_camera(of, name) for name in of.camera_names()]


@router.get("/cameras/{camera}")
@from_view
def camera(of: Site, camera: CameraId) -> CameraAnswer:
    """One camera."""
    _check(of, camera)
    return _camera(of, camera)


@router.put("/cameras/{camera}")
def put(of: Site, camera: CameraId, fields: CameraFields) -> CameraAnswer:
    """Add a camera, or replace what the site's file says of it. A running site takes it up as `crosscam apply` does."""
    of.change(put_camera(camera, fields.model_dump(exclude_unset=True)))
    return _camera(of, camera)


@router.delete("/cameras/{camera}", status_code=204)
def remove(of: Site, camera: CameraId) -> None:
    """Take a camera out of the site's file, and out of a running site. What it has seen stays in the ledger."""
    _check(of, camera)
    of.change(remove_camera(camera))


@router.get("/cameras/{camera}/tracks")
@from_view
def in_view_of(of: Site, camera: CameraId) -> list[InViewAnswer]:
    """Who is in its picture now."""
    _check(of, camera)
    return [InViewAnswer.model_validate(one) for one in of.view.in_view(camera)]


@router.get("/tracks")
@from_view
def in_view(of: Site) -> list[InViewAnswer]:
    """Who is in any picture now."""
    return [InViewAnswer.model_validate(one) for one in of.view.in_view()]


@router.post("/cameras/{camera}/rules:preview")
def preview(of: Site, camera: CameraId, drawn: Drawn) -> Counted:
    """What these lines and zones would have counted, from the tracks that the ledger holds."""
    _check(of, camera)
    return of.preview(camera, drawn)


@router.put("/cameras/{camera}/rules")
def draw(of: Site, camera: CameraId, drawn: Drawn) -> Counted:
    """Write these lines and zones into the site's file, in place of those that are there."""
    _check(of, camera)
    of.draw(camera, drawn)
    return of.preview(camera, drawn)


@router.get("/cameras/{camera}/snapshot.jpg", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
def snapshot(of: Site, camera: CameraId, time: Time = None, overlay: Overlay = True) -> Response:
    """Its picture at a time, from its recording; of a live camera the newest."""
    _check(of, camera)
    return Response(of.shots.picture(camera, time, overlay=overlay), media_type="image/jpeg")


@router.get(
    "/cameras/{camera}/stream.mjpg",
    response_class=StreamingResponse,
    responses={200: {"content": {f"multipart/x-mixed-replace; boundary={BOUNDARY}": {}}}},
)
async def stream(
    of: Site,
    camera: CameraId,
    time: Time = None,
    overlay: Overlay = True,
    speed: Annotated[float, Query(gt=0, le=16, description="1: as fast as it happened.")] = 1.0,
) -> StreamingResponse:
    """Its pictures from a time on, one after the other (MJPEG), at the pace of event time; of a live camera the newest.

    Each part says its event time, microseconds, as `X-Event-Time`.
    """
    _check(of, camera)
    left = False
    pictures = of.shots.stream(camera, time, overlay=overlay, speed=speed, stop=lambda: left)
    # Taken before the answer begins, so that what is wrong is still an error of its own.
    first = await asyncio.to_thread(next, pictures, None)

    async def parts() -> AsyncIterator[bytes]:
        nonlocal left
        item = first
        try:
            while item is not None:
                if isinstance(item, Shot):
                    yield _part(item)
                else:
                    await asyncio.sleep(item)  # here and not in a thread: threads are few, watchers may be many
                item = await asyncio.to_thread(next, pictures, None)
            yield f"--{BOUNDARY}--\r\n".encode()
        finally:
            left = True
            with suppress(ValueError):  # it is at work in a thread, and will see that nobody watches any more
                await asyncio.to_thread(pictures.close)

    return StreamingResponse(parts(), media_type=f"multipart/x-mixed-replace; boundary={BOUNDARY}")


def _part(shot: Shot) -> bytes:
    head = (
        f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(shot.jpeg)}\r\n"
        f"X-Event-Time: {shot.time}\r\n\r\n"
    )
    return head.encode() + shot.jpeg + b"\r\n"


def _check(of: Served, camera: str) -> None:
    if camera not in of.camera_names():
        raise NotFoundError(f"there is no camera {camera!r} in this site")


def _camera(of: Served, name: str) -> CameraAnswer:
    state = of.view.cameras().get(name, CameraState())
    drawn = {}
    if of.site is not None and name in {camera.id for camera in of.site.cameras}:
        drawn = of.site.camera(name).model_dump(mode="json", include={"lines", "zones"})
    return CameraAnswer(
        camera=name,
        state=state.source,
        detail=state.detail,
        last=state.last,
        behind_s=round(max(of.view.newest - state.last, 0) / 1e6, 3),
        in_view=len(of.view.in_view(name)),
        lines=state.lines,
        zones=state.zones,
        open_incidents=len(state.open_incidents),
        rejected=state.rejected,
        size=of.shots.size(name),
        pictures=of.shots.has(name),
        frames=None if (frames := of.workings.frames().get(name)) is None else FramesAnswer.model_validate(frames),
        drawn=drawn,
    )
