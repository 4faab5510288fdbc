"""Everything that reads what others wrote: for each a strategy of inputs, and what is done with one.

Whatever the input, it is taken, or refused by an error of ours, whose sentence a user is shown. Any other exception is
a finding.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parent))

import written_files as files
import written_ledgers as ledgers

from operators.records import CrosscamError
from pipeline.ledger.kafka.reader import Position


@dataclass(frozen=True, slots=True)
class Surface:
    """A place where what others wrote comes in.

    Attributes:
        inputs: of which most are nearly right.
        take: does with one what the product does; raises only what is ours.
    """

    inputs: st.SearchStrategy[Any]
    take: Callable[[Any], object]


@cache
def surfaces() -> dict[str, Surface]:
    """By name."""
    return {
        "config": Surface(files.configs(), files.take_config),
        "detections-jsonl": Surface(files.json_lines(), files.detections_of("det.jsonl")),
        "detections-mot": Surface(files.mot_text(), files.detections_of("det.txt")),
        "detections-csv": Surface(files.mot_text(), files.detections_of("det.csv")),
        "detections-parquet": Surface(files.parquet(), files.detections_of("det.parquet")),
        "kafka-records": Surface(ledgers.records(), ledgers.take_record),
        "kafka-positions": Surface(ledgers.positions(), Position.parse),
        "kafka-state-topic": Surface(ledgers.state_records(), ledgers.take_state_records),
        "state": Surface(ledgers.states(), ledgers.take_state),
        "weights": Surface(files.weights(), files.take_weights),
    }


def outcome(surface: Surface, given: Any) -> str:
    """`taken`, or the class of ours that refused it, whose text is a sentence.

    Raises:
        Exception: a finding.
    """
    try:
        surface.take(given)
    except CrosscamError as refused:
        text = str(refused)
        assert text and "Traceback" not in text
        return type(refused).__name__
    return "taken"
