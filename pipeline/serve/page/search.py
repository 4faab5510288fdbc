"""Search: who looks like a picture that is sent, or like an identity."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nicegui import events, ui

from mtmct.search import Found
from operators.records import CrosscamError
from pipeline.serve.context import Served
from pipeline.serve.page.frame import chip_html, frame, nothing

_COUNT = 12
_LARGEST = 20_000_000


def add(served: Served) -> None:
    """Register the page."""

    @ui.page("/search")
    async def search(identity: str = "") -> None:
        with frame(served, "Search", "/search"):
            ui.label("Send a picture of somebody: of a scene (the person nearest to the camera is taken), or cut out.")
            whole = ui.checkbox("The picture is of one person, cut out")
            results = ui.column().classes("w-full").props('aria-live="polite"')

            async def sent(event: events.UploadEventArguments) -> None:
                data = await event.file.read()
                upload.reset()
                await _show(results, served, lambda: served.looks.of_picture(data, _COUNT, whole=whole.value, box=None))

            upload = (
                ui.upload(label="A picture (JPEG or PNG)", auto_upload=True, max_file_size=_LARGEST, on_upload=sent)
                .props('accept="image/*" aria-label="Send a picture"')
                .classes("w-full")
                .style("max-width: 420px")
            )
            if identity:
                ui.label(f"Who looks like {identity}:")
                await _show(results, served, lambda: served.looks.of_identity(identity, _COUNT))
                results.move()


async def _show(results: ui.column, served: Served, ask: Callable[[], list[Found]]) -> None:
    results.clear()
    try:
        found = await asyncio.to_thread(ask)
    except CrosscamError as error:
        with results:
            ui.label(str(error)).classes("text-negative").props('role="alert"')
        return
    with results:
        if not found:
            nothing("Nobody whose looks are kept.")
        with ui.element("div").style(
            "display: grid; gap: .75rem; width: 100%; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr))"
        ):
            for one in found:
                _card(served, one)


def _card(served: Served, one: Found) -> None:
    name = f"{served.view.site}-{one.number:06d}"
    visits = [v for v in served.view.visits(name) if v.best and served.shots.has(v.camera)]
    with ui.link(target=f"/identities/{name}").classes("cc-card column no-underline").style("color: inherit"):
        if visits:
            address = f"/v1/identities/{name}/thumbnails/{visits[0].camera}/{visits[0].track}.jpg"
            ui.html(
                f'<img src="{address}" alt="{name}" '
                'style="height:150px;width:100%;object-fit:contain;background:#222a33;display:block">',
                sanitize=False,
            ).classes("w-full")
        with ui.column().classes("q-pa-sm gap-0"):
            ui.html(chip_html(one.number, name), sanitize=False)
            ui.label(f"alike {one.cosine:.2f}, score {one.score:+.1f}").classes("text-caption")
