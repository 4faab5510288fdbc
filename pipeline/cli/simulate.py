"""`crosscam simulate`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

console = Console(highlight=False, soft_wrap=True)

USUAL_EMBEDDING = 128


class Place(StrEnum):
    """Where it is; see `pipeline.sources.simulation.plan.PLACES`."""

    HALL = "hall"
    MALL = "mall"
    STREETS = "streets"


class Recording(StrEnum):
    """Files of detections."""

    JSONL = "jsonl"
    PARQUET = "parquet"


def simulate_command(
    out: Annotated[Path, typer.Option(help="Folder to write the site to.", show_default=False)],
    place: Annotated[
        Place, typer.Option(help="hall: views overlap; mall: some do; streets: vehicles, none do.")
    ] = Place.MALL,
    cameras: Annotated[int, typer.Option(min=1, max=10_000, help="How many cameras.")] = 8,
    people: Annotated[int, typer.Option(min=1, help="How many people (or vehicles) come and go.")] = 20,
    minutes: Annotated[float, typer.Option(min=0.01, help="How long it lasts.")] = 10.0,
    fps: Annotated[float, typer.Option(min=0.1, max=100, help="Frames a second.")] = 10.0,
    rank1: Annotated[
        float | None, typer.Option(help="Give embeddings of which this share finds the right person first.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other people on other ways.")] = 0,
    tracks: Annotated[bool, typer.Option("--tracks", help="Give local track ids: no tracker is needed.")] = False,
    uncalibrated: Annotated[bool, typer.Option("--uncalibrated", help="Leave the homographies out.")] = False,
    record: Annotated[
        Recording | None, typer.Option(help="Write the detections to files, and have the site read those.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A further setting of the cameras, NAME=VALUE (missed=0.1); may be repeated."),
    ] = None,
) -> None:
    """Write a simulated site: its YAML file with homographies, the ground truth, and if wanted its detections."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from pipeline.simulate import write_site
    from pipeline.sources.simulation.settings import SettingsError, parse_settings

    chosen = [f"place={place.value}", f"cameras={cameras}", f"people={people}", f"seconds={minutes * 60:g}"]
    chosen += [f"seed={seed}", f"tracks={int(tracks)}"]
    chosen += [] if rank1 is None else [f"embedding={USUAL_EMBEDDING}", f"rank1={rank1:g}"]
    try:
        settings = parse_settings([*chosen, *(text.replace(" ", "") for text in set_ or [])])
    except SettingsError as problem:
        raise typer.BadParameter(str(problem)) from None
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("simulating", total=cameras * settings.seconds)
        done: dict[str, int] = {}

        def report(camera: str, seconds: int) -> None:
            done[camera] = seconds
            progress.update(task, completed=sum(done.values()), description=camera)

        written = write_site(
            out,
            settings,
            fps=fps,
            calibrated=not uncalibrated,
            record=None if record is None else record.value,
            report=report,
        )
    console.print(
        f"{written.config}: {cameras} cameras, {written.people} seen, {written.boxes} true boxes", markup=False
    )
    if record is not None:
        console.print(f"{out / 'detections'}: {written.recorded} boxes", markup=False)
    console.print(f"crosscam run {written.config}", markup=False)
    results = f"crosscam export --format mot --output results && crosscam eval results --gt {out / 'truth'}"
    console.print(f"{results}   # afterwards", markup=False)
