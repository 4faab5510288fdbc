"""Counting in one camera: lines, zones, intervals and incidents. Event time only; state that travels as bytes."""

from operators.analyse.analyser import Analyser
from operators.analyse.rules import (
    Across,
    Anchor,
    Crowding,
    Event,
    Line,
    Proximity,
    RuleError,
    Rules,
    Severity,
    Zone,
)

__all__ = [
    "Across",
    "Analyser",
    "Anchor",
    "Crowding",
    "Event",
    "Line",
    "Proximity",
    "RuleError",
    "Rules",
    "Severity",
    "Zone",
]
