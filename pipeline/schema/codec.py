"""Records as bytes and back: JSON by default, Arrow IPC as an option. Readers tell them apart by the bytes.

Both are lossless and canonical: the same value always gives the same bytes, so that a replay can be compared
byte by byte with what it repeats.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa

from mtmct.records import TRACKS, Record
from operators.records import CrosscamError
from pipeline.ledger.base import CorruptError, Encoded
from pipeline.schema.arrow import from_stream, to_stream

VERSION = 1

_NO_OTHER_TYPES = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
_ARROW_STREAM = b"\xff\xff\xff\xff"  # every message of an Arrow IPC stream begins so; UTF-8 text never does


class CodecError(CrosscamError):
    """A record cannot be written, or no such format exists."""


@dataclass(frozen=True, slots=True)
class Codec:
    """Writes records in one format; reads every format. See `open_codec`."""

    name: str
    _write: Callable[[str, Mapping[str, Any]], bytes]

    def encode(self, record: Record) -> Encoded:
        """The record with its value as bytes.

        Raises:
            CodecError: the value holds what the format cannot: a NaN or an infinity, something that is not a
                JSON type, or (Arrow) a field that is missing or of another type than the topic's schema says.
        """
        try:
            data = self._write(record.topic, record.value)
        except KeyError as error:
            raise CodecError(f"{_describe(record)} cannot be written as {self.name}: there is no {error}") from error
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise CodecError(f"{_describe(record)} cannot be written as {self.name}: {error}") from error
        return Encoded(record.topic, record.key, data, record.time_ns)

    def decode(self, topic: str, data: bytes) -> dict[str, Any]:
        """See the function `decode`."""
        return decode(topic, data)


def open_codec(name: str = "json") -> Codec:
    """The codec of that name: json or arrow.

    Raises:
        CodecError: there is no such format.
    """
    match name:
        case "json":
            return Codec(name, _to_json)
        case "arrow":
            return Codec(name, to_stream)
        case _:
            raise CodecError(f"there is no record format '{name}': choose json or arrow")


def decode(topic: str, data: bytes) -> dict[str, Any]:
    """The value of a record of `topic`, whichever format it was written in.

    Raises:
        CorruptError: the bytes are damaged, or of a version of the schema that this build does not know.
    """
    try:
        value = from_stream(data) if data.startswith(_ARROW_STREAM) else _from_json(data)
    except (ValueError, TypeError, KeyError, OSError, StopIteration, RecursionError, pa.ArrowException) as error:
        raise CorruptError(
            f"a record of {topic} can be read neither as JSON nor as Arrow ({error}): the ledger is damaged, "
            "or something else writes to this topic"
        ) from error
    schema = value.get("schema", "")
    if schema != f"crosscam.{topic}/{VERSION}" and str(schema).startswith("crosscam."):
        raise CorruptError(
            f"a record of {topic} says it is '{schema}', this version reads crosscam.{topic}/{VERSION}: "
            "update crosscam, or look for another writer"
        )
    return value


def _describe(record: Record) -> str:
    return f"the record of '{record.key}' on {record.topic}"


def _to_json(topic: str, value: Mapping[str, Any]) -> bytes:
    plain = _tracks_to_json(value) if topic == TRACKS else None
    return (
        json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        if plain is None
        else plain
    )


def _tracks_to_json(value: Mapping[str, Any]) -> bytes | None:
    """A tracklet, of which a large site writes ten thousand a second; None where that takes more than numbers and text.

    In a third of the standard library's time, to the same bytes. But what is no finite number would become null, too:
    so nulls are counted, and where there are others than should be, the standard library has the word.
    """
    try:
        data = orjson.dumps(value, option=_NO_OTHER_TYPES)
        nulls = sum(one is None for one in value.values()) + sum(point.count(None) for point in value["points"])
    except (orjson.JSONEncodeError, KeyError, TypeError, AttributeError):
        return None
    return data if data.count(b"null") == nulls else None


def _from_json(data: bytes) -> dict[str, Any]:
    value = orjson.loads(data)
    if not isinstance(value, dict):
        raise ValueError(f"a {type(value).__name__} where an object is expected")
    return value
