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
    tracker: Annotated[str, typer.Option(help="Which tracker, or package.module:Class.")] = "bytetrack",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of the tracker, NAME=VALUE; may be repeated.")
    ] = None,
) -> None:
    """Run one MOT text file of detections through a tracker."""
    from operators.track.mot_text import track_mot_text

    report = track_mot_text(detections, output, fps=fps, tracker=tracker, parameters=_parameters(set_ or []))
    rejected = f", {report['rejected']} detections rejected" if report["rejected"] else ""
    console.print(
        f"{output}: {report['rows']} rows, {report['tracks']} tracks in {report['frames']} frames{rejected}",
        markup=False,
    )


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
