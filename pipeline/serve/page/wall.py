"""The camera wall: every camera's newest picture, with everybody's box and number."""

from __future__ import annotations

import json
from urllib.parse import quote

from nicegui import ui

from pipeline.serve.context import Served
from pipeline.serve.page.frame import clock, escaped, frame, nothing, sizes_of
from pipeline.serve.page.overlay import boxes_svg

_EVERY_S = 1.0
# The next picture takes the place of the one before when it is here, so that there is always one.
_SWAP = """(holder, address) => {
  const before = holder?.querySelector('img');
  if (!before) return;
  const next = before.cloneNode();
  next.onload = () => before.replaceWith(next);
  next.src = address;
}"""


def add(served: Served) -> None:
    """Register the page."""

    @ui.page("/")
    async def wall() -> None:
        with frame(served, "Cameras", "/"):
            names = served.camera_names()
            if not names:
                nothing("No camera has said anything yet.")
            sizes = await sizes_of(served, names)
            with ui.element("div").classes("cc-grid cc-wide"):
                for name, size in zip(names, sizes, strict=True):
                    pictured = size is not None or served.shots.recorded(name)
                    _tile(served, name, size or _extent(served, name), pictured=pictured)


def _tile(served: Served, name: str, size: tuple[int, int], *, pictured: bool) -> None:
    running = served.running()
    # Of what was seen live, and of a run that is over, the picture has everything drawn on it.
    drawn = not running or not served.shots.recorded(name)
    with ui.element("section").classes("cc-card").props(f'aria-label="Camera {name}"'):
        with ui.row().classes("items-center justify-between q-px-sm q-py-xs no-wrap"):
            ui.link(name, f"/cameras/{name}").classes("text-subtitle1 text-weight-medium ellipsis")
            state = ui.label().classes("cc-muted text-caption")
        with ui.element("div").style("position: relative"):
            picture = ui.html("", sanitize=False)
            people_in_it = ui.html("", sanitize=False)
    shown: list[str] = []

    def show() -> None:
        people = served.view.in_view(name)
        camera = served.view.cameras().get(name)
        last = 0 if camera is None else camera.last
        there = f"{len(people)} in view, {clock(last)}" if running else f"ended at {clock(last)}"
        state.text = there if last else "nothing yet"
        if pictured:
            at = max(one.time for one in people) if people and not drawn else last
            overlay = "true" if drawn or not people else "false"
            _put(f"/v1/cameras/{quote(name)}/snapshot.jpg?time={at}&overlay={overlay}")
            people_in_it.style("position: absolute; inset: 0")
        ground = "transparent" if pictured else "#222a33"
        people_in_it.content = (
            f'<svg viewBox="0 0 {size[0]} {size[1]}" role="group" aria-label="{escaped(name)}: {escaped(there)}" '
            f'style="width:100%;height:100%;display:block;background:{ground}">'
            f"{boxes_svg(people, size[1], drawn=pictured and drawn) if running or not pictured else whole(last)}</svg>"
        )

    def whole(last: int) -> str:
        """The picture as a link to where it can be looked at more closely."""
        address = escaped(f"/cameras/{quote(name)}?time={last}")
        return (
            f'<a href="{address}" aria-label="{escaped(name)} at its end" class="cc-person">'
            f'<rect width="{size[0]}" height="{size[1]}" fill="#fff" fill-opacity="0"/></a>'
        )

    def _put(address: str) -> None:
        if not shown:
            picture.content = (
                f'<img src="{escaped(address)}" alt="{escaped(name)}" class="cc-fill" '
                f'style="aspect-ratio:{size[0]}/{size[1]}">'
            )
        elif shown != [address]:
            ui.run_javascript(f"({_SWAP})(getHtmlElement({picture.id}), {json.dumps(address)})")
        shown[:] = [address]

    show()
    if running:
        ui.timer(_EVERY_S, show)


def _extent(served: Served, name: str) -> tuple[int, int]:
    """Of a camera without pictures: as large as what was seen by it."""
    boxes = [one.box for one in served.view.in_view(name)]
    width = max([640.0, *(box[2] for box in boxes)])
    height = max([360.0, *(box[3] for box in boxes)])
    return int(width), int(height)
