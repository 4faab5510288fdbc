"""Tables for people."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from pipeline.summary import Summary


def print_summary(console: Console, site: str, summary: Summary) -> None:
    """What a run found: a row a camera, then the site."""
    cameras = Table(title=f"Site {site}", title_justify="left")
    cameras.add_column("camera")
    interrupted = any(camera.interruptions for camera in summary.cameras.values())
    rows_left = any(any(camera.rows.values()) for camera in summary.cameras.values())
    more = ["interruptions"] * interrupted + ["rows left out"] * rows_left
    for column in ("decoded", "tracked", "dropped", "tracks", *more):
        cameras.add_column(column, justify="right")
    for name, camera in summary.cameras.items():
        cells = [str(camera.decoded), str(camera.tracked), _with_reasons(camera.dropped), str(camera.tracks)]
        cells += [str(camera.interruptions)] * interrupted + [_with_reasons(camera.rows)] * rows_left
        cameras.add_row(name, *cells)
    console.print(cameras)
    site_table = Table(show_header=False)
    site_table.add_column()
    site_table.add_column(justify="right")
    site_table.add_row("identities", str(summary.identities))
    site_table.add_row("hand-overs between cameras", str(summary.hand_overs))
    for event, n in summary.corrections.items():
        site_table.add_row(f"corrections: {event}", str(n))
    if summary.guesses:
        site_table.add_row("tracklets published as a guess", str(summary.guesses))
    late = sum(camera.late for camera in summary.cameras.values())
    if late:
        site_table.add_row("late tracklets", str(late))
    for reason, n in sorted(summary.dead_letters.items()):
        site_table.add_row(f"dead letters: {reason}", str(n))
    console.print(site_table)


def _with_reasons(counts: Mapping[str, int]) -> str:
    reasons = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in counts.items() if n)
    return f"{sum(counts.values())}" + (f" ({reasons})" if reasons else "")
