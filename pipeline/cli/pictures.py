"""The pictures of a run, made from its ledger and recordings: an annotated mosaic video and a plan view."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from mtmct.corrections import IdentityResolver
from mtmct.records import EVENTS, IDENTITIES, TRACKS
from operators.draw import Privacy
from pipeline.assembly import build_reader, build_source
from pipeline.cli.output import make_folder
from pipeline.clock import clock_text
from pipeline.config import Camera, Site
from pipeline.plan_view import PlanCamera, write_plan_view
from pipeline.recording import RecordedCamera, recording
from pipeline.render import render_mosaic
from pipeline.rule_states import DRAWN
from pipeline.snapshot import SnapshotError, find_incidents, snapshots
from pipeline.sources.base import Source


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
        resolver = IdentityResolver()
        for value in records:
            resolver.published(value)
        for stored in reader.read(IDENTITIES):
            resolver.apply(stored.value)
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
        resolver = IdentityResolver()
        for stored in reader.read(TRACKS):
            resolver.published(stored.value)
        for stored in reader.read(IDENTITIES):
            resolver.apply(stored.value)
        gone = sorted(set(chosen) - {camera.id for camera in site.cameras})
        if gone:
            raise SnapshotError(f"{gone[0]!r} is no longer a camera of {site.site}: put it back into the site's file")
        make_folder(output)
        for name, incidents in chosen.items():
            records = (stored.value for stored in reader.read(TRACKS))
            camera = _recorded(site, site.camera(name))
            for shot in snapshots(
                records, events, camera, incidents, identity_of=resolver.identity_of, privacy=privacy
            ):
                path = output / f"{name}-{shot.incident}.png"
                path.write_bytes(cv2.imencode(".png", shot.picture)[1].tobytes())
                when = f"{clock_text(shot.time_ns, tenths=True)}, frame {shot.frame}"
                what = f"{shot.severity.value}, {shot.kind.replace('_', ' ')} in {shot.zone}"
                console.print(f"{path}: {when}, {what}", markup=False)
    finally:
        reader.close()
    if not chosen:
        console.print("there are no incidents in this ledger")


def _recorded(site: Site, camera: Camera) -> RecordedCamera:
    return RecordedCamera(camera.id, lambda: recording(build_source(site, camera)), rules=site.rules(camera))


def _plan_camera(camera: Camera, source: Source) -> PlanCamera | None:
    if camera.homography is None:
        return None
    source.open(None)
    size = source.size
    source.close()
    return None if size is None else PlanCamera(camera.id, np.asarray(camera.homography, np.float64), size)
