"""`crosscam topology`: what a site has learned of the ways between its cameras."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

console = Console(highlight=False, soft_wrap=True)


def topology_command(
    ledger: Annotated[
        str | None,
        typer.Argument(help="File, folder, site's YAML file, or kafka://HOST:PORT/SITE. The last run's if not given."),
    ] = None,
    least: Annotated[float, typer.Option(min=0, help="Leave out pairs learned from fewer arrivals.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Travel times between views as learned: how many go from camera to camera, and how long they take."""
    from pipeline.address import open_reader
    from pipeline.topology_report import as_row, travel_times_of

    reader = open_reader(ledger)
    try:
        rows = [as_row(row) for row in travel_times_of(reader.state(), least)]
    finally:
        reader.close()
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    if not rows:
        console.print(
            "No travel times have been learned: `fusion: {travel_times: learned}` or `paths` in the site's file turn "
            "that on, and some tracks must have ended."
        )
        return
    table = Table("from", "to", "go there next", "while in view", "10 %", "half", "90 % within", "arrivals")
    for column in table.columns[2:]:
        column.justify = "right"
    for row in rows:
        seconds = ["" if row[name] is None else f"{row[name]:.1f} s" for name in ("low_s", "typical_s", "high_s")]
        shares = [f"{100 * row[name]:.0f} %" for name in ("share", "overlap")]
        table.add_row(row["from"], row["to"], *shares, *seconds, f"{row['arrivals']:.1f}")
    console.print(table)
