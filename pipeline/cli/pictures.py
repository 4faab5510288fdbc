"""The pictures of a run, made from its ledger and recordings: an annotated mosaic video and a plan view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from mtmct.corrections import IdentityResolver
from mtmct.records import EVENTS, IDENTITIES, TRACKS
from operators.draw import Privacy, blur_boxes
from operators.picture_bytes import png
from operators.records import SECOND_NS, Frame, Image
from pipeline.assembly import build_reader, build_source, picture_size
from pipeline.cli.output import make_folder
from pipeline.clock import clock_text
from pipeline.config import Camera, Site
from pipeline.plan_view import PlanCamera, write_plan_view
from pipeline.recording import RecordedCamera, recording
from pipeline.render import render_mosaic
from pipeline.rule_states import DRAWN
from pipeline.snapshot import SnapshotError, find_incidents, snapshots
from pipeline.sources.base import Source, SourceError
from pipeline.whereabouts import FloorPictures, Whereabouts, camera_heat, camera_trails, whereabouts


def draw_pictures(
    site: Site,
    output: Path,
    console: Console,
    *,
    cameras: Sequence[str] = (),
    max_size: tuple[int, int] = (1920, 1080),
    privacy: Privacy = Privacy.NONE,
) -> None:
    """Draw what the site's ledger holds into the folder `output`; print the paths of what was written.

    The plan view needs a calibrated camera and is left out where there is none.

    Args:
        site: its ledger is read, and its cameras' recordings.
        output: made if missing.
        console: for progress and paths.
        cameras: ids of those to draw; all if empty.
        max_size: width and height that the video keeps within.
        privacy: what is blurred of everyone tracked.

    Raises:
        CrosscamError: there is nothing to draw, or a recording cannot be read.
    """
    shown = [site.camera(name) for name in cameras] or list(site.cameras)
    make_folder(output)
    reader = build_reader(site)
    try:
        # Every track is needed twice, once for the video and once for the plan.
        records = [stored.value for stored in reader.read(TRACKS)]
        resolver = IdentityResolver.of(records, (stored.value for stored in reader.read(IDENTITIES)))
        events = [stored.value for stored in reader.read(EVENTS) if stored.value["type"] in DRAWN]
    finally:
        reader.close()
    sources = {camera.id: build_source(site, camera) for camera in shown}
    mosaic = output / "mosaic.mp4"
    columns = (TextColumn("[bold]{task.description}"), BarColumn(bar_width=None), TimeElapsedColumn())
    with Progress(*columns, console=console, expand=True) as progress:
        frames = max((source.length() or 0 for source in sources.values()), default=0)
        task = progress.add_task("drawing the mosaic", total=frames or None)
        render_mosaic(
            records,
            [_recorded(site, camera) for camera in shown],
            mosaic,
            events=events,
            identity_of=resolver.identity_of,
            title=site.site,
            privacy=privacy,
            max_size=max_size,
            progress=lambda done, _time_ns: progress.update(task, completed=done),
        )
    console.print(f"annotated video  {mosaic}", markup=False)
    known = (_plan_camera(camera, sources[camera.id]) for camera in shown)
    plans = [camera for camera in known if camera is not None]
    if plans:
        plan = output / "plan.png"
        write_plan_view(records, plan, site=site.site, cameras=plans, identity_of=resolver.identity_of)
        console.print(f"plan view        {plan}", markup=False)


def write_snapshots(
    site: Site, output: Path, console: Console, wanted: Sequence[str] = (), *, privacy: Privacy = Privacy.NONE
) -> None:
    """Write the picture of each incident, `<camera>-<number>.png`, into the folder `output`; print their paths.

    Args:
        site: its ledger is read, and its cameras' recordings.
        output: made if missing.
        console: for the paths.
        wanted: incidents, `camera/number`; all if empty.
        privacy: what is blurred of everyone tracked.

    Raises:
        CrosscamError: there is no such incident, or no picture of it.
    """
    reader = build_reader(site)
    try:
        events = [stored.value for stored in reader.read(EVENTS) if stored.value["type"] in DRAWN]
        chosen = find_incidents(events, wanted)
        resolver = IdentityResolver.of(
            (stored.value for stored in reader.read(TRACKS)), (stored.value for stored in reader.read(IDENTITIES))
        )
        gone = sorted(set(chosen) - {camera.id for camera in site.cameras})
        if gone:
            raise SnapshotError(f"{gone[0]!r} is no longer a camera of {site.site}: put it back into the site's file")
        make_folder(output)
        for name, incidents in chosen.items():
            if _is_live(site, site.camera(name)):
                _copy_kept(site, name, incidents, output, console)
                continue
            records = (stored.value for stored in reader.read(TRACKS))
            camera = _recorded(site, site.camera(name))
            for shot in snapshots(
                records, events, camera, incidents, identity_of=resolver.identity_of, privacy=privacy
            ):
                path = output / f"{name}-{shot.incident}.png"
                path.write_bytes(png(shot.picture))
                when = f"{clock_text(shot.time_ns, tenths=True)}, frame {shot.frame}"
                what = f"{shot.severity.value}, {shot.kind.replace('_', ' ')} in {shot.zone}"
                console.print(f"{path}: {when}, {what}", markup=False)
    finally:
        reader.close()
    if not chosen:
        console.print("there are no incidents in this ledger")


def _copy_kept(site: Site, camera: str, incidents: Sequence[Mapping[str, Any]], output: Path, console: Console) -> None:
    """Copy the pictures that were kept as the incidents of a live camera began."""
    for value in incidents:
        name, file = f"{camera}/{value['incident']}", value["snapshot"].get("file")
        if site.snapshots is None or file is None:
            raise SnapshotError(
                f"no picture of incident {name} was kept: {camera!r} is a live camera; give the site's file "
                "`snapshots: <folder>` to keep them from now on"
            )
        try:
            data = (site.snapshots.folder / file).read_bytes()
        except OSError as error:
            raise SnapshotError(
                f"the picture of incident {name} cannot be read from {site.snapshots.folder / file} ({error.strerror})"
            ) from None
        path = output / f"{camera}-{value['incident']}.jpg"
        path.write_bytes(data)
        console.print(
            f"{path}: {clock_text(value['snapshot']['time'] * 1000, tenths=True)}, as it was kept", markup=False
        )


def draw_whereabouts(
    site: Site,
    output: Path,
    console: Console,
    *,
    half_life_s: float | None = None,
    until_ns: int | None = None,
    privacy: Privacy = Privacy.NONE,
) -> None:
    """Write where everybody was: a heat map and trails a camera, over its first picture, and of the floor.

    Args:
        site: its ledger is read, and of recordings the first picture.
        output: a folder; made if missing.
        console: for the paths of what was written.
        half_life_s: what is this much older than the newest counts half; None: all alike.
        until_ns: event time up to which is looked; None for all.
        privacy: what is blurred of everyone tracked in the first pictures.

    Raises:
        CrosscamError: nobody was seen, or a recording cannot be read.
    """
    reader = build_reader(site)
    try:
        records = [stored.value for stored in reader.read(TRACKS)]
        resolver = IdentityResolver.of(records, (stored.value for stored in reader.read(IDENTITIES)))
    finally:
        reader.close()
    seen = whereabouts(records, resolver.identity_of, until_ns)
    make_folder(output)

    def save(name: str, picture: Image) -> None:
        path = output / f"{name}.png"
        path.write_bytes(png(picture))
        console.print(str(path), markup=False)

    known = {camera.id: camera for camera in site.cameras}
    for name, where in seen.cameras.items():
        ground = _ground(site, known.get(name), where, privacy)
        save(f"heat-{name}", camera_heat(where, ground, name, half_life_s))
        save(f"trails-{name}", camera_trails(where, ground, name, half_life_s))
    if seen.floor is not None:
        recorded = [camera for camera in site.cameras if not _is_live(site, camera)]
        plans = [_plan_camera(camera, build_source(site, camera)) for camera in recorded]
        floor = FloorPictures(
            records,
            seen.floor,
            site=site.site,
            cameras=[plan for plan in plans if plan is not None],
            identity_of=resolver.identity_of,
        )
        save("heat-floor", floor.heat(half_life_s))
        save("trails-floor", floor.trails(half_life_s))


def first_pictures(site: Site) -> dict[str, Frame]:
    """The first frame of every camera whose source is a recording with pictures.

    A recording that is no longer there has none to show.
    """
    found = {}
    for camera in site.cameras:
        with suppress(SourceError):
            first = None if _is_live(site, camera) else _first_frame(site, camera)
            if first is not None and first.image is not None:
                found[camera.id] = first
    return found


def _first_frame(site: Site, camera: Camera) -> Frame | None:
    with closing(recording(build_source(site, camera))) as frames:
        return next(frames, None)


def _is_live(site: Site, camera: Camera) -> bool:
    return build_source(site, camera).live


def _ground(site: Site, camera: Camera | None, where: Whereabouts, privacy: Privacy) -> Image:
    """What to draw on: a recording's first picture, or a dark ground as large as it takes."""
    if camera is not None and not _is_live(site, camera):
        first = _first_frame(site, camera)
        if first is not None and first.image is not None:
            picture = np.array(first.image)
            at_once = np.abs(where.times_ns - first.time_ns) < SECOND_NS // 1000
            blur_boxes(picture, where.boxes[at_once], privacy)
            return picture
    size = None if camera is None else picture_size(site, camera)
    width, height = size or np.ceil(where.boxes[:, 2:].max(axis=0) + 8).astype(int).tolist()
    return np.full((max(height, 64), max(width, 64), 3), 40, np.uint8)


def _recorded(site: Site, camera: Camera) -> RecordedCamera:
    return RecordedCamera(camera.id, lambda: recording(build_source(site, camera)), rules=site.rules(camera))


def _plan_camera(camera: Camera, source: Source) -> PlanCamera | None:
    if camera.homography is None:
        return None
    source.open(None)
    size = source.size
    source.close()
    return None if size is None else PlanCamera(camera.id, np.asarray(camera.homography, np.float64), size)
