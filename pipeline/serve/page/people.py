"""People as the pages show them: their pictures, and those who look alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui
from starlette.exceptions import HTTPException

from operators.records import CrosscamError
from pipeline.serve.answers import FoundAnswer
from pipeline.serve.context import Served
from pipeline.serve.known import Visit
from pipeline.serve.page.frame import chip_html, escaped, nothing
from pipeline.serve.searching import Asked, search

COUNT = 12
# Of so many cameras somebody found is shown.
_CAMERAS = 3


def thumbnail(name: str, visit: Visit, height: int) -> str:
    """A picture of an identity in one of its visits, as HTML."""
    address = f"/v1/identities/{name}/thumbnails/{visit.camera}/{visit.track}.jpg"
    return picture(address, f"{name} in {visit.camera}", height)


def picture(address: str, said: str, height: int) -> str:
    """A small picture and what it says to who cannot see it, as HTML."""
    return (
        f'<img src="{escaped(address)}" loading="lazy" alt="{escaped(said)}" '
        f'style="height:{height}px;width:100%;object-fit:contain;background:#222a33;display:block">'
    )


async def ask(served: Served, asked: Asked) -> dict[str, Any]:
    """Search as `POST /v1/search` does; what it would answer, or why there is no answer."""
    try:
        return {"found": [one.model_dump() for one in await search(served, asked, COUNT)]}
    except CrosscamError as error:
        return {"detail": str(error)}
    except HTTPException as error:
        return {"detail": error.detail}


def show_found(results: ui.column, answer: Mapping[str, Any]) -> None:
    """Put the answer to a search in place of the one before."""
    results.clear()
    with results:
        if "detail" in answer:
            ui.label(str(answer["detail"])).classes("text-negative").props('role="alert"')
            return
        if not answer["found"]:
            nothing("Nobody whose looks are kept.")
        with ui.element("div").classes("cc-grid").style("--cc-least: 190px"):
            for one in answer["found"]:
                _card(FoundAnswer.model_validate(one))


def _card(one: FoundAnswer) -> None:
    with ui.link(target=f"/identities/{one.identity}").classes("cc-card column no-underline").style("color: inherit"):
        if one.thumbnails:
            with ui.row().classes("w-full no-wrap gap-0"):
                for camera, address in [*one.thumbnails.items()][:_CAMERAS]:
                    shown = picture(address, f"{one.identity} in {camera}", 150)
                    ui.html(shown, sanitize=False).style("flex: 1; min-width: 0")
        with ui.column().classes("q-pa-sm gap-0"):
            ui.html(chip_html(int(one.identity.rpartition("-")[2]), one.identity), sanitize=False)
            ui.label(f"alike {one.cosine:.2f}, score {one.score:+.1f}").classes("text-caption")
            ui.label(", ".join(one.cameras)).classes("text-caption cc-muted")
