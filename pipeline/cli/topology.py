"""`crosscam topology`: what a site has learned of the ways between its cameras, and of their clocks."""

from __future__ import annotations

import json
from typing import Annotated, Any

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
    clocks: Annotated[bool, typer.Option("--clocks", help="How far the cameras' clocks are off, instead.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Travel times between views as learned: how many go from camera to camera, and how long they take."""
    from pipeline.address import open_reader
    from pipeline.topology_report import as_row, clock_rows, travel_times_of

    reader = open_reader(ledger)
    try:
        state = reader.state()
    finally:
        reader.close()
    rows = clock_rows(state) if clocks else [as_row(row) for row in travel_times_of(state, least)]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    elif clocks:
        _print_clocks(rows)
    else:
        _print_ways(rows)


def _print_clocks(rows: list[dict[str, Any]]) -> None:
    if not rows:
        console.print(
            "Nothing is known of the clocks: `fusion: {clock_skew: report}` or `apply` in the site's file turns that "
            "on; it takes people who walk through the common view of calibrated cameras."
        )
        return
    table = Table("camera", "ahead of the others by", "give or take", "taken into account")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(row["camera"], f"{row['skew_s']:.2f} s", f"{row['sigma_s']:.2f} s", f"{row['applied_s']:.2f} s")
    console.print(table)


def _print_ways(rows: list[dict[str, Any]]) -> None:
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
