"""A new analysis without code: a video or an address, a scenario, lines; then progress, and the results."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from fastapi import FastAPI
from nicegui import events, ui

from operators.records import CrosscamError
from pipeline.serve.analyses import SCENARIOS, Analyses, Analysis
from pipeline.serve.context import Served
from pipeline.serve.drawing import Drawn
from pipeline.serve.page.board import Board
from pipeline.serve.page.frame import frame, nothing

_NAMES = {
    "pedestrians": "Pedestrians",
    "vehicles": "Vehicles",
    "classes": "Many classes",
    "small": "Small objects",
    "heads": "Heads",
    "flow": "Flow counting",
}


def add(app: FastAPI, served: Served) -> None:
    """Register the pages."""

    @ui.page("/new")
    def new() -> None:
        analyses: Analyses = app.state.analyses
        with frame(served, "New analysis", "/new"):
            _form(analyses, app.state.largest)
            ui.html("<h2 class='text-h6 q-my-none'>Analyses so far</h2>", sanitize=False)
            some = analyses.all()
            if not some:
                nothing("None yet.")
            for one in some:
                with ui.row().classes("cc-card q-pa-sm items-center w-full"):
                    ui.link(one.name, f"/new/{one.id}").classes("text-weight-medium").style("overflow-wrap: anywhere")
                    ui.label(f"{_NAMES[one.scenario]}: {one.state}").classes("cc-muted")

    @ui.page("/new/{name}")
    async def analysis(name: str) -> None:
        analyses: Analyses = app.state.analyses
        one = analyses.get(name)
        with frame(served, one.name, "/new"):
            if one.state == "ready":
                await _prepare(analyses, one)
            else:
                _follow(analyses, one)


def _form(analyses: Analyses, largest: int) -> None:
    scenario = ui.radio(
        {name: f"{_NAMES[name]}: {about}" for name, (_, about) in SCENARIOS.items()}, value="pedestrians"
    ).props('aria-label="Scenario"')
    wrong = ui.label().classes("text-negative").props('role="alert"')

    async def begin(video: tuple[str, BinaryIO] | None = None, address: str | None = None) -> None:
        wrong.text = ""
        try:
            one = await asyncio.to_thread(analyses.add, scenario.value, video=video, address=address)
        except CrosscamError as error:
            wrong.text = str(error)
            return
        ui.navigate.to(f"/new/{one.id}")

    async def sent(event: events.UploadEventArguments) -> None:
        with tempfile.TemporaryDirectory(prefix="crosscam-upload-") as folder:
            path = Path(folder) / "video"
            await event.file.save(path)
            with path.open("rb") as file:
                await begin(video=(event.file.name, file))
        upload.reset()

    upload = (
        ui.upload(label="A video file", auto_upload=True, max_file_size=largest, on_upload=sent)
        .props('accept="video/*,.mkv,.avi" aria-label="Send a video"')
        .classes("w-full")
        .style("max-width: 480px")
        .on("rejected", lambda: wrong.set_text(f"a video may have {largest / 1e9:g} GB at most"))
    )
    with ui.row().classes("items-end w-full"):
        address = ui.input("or the address of a camera", placeholder="rtsp://...").classes("w-80")
        ui.button("Use this camera", on_click=lambda: begin(address=(address.value or "").strip()))


async def _prepare(analyses: Analyses, one: Analysis) -> None:
    ui.label(f"{_NAMES[one.scenario]}. Draw lines and zones if you want crossings and visits counted; then start.")
    size = one.size
    if size is None:
        try:
            picture = await asyncio.to_thread(analyses.picture, one.id)
            size = (picture.shape[1], picture.shape[0])
        except CrosscamError as error:
            ui.label(str(error)).classes("text-negative").props('role="alert"')
            return

    async def start(drawn: Drawn) -> None:
        await asyncio.to_thread(analyses.draw, one.id, drawn)
        analyses.start(one.id)
        ui.navigate.to(f"/new/{one.id}")

    address = f"/v1/analyses/{one.id}/picture.jpg"
    Board(address, size, Drawn(**one.drawn), count=None, save=start, saving="Start")


def _follow(analyses: Analyses, one: Analysis) -> None:
    said = ui.label().props('aria-live="polite"')
    bar = ui.linear_progress(value=0.0, show_value=False).props('aria-label="Progress"')
    with ui.row():
        stop = ui.button("Stop", icon="stop", on_click=lambda: analyses.stop(one.id)).props("outline")
        again = ui.button("Start again", icon="replay", on_click=lambda: analyses.start(one.id)).props("outline")
    results = ui.column().classes("w-full")
    shown: list[str] = []

    def show() -> None:
        now = analyses.get(one.id)
        share = "" if now.progress is None or now.state != "running" else f" {now.progress:.0%}"
        said.text = f"{_NAMES[now.scenario]}: {now.state}{share}. {now.detail}"
        bar.value = now.progress or 0.0
        bar.set_visibility(now.state in ("running", "drawing", "waiting"))
        stop.set_visibility(now.state in ("running", "waiting"))
        again.set_visibility(now.state in ("stopped", "failed"))
        if now.state in ("done", "stopped", "failed") and shown != [now.state]:
            shown[:] = [now.state]
            results.clear()
            with results:
                _results(analyses, now)

    show()
    ui.timer(1.0, show)


def _results(analyses: Analyses, one: Analysis) -> None:
    base = f"/v1/analyses/{one.id}/files/"
    files = analyses.results(one.id)
    folder = next((parent for path in files for parent in path.parents if parent.name == "results"), None)
    names = [str(path.relative_to(folder)) for path in files] if folder else []
    if "mosaic.mp4" in names:
        ui.video(f"{base}mosaic.mp4").classes("w-full").style("max-width: 900px")
    with ui.element("ul"):
        for name in names:
            if name.startswith("report/") and name != "report/index.html":
                continue
            about = _ABOUT.get(name, "")
            ui.html(
                f'<li><a href="{base}{quote(name)}" download>{name}</a> <span class="cc-muted">{about}</span></li>',
                sanitize=False,
            )
    if one.state == "failed":
        ui.code(analyses.log(one.id)).classes("w-full")


_ABOUT = {
    "mosaic.mp4": "the annotated video",
    "camera.txt": "tracks as MOT text",
    "tracks.csv": "tracks as a table",
    "identities.csv": "corrections as a table",
    "report.zip": "the report with all its figures",
    "report/index.html": "the report",
}
