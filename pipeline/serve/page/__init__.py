"""The page for people: watch a site, look at who was where and why, draw lines and zones, start an analysis.

Made with NiceGUI, which keeps one application a process; so a process serves the page of one site.
"""

from __future__ import annotations

from fastapi import FastAPI

from operators.records import CrosscamError
from pipeline.serve.context import Served
from pipeline.serve.guard import Guard


def add_pages(app: FastAPI, served: Served, guard: Guard) -> None:
    """Give the application its pages.

    Raises:
        CrosscamError: NiceGUI is not installed.
    """
    try:
        from nicegui import ui
    except ImportError:
        raise CrosscamError(
            "the page needs NiceGUI: pip install 'crosscam[serve]', or serve the API alone with --no-page"
        ) from None
    from pipeline.serve.page import camera, figures, floor, health, identities, login, search, start, wall

    login.add(app, guard)
    wall.add(served)
    camera.add(served)
    floor.add(served)
    identities.add(served)
    search.add(served)
    figures.add(served)
    health.add(served)
    start.add(app, served)
    ui.run_with(app, title="crosscam", favicon="◉", show_welcome_message=False, reconnect_timeout=10)
