"""Counting in one camera: lines, zones, intervals and incidents. Event time only; state that travels as bytes.

`operators.analyse.analyser` does it; here are the words to ask with, which load without the compiler.
"""

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
