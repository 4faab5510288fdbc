"""`crosscam status`, `stop` and `apply`, and `run --detach` and `--attach`: a site that runs somewhere else."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from operators.records import CrosscamError
from pipeline.clock import clock_text
from pipeline.config import Site
from pipeline.config_file import load

# As the Linux Standard Base has it for services.
NOT_RUNNING = 3
_POLL_S, _STOP_S = 0.5, 60.0

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

LedgerName = Annotated[
    str | None,
    typer.Argument(
        help="The site's YAML file, or its ledger: a file, a folder, or kafka://HOST:PORT/SITE. The last run's if not "
        "given. On a cluster its YAML file."
    ),
]


def status_command(
    ledger: LedgerName = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Show its progress until it ends; Ctrl-C leaves.")] = False,
) -> None:
    """Tell how a running site is: commits, cameras, frames. Exits with 3 where none runs."""
    from pipeline.address import find
    from pipeline.detached import ask
    from pipeline.running import NotRunningError

    place = find(ledger)
    try:
        if follow:
            follow_site(place)
            return
        status = ask(place, "status")
    except NotRunningError as error:
        if as_json:
            typer.echo(json.dumps({"state": "not running"}))
        else:
            errors.print(str(error), style="yellow", markup=False)
        raise typer.Exit(NOT_RUNNING) from None
    if as_json:
        typer.echo(json.dumps(status))
    else:
        show(status)
    raise typer.Exit(1 if status["state"] == "failed" else 0)


def stop_command(ledger: LedgerName = None) -> None:
    """End a running site in good order. What was committed stays; `crosscam run` goes on from there."""
    from pipeline.address import find
    from pipeline.detached import ask, wait_until_stopped
    from pipeline.running import NotRunningError

    place = find(ledger)
    try:
        status = ask(place, "status")
        ask(place, "stop")
    except NotRunningError as error:
        errors.print(str(error), style="yellow", markup=False)
        raise typer.Exit(NOT_RUNNING) from None
    here = status.get("pid") if place.site is None or place.site.ray_address is None else None
    if not wait_until_stopped(place, here, _STOP_S, time.sleep):
        raise CrosscamError(
            f"site {status['site']!r} was asked to stop and has not ended within {_STOP_S:g} s; look at "
            "`crosscam status`, or end its process by hand"
        )
    console.print(f"{status['site']}: stopped; what was committed stays", markup=False)


def apply_command(
    config: Annotated[Path, typer.Argument(help="The site's YAML file as it shall be.", show_default=False)],
) -> None:
    """Change a running site to what its file says now: cameras, lines and zones; the others go on undisturbed."""
    from pipeline.detached import apply

    site = load(config)
    changed = apply(site)
    said = "; ".join(f"{what} {', '.join(ids)}" for what, ids in changed.items() if ids)
    console.print(f"{site.site}: {said or 'it runs like that already'}", markup=False)


def run_detached(site: Site, file: Path, log: str | None = None) -> None:
    """Start the site, and come back once it runs.

    Args:
        site: what stands in `file`.
        log: text or json, instead of what the file says.

    Raises:
        CrosscamError: it has ended at once; the sentence says why.
    """
    from pipeline.address import Place
    from pipeline.checks import check
    from pipeline.detached import ask, detach
    from pipeline.running import NotRunningError

    check(site)
    place = Place.of(site)
    ended = detach(site if log is None else site.model_copy(update={"log": log}), file)
    while True:
        try:
            status = ask(place, "status")
            if status["state"] not in ("starting", "failed"):
                console.print(f"{site.site}: runs; `crosscam status {file}` tells how it is", markup=False)
                return
        except NotRunningError:
            pass  # it is still starting, or has ended
        why = ended()
        if why is not None:
            raise CrosscamError(f"site {site.site!r} does not run: {why}")
        time.sleep(_POLL_S)


def follow_site(place: Any) -> None:
    """Show how a running site goes on until it ends.

    Raises:
        NotRunningError: it does not run.
    """
    from pipeline.assembly import build_source
    from pipeline.cli.progress import PlainProgress, RunProgress
    from pipeline.detached import ask
    from pipeline.progress import Progress
    from pipeline.running import NotRunningError

    status = ask(place, "status")
    cameras = {} if place.site is None else {camera.id: camera for camera in place.site.cameras}
    lengths = {
        name: build_source(place.site, cameras[name]).length() if name in cameras else None
        for name in status["cameras"]
    }
    with RunProgress(console, lengths) if console.is_terminal else PlainProgress(console, status["site"]) as progress:
        while True:
            if status["state"] == "failed":
                raise CrosscamError(status["because"])
            known = ("commits", "waiting_for", "restarts", "pids")
            counts = {name: lane["counts"] for name, lane in status["cameras"].items()}
            progress.update(Progress(counts, **{name: status[name] for name in known if name in status}))
            time.sleep(_POLL_S)
            try:
                status = ask(place, "status")
            except NotRunningError:
                break
    console.print(f"{status['site']}: ended", markup=False)


def show(status: dict[str, Any]) -> None:
    """Print a status for people."""
    if status["state"] == "failed":
        console.print(f"{status['site']}: failed: {status['because']}", style="red", markup=False)
        return
    parts = [status.get("waiting_for") or status["state"], f"{status.get('commits', 0)} commits"]
    if status.get("watermark") is not None:
        parts.append(f"up to {clock_text(status['watermark'])}")
    if status.get("restarts"):
        parts.append(f"{status['restarts']} restarts")
    console.print(f"{status['site']}: {', '.join(parts)}", markup=False)
    table = Table(box=None, pad_edge=False)
    for name in ("camera", "decoded", "tracked", "dropped", "late", "waiting", "state"):
        table.add_column(name, justify="left" if name in ("camera", "state") else "right")
    for name, lane in status["cameras"].items():
        counts = lane["counts"]
        dropped = sum(n for key, n in counts.items() if key.startswith("dropped."))
        state = lane["failed"] or ("ended" if lane["final"] else "runs")
        numbers = (counts.get("decoded", 0), counts.get("tracked", 0), dropped, lane["late"], lane["waiting"])
        table.add_row(name, *map(str, numbers), state)
    console.print(table)
