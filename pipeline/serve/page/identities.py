"""Identities: the list of them, and one with its pictures, journey, evidence and corrections."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from nicegui import ui

from pipeline.explain import correction, reason
from pipeline.serve.context import Served
from pipeline.serve.known import Summary, Visit
from pipeline.serve.page.frame import chip_html, clock, escaped, frame, missing, nothing, span
from pipeline.serve.page.people import ask, show_found, thumbnail
from pipeline.serve.searching import Asked

_PER_PAGE = 60
_EVERY_S = 2.0


def add(served: Served) -> None:
    """Register the pages."""

    @ui.page("/identities")
    def identities(camera: str = "", state: str = "", start: int = 0) -> None:
        with frame(served, "Identities", "/identities"):
            everybody = served.view.identities()
            standing = [one for one in everybody if one.state in ("open", "closed")]
            chosen = standing if not state else [one for one in everybody if one.state == state]
            chosen = [one for one in chosen if not camera or camera in one.cameras]
            gone = len(everybody) - len(standing)
            with ui.row().classes("items-center"):
                ui.select(
                    {"": "All cameras", **{name: name for name in served.camera_names()}},
                    value=camera,
                    label="Seen by",
                    on_change=lambda e: ui.navigate.to(f"/identities?camera={e.value}&state={state}"),
                ).classes("w-40")
                ui.select(
                    {
                        "": "Standing",
                        "open": "Open",
                        "closed": "Closed",
                        "merged": "Merged into others",
                        "retracted": "Retracted",
                    },
                    value=state,
                    label="State",
                    on_change=lambda e: ui.navigate.to(f"/identities?camera={camera}&state={e.value}"),
                ).classes("w-48")
                ui.label(f"{len(standing)} identities; {gone} more were corrected away.").classes("cc-muted")
            if not chosen:
                nothing("There is nobody like that.")
            with ui.element("div").classes("cc-grid"):
                for one in chosen[start : start + _PER_PAGE]:
                    _card(served, one)
            if len(chosen) > start + _PER_PAGE:
                ui.link("More", f"/identities?camera={camera}&state={state}&start={start + _PER_PAGE}")

    @ui.page("/identities/{name}")
    def identity(name: str, camera: str = "", time: int = -1) -> None:
        summary = served.view.identity(name)
        if summary is None:
            missing(served, f"there is no {name} in this site, or it was forgotten", "/identities")
            return
        with frame(served, f"{summary.cls or 'Identity'} {summary.number}", "/identities"):
            told = ui.column().classes("w-full")
            shown: list[Summary] = []

            def show() -> None:
                """Show it anew when something has been said of it."""
                now = served.view.identity(name)
                if now is not None and shown != [now]:
                    shown[:] = [now]
                    told.clear()
                    with told:
                        _one(served, now)

            show()
            ui.timer(_EVERY_S, show)
            if camera in served.camera_names() and time >= 0:
                _by_looks(served, name, camera, time)


def _by_looks(served: Served, name: str, camera: str, time: int) -> None:
    """Who looks like somebody that was chosen in a camera's picture: by that picture, if there is a recording of it."""
    ui.html("<h2 class='text-h6 q-my-none'>Who looks like that</h2>", sanitize=False)
    said = ui.label().classes("cc-muted")
    results = ui.column().classes("w-full").props('aria-live="polite"')

    async def look() -> None:
        box = None
        if served.shots.recorded(camera):
            box = dict(await asyncio.to_thread(served.people_at, camera, time)).get(name)
        if box is None:
            asked, by = Asked(identity=name), f"By all that is kept of the looks of {name}, the others:"
        else:
            asked, by = Asked(camera=camera, time=time, box=box), f"By the picture of {camera} at {clock(time)}:"
        said.text = by
        show_found(results, await ask(served, asked))

    ui.timer(0.05, look, once=True)


def _card(served: Served, one: Summary) -> None:
    with ui.link(target=f"/identities/{one.identity}").classes("cc-card column no-underline").style("color: inherit"):
        best = next((v for v in served.view.visits(one.identity) if served.thumbnails.has(v)), None)
        if best is None:
            ui.html('<div style="height:150px;background:#dfe3e8"></div>', sanitize=False).classes("w-full")
        else:
            ui.html(thumbnail(one.identity, best, 150), sanitize=False).classes("w-full")
        with ui.column().classes("q-pa-sm gap-0"):
            ui.html(chip_html(one.number, f"{one.cls} {one.number}"), sanitize=False)
            cameras = ", ".join(one.cameras)
            ui.label(f"{cameras}: {one.tracks} {'visit' if one.tracks == 1 else 'visits'}").classes("text-caption")
            ui.label(span(one.start, one.end)).classes("text-caption cc-muted")
            if one.attributes:
                ui.label(described(one.attributes)).classes("text-caption")


def described(attributes: Mapping[str, str]) -> str:
    """`bag: backpack, sleeves: long`."""
    return ", ".join(facet if facet == value else f"{facet}: {value}" for facet, value in sorted(attributes.items()))


def _one(served: Served, one: Summary) -> None:
    with ui.row().classes("items-center"):
        ui.html(chip_html(one.number, one.identity), sanitize=False)
        ui.label(f"{one.state}, revision {one.revision}, {span(one.start, one.end)}").classes("cc-muted")
        if one.into:
            ui.link(f"merged into {one.into}", f"/identities/{one.into}")
        if one.attributes:
            ui.label(described(one.attributes))
        ui.link("Who looks like this?", f"/search?identity={one.identity}")
    visits = served.view.visits(one.identity)
    if visits:
        ui.html("<h2 class='text-h6 q-my-none'>Where it was</h2>", sanitize=False)
        ui.html(timeline(visits), sanitize=False).classes("w-full")
        with ui.element("div").classes("cc-grid cc-wide"):
            for visit in visits:
                _visit(served, one.identity, visit)
        if _unpictured(served, visits):
            nothing(
                "Of live cameras no pictures of people are kept: `thumbnails: {}` in the site's file keeps a small one "
                "of each from its next start on."
            )
    said = served.view.said(one.identity)
    if said:
        ui.html("<h2 class='text-h6 q-my-none'>What was said of it</h2>", sanitize=False)
        items = "".join(
            f"<li><span class='cc-muted'>{clock(value['time'])}</span> {escaped(correction(value, one.identity))}</li>"
            for value in said
        )
        ui.html(f"<ol class='q-my-none'>{items}</ol>", sanitize=False)


def _unpictured(served: Served, visits: list[Visit]) -> bool:
    """Whether there are visits to live cameras, and the site is not told to keep pictures of them."""
    chosen = served.site is not None and served.site.thumbnails is None
    return chosen and any(served.shots.live(visit.camera) and not served.thumbnails.has(visit) for visit in visits)


def _visit(served: Served, name: str, visit: Visit) -> None:
    with ui.element("article").classes("cc-card row no-wrap"):
        if served.thumbnails.has(visit):
            ui.html(thumbnail(name, visit, 130), sanitize=False).style("width: 96px; flex: none")
        with ui.column().classes("q-pa-sm gap-1").style("min-width: 0"):
            ui.link(f"{visit.camera}, track {visit.track}", f"/cameras/{visit.camera}?time={visit.start}")
            ui.label(span(visit.start, visit.end)).classes("text-caption")
            if visit.first != name:
                ui.label(f"first published as {visit.first}").classes("text-caption")
            if visit.provisional:
                ui.label(f"{visit.provisional} tracklets as a guess at first").classes("text-caption")
            for link in visit.links[-2:]:
                ui.label(reason(link)).classes("text-caption cc-muted").style("overflow-wrap: anywhere")


def timeline(visits: list[Visit]) -> str:
    """Visits as bars over time, a row a camera, as HTML."""
    start, end = min(v.start for v in visits), max(v.end for v in visits)
    whole = max(end - start, 1) / 100
    rows = []
    for camera in sorted({v.camera for v in visits}):
        bars = "".join(
            f'<span class="cc-bar" title="{span(v.start, v.end)}" '
            f'style="left:{(v.start - start) / whole:.2f}%;width:{(v.end - v.start) / whole:.2f}%"></span>'
            for v in visits
            if v.camera == camera
        )
        rows.append(
            f'<div class="cc-row"><span class="ellipsis">{escaped(camera)}</span>'
            f'<span style="position:relative;height:18px;background:#e6eaee">{bars}</span></div>'
        )
    return (
        f'<div role="img" aria-label="Visits over time" style="max-width:1000px">{"".join(rows)}'
        f'<div class="cc-row cc-muted">'
        f"<span></span><span style='display:flex;justify-content:space-between'>"
        f"<span>{clock(start)}</span><span>{clock(end)}</span></span></div></div>"
    )
