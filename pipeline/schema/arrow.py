"""The Arrow schemas of the topics, and how a record becomes a batch of one row and back.

A schema says by itself how its columns map to JSON, in the metadata of a field: `json: array` marks a struct
that is an array in JSON (a point), `json: text` a column that holds JSON text (values of any shape). Every
topic ends in a column `extra`: what a record has beyond the columns, as JSON text, so that nothing is lost.
A reader therefore needs nothing but the bytes. The price is that the schema travels with every record: a stream
of short tracklets is several times larger than as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType
from typing import Any, TypeAlias

import pyarrow as pa

from mtmct.records import DEADLETTER, EVENTS, IDENTITIES, TRACKS

_EXTRA = "extra"
_ARRAY = {"json": "array"}
_TEXT = {"json": "text"}

Kind: TypeAlias = "pa.DataType | pa.Field"


def _field(name: str, kind: Kind) -> pa.Field:
    return kind.with_name(name) if isinstance(kind, pa.Field) else pa.field(name, kind, nullable=False)


def _optional(kind: pa.DataType) -> pa.Field:
    return pa.field("", kind)


def _struct(**kinds: Kind) -> pa.DataType:
    return pa.struct([_field(name, kind) for name, kind in kinds.items()])


def _list(kind: Kind) -> pa.DataType:
    return pa.list_(_field("item", kind))


def _arrays(**kinds: Kind) -> pa.DataType:
    return _list(pa.field("", _struct(**kinds), nullable=False, metadata=_ARRAY))


def _topic(kinds: Mapping[str, Kind]) -> pa.Schema:
    extra = pa.field(_EXTRA, pa.string(), metadata=_TEXT)
    return pa.schema([*(_field(name, kind) for name, kind in kinds.items()), extra])


_text, _int, _float, _flag = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_terms = pa.map_(_text, pa.field("value", _float, nullable=False))
_point = {"t": _int, "x1": _float, "y1": _float, "x2": _float, "y2": _float, "score": _float}
_link = _struct(
    previous=_optional(_struct(camera=_text, track=_int)),
    score=_float,
    terms=_terms,
    runner_up=_optional(_struct(identity=_text, score=_float)),
)

_SCHEMAS = MappingProxyType(
    {
        TRACKS: _topic(
            {
                "schema": _text,
                "site": _text,
                "camera": _text,
                "track": _int,
                "class": _text,
                "identity": _text,
                "number": _int,
                "revision": _int,
                "start": _int,
                "end": _int,
                "frames": _list(_int),
                "points": _arrays(**_point, X=_optional(_float), Y=_optional(_float)),
                "link": _optional(_link),
                "ended": _flag,
            }
        ),
        IDENTITIES: _topic(
            {
                "schema": _text,
                "site": _text,
                "identity": _text,
                "number": _int,
                "revision": _int,
                "event": _text,
                "class": _text,
                "time": _int,
                "cameras": _list(_text),
                "tracks": _arrays(camera=_text, track=_int),
                "into": _optional(_text),
                "evidence": _optional(_struct(score=_float, terms=_terms)),
            }
        ),
        EVENTS: _topic({"schema": _text, "site": _text, "camera": _text, "type": _text, "time": _int}),
        DEADLETTER: _topic(
            {
                "schema": _text,
                "site": _text,
                "camera": _text,
                "time": _int,
                "reason": _text,
                "detail": _text,
                "payload": pa.field("", _text, nullable=False, metadata=_TEXT),
            }
        ),
    }
)


def arrow_schema(topic: str) -> pa.Schema:
    """The Arrow schema of `topic`, in the version that is written.

    Raises:
        KeyError: there is no such topic.
    """
    return _SCHEMAS[topic]


def to_stream(topic: str, value: Mapping[str, Any]) -> bytes:
    """One record as an Arrow IPC stream of one batch of one row: same value, same bytes.

    Raises:
        KeyError: there is no such topic, or a field is missing.
        ValueError, TypeError, OverflowError: a field does not hold what the schema says, or a float is not finite.
    """
    schema = _SCHEMAS[topic]
    row = {name: value[name] for name in schema.names if name != _EXTRA}
    row[_EXTRA] = {name: field for name, field in value.items() if name not in row} or None
    batch = pa.record_batch([_column(field, row[field.name]) for field in schema], schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def from_stream(data: bytes) -> dict[str, Any]:
    """What `to_stream` wrote, by this version or another.

    Raises:
        pa.ArrowException, OSError, ValueError, StopIteration: damaged, or something else than one record.
    """
    with pa.ipc.open_stream(data) as reader:
        batch = reader.read_next_batch()
    if batch.num_rows != 1:
        raise ValueError(f"{batch.num_rows} rows where one is expected")
    batch.validate(full=True)
    value = {field.name: _plain(field, column) for field, column in zip(batch.schema, batch.columns, strict=True)}
    return value | (value.pop(_EXTRA, None) or {})


def _marked(field: pa.Field, mark: Mapping[str, str]) -> bool:
    return (field.metadata or {}).get(b"json") == mark["json"].encode()


def _is_table(field: pa.Field) -> bool:
    """Whether a column is an array of arrays in JSON, such as points."""
    return pa.types.is_list(field.type) and _marked(field.type.value_field, _ARRAY)


def _column(field: pa.Field, value: Any) -> pa.Array:
    if _marked(field, _TEXT):
        text = None if value is None and field.nullable else json.dumps(value, ensure_ascii=False, allow_nan=False)
        return pa.array([text], field.type)
    if _is_table(field):
        # Column by column: several times faster than a list of dicts, and points are most of what is written.
        row = field.type.value_type
        columns = list(zip(*value, strict=True)) or [()] * row.num_fields
        if len(columns) != row.num_fields:
            raise ValueError(f"{len(columns)} numbers in a row of '{field.name}' where {row.num_fields} are expected")
        arrays = [pa.array(_finite(column), part.type) for column, part in zip(columns, row, strict=True)]
        rows = pa.StructArray.from_arrays(arrays, fields=list(row))
        return pa.ListArray.from_arrays(pa.array([0, len(rows)], pa.int32()), rows, type=field.type)
    return pa.array([_finite(value)], field.type)


def _finite(value: Any) -> Any:
    """The value itself, once every float in it is known to be a number."""
    if isinstance(value, float):
        if not isfinite(value):
            raise ValueError(f"a number is {value}")
    elif isinstance(value, Mapping):
        _finite(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            _finite(item)
    return value


def _plain(field: pa.Field, column: pa.Array) -> Any:
    if _is_table(field):
        return [list(row) for row in zip(*(part.to_pylist() for part in column.flatten().flatten()), strict=True)]
    value = column.to_pylist(maps_as_pydicts="strict")[0]
    return json.loads(value) if value is not None and _marked(field, _TEXT) else value
