"""What options of several commands stand for."""

from __future__ import annotations

from enum import StrEnum

import typer


class Blur(StrEnum):
    """As `operators.draw.Privacy`, which loads OpenCV."""

    NONE = "none"
    FACE = "face"
    HEAD = "head"
    WHOLE = "whole"


def duration(text: str) -> float:
    """The seconds of `10s` or `5m`, above zero; anything else is the caller's mistake, said in a sentence."""
    from pipeline.durations import seconds

    try:
        if (value := seconds(text)) > 0:
            return value
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    raise typer.BadParameter("write a duration above zero, such as 10s or 5m")
