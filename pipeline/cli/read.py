"""`crosscam tail` and `crosscam export`: reading ledgers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from mtmct.records import DEADLETTER, EVENTS, IDENTITIES, TRACKS
from pipeline.cli.options import Blur, duration
from pipeline.explain import evidence

console = Console(highlight=False, soft_wrap=True)


class Topic(StrEnum):
    """What can be read."""

    TRACKS = TRACKS
    IDENTITIES = IDENTITIES
    EVENTS = EVENTS
    DEADLETTER = DEADLETTER


class Layout(StrEnum):
    """Whose fields JSON has."""

    CROSSCAM = "crosscam"
    NVIDIA = "nvidia"


class ExportFormat(StrEnum):
    """What can be written."""

    MOT = "mot"
    PARQUET = "parquet"
    CSV = "csv"
    FLOW = "flow"


_TABLES: dict[ExportFormat, Literal["mot", "parquet", "csv"]] = {
    ExportFormat.MOT: "mot",
    ExportFormat.PARQUET: "parquet",
    ExportFormat.CSV: "csv",
}

LedgerOption = Annotated[
    str | None,
    typer.Option(
        "--ledger", help="File, folder, site's YAML file, or kafka://HOST:PORT/SITE. The last run's if not given."
    ),
]


def tail_command(
    topic: Annotated[Topic, typer.Argument(help="Which topic.")],
    ledger: LedgerOption = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="All records, not only new ones.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Whole records, one JSON object a line.")] = False,
    schema: Annotated[
        Layout, typer.Option(help="With --json: nvidia gives nv.Frame of tracks and nv.Behavior of journeys.")
    ] = Layout.CROSSCAM,
    follow: Annotated[bool, typer.Option(help="Wait for more; --no-follow ends at the last record.")] = True,
) -> None:
    """Show a topic's records as they are committed."""
    from pipeline.address import open_reader

    reader = open_reader(ledger)
    try:
        after = None if from_beginning else reader.end(topic.value)
        for stored in reader.read(topic.value, after=after, follow=follow):
            for line in _lines(topic, stored.value, as_json, schema):
                sys.stdout.write(line + "\n")
            sys.stdout.flush()
    except KeyboardInterrupt:
        return  # the ordinary way to end a tail
    except BrokenPipeError:
        # So is `| head`, which closes our output: what Python still flushes at its end must go somewhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        reader.close()


def _lines(topic: Topic, value: Mapping[str, Any], as_json: bool, schema: Layout) -> list[str]:
    if not as_json:
        return [describe(topic, value)]
    if schema is Layout.CROSSCAM:
        return [_json(value)]
    from pipeline.nvidia import behaviors, frames

    if topic is Topic.TRACKS:
        return [_json(one) for one in frames([value])]
    return [_json(one) for one in behaviors(value)] if value.get("type") == "journey" else []


def describe(topic: Topic, value: Mapping[str, Any]) -> str:
    """One record as a line for people."""
    if topic is Topic.TRACKS:
        points = value["points"]
        last = points[-1] if points else None
        where = ""
        if last is not None:
            where = f" box {last[1]:.0f},{last[2]:.0f} {last[3]:.0f},{last[4]:.0f}"
            if last[6] is not None:
                where += f" at {last[6]:.1f}, {last[7]:.1f} m"
        end = (" (a guess so far)" if value.get("provisional") else "") + (" (ended)" if value["ended"] else "")
        who = f"{value['identity']} {value['class']} in {value['camera']} track {value['track']}"
        return f"{clock_time(value['end'])} {who}: {len(points)} points{where}{end}"
    if topic is Topic.IDENTITIES:
        into = f" into {value['into']}" if value["into"] else ""
        tracks = ", ".join(f"{camera}/{track}" for camera, track in value["tracks"])
        why = value["evidence"]
        reason = "" if why is None else f": {evidence(why['score'], why['terms'], value.get('runner_up'))}"
        when = clock_time(value["time"])
        return f"{when} {value['identity']} {value['event']}{into} (revision {value['revision']}) {tracks}{reason}"
    if topic is Topic.EVENTS and value["type"] == "journey":
        return f"{clock_time(value['time'])} {value['identity']} {_journey(value)} (revision {value['revision']})"
    if topic is Topic.EVENTS:
        rest = {k: v for k, v in value.items() if k not in {"schema", "site", "camera", "type", "time"}}
        text = ", ".join(f"{k} {v}" for k, v in rest.items())
        return f"{clock_time(value['time'])} {value['camera'] or value['site']} {value['type']}: {text}"
    return f"{clock_time(value['time'])} {value['camera']} {value['reason']}: {value['detail']}"


def _journey(value: Mapping[str, Any]) -> str:
    if not value["stays"]:
        return "journey taken back" + (f": it was {value['into']}" if value["into"] else "")
    places = [
        f"{stay['camera']}{'/' + stay['zone'] if stay['zone'] else ''} {(stay['end'] - stay['start']) / 1e6:.1f} s"
        for stay in value["stays"]
    ]
    visits = f" in {value['visits']} visits" if value["visits"] > 1 else ""
    return f"journey{visits}: {', '.join(places)}"


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def clock_time(us: int) -> str:
    """Event time for people, UTC."""
    return f"{datetime.fromtimestamp(us / 1e6, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]


def export_command(
    ledger: Annotated[
        str | None,
        typer.Argument(help="File, folder, site's YAML file, or kafka://HOST:PORT/SITE. The last run's if not given."),
    ] = None,
    format: Annotated[
        ExportFormat, typer.Option(help="mot, parquet, csv, or flow (counts a frame).")
    ] = ExportFormat.MOT,
    output: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("export"),
    as_published: Annotated[
        bool, typer.Option("--as-published", help="Identities as first published, without corrections.")
    ] = False,
    interval: Annotated[str | None, typer.Option(help="flow: also people per so long, e.g. 10s.")] = None,
    bridge: Annotated[
        int,
        typer.Option(
            min=0, help="mot: fill gaps of at most so many frames of an identity in a camera, by straight lines."
        ),
    ] = 0,
) -> None:
    """Write tracks to files: MOT text a camera, Parquet, or CSV; or counts a frame as PP-Tracking does."""
    from pipeline.address import open_reader
    from pipeline.export import export

    if interval is not None and format is not ExportFormat.FLOW:
        raise typer.BadParameter("--interval goes with --format flow")
    if bridge and format is not ExportFormat.MOT:
        raise typer.BadParameter("--bridge goes with --format mot")
    every = None if interval is None else duration(interval)
    reader = open_reader(ledger)
    try:
        if format is ExportFormat.FLOW:
            from pipeline.flow_statistic import write_flow_statistics

            for path in write_flow_statistics(reader, output, interval_s=every):
                console.print(str(path), markup=False)
            return
        with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=console, transient=True) as progress:
            task = progress.add_task("reading")
            summary = export(
                reader,
                _TABLES[format],
                output,
                as_published=as_published,
                bridge=bridge,
                progress=lambda points: progress.update(task, description=f"{points} points"),
            )
    finally:
        reader.close()
    for file in summary.files:
        note = f", {file.duplicates} left out: their identity stands twice in one frame" if file.duplicates else ""
        note += f", {file.filled} of them filled in" if file.filled else ""
        console.print(f"{file.path}: {file.rows} rows{note}", markup=False)
    if summary.retracted:
        console.print(f"{summary.retracted} points left out: their identity was retracted")


def report_command(
    ledger: Annotated[
        str | None,
        typer.Argument(help="File, folder, site's YAML file, or kafka://HOST:PORT/SITE. The last run's if not given."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("report"),
    interval: Annotated[str, typer.Option(help="Visitors are counted per so long, e.g. 10s, 5m.")] = "1m",
    half_life: Annotated[
        str | None, typer.Option(help="Heat maps: points so much older than the newest count half.")
    ] = None,
    blur: Annotated[
        Blur, typer.Option(help="What is made unrecognisable of everyone in the pictures beneath heat maps.")
    ] = Blur.NONE,
) -> None:
    """Write a page of a run's figures: visitors, lines, zones, journeys, heat maps; with CSV and Parquet beside it.

    Named by the site's YAML file, heat maps lie over the first pictures of its recordings.
    """
    from operators.draw import Privacy
    from pipeline.address import find
    from pipeline.cli.pictures import first_pictures
    from pipeline.report import write_report

    every, half = duration(interval), None if half_life is None else duration(half_life)
    place = find(ledger)
    reader = place.reader()
    try:
        grounds = {} if place.site is None else first_pictures(place.site)
        privacy = Privacy(blur.value)
        files = write_report(reader, output, interval_s=every, half_life_s=half, grounds=grounds, privacy=privacy)
    finally:
        reader.close()
    console.print(f"{files[0]}: the page; {len(files) - 1} files with its figures beside it", markup=False)
