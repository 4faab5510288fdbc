"""What is read from saved programs without Paddle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.detect import BUNDLED
from operators.paddle_program import DamagedProgram, input_shapes, joins_found_rows


def field(number: int, value: bytes) -> bytes:
    """One field of bytes of a protocol buffer message."""
    length = bytes([len(value)]) if len(value) < 128 else bytes([len(value) & 127 | 128, len(value) >> 7])
    return bytes([number << 3 | 2]) + length + value


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


def operation(kind: str, reads: list[str], writes: list[str]) -> bytes:
    """One operation of a `.pdmodel`: all its inputs in one slot, all its outputs in another."""
    slots = [(1, reads), (2, writes)]
    told = b"".join(field(side, b"".join(field(2, name.encode()) for name in names)) for side, names in slots)
    return field(4, told + field(3, kind.encode()))


STEPS = {
    "joined": [("multiclass_nms3", "b", "rows"), ("slice", "rows", "boxes"), ("concat", "boxes", "out")],
    "only suppressed": [("concat", "a", "b"), ("multiclass_nms3", "b", "rows"), ("concat", "a", "other")],
}


@pytest.mark.parametrize("case", STEPS)
def test_found_rows_that_are_concatenated_are_noticed_in_both_formats(case: str, tmp_path: Path) -> None:
    steps = STEPS[case]
    old, new, nested = (tmp_path / name for name in ("model.pdmodel", "model.json", "nested.json"))
    old.write_bytes(field(1, b"".join(operation(kind, [a], [b]) for kind, a, b in steps)))
    operations = [{"#": f"1.{kind}", "I": [{"%": a}], "O": [{"%": b}]} for kind, a, b in steps]

    def program(operations: list[object]) -> str:
        return json.dumps({"program": {"regions": [{"blocks": [{"ops": operations}]}]}})

    new.write_text(program(operations))
    choice = {"#": "1.if", "I": [], "O": [{"%": "chosen"}], "regions": [{"blocks": [{"ops": operations[:-1]}]}]}
    last = {**operations[-1], "I": [{"%": "chosen" if case == "joined" else "a"}]}
    nested.write_text(program([choice, last]))
    assert [joins_found_rows(file) for file in (old, new, nested)] == [case == "joined"] * 3
