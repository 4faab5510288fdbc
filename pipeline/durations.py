"""Durations as people write them: `500ms`, `10s`, `5m`, `2h`, or a number of seconds."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PATTERN = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)?\s*")


def seconds(value: Any) -> float:
    """A duration in seconds.

    Raises:
        ValueError: the text is no duration.
    """
    if isinstance(value, bool):
        raise ValueError("write a duration such as 500ms, 10s or 5m")
    if isinstance(value, int | float):
        return float(value)
    match = _PATTERN.fullmatch(str(value))
    if match is None:
        raise ValueError(f"{str(value)!r} is no duration: write one such as 500ms, 10s or 5m")
    return float(match[1]) * _UNITS[match[2] or "s"]


Seconds = Annotated[float, BeforeValidator(seconds)]
