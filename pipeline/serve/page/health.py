"""Health: how far every camera is, what was rejected, what the service waits for."""

from __future__ import annotations

import asyncio

from nicegui import ui

from pipeline.serve.context import Served
from pipeline.serve.known import CameraState
from pipeline.serve.page.frame import clock, frame
from pipeline.serve.problems import sentence
from pipeline.serve.workings import Frames


def add(served: Served) -> None:
    """Register the page."""

    @ui.page("/health")
    def health() -> None:
        with frame(served, "Health", "/health"):
            summary = ui.label()
            problem = ui.label().classes("text-negative").props('role="alert"')
            columns = [
                {
                    "name": name,
                    "label": label,
                    "field": name,
                    "align": "left" if name in ("camera", "state") else "right",
                }
                for name, label in (
                    ("camera", "Camera"),
                    ("state", "Source"),
                    ("last", "Has come to"),
                    ("behind", "Behind (s)"),
                    ("fps", "Frames a second"),
                    ("dropped", "Dropped"),
                    ("view", "In view"),
                    ("incidents", "Incidents"),
                    ("rejected", "Dead letters"),
                )
            ]
            table = ui.table(columns=columns, rows=[], row_key="camera").classes("w-full")
            table.props(':grid="window.innerWidth < 600"')

            async def show() -> None:
                # Asked in a thread: a run that is stuck must not hold up everybody else here.
                frames = await asyncio.to_thread(served.workings.frames)
                running = "A run of this site can be reached." if served.running() else "No run is writing this ledger."
                summary.text = f"{running} {served.view.version} records read."
                problem.text = sentence(served.feed.error or "")
                states = served.view.cameras()
                table.rows = [
                    _row(served, name, states.get(name, CameraState()), frames.get(name))
                    for name in served.camera_names()
                ]

            ui.timer(2.0, show)


def _row(served: Served, name: str, state: CameraState, frames: Frames | None) -> dict[str, object]:
    return {
        "camera": name,
        "state": f"{state.source}: {state.detail}" if state.detail else state.source or "-",
        "last": clock(state.last) if state.last else "-",
        "behind": f"{max(served.view.newest - state.last, 0) / 1e6:.1f}",
        "fps": "-" if frames is None or frames.fps is None else f"{frames.fps:.1f}",
        "dropped": "-" if frames is None else dropped(frames),
        "view": len(served.view.in_view(name)),
        "incidents": len(state.open_incidents),
        "rejected": state.rejected,
    }


def dropped(frames: Frames) -> str:
    """`12 of 3000: 10 late, 2 stale`."""
    reasons = ", ".join(f"{n} {why.replace('_', ' ')}" for why, n in sorted(frames.dropped.items()) if n)
    total = sum(frames.dropped.values())
    return f"{total} of {frames.decoded}{': ' + reasons if reasons else ''}"
