"""`crosscam status` and `stop`: a running site, asked from another terminal."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from operators.records import CrosscamError

console = Console(highlight=False, soft_wrap=True)

SiteArgument = Annotated[
    str | None,
    typer.Argument(
        help="The site's YAML file, or its ledger: file, folder, kafka://HOST:PORT/SITE. The last run's if not given."
    ),
]
_STOP_S = 60.0


def status_command(
    site: SiteArgument = None, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False
) -> None:
    """How far a running site is: frames, drops, commits, what it waits for. Exits with 1 where none is running."""
    from pipeline.address import find
    from pipeline.running import ask

    said = ask(find(site), "status")
    if as_json:
        typer.echo(json.dumps(said, indent=1))
        return
    table = Table("camera", "decoded", "tracked", "dropped", "")
    for camera, counts in sorted(said["counts"].items()):
        dropped = {key.removeprefix("dropped."): n for key, n in counts.items() if key.startswith("dropped.") and n}
        why = said["failures"].get(camera) or ", ".join(f"{n} {reason}" for reason, n in dropped.items())
        numbers = (counts.get("decoded", 0), counts.get("tracked", 0), sum(dropped.values()))
        table.add_row(camera, *map(str, numbers), why)
    console.print(table)
    console.print(f"{said['commits']} commits, {said['restarts']} restarts, driver {said['driver']}", markup=False)
    if said["waiting_for"]:
        console.print(said["waiting_for"], style="yellow", markup=False)


def stop_command(site: SiteArgument = None) -> None:
    """Stop a running site as Ctrl-C does: what is committed stays, and `run` goes on from there."""
    from pipeline.address import find
    from pipeline.running import NotRunningError, ask

    place = find(site)
    ask(place, "stop")
    until = time.monotonic() + _STOP_S
    while time.monotonic() < until:
        try:
            ask(place, "status")
        except NotRunningError:
            console.print("stopped")
            return
        except CrosscamError:
            pass  # the door is closing
        time.sleep(0.1)
    raise CrosscamError(f"the site has been asked to stop and has not done so within {_STOP_S:g} s; look at its output")
