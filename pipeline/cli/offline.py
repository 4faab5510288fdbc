"""`crosscam track` and `crosscam eval`: files in, files out, no Ray and no ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

console = Console(highlight=False, soft_wrap=True)


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

    rows = track_mot_text(detections, output, fps=fps, tracker=tracker, parameters=_parameters(set_ or []))
    console.print(f"{output}: {rows} rows", markup=False)


def _parameters(assignments: list[str]) -> dict[str, Any]:
    from ruamel.yaml import YAML

    parameters: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{assignment!r}: write NAME=VALUE")
        parameters[name] = YAML(typ="safe").load(value)
    return parameters
