"""The camera wall: every camera's newest picture, with everybody's box and number."""

from __future__ import annotations

from nicegui import ui

from pipeline.serve.context import Served
from pipeline.serve.page.frame import clock, frame, nothing
from pipeline.serve.page.overlay import boxes_svg

_EVERY_S = 1.0


def add(served: Served) -> None:
    """Register the page."""

    @ui.page("/")
    def wall() -> None:
        with frame(served, "Cameras", "/"):
            names = served.camera_names()
            if not names:
                nothing("No camera has said anything yet.")
            with ui.element("div").classes("cc-grid cc-wide"):
                for name in names:
                    _tile(served, name)


def _tile(served: Served, name: str) -> None:
    size = served.shots.size(name) or _extent(served, name)
    live = not served.shots.recorded(name)
    with ui.element("section").classes("cc-card").props(f'aria-label="Camera {name}"'):
        with ui.row().classes("items-center justify-between q-px-sm q-py-xs no-wrap"):
            ui.link(name, f"/cameras/{name}").classes("text-subtitle1 text-weight-medium ellipsis")
            state = ui.label().classes("cc-muted text-caption")
        view = ui.html("", sanitize=False).classes("w-full")

    def show() -> None:
        people = served.view.in_view(name)
        camera = served.view.cameras().get(name)
        last = 0 if camera is None else camera.last
        state.text = f"{len(people)} in view, {clock(last)}" if last else "nothing yet"
        picture = ""
        if served.shots.has(name) and last:
            at = max(one.time for one in people) if people else last
            overlay = "false" if people and not live else "true"
            picture = (
                f'<image href="/v1/cameras/{name}/snapshot.jpg?time={at}&amp;overlay={overlay}" '
                f'width="{size[0]}" height="{size[1]}"/>'
            )
        view.content = (
            f'<svg viewBox="0 0 {size[0]} {size[1]}" class="cc-fill" role="group" '
            f'aria-label="{len(people)} people in view of {name}">{picture}'
            f"{boxes_svg(people, size[1], drawn=bool(picture) and live)}</svg>"
        )

    show()
    if served.running():
        ui.timer(_EVERY_S, show)


def _extent(served: Served, name: str) -> tuple[int, int]:
    """Of a camera without pictures: as large as what was seen by it."""
    boxes = [one.box for one in served.view.in_view(name)]
    width = max([640.0, *(box[2] for box in boxes)])
    height = max([360.0, *(box[3] for box in boxes)])
    return int(width), int(height)
