"""Counts over time, lines, zones, and incidents."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from pipeline.serve.context import Served
from pipeline.serve.page.frame import clock, frame, nothing

_EVERY_S = 5.0
_SHOWN = 200


def add(served: Served) -> None:
    """Register the page."""

    @ui.page("/figures")
    def figures() -> None:
        with frame(served, "Figures", "/figures"):
            ui.html("<h2 class='text-h6 q-my-none'>People on the site</h2>", sanitize=False)
            chart = ui.echart(visits(served)).classes("w-full").style("height: 300px")
            empty = ui.label().classes("cc-muted")
            ui.html("<h2 class='text-h6 q-my-none'>Lines and zones</h2>", sanitize=False)
            shapes = ui.column().classes("w-full")
            ui.html("<h2 class='text-h6 q-my-none'>Incidents</h2>", sanitize=False)
            incidents = ui.column().classes("w-full")

            def show() -> None:
                options = visits(served)
                chart.options.clear()
                chart.options.update(options)
                chart.update()
                none = not options["xAxis"]["data"]
                chart.set_visibility(not none)
                empty.text = "No counts: give the site's file a `flow_interval`, a line or a zone." if none else ""
                shapes.clear()
                with shapes:
                    _shapes(served)
                incidents.clear()
                with incidents:
                    _incidents(served)

            show()
            if served.running():
                ui.timer(_EVERY_S, show)


def visits(served: Served) -> dict[str, Any]:
    """The site's counts as a chart's options."""
    told = served.view.counts("site_counts")[-_SHOWN:]
    return {
        "animation": False,
        "tooltip": {"trigger": "axis"},
        "legend": {"top": 0, "data": ["seen", "there at the end"]},
        "grid": {"left": 40, "right": 16, "top": 36, "bottom": 28},
        "xAxis": {"type": "category", "data": [clock(value["start"]) for value in told]},
        "yAxis": {"type": "value", "minInterval": 1},
        "series": [
            {
                "name": "seen",
                "type": "bar",
                "itemStyle": {"color": "#0b5c8a"},
                "data": [value["unique"] for value in told],
            },
            {
                "name": "there at the end",
                "type": "line",
                "itemStyle": {"color": "#b35c00"},
                "data": [value["present"] for value in told],
            },
        ],
        "aria": {"enabled": True},
    }


def _shapes(served: Served) -> None:
    rows = []
    for name, state in served.view.cameras().items():
        for line, total in state.lines.items():
            said = ", ".join(f"{count} {direction}" for direction, count in total.items())
            rows.append({"camera": name, "what": f"line {line}", "said": said})
        for zone, inside in state.zones.items():
            rows.append({"camera": name, "what": f"zone {zone}", "said": f"{inside} inside"})
    if not rows:
        nothing("No lines or zones have counted anybody; draw some on a camera's page.")
        return
    columns = [
        {"name": key, "label": label, "field": key, "align": "left"}
        for key, label in (("camera", "Camera"), ("what", "What"), ("said", "Counts"))
    ]
    ui.table(columns=columns, rows=rows, row_key="what").classes("w-full")


def _incidents(served: Served) -> None:
    told = served.view.incidents()[-_SHOWN:][::-1]
    if not told:
        nothing("No incidents.")
        return
    columns = [
        {"name": key, "label": label, "field": key, "align": "left"}
        for key, label in (
            ("time", "Since"),
            ("camera", "Camera"),
            ("what", "What"),
            ("severity", "Severity"),
            ("state", "State"),
            ("who", "Who"),
        )
    ]
    rows = [
        {
            "key": f"{value['camera']}/{value['incident']}",
            "time": clock(value["start"]),
            "camera": value["camera"],
            "what": f"{value['kind'].replace('_', ' ')} in {value['zone']}",
            "severity": value["severity"],
            "state": "going on" if value["state"] == "started" else f"ended {clock(value['end'])}",
            "who": ", ".join(
                sorted(
                    {
                        name
                        for track in value["tracks"]
                        if (name := served.view.name_of(value["camera"], track, value["start"])) is not None
                    }
                )
            ),
        }
        for value in told
    ]
    ui.table(columns=columns, rows=rows, row_key="key", pagination=20).classes("w-full")
