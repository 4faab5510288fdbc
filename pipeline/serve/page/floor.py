"""The floor plan: where everybody is now, in metres, with trails."""

from __future__ import annotations

import asyncio

from nicegui import ui

from operators.palette import identity_color
from pipeline.serve.context import Served
from pipeline.serve.page.frame import css, frame

_EVERY_S = 1.0
_NEAR = 0.25  # of the extent of most
_KEPT = 60  # places of a trail
_LETTER = 18
Place = tuple[float, float]


def add(served: Served) -> None:
    """Register the page."""

    @ui.page("/floor")
    async def floor() -> None:
        with frame(served, "Floor", "/floor"):
            trails: dict[str, list[Place]] = {}
            running = served.running()
            if not running:
                trails.update(await asyncio.to_thread(_past, served))
            said = ui.label().classes("cc-muted")
            plan = ui.html("", sanitize=False).classes("w-full")

            def show() -> None:
                if running:
                    _go_on(trails, served)
                if not trails:
                    said.text = "Nobody is placed on the floor: no camera with a homography sees anybody."
                    return
                said.text = f"{len(trails)} identities; a square is {_square(trails):g} m."
                plan.content = plan_svg(trails)

            show()
            if running:
                ui.timer(_EVERY_S, show)


def _go_on(trails: dict[str, list[Place]], served: Served) -> None:
    """Take in who is where now; who is nowhere is forgotten."""
    now: dict[str, Place] = {}
    for one in served.view.in_view():
        if one.place is not None:
            now[one.identity] = one.place
    for name in set(trails) - set(now):
        del trails[name]
    for name, place in now.items():
        trail = trails.setdefault(name, [])
        if not trail or trail[-1] != place:
            trail.append(place)
        del trail[:-_KEPT]


def _past(served: Served) -> dict[str, list[Place]]:
    """Everybody's way in a run that is over, a place a second."""
    ways: dict[str, list[tuple[int, Place]]] = {}
    for value in served.records():
        who = served.view.name_of(value["camera"], value["track"], value["start"])
        last = value["points"][-1] if value["points"] else None
        if who is not None and last is not None and last[6] is not None:
            ways.setdefault(who, []).append((last[0], (last[6], last[7])))
    return {name: [place for _, place in sorted(way)] for name, way in sorted(ways.items())}


def _bounds(trails: dict[str, list[Place]]) -> tuple[float, float, float, float]:
    """Of all places but those that are far out, as homographies throw them: these do not shrink the rest."""
    x1, x2 = _extent(sorted(x for trail in trails.values() for x, _ in trail))
    y1, y2 = _extent(sorted(y for trail in trails.values() for _, y in trail))
    spare = 0.06 * max(x2 - x1, y2 - y1, 1.0)
    return x1 - spare, y1 - spare, x2 + spare, y2 + spare


def _extent(places: list[float]) -> tuple[float, float]:
    """Of most, and of the others as far as they lie near."""
    low, high = places[len(places) // 50], places[-1 - len(places) // 50]
    near = _NEAR * max(high - low, 1.0)
    return max(places[0], low - near), min(places[-1], high + near)


def _square(trails: dict[str, list[Place]]) -> float:
    x1, y1, x2, y2 = _bounds(trails)
    longest = max(x2 - x1, y2 - y1)
    return next((step for step in (0.5, 1, 2, 5, 10, 20, 50) if longest / step <= 25), 100)


def plan_svg(trails: dict[str, list[Place]]) -> str:
    """Trails and who is at their ends, to scale, Y upwards."""
    x1, y1, x2, y2 = _bounds(trails)
    scale = 1000 / (x2 - x1)
    height = (y2 - y1) * scale
    step = _square(trails)

    def at(place: Place) -> Place:
        return (place[0] - x1) * scale, (y2 - place[1]) * scale

    parts = []
    x = -(-x1 // step) * step
    while x < x2:
        parts.append(f'<path d="M{(x - x1) * scale:.0f} 0V{height:.0f}" stroke="#dfe3e8"/>')
        x += step
    y = -(-y1 // step) * step
    while y < y2:
        parts.append(f'<path d="M0 {(y2 - y) * scale:.0f}H1000" stroke="#dfe3e8"/>')
        y += step
    labels: list[Place] = []
    for name, trail in trails.items():
        number = int(name.rpartition("-")[2])
        color = css(identity_color(number))
        points = " ".join(f"{px:.0f},{py:.0f}" for px, py in map(at, trail))
        end = at(trail[-1])
        low = end[1] + 6
        while any(abs(low - y) < _LETTER and abs(end[0] - x) < 3 * _LETTER for x, y in labels):
            low += _LETTER
        labels.append((end[0], low))
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="3" opacity=".55"/>'
            f'<circle cx="{end[0]:.0f}" cy="{end[1]:.0f}" r="9" fill="{color}" stroke="#10212f" stroke-width="1.5"/>'
            f'<text x="{end[0] + 12:.0f}" y="{low:.0f}" font-size="{_LETTER}" font-weight="600" '
            f'fill="#16202b">{number}</text>'
        )
    return (
        f'<svg viewBox="0 0 1000 {height:.0f}" role="img" aria-label="Floor plan" '
        f'style="width:100%;max-height:78vh;background:#fff;border:1px solid #dfe3e8">{"".join(parts)}</svg>'
    )
