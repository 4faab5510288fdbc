"""`crosscam track` and `crosscam eval`: files in, files out, no Ray and no ledger."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

# operators.track.DEFAULT, without loading the compiler that comes with it
DEFAULT = "steady"

console = Console(highlight=False, soft_wrap=True)


class EvaluationPreset(StrEnum):
    """Benchmarks with rules of their own."""

    MOT16 = "mot16"
    MOT17 = "mot17"
    MOT20 = "mot20"


def track_command(
    detections: Annotated[Path, typer.Option(help="MOT text: frame,id or -1,x,y,w,h,score[,class].")],
    fps: Annotated[float, typer.Option(min=0.01, help="Frames a second of the sequence.")],
    output: Annotated[Path, typer.Option(help="MOT text to write.")],
    tracker: Annotated[str, typer.Option(help="Which tracker, or package.module:Class.")] = DEFAULT,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of the tracker, NAME=VALUE; may be repeated.")
    ] = None,
    embeddings: Annotated[
        Path | None, typer.Option(help="Looks, for trackers that go by them: .npy, (rows of the text, D) floats.")
    ] = None,
    measured: Annotated[bool, typer.Option("--measured", help="Write boxes as detected, not smoothed.")] = False,
) -> None:
    """Run one MOT text file of detections through a tracker."""
    from operators.track.mot_text import track_mot_text

    done = track_mot_text(
        detections, output, fps, tracker, _parameters(set_ or []), looks=embeddings, measured=measured
    )
    console.print(f"{output}: {done.rows} rows, {done.tracks} tracks in {done.frames} frames", markup=False)
    if done.rejected:
        told = ", ".join(f"{count} x {reason}" for reason, count in done.rejected.items())
        console.print(f"left out or repaired: {told}", markup=False)


def tune_tracker_command(
    sequences: Annotated[
        list[Path], typer.Argument(help="Folders in MOT's layout: det/det.txt, gt/gt.txt, seqinfo.ini.")
    ],
    tracker: Annotated[str, typer.Option(help="Which tracker, or package.module:Class.")] = DEFAULT,
    only: Annotated[
        list[str] | None, typer.Option(help="A parameter to tune; may be repeated. All if left out.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter to hold, NAME=VALUE; may be repeated.")
    ] = None,
    fps: Annotated[
        float | None, typer.Option(min=0.01, help="Frames a second, where seqinfo.ini does not say.")
    ] = None,
    evaluations: Annotated[int, typer.Option(min=1, help="About how many settings to try in each search.")] = 300,
    held_out: Annotated[
        bool, typer.Option(help="Also score every sequence with what the others chose: what to expect of new ones.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Find a tracker's parameters from detections with ground truth."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from operators.track.tune import read_sequence, tune

    read = [read_sequence(folder, fps) for folder in sequences]
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("searching")
        tuned = tune(
            tracker,
            read,
            only=only or (),
            fixed=_parameters(set_ or []),
            evaluations=evaluations,
            held_out=held_out,
            progress=lambda tried, best: progress.update(
                task, description=f"{tried} settings tried, best HOTA + IDF1 {best:.2f}"
            ),
        )
    rows = {"defaults": tuned.before, "tuned": tuned.after}
    if tuned.held_out is not None:
        rows["tuned on the others"] = tuned.held_out
    names = ("hota", "idf1", "mota", "switches", "false", "missed")
    if as_json:
        scores = {label: {name: getattr(counts, name) for name in names} for label, counts in rows.items()}
        typer.echo(json.dumps({"tracker": tracker, "parameters": tuned.parameters, "scores": scores}, indent=1))
        return
    table = Table()
    table.add_column("")
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for label, counts in rows.items():
        values = [getattr(counts, name) for name in names]
        table.add_row(label, *(f"{value:.2f}" for value in values[:3]), *(f"{value:.0f}" for value in values[3:]))
    console.print(table)
    chosen = ", ".join(f"{name}: {value:g}" for name, value in tuned.parameters.items())
    console.print(f"tracker: {{name: {tracker}, {chosen}}}", markup=False)


def eval_command(
    results: Annotated[Path, typer.Argument(help="MOT text: a file, or a folder with <camera>.txt.")],
    ground_truth: Annotated[
        Path, typer.Option("--gt", help="MOT text: a file, or a folder with a file or MOT Challenge folder a camera.")
    ],
    people: Annotated[
        Path | None, typer.Option(help="Ids of the ground truth that are the same person, one person a line.")
    ] = None,
    preset: Annotated[EvaluationPreset | None, typer.Option(help="Rules of a benchmark.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All scores as JSON.")] = False,
) -> None:
    """HOTA, MOTA and IDF1 of results against ground truth: a camera, or many cameras with shared ids."""
    from mtmct.evaluation import evaluate
    from mtmct.mot_text import find_ground_truth, find_results, read_people

    truth = find_ground_truth(ground_truth)
    if people is not None:
        merged = read_people(people)
        truth = {camera: boxes.with_people(merged) for camera, boxes in truth.items()}
    evaluation = evaluate(truth, find_results(results, truth), preset=None if preset is None else preset.value)
    if as_json:
        typer.echo(json.dumps(asdict(evaluation), indent=1))
        return
    table = Table()
    table.add_column("")
    names = ("hota", "deta", "assa", "mota", "idf1", "idsw", "fp", "fn", "frag", "gt")
    for name in names:
        table.add_column(name.upper(), justify="right")
    rows = dict(evaluation.cameras)
    if len(rows) > 1:
        rows |= {"combined": evaluation.combined, "across cameras": evaluation.across}
    for label, scores in rows.items():
        values = (getattr(scores, name) for name in names)
        table.add_row(label, *(f"{value:.2f}" if isinstance(value, float) else str(value) for value in values))
    console.print(table)


def _parameters(assignments: list[str]) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    parameters: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        try:
            if not equals or not name:
                raise ValueError
            parameters[name] = YAML(typ="safe").load(value)
        except (ValueError, YAMLError):
            raise typer.BadParameter(f"{assignment!r}: write NAME=VALUE") from None
    return parameters
