"""What a saved Paddle program says of its inputs, read without Paddle.

Paddle Inference neither tells the shapes of a model's inputs nor survives a damaged program: handed a `.pdmodel`
without blocks, it ends the whole process. So the file is looked through first. Both formats are read: protocol buffers
(`.pdmodel`, Paddle 2) and JSON (`.json`, Paddle 3).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Shapes = dict[str, tuple[int, ...]]
"""Input name to shape, -1 where a side is free."""


class DamagedProgram(ValueError):  # noqa: N818 - a state, said in the reader's words
    """The bytes are no Paddle program."""


def input_shapes(program: Path) -> Shapes:
    """The inputs of a saved program.

    Raises:
        DamagedProgram: the file is not one, or only a part of one.
        OSError: it cannot be read.
    """
    data = program.read_bytes()
    return _from_json(data) if program.suffix == ".json" else _from_protobuf(data)


def format_version(program: Path) -> int:
    """The version of the format that a Paddle 3 program (`.json`) is written in; 0 where it does not say.

    Paddle 3.2 writes 3, 3.3 writes 4. A newer one may load all the same, unless it holds something new.

    Raises:
        DamagedProgram, OSError: as `input_shapes`.
    """
    try:
        return int(json.loads(program.read_bytes())["base_code"]["version"])
    except (KeyError, TypeError):
        return 0
    except ValueError as error:
        raise DamagedProgram(f"it is not the JSON of a program: {error!r}") from error


def joins_found_rows(program: Path) -> bool:
    """What non-maximum suppression found is concatenated with something later on.

    oneDNN's concatenation ends the process when there are no rows, which is what suppression says when nobody is seen:
    such a program is safe without oneDNN only. JDE's exports are of the kind.

    Raises:
        DamagedProgram, OSError: as `input_shapes`.
    """
    data = program.read_bytes()
    steps = _steps_of_json(_operations(data)) if program.suffix == ".json" else _steps_of_protobuf(data)
    found: set[object] = set()
    for kind, sources, results in steps:
        if _SUPPRESSION in kind:
            found.update(results)
        elif not found.isdisjoint(sources):
            if kind == "concat":
                return True
            found.update(results)
    return False


_SUPPRESSION = "_nms"  # multiclass_nms, multiclass_nms3, matrix_nms
_Steps = Iterator[tuple[str, list[object], list[object]]]
"""Per operation, in order: its kind, the values that it reads, the values that it writes."""

# Field numbers of Paddle's framework.proto, as far as they are needed.
_PROGRAM_BLOCK = 1
_BLOCK_VARIABLE, _BLOCK_OPERATION = 3, 4
_VARIABLE_NAME, _VARIABLE_TYPE = 1, 2
_TYPE_DENSE = 3
_DENSE_TENSOR = 1
_TENSOR_SIDE = 2
_OPERATION_INPUT, _OPERATION_OUTPUT, _OPERATION_KIND = 1, 2, 3
_SLOT_ARGUMENT = 2


def _from_protobuf(data: bytes) -> Shapes:
    blocks = _messages(data, _PROGRAM_BLOCK)
    if not blocks:
        raise DamagedProgram("it holds no block of operations")
    variables = {_text(v, _VARIABLE_NAME): v for v in _messages(blocks[0], _BLOCK_VARIABLE)}
    operations = _messages(blocks[0], _BLOCK_OPERATION)
    if not variables or not operations:
        raise DamagedProgram("its first block is empty")
    shapes: Shapes = {}
    for operation in operations:
        if _text(operation, _OPERATION_KIND) != "feed":
            continue
        for slot in _messages(operation, _OPERATION_OUTPUT):
            name = _text(slot, _SLOT_ARGUMENT)
            shapes[name] = _shape(variables.get(name, b""))
    return shapes


def _steps_of_protobuf(data: bytes) -> _Steps:
    for block in _messages(data, _PROGRAM_BLOCK):
        for operation in _messages(block, _BLOCK_OPERATION):
            sources, results = (
                [name for slot in _messages(operation, side) for name in _messages(slot, _SLOT_ARGUMENT)]
                for side in (_OPERATION_INPUT, _OPERATION_OUTPUT)
            )
            yield _text(operation, _OPERATION_KIND), list(sources), list(results)


def _shape(variable: bytes) -> tuple[int, ...]:
    sides: list[int] = []
    for kind in _messages(variable, _VARIABLE_TYPE):
        for dense in _messages(kind, _TYPE_DENSE):
            for tensor in _messages(dense, _DENSE_TENSOR):
                for number, value in _fields(tensor):
                    if number == _TENSOR_SIDE:
                        packed = [value] if isinstance(value, int) else _varints(value)
                        sides += [side - (1 << 64) if side >> 63 else side for side in packed]
    return tuple(sides)


def _messages(data: bytes, number: int) -> list[bytes]:
    return [value for found, value in _fields(data) if found == number and isinstance(value, bytes)]


def _text(data: bytes, number: int) -> str:
    found = _messages(data, number)
    return found[-1].decode("utf-8", "replace") if found else ""


def _varints(data: bytes) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers with integers (variable length) or bytes (everything else)."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if wire == 2:
            length, at = _varint(data, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise DamagedProgram(f"byte {at} begins no field")
        if at + length > len(data):
            raise DamagedProgram("it ends in the middle of a field")
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise DamagedProgram("it ends in the middle of a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise DamagedProgram(f"the number before byte {at} has no end")


def _operations(data: bytes) -> list[Any]:
    try:
        found = json.loads(data)["program"]["regions"][0]["blocks"][0]["ops"]
        return list(found)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise DamagedProgram(f"it is not the JSON of a program: {error!r}") from error


def _steps_of_json(operations: list[Any]) -> _Steps:
    for operation in operations:
        if not isinstance(operation, dict):
            continue
        sources, results = (
            [value.get("%") for value in operation.get(side) or () if isinstance(value, dict)] for side in ("I", "O")
        )
        for region in operation.get("regions", ()):
            for block in region.get("blocks", ()):
                for inner in _steps_of_json(block.get("ops", [])):
                    yield inner
                    sources += inner[1]  # a branch's values come out of the choice
        yield str(operation.get("#", "")).rpartition(".")[2], sources, results


def _from_json(data: bytes) -> Shapes:
    operations = _operations(data)
    shapes: Shapes = {}
    for operation in operations:
        if isinstance(operation, dict) and str(operation.get("#", "")).rpartition(".")[2] == "data":
            name = _attribute(operation, "name")
            if isinstance(name, str):
                shapes[name] = _declared_shape(operation)
    return shapes


def _attribute(operation: dict[str, Any], name: str) -> Any:
    for attribute in operation.get("A", ()):
        if attribute.get("N") == name:
            return attribute.get("AT", {}).get("D")
    return None


def _declared_shape(operation: dict[str, Any]) -> tuple[int, ...]:
    try:
        sides = operation["O"][0]["TT"]["D"][1]
        return tuple(int(side) for side in sides)
    except (KeyError, IndexError, TypeError, ValueError):
        return ()
