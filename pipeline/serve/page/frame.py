"""What all pages have in common: head line, navigation, colours, and words for times."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from nicegui import ui

from operators.palette import identity_color, readable_on
from pipeline.serve.context import Served

PLACES = (
    ("/", "Cameras", "videocam"),
    ("/floor", "Floor", "map"),
    ("/identities", "Identities", "group"),
    ("/search", "Search", "person_search"),
    ("/figures", "Figures", "bar_chart"),
    ("/health", "Health", "monitor_heart"),
    ("/new", "New analysis", "add_circle"),
)
_SOON_S = 2.0
# The least contrast that WCAG asks of text, 4.5, is kept by all of these on white.
_STYLE = """
:root { --nicegui-default-padding: 1rem; --nicegui-default-gap: 0.75rem; }
body { background: #f4f5f7; color: #16202b; }
.cc-card { background: #fff; border: 1px solid #dfe3e8; border-radius: 8px; overflow: hidden; }
.cc-muted, .q-field__bottom, .q-field__label { color: #4a5763; }
.nicegui-link, .cc-main a { color: #0b5c8a; }
.cc-chip { display: inline-block; padding: 0 .5em; border-radius: 4px; font-weight: 600; font-size: .85rem; }
.cc-nav a { color: #fff; padding: .5rem .75rem; border-radius: 6px; text-decoration: none; white-space: nowrap; }
.cc-nav a[aria-current] { background: #ffffff2e; font-weight: 600; }
.cc-nav a:focus-visible, .cc-card a:focus-visible { outline: 3px solid #f2a900; outline-offset: 1px; }
.cc-main { max-width: 1400px; margin: 0 auto; width: 100%; gap: .5rem; }
.cc-main img { max-width: 100%; }
.cc-skip { position: absolute; left: -999px; } .cc-skip:focus { left: 8px; top: 8px; background: #fff; z-index: 9999; }
.cc-grid { display: grid; gap: .75rem; width: 100%; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, var(--cc-least, 150px)), 1fr)); }
.cc-wide { grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr)); }
.cc-fill { width: 100%; height: auto; display: block; background: #222a33; }
.cc-person:focus-visible { outline: none; }
.cc-person:hover rect, .cc-person:focus-visible rect { stroke: #fff; stroke-width: 4; fill-opacity: .15; }
.q-table__grid-item-title { opacity: 1 !important; color: #4a5763; }
.cc-main h2 { margin-top: .75rem; }
.cc-row { display: grid; grid-template-columns: 6rem 1fr; align-items: center; gap: .5rem; }
.cc-bar { position: absolute; top: 2px; height: 14px; border-radius: 3px; background: #0b5c8a; min-width: 3px; }
@media (max-width: 600px) { .cc-nav { flex-wrap: wrap !important; } .cc-nav a { padding: .4rem .5rem; } }
"""


# What can be scrolled has to be reached by keyboard; tables are made by the browser, where they get what they lack.
_REACHED_BY_KEYBOARD = """new MutationObserver(() =>
  document.querySelectorAll('.q-table__middle.scroll:not([tabindex])').forEach(e => {
    e.tabIndex = 0; e.role = 'region'; e.ariaLabel = 'Table';
  })).observe(document, {childList: true, subtree: true})"""


@contextmanager
def frame(served: Served, title: str, here: str) -> Iterator[None]:
    """A page called `title`, at the place `here` in the navigation."""
    ui.page_title(f"{title} - crosscam")
    ui.add_css(_STYLE)
    ui.colors(primary="#0b5c8a", secondary="#3b4a59", accent="#8a4b0b")
    ui.add_head_html('<meta name="color-scheme" content="light"><script>document.documentElement.lang = "en"</script>')
    ui.add_head_html(f"<script>{_REACHED_BY_KEYBOARD}</script>")
    with ui.header().classes("items-center no-wrap q-pa-sm").style("background: #10212f"):
        ui.html('<a class="cc-skip" href="#main">To the content</a>', sanitize=False)
        ui.label(served.view.site or "crosscam").classes("text-h6 q-mr-md ellipsis")
        with (
            ui.element("nav")
            .classes("cc-nav row no-wrap")
            .style("overflow-x: auto; flex: 1")
            .props('aria-label="Places" tabindex=0')
        ):
            for address, name, _ in PLACES:
                link = ui.link(name, address)
                if address == here:
                    link.props('aria-current="page"')
    with ui.element("div").classes("cc-main q-pa-md column").props('id="main"'):
        ui.html(f"<h1 class='text-h5 q-my-none'>{_escaped(title)}</h1>", sanitize=False)
        yield


def chip(name: str) -> ui.html:
    """An identity's number in its colour, with its name."""
    number = int(name.rpartition("-")[2] or 0)
    return ui.html(chip_html(number, name), sanitize=False)


def chip_html(number: int, text: str) -> str:
    """The same as HTML."""
    ground = identity_color(number)
    return (
        f'<span class="cc-chip" style="background:{css(ground)};color:{css(readable_on(ground))}">'
        f"{_escaped(text)}</span>"
    )


def css(color: tuple[int, int, int]) -> str:
    """A BGR colour as CSS has it."""
    blue, green, red = color
    return f"#{red:02x}{green:02x}{blue:02x}"


def clock(us: int | None) -> str:
    """Event time for people: UTC; of recordings without a date only the time of day."""
    if us is None:
        return ""
    moment = datetime.fromtimestamp(us / 1e6, UTC)
    return (
        f"{moment:%H:%M:%S}.{moment.microsecond // 100_000}" if us < 86_400_000_000 else f"{moment:%Y-%m-%d %H:%M:%S}"
    )


def span(start: int | None, end: int | None) -> str:
    """From when to when."""
    if start is None or end is None:
        return ""
    return f"{clock(start)} to {clock(end)[-10:]}"


def nothing(text: str) -> None:
    """Say that there is nothing to show, and why."""
    ui.label(text).classes("cc-muted")


async def sizes_of(served: Served, cameras: Sequence[str]) -> list[tuple[int, int] | None]:
    """Width and height of their pictures; None of one that has none, or does not answer soon.

    Live cameras are asked, side by side and in threads: one that is stuck holds up neither the others nor the page.
    """
    asked = [asyncio.create_task(asyncio.to_thread(served.shots.size, camera)) for camera in cameras]
    if asked:
        await asyncio.wait(asked, timeout=_SOON_S)
    return [one.result() if one.done() and one.exception() is None else None for one in asked]


def missing(served: Served, text: str, here: str) -> None:
    """A page that says that there is nothing of that name."""
    ui.context.client.status_code = 404
    with frame(served, "Not found", here):
        ui.label(text[:1].upper() + text[1:] + ".").props('role="alert"')


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


escaped = _escaped
