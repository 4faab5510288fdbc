"""Search: who looks like a picture that is sent, or like an identity."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from nicegui import ui

from operators.records import CrosscamError
from pipeline.serve.answers import FoundAnswer
from pipeline.serve.context import Served
from pipeline.serve.identity_routes import answer_of
from pipeline.serve.page.frame import chip_html, frame, nothing
from pipeline.serve.page.identities import thumbnail

_COUNT = 12
_SEND = """async event => {
  const form = event.target.closest('form'), fields = new FormData(form);
  if (!fields.get('picture')?.size) return;
  fields.append('count', '12');
  try {
    const answer = await fetch('/v1/search', {method: 'POST', body: fields}), body = await answer.json();
    emit(answer.ok ? {found: body} : {detail: body.detail});
  } catch { emit({detail: 'the service cannot be reached'}); }
}"""


def add(served: Served) -> None:
    """Register the page."""

    @ui.page("/search")
    async def search(identity: str = "") -> None:
        with frame(served, "Search", "/search"):
            ui.label(
                "Send a picture of a scene (the person nearest to the camera is taken), or of one person, cut out."
            )
            with ui.element("form") as form:
                ui.html(
                    '<label>A picture (JPEG or PNG)<br><input type="file" name="picture" accept="image/*"></label>'
                    '<label class="block q-mt-sm"><input type="checkbox" name="whole" value="true"> '
                    "It is of one person, cut out</label>",
                    sanitize=False,
                )
            if identity:
                ui.label(f"Who looks like {identity}:")
            results = ui.column().classes("w-full").props('aria-live="polite"')
            form.on("change", lambda event: _show(results, served, event.args), js_handler=_SEND)
            if identity:
                _show(results, served, await _like(served, identity))


async def _like(served: Served, identity: str) -> dict[str, Any]:
    try:
        found = await asyncio.to_thread(served.looks.of_identity, identity, _COUNT)
    except CrosscamError as error:
        return {"detail": str(error)}
    return {"found": [answer_of(served, one).model_dump() for one in found]}


def _show(results: ui.column, served: Served, answer: Mapping[str, Any]) -> None:
    results.clear()
    with results:
        if "detail" in answer:
            ui.label(str(answer["detail"])).classes("text-negative").props('role="alert"')
            return
        if not answer["found"]:
            nothing("Nobody whose looks are kept.")
        with ui.element("div").classes("cc-grid"):
            for one in answer["found"]:
                _card(served, FoundAnswer.model_validate(one))


def _card(served: Served, one: FoundAnswer) -> None:
    visits = [v for v in served.view.visits(one.identity) if served.thumbnails.has(v)]
    with ui.link(target=f"/identities/{one.identity}").classes("cc-card column no-underline").style("color: inherit"):
        if visits:
            ui.html(thumbnail(one.identity, visits[0], 150), sanitize=False).classes("w-full")
        with ui.column().classes("q-pa-sm gap-0"):
            ui.html(chip_html(int(one.identity.rpartition("-")[2]), one.identity), sanitize=False)
            ui.label(f"alike {one.cosine:.2f}, score {one.score:+.1f}").classes("text-caption")
