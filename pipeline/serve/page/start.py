"""A new analysis without code: a video or an address, a scenario, lines; then progress, and the results."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from fastapi import FastAPI
from nicegui import ui

from operators.records import CrosscamError
from pipeline.serve.analyses import Analyses
from pipeline.serve.analysis_files import SCENARIOS, Analysis
from pipeline.serve.context import Served
from pipeline.serve.drawing import Drawn
from pipeline.serve.page.board import Board
from pipeline.serve.page.frame import frame, missing, nothing
from pipeline.serve.problems import NotFoundError

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
            _form()
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
        try:
            one = analyses.get(name)
        except NotFoundError as error:
            missing(served, str(error), "/new")
            return
        with frame(served, one.name, "/new"):
            if one.state == "ready":
                await _prepare(analyses, one)
            else:
                _follow(analyses, one)


_SEND = """async event => {
  event.preventDefault();
  const form = event.target.closest('form'), said = form.querySelector('[role=alert]');
  const fields = new FormData(form), ask = new XMLHttpRequest();
  if (!fields.get('video')?.size) fields.delete('video');
  if (!fields.get('address')) fields.delete('address');
  fields.append('start', 'false');
  said.textContent = '';
  const bar = form.querySelector('progress');
  bar.hidden = false;
  ask.upload.onprogress = e => { bar.value = e.loaded / e.total };
  ask.onload = () => {
    bar.hidden = true;
    let answer = {};
    try { answer = JSON.parse(ask.responseText) } catch { answer = {detail: 'the service did not answer'} }
    if (ask.status === 201) location.href = '/new/' + answer.id; else said.textContent = answer.detail;
  };
  ask.onerror = () => { bar.hidden = true; said.textContent = 'the service cannot be reached, or refused the file' };
  ask.open('POST', '/v1/analyses');
  ask.send(fields);
}"""


def _form() -> None:
    """A form of the browser's own: it sends large files by itself, and is used by keyboard and reader alike."""
    with ui.element("form").classes("column w-full").style("gap: .75rem; max-width: 640px") as form:
        radios = "".join(
            f'<label class="block"><input type="radio" name="scenario" value="{name}"'
            f"{' checked' if name == 'pedestrians' else ''}> <b>{_NAMES[name]}</b>: {about}</label>"
            for name, (_, about) in SCENARIOS.items()
        )
        ui.html(
            f'<fieldset class="cc-card q-pa-md"><legend>What to look for</legend>{radios}</fieldset>'
            '<p class="q-my-sm"><label>A video file<br><input type="file" name="video" accept="video/*,.mkv,.avi">'
            "</label></p>"
            '<p class="q-my-sm"><label>or the address of a camera<br><input type="text" name="address" '
            'placeholder="rtsp://..." style="width:100%;padding:.4rem;border:1px solid #6b7785;border-radius:4px">'
            "</label></p>"
            '<progress max="1" value="0" hidden style="width:100%" aria-label="Sending"></progress>'
            '<p role="alert" class="text-negative q-my-none"></p>',
            sanitize=False,
        )
        ui.button("Go on").props('type="submit"').classes("self-start")
    form.on("submit", js_handler=_SEND)


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
    Board(address, size, Drawn(**one.drawn), count=None, save=start, saving="Start", icon="play_arrow")


def _follow(analyses: Analyses, one: Analysis) -> None:
    with ui.dialog() as asking, ui.card():
        ui.label(f"Remove {one.name} with all its results?")
        with ui.row():
            ui.button("Remove it", on_click=lambda: _remove(analyses, one.id))
            ui.button("Keep it", on_click=asking.close).props("outline")
    said = ui.label().props('aria-live="polite"')
    bar = ui.linear_progress(value=0.0, show_value=False).props('aria-label="Progress"')
    with ui.row():
        stop = ui.button("Stop", icon="stop", on_click=lambda: analyses.stop(one.id)).props("outline")
        remove = ui.button("Remove", icon="delete", on_click=asking.open).props("outline")
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
        remove.set_visibility(now.state in ("done", "stopped", "failed"))
        again.set_visibility(now.state in ("stopped", "failed"))
        if now.state in ("done", "stopped", "failed") and shown != [now.state]:
            shown[:] = [now.state]
            results.clear()
            with results:
                _results(analyses, now)

    show()
    ui.timer(1.0, show)


def _remove(analyses: Analyses, name: str) -> None:
    analyses.remove(name)
    ui.navigate.to("/new")


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
