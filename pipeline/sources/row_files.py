"""Rows of JSONL and Parquet files, one after the other, from any place in the file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.sources.boxes import RowError

FIELDS = ("time", "frame", "id", "box", "score", "cls", "embedding")
_ROWS_AT_ONCE = 1024
# What Arrow says of a damaged file; names and texts in it may be no UTF-8, which it finds out late.
_UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError)


class Instant(int):
    """Nanoseconds since 1970, UTC, where a file has real timestamps instead of numbers or text."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it stands in the file.

    Attributes:
        place: where it begins; `rows` goes on from there.
        after: where the next one begins.
        number: counted from 1.
        fields: by name; the problem where there are none.
        text: the row for people, made when asked for.
    """

    place: int
    after: int
    number: int
    fields: dict[str, Any] | RowError
    text: Callable[[], str]


class RowReader(Protocol):
    """A file of rows."""

    def rows(self, place: int = 0, number: int = 1) -> Iterator[Row]:
        """The rows from `place` on, of which the first is the file's `number`-th.

        Raises:
            RowError: the file cannot be read on.
        """
        ...


class JsonLines:
    """One JSON object a line, encoded as UTF-8. A place is a byte offset."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, place: int = 0, number: int = 1) -> Iterator[Row]:
        """See `RowReader.rows`. Blank lines count, but are no rows."""
        try:
            with self._path.open("rb") as file:
                file.seek(place)
                for line in file:
                    after = place + len(line)
                    if line.strip():
                        yield Row(place, after, number, _parsed(line), partial(_as_line, line))
                    place = after
                    number += 1
        except OSError as error:
            raise RowError("unreadable", f"the file cannot be read on ({error.strerror})") from None


def _parsed(line: bytes) -> dict[str, Any] | RowError:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        return RowError("malformed", f"it is not JSON ({error})")
    return fields if isinstance(fields, dict) else RowError("malformed", "it is not a JSON object")


def _as_line(line: bytes) -> str:
    return line.decode(errors="replace").strip()


class ParquetRows:
    """A Parquet file; no more than one row group's share of it is in memory. A place is a row, from 0.

    Raises:
        RowError: this is no Parquet file.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = pq.ParquetFile(path)
            names = self._file.schema_arrow.names
        except _UNREADABLE as error:
            raise RowError("unreadable", f"this is no Parquet file that can be read ({error})") from None
        if "box" not in names:
            raise RowError("unreadable", "there is no column `box` in it")
        self._columns = [name for name in names if name in FIELDS]

    def rows(self, place: int = 0, number: int = 1) -> Iterator[Row]:
        """See `RowReader.rows`."""
        sizes = [self._file.metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)]
        starts = list(accumulate(sizes, initial=0))
        groups = [i for i in range(len(sizes)) if starts[i + 1] > place]
        if not groups:
            return
        at = starts[groups[0]]
        try:
            for batch in self._file.iter_batches(_ROWS_AT_ONCE, row_groups=groups, columns=self._columns):
                if at + len(batch) > place:
                    skipped = max(0, place - at)
                    yield from self._of_batch(batch.slice(skipped), at + skipped)
                at += len(batch)
        except _UNREADABLE as error:
            raise RowError("unreadable", f"the file cannot be read on ({error})") from None

    def _of_batch(self, batch: pa.RecordBatch, place: int) -> Iterator[Row]:
        columns = {name: _values(name, batch.column(name)) for name in self._columns}
        for i in range(len(batch)):
            fields = {name: values[i] for name, values in columns.items()}
            yield Row(place + i, place + i + 1, place + i + 1, fields, partial(_as_json, fields))


def _values(name: str, column: pa.Array) -> list[Any]:
    """A column as Python values; embeddings stay arrays, which is much faster than lists."""
    kind = column.type
    if name == "time" and pa.types.is_timestamp(kind):
        # With a time zone or without: Arrow counts from 1970, UTC.
        counted = pc.cast(column, pa.timestamp("ns", kind.tz)).cast("int64")
        return [None if value is None else Instant(value) for value in counted.to_pylist()]
    if name == "embedding" and _is_vector(kind) and pa.types.is_floating(kind.value_type):
        return [value.values.to_numpy(zero_copy_only=False) if value.is_valid else None for value in column]
    values: list[Any] = column.to_pylist()
    return values


def _is_vector(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _as_json(fields: dict[str, Any]) -> str:
    plain = {name: value.tolist() if hasattr(value, "tolist") else value for name, value in fields.items()}
    return json.dumps(plain, default=str)
