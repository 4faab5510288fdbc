"""Drawing lines and zones on a picture, with the mouse or by writing points."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from nicegui import events, ui

from operators.records import CrosscamError
from pipeline.serve.drawing import Counted, Drawn
from pipeline.serve.page.overlay import Point, drawing_svg, shapes_svg

_PAIR = re.compile(r"(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)")

Count = Callable[[Drawn], Awaitable[Counted]]
Save = Callable[[Drawn], Awaitable[None]]


class Board:
    """A picture to draw on, and beside it what is drawn.

    Args:
        picture: address of the picture.
        size: width and height of it, pixels.
        drawn: what is there already.
        count: says what it would have counted; None where there are no tracks to say it from.
        save: keeps it.
        saving: what the button says. icon: what it shows.
        over: SVG of what else is on the picture.
    """

    def __init__(
        self,
        picture: str,
        size: tuple[int, int],
        drawn: Drawn,
        *,
        count: Count | None,
        save: Save | None,
        saving: str = "Save",
        icon: str = "save",
        over: Callable[[], str] = lambda: "",
    ) -> None:
        self._size = size
        self._drawn = drawn.model_copy(deep=True)
        self._count, self._save, self._over = count, save, over
        self._points: list[Point] = []
        with ui.element("div").classes("cc-grid cc-wide"):
            with ui.element("div").classes("cc-card"):
                self.image = ui.interactive_image(
                    picture, size=size, on_mouse=self._clicked, events=["mousedown"], cross="#ff3b8d", sanitize=False
                ).classes("w-full")
                self.image.classes("cc-board")
            with ui.column().classes("w-full"):
                self._kind = ui.toggle({"line": "Line", "zone": "Zone"}, value="line", on_change=self.show)
                self._name = ui.input("Name", value="door").classes("w-full")
                self._text = (
                    ui.input("Points (x,y x,y ...)", on_change=self._written)
                    .props('hint="Click on the picture, or write them"')
                    .classes("w-full q-mb-md")
                )
                with ui.row():
                    ui.button("Add", icon="add", on_click=self._add)
                    ui.button("Start over", on_click=self._start_over).props("outline")
                self._wrong = ui.label().classes("text-negative").props('role="alert"')
                self._list = ui.column().classes("w-full gap-1").props('aria-live="polite"')
                if save is not None:
                    ui.button(saving, icon=icon, on_click=self._keep)
        self.show()
        ui.timer(0.05, self._recount, once=True)
        ui.timer(0.5, self._describe, once=True)

    @property
    def drawn(self) -> Drawn:
        """What is drawn."""
        return self._drawn

    def show(self) -> None:
        """Draw everything anew."""
        shapes = shapes_svg(self._drawn.lines, self._drawn.zones, self._size)
        self.image.content = self._over() + shapes + drawing_svg(self._points, self._kind.value == "zone")

    def _describe(self) -> None:
        """The picture's own element is made by the browser; there it gets its text."""
        ui.run_javascript(
            f"getHtmlElement({self.image.id})?.querySelectorAll('img').forEach("
            "i => { i.alt = 'Picture of the camera: click to set points, or write them' })"
        )

    def _clicked(self, event: events.MouseEventArguments) -> None:
        self._points.append((round(event.image_x), round(event.image_y)))
        self._text.value = " ".join(f"{x:.0f},{y:.0f}" for x, y in self._points)
        self.show()

    def _written(self) -> None:
        self._points = [(float(x), float(y)) for x, y in _PAIR.findall(self._text.value or "")]
        self.show()

    def _start_over(self) -> None:
        self._text.value = ""
        self._points = []
        self.show()

    async def _add(self) -> None:
        kept = self._drawn.model_copy(deep=True)
        name = (self._name.value or "").strip()
        shapes = self._drawn.lines if self._kind.value == "line" else self._drawn.zones
        shapes[name] = [[x, y] for x, y in self._points]
        try:
            self._drawn.rules()
        except CrosscamError as error:
            self._drawn = kept
            self._wrong.text = str(error)
            return
        self._wrong.text = ""
        self._start_over()
        await self._recount()

    async def _remove(self, kind: str, name: str) -> None:
        getattr(self._drawn, kind).pop(name, None)
        self.show()
        await self._recount()

    async def _recount(self) -> None:
        counted: Counted | None = None
        if self._count is not None and (self._drawn.lines or self._drawn.zones):
            try:
                counted = await self._count(self._drawn)
            except CrosscamError as error:
                self._wrong.text = str(error)
        self._list.clear()
        with self._list:
            if not self._drawn.lines and not self._drawn.zones:
                ui.label("No lines or zones yet.").classes("cc-muted")
            for name in self._drawn.lines:
                said = "" if counted is None else _said(counted.lines.get(name))
                self._row("lines", name, f"Line {name}{said}")
            for name in self._drawn.zones:
                said = "" if counted is None else _said(counted.zones.get(name))
                self._row("zones", name, f"Zone {name}{said}")

    def _row(self, kind: str, name: str, text: str) -> None:
        with ui.row().classes("items-center justify-between w-full no-wrap"):
            ui.label(text).props(f'data-shape="{kind}"').style("overflow-wrap: anywhere")
            ui.button(icon="delete", on_click=lambda: self._remove(kind, name)).props(
                f'flat round dense aria-label="Remove {name}"'
            )

    async def _keep(self) -> None:
        assert self._save is not None
        try:
            await self._save(self._drawn)
        except CrosscamError as error:
            self._wrong.text = str(error)
            return
        self._wrong.text = ""
        ui.notify("Saved.", type="positive")


def _said(counts: dict[str, int] | dict[str, float] | None) -> str:
    if counts is None:
        return ": outside of the picture"
    return ": " + ", ".join(f"{value:g} {name.replace('_', ' ')}" for name, value in counts.items())
