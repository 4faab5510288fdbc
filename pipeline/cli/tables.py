"""Tables for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from pipeline.summary import Summary


def print_summary(console: Console, site: str, summary: Summary) -> None:
    """What a run found: a row a camera, then the site."""
    cameras = Table(title=f"Site {site}", title_justify="left")
    cameras.add_column("camera")
    for column in ("decoded", "tracked", "dropped", "tracks"):
        cameras.add_column(column, justify="right")
    for name, camera in summary.cameras.items():
        reasons = ", ".join(f"{n} {reason}" for reason, n in camera.dropped.items() if n)
        dropped = f"{sum(camera.dropped.values())}" + (f" ({reasons})" if reasons else "")
        cameras.add_row(name, str(camera.decoded), str(camera.tracked), dropped, str(camera.tracks))
    console.print(cameras)
    site_table = Table(show_header=False)
    site_table.add_column()
    site_table.add_column(justify="right")
    site_table.add_row("identities", str(summary.identities))
    site_table.add_row("hand-overs between cameras", str(summary.hand_overs))
    for event, n in summary.corrections.items():
        site_table.add_row(f"corrections: {event}", str(n))
    late = sum(camera.late for camera in summary.cameras.values())
    if late:
        site_table.add_row("late tracklets", str(late))
    for reason, n in sorted(summary.dead_letters.items()):
        site_table.add_row(f"dead letters: {reason}", str(n))
    console.print(site_table)
