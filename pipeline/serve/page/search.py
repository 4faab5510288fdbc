"""Search: who looks like a picture that is sent, or like an identity."""

from __future__ import annotations

from nicegui import ui

from pipeline.serve.context import Served
from pipeline.serve.page.frame import frame
from pipeline.serve.page.people import ask, show_found
from pipeline.serve.searching import Asked

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
            form.on("change", lambda event: show_found(results, event.args), js_handler=_SEND)
            if identity:
                show_found(results, await ask(served, Asked(identity=identity)))
