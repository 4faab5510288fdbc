"""What others wrote is taken or refused by a sentence. tests/benchmarks/fuzz.py tries far more of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

sys.path.insert(0, str(Path(__file__).parent))

from surfaces import outcome, surfaces


@pytest.mark.parametrize("name", surfaces())
def test_it_is_taken_or_refused_by_a_sentence(name: str) -> None:
    surface = surfaces()[name]
    seen: set[str] = set()

    @given(surface.inputs)
    @settings(max_examples=40, database=None, suppress_health_check=list(HealthCheck))
    def read(text: Any) -> None:
        seen.add(outcome(surface, text))

    read()
    assert len(seen) > 1, f"nothing but {seen}: the inputs reach no further than the door"
