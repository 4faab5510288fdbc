"""The pictures that `crosscam demo` ends with: an annotated mosaic video and a plan view, made from the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from mtmct.corrections import IdentityResolver
from mtmct.records import IDENTITIES, TRACKS
from operators.records import Frame
from pipeline.assembly import build_reader, build_source
from pipeline.config import Camera, Site
from pipeline.plan_view import PlanCamera, write_plan_view
from pipeline.render import MosaicCamera, render_mosaic
from pipeline.sources.base import End


def render_demo(site: Site, output: Path, console: Console) -> None:
    """Draw what the site's ledger holds; print the paths of what was written."""
    output.mkdir(parents=True, exist_ok=True)
    mosaic, plan = output / "mosaic.mp4", output / "plan.png"
    reader = build_reader(site)
    try:
        # Small here (a clip's tracks), and needed twice: once for the video, once for the plan.
        records = [stored.value for stored in reader.read(TRACKS)]
        resolver = IdentityResolver()
        for value in records:
            resolver.published(value)
        for stored in reader.read(IDENTITIES):
            resolver.apply(stored.value)
    finally:
        reader.close()
    cameras = [_mosaic_camera(site, camera) for camera in site.cameras]
    frames = max((build_source(site, camera).length() or 0 for camera in site.cameras), default=0)
    columns = (TextColumn("[bold]{task.description}"), BarColumn(bar_width=None), TimeElapsedColumn())
    with Progress(*columns, console=console, expand=True) as progress:
        task = progress.add_task("drawing the mosaic", total=frames or None)
        render_mosaic(
            records,
            cameras,
            mosaic,
            identity_of=resolver.identity_of,
            title=site.site,
            progress=lambda done, _time: progress.update(task, completed=done),
        )
    calibrated = [
        PlanCamera(camera.camera, np.asarray(site.camera(camera.camera).homography, np.float64), camera.size)
        for camera in cameras
        if site.camera(camera.camera).homography is not None
    ]
    write_plan_view(records, plan, site=site.site, cameras=calibrated, identity_of=resolver.identity_of)
    console.print(f"annotated video  {mosaic}", markup=False)
    console.print(f"plan view        {plan}", markup=False)
    ledger = site.ledger_path if site.ledger.kafka is None else f"{site.ledger.kafka.bootstrap_servers}, {site.site}.*"
    console.print(f"ledger           {ledger}", markup=False)


def _mosaic_camera(site: Site, camera: Camera) -> MosaicCamera:
    source = build_source(site, camera)
    source.open(None)
    size = source.size
    source.close()
    assert size is not None
    return MosaicCamera(camera.id, _opener(site, camera), size)


def _opener(site: Site, camera: Camera) -> Callable[[], Iterator[Frame]]:
    def frames() -> Iterator[Frame]:
        source = build_source(site, camera)
        source.open(None)
        try:
            while not isinstance(item := source.read(), End):
                if isinstance(item, Frame):
                    yield item
        finally:
            source.close()

    return frames
