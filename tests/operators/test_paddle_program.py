"""What is read from saved programs without Paddle."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.detect import BUNDLED
from operators.paddle_program import DamagedProgram, input_shapes

PROGRAM = (BUNDLED / "model.pdmodel").read_bytes()


def test_free_sides_are_minus_one() -> None:
    assert input_shapes(BUNDLED / "model.pdmodel") == {"image": (-1, 3, -1, -1)}


@settings(max_examples=80, deadline=None)
@given(cut=st.integers(0, len(PROGRAM) - 1), flips=st.lists(st.integers(0, 400), max_size=4))
def test_damage_is_told_or_harmless(tmp_path_factory: pytest.TempPathFactory, cut: int, flips: list[int]) -> None:
    """Whatever is cut off or changed, reading ends in one of two ways."""
    content = bytearray(PROGRAM[:cut] if cut % 2 else PROGRAM)
    for place in flips:
        if place < len(content):
            content[place] ^= 0xFF
    file: Path = tmp_path_factory.getbasetemp() / "damaged.pdmodel"
    file.write_bytes(bytes(content))
    try:
        assert isinstance(input_shapes(file), dict)
    except DamagedProgram as error:
        assert str(error)
