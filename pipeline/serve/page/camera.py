"""One camera: its pictures at any time, who is in view, and lines and zones drawn on it."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from nicegui import ui

from pipeline.config_rules import LineRule, ZoneRule
from pipeline.serve.context import Served
from pipeline.serve.drawing import Counted, Drawn
from pipeline.serve.page.board import Board
from pipeline.serve.page.frame import chip_html, clock, frame, missing, nothing, sizes_of
from pipeline.serve.page.overlay import boxes_svg, link_svg

_EVERY_S = 1.0


def add(served: Served) -> None:
    """Register the page."""

    @ui.page("/cameras/{name}")
    async def camera(name: str, time: int | None = None) -> None:
        if name not in served.camera_names():
            missing(served, f"there is no camera {name!r} in this site", "/")
            return
        (size,) = await sizes_of(served, [name])
        with frame(served, f"Camera {name}", "/"):
            if served.shots.recorded(name):
                _watch(served, name, time)
            elif size is not None:
                _watch_live(served, name, size)
            _draw(served, name, time, size)
            _in_view(served, name)


def _watch(served: Served, name: str, time: int | None) -> None:
    kept, size = served.view.span(name), served.shots.size(name)
    start, end = kept or (0, 0)
    now = min(max(time if time is not None else start, start), end)
    address = f"/v1/cameras/{quote(name)}"
    style = "width:100%;max-height:70vh;object-fit:contain;display:block;background:#222a33"
    with ui.element("section").classes("cc-card w-full").style("max-width: 900px"):
        picture = ui.html("", sanitize=False).classes("w-full")
        with ui.row().classes("items-center w-full no-wrap q-px-md q-py-sm"):
            play = ui.button(icon="play_arrow").props('round dense aria-label="Play from here"')
            pause = ui.button(icon="pause").props('round dense outline aria-label="Pause"')
            slider = ui.slider(min=start / 1e6, max=max(end / 1e6, start / 1e6 + 0.1), step=0.1, value=now / 1e6).props(
                'aria-label="Time"'
            )
            said = ui.label().classes("cc-muted").style("white-space: nowrap")

    async def show() -> None:
        at = round(slider.value * 1e6)
        said.text = clock(at)
        image = f'<img src="{address}/snapshot.jpg?time={at}" alt="{name} at {clock(at)}" style="{style}">'
        picture.content = image
        people = await asyncio.to_thread(served.people_at, name, at)
        if size is not None and at == round(slider.value * 1e6):
            links = "".join(link_svg(who, box, name, at) for who, box in people)
            picture.content = (
                f'<div style="position:relative">{image}<svg viewBox="0 0 {size[0]} {size[1]}" role="group" '
                f'aria-label="Who is in the picture: choose somebody to see where else" '
                f'style="position:absolute;inset:0;width:100%;height:100%">{links}</svg></div>'
            )

    def run() -> None:
        stream = f"{address}/stream.mjpg?time={round(slider.value * 1e6)}"
        picture.content = f'<img src="{stream}" alt="{name}, playing" style="{style}">'

    play.on_click(run)
    pause.on_click(show)
    slider.on_value_change(show)
    ui.timer(0.05, show, once=True)


def _watch_live(served: Served, name: str, size: tuple[int, int]) -> None:
    """What it sees now, drawn on by the service; and on top, where people were a moment ago, what leads to them."""
    with ui.element("section").classes("cc-card w-full").style("max-width: 900px; position: relative"):
        address = f"/v1/cameras/{quote(name)}/stream.mjpg"
        ui.html(f'<img src="{address}" alt="{name}, live" class="cc-fill">', sanitize=False)
        links = ui.html("", sanitize=False).style("position: absolute; inset: 0")

    def show() -> None:
        links.content = (
            f'<svg viewBox="0 0 {size[0]} {size[1]}" role="group" style="width:100%;height:100%" '
            f'aria-label="Who is in the picture: choose somebody to see where else">'
            f"{boxes_svg(served.view.in_view(name), size[1], drawn=True)}</svg>"
        )

    show()
    ui.timer(_EVERY_S, show)


def _draw(served: Served, name: str, time: int | None, known_size: tuple[int, int] | None) -> None:
    ui.html("<h2 class='text-h6 q-my-none'>Lines and zones</h2>", sanitize=False)
    size = known_size
    if size is None:
        boxes = [one.box for one in served.view.in_view(name)]
        size = (
            int(max([640.0, *(box[2] for box in boxes)])),
            int(max([360.0, *(box[3] for box in boxes)])),
        )
    known = None if served.site is None else next((one for one in served.site.cameras if one.id == name), None)
    fields = {} if known is None else known.model_dump(mode="json", include={"lines", "zones"}, by_alias=True)
    drawn = Drawn(**{kind: _short(shapes) for kind, shapes in fields.items()})
    writable = served.site is not None and served.site.file is not None
    at = f"?time={time}&overlay=false" if time is not None else "?overlay=false"
    picture = f"/v1/cameras/{quote(name)}/snapshot.jpg{at}" if known_size is not None else ""

    async def count(drawn: Drawn) -> Counted:
        return await asyncio.to_thread(served.preview, name, drawn)

    async def save(drawn: Drawn) -> None:
        await asyncio.to_thread(served.draw, name, drawn)

    ui.label(
        "Counts are those of the whole recording so far; a line is crossed 'in' by who comes to its right-hand side."
    ).classes("cc-muted")
    Board(
        picture,
        size,
        drawn,
        count=count,
        save=save if writable else None,
        saving="Save to the site's file",
        over=lambda: boxes_svg(served.view.in_view(name), size[1]) if served.shots.recorded(name) else "",
    )


def _in_view(served: Served, name: str) -> None:
    people = served.view.in_view(name)
    ui.html("<h2 class='text-h6 q-my-none'>In view now</h2>", sanitize=False)
    if not people:
        nothing("Nobody.")
    with ui.row():
        for one in people:
            number = int(one.identity.rpartition("-")[2])
            with ui.link(target=f"/identities/{one.identity}"):
                ui.html(chip_html(number, one.identity), sanitize=False)


def _short(shapes: object) -> dict[str, object]:
    """Fields that are as they are if nothing is said need not be said."""
    assert isinstance(shapes, dict)
    short: dict[str, object] = {}
    for name, shape in shapes.items():
        kind = ZoneRule if "severity" in shape else LineRule
        usual = kind.model_fields
        said = {
            key: value
            for key, value in shape.items()
            if key == "points" or value not in (usual[key].default, _plain(usual[key].default))
        }
        short[name] = said["points"] if set(said) == {"points"} else said
    return short


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
