"""Health: how far every camera is, what was rejected, what the service waits for."""

from __future__ import annotations

from nicegui import ui

from pipeline.serve.context import Served
from pipeline.serve.known import CameraState
from pipeline.serve.page.frame import clock, frame


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
                    ("view", "In view"),
                    ("incidents", "Incidents"),
                    ("rejected", "Dead letters"),
                )
            ]
            table = ui.table(columns=columns, rows=[], row_key="camera").classes("w-full")

            def show() -> None:
                running = "A run of this site can be reached." if served.running() else "No run is writing this ledger."
                summary.text = f"{running} {served.view.version} records read."
                problem.text = served.feed.error or ""
                states = served.view.cameras()
                table.rows = [_row(served, name, states.get(name, CameraState())) for name in served.camera_names()]

            show()
            ui.timer(2.0, show)


def _row(served: Served, name: str, state: CameraState) -> dict[str, object]:
    return {
        "camera": name,
        "state": f"{state.source}: {state.detail}" if state.detail else state.source or "-",
        "last": clock(state.last) if state.last else "-",
        "behind": f"{max(served.view.newest - state.last, 0) / 1e6:.1f}",
        "view": len(served.view.in_view(name)),
        "incidents": len(state.open_incidents),
        "rejected": state.rejected,
    }
