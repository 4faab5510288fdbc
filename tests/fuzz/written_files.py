"""Files that others wrote: sites, detections, weights. Inputs of which most are nearly right, and what reads them."""

from __future__ import annotations

import io
import json
import pickle
import pickletools
import tempfile
from collections.abc import Callable, Sequence
from contextlib import chdir
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st
from mutations import mutated, spliced
from ruamel.yaml import YAML

from operators.records import Frame
from pipeline.config_file import parse
from pipeline.sources.base import End
from pipeline.sources.factory import open_source

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
# Of a file so many items are read: one whose frames lie far apart is filled up with empty ones.
_ITEMS = 300


# --- a site's file --------------------------------------------------------------------------------------------------


def _as_yaml(document: Any) -> str:
    out = io.StringIO()
    YAML(typ="safe").dump(document, out)
    return out.getvalue()


def configs() -> st.SearchStrategy[str]:
    texts = [(CONFIGS / name).read_text() for name in ("site.yaml", "two-files.yaml", "demo.yaml")]
    texts = [text.replace("${NORTH_PASSWORD}", "a").replace("${KAFKA_PASSWORD}", "b") for text in texts]
    documents = [YAML(typ="safe").load(text) for text in texts]
    tokens = [b"&a ", b"*a", b"<<: *a", b"!!python/name:os.system ", b"{", b"[", b"- ", b": ", b"\t", b"? ", b"${X}",
              b"\n---\n", b"%YAML 9.9\n", b"!!binary ", b"!!set ", b"1e400", b".nan", b"2001-01-01"]  # fmt: skip
    return st.one_of(
        mutated(documents).map(_as_yaml),
        spliced([text.encode() for text in texts], tokens).map(lambda data: data.decode(errors="replace")),
    )


def take_config(text: str) -> None:
    parse(text, Path("site.yaml"))


# --- files of detections --------------------------------------------------------------------------------------------

_ROWS: list[dict[str, Any]] = [
    {"time": 0.1 * n, "frame": n, "id": n % 3, "box": [10.0 * n, 20, 10.0 * n + 30, 90], "score": 0.9, "cls": "person",
     "embedding": [0.1, 0.2, 0.3, float(n)]}
    for n in range(1, 8)
]  # fmt: skip


def detections_of(name: str) -> Callable[[bytes], None]:
    def take(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / name).write_bytes(data)

            def opened() -> Any:
                return open_source("cam", f"detections:{name}", base=Path(folder), fps=10.0, crop=(0, 0, 200, 200))

            source = opened()
            source.check()
            source.open(None)
            middle = None
            for number, item in enumerate(islice(iter(source.read, None), _ITEMS)):
                if isinstance(item, Frame) and item.given is not None:
                    assert np.isfinite(item.given.boxes).all() and np.isfinite(item.given.scores).all()
                if number == 2:
                    middle = source.position()
                if isinstance(item, End):
                    break
            for rejected in source.take_rejected():
                json.dumps([rejected.reason, str(rejected)])
            source.close()
            again = opened()
            again.open(middle)
            again.read()
            again.close()

    return take


def json_lines() -> st.SearchStrategy[bytes]:
    def lines(rows: Sequence[Any]) -> bytes:
        return b"\n".join(json.dumps(row).encode() for row in rows)

    tokens = [b"null", b"NaN", b"-Infinity", b"1e999", b"[" * 3000, b'{"a":' * 3000, b"\\u0000", b"\\ud800", b"\r",
              b"9" * 5000, b'"2026-05-01T08:00:00"', b"-1", b",", b"\xff"]  # fmt: skip
    return st.one_of(mutated([_ROWS]).map(lines), spliced([lines(_ROWS)], tokens))


def mot_text() -> st.SearchStrategy[bytes]:
    right = b"".join(b"%d,%d,%d,20,30,70,0.9,1,1\n" % (n, n % 3, 10 * n) for n in range(1, 8))
    tokens = [
        b"nan",
        b"inf",
        b"1e999",
        b"-1",
        b"\t",
        b" ",
        b";",
        b"\n",
        b"99999999",
        b"9" * 400,
        b"0x1",
        b"1_0",
        b"\x00",
    ]
    numbers = st.one_of(st.floats().map(str), st.integers().map(str), st.sampled_from(["", "nan", "-1", "1e30"]))
    rows = st.lists(st.lists(numbers, max_size=10).map(",".join), max_size=8).map(lambda rows: "\n".join(rows).encode())
    return st.one_of(spliced([right, right.replace(b",", b" ")], tokens), rows)


def _as_parquet(rows: Sequence[Any]) -> bytes:
    out = io.BytesIO()
    columns: dict[str, list[Any]] = {}
    for name in sorted({str(name) for row in rows if isinstance(row, dict) for name in row}):
        columns[name] = [row.get(name) if isinstance(row, dict) else None for row in rows]
    arrays = {}
    for name, values in columns.items():
        try:
            arrays[name] = pa.array(values)
            pq.write_table(pa.table({"": arrays[name]}), io.BytesIO())
        except (pa.ArrowException, OverflowError, UnicodeError):
            arrays[name] = pa.array([str(value).encode(errors="replace") for value in values])
    pq.write_table(pa.table(arrays), out)
    return out.getvalue()


def parquet() -> st.SearchStrategy[bytes]:
    kinds = st.sampled_from([pa.float64(), pa.int8(), pa.string(), pa.timestamp("s"), pa.bool_(), pa.list_(pa.int64())])

    @st.composite
    def columns(draw: st.DrawFn) -> bytes:
        table = pa.Table.from_pylist(_ROWS)
        name = draw(st.sampled_from(table.column_names))
        kind = draw(kinds)
        size = draw(st.integers(0, len(table)))
        column = pa.nulls(len(table), kind) if draw(st.booleans()) else pa.array([None] * size + [], kind)
        made = {n: table[n].slice(0, len(column)) for n in table.column_names} | {name: column}
        out = io.BytesIO()
        pq.write_table(pa.table(made), out)
        return out.getvalue()

    return st.one_of(
        mutated([_ROWS]).map(lambda rows: _as_parquet(rows if isinstance(rows, list) else [])),
        columns(),
        spliced([_as_parquet(_ROWS)], [b"PAR1", b"\x00" * 8, b"\xff" * 4, b"\x15\x80"]),
    )


# --- weights, which are a pickle -----------------------------------------------------------------------------------


def weights() -> st.SearchStrategy[bytes]:
    state = {"fc.weight": np.ones((3, 2), np.float32), "fc.bias": ("fc_0.b_0", np.zeros(2)), "epoch": np.float64(3)}
    whole = [pickle.dumps(state, protocol) for protocol in (2, 4)]
    tokens = [
        b"cos\nsystem\n(S'touch ran'\ntR0", b"c__builtin__\neval\n(S'open(\"ran\",\"w\")'\n}tR0", b"c__main__\nx\n",
        b"cnumpy\ndtype\n(S'O'\ntR0", b"Pid\n", b"h\x01", b"\x81", b"\x93", b"R", b"b", b"}", b"]", b"(", b"t", b"0",
    ]  # fmt: skip

    @st.composite
    def between_operations(draw: st.DrawFn) -> bytes:
        data = draw(st.sampled_from(whole))
        places = [place for _, _, place in pickletools.genops(data) if place is not None][1:]
        for place in sorted(draw(st.sets(st.sampled_from(places), min_size=1, max_size=3)), reverse=True):
            data = data[:place] + draw(st.sampled_from(tokens)) + data[place:]
        return data

    return st.one_of(between_operations(), spliced(whole, tokens))


def take_weights(data: bytes) -> None:
    from operators.networks.weights import read_state

    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        Path("w.pdparams").write_bytes(data)
        try:
            read_state(Path("w.pdparams"))
        finally:
            assert not Path("ran").exists(), "what the file says was run"
