"""Everything that reads what others wrote: for each a strategy of inputs, and what is done with one.

Whatever the input, it is taken, or refused by an error of ours, whose sentence a user is shown. Any other exception is
a finding.
"""

from __future__ import annotations

import asyncio
import io
import json
import pickle
import pickletools
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import chdir, closing, suppress
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st
from ruamel.yaml import YAML

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "pipeline")]

import two_people  # noqa: E402
from mutations import junk, mutated, spliced  # noqa: E402

from operators.records import CrosscamError, Frame, pack, unpack  # noqa: E402
from pipeline.assembly import build_opening, build_parts, build_shard  # noqa: E402
from pipeline.commit_order import CommitOrder  # noqa: E402
from pipeline.config import Site  # noqa: E402
from pipeline.config_file import parse  # noqa: E402
from pipeline.fusion_service import FusionService  # noqa: E402
from pipeline.lane import Resume  # noqa: E402
from pipeline.ledger.base import FencedError  # noqa: E402
from pipeline.ledger.kafka.fetching import output_headers  # noqa: E402
from pipeline.ledger.kafka.reader import KafkaReader, Position  # noqa: E402
from pipeline.ledger.kafka.state import StateTable, changes  # noqa: E402
from pipeline.reader import Failed  # noqa: E402
from pipeline.schema.codec import decode, open_codec  # noqa: E402
from pipeline.sources.base import End  # noqa: E402
from pipeline.sources.factory import open_source  # noqa: E402
from pipeline.testing import LocalFusion, LocalLink, MemoryLedger, MemoryWriter  # noqa: E402

CONFIGS = HERE.parents[1] / "configs"
# Of a file so many items are read: one whose frames lie far apart is filled up with empty ones.
_ITEMS = 300


@dataclass(frozen=True, slots=True)
class Surface:
    """A place where what others wrote comes in.

    Attributes:
        inputs: of which most are nearly right.
        take: does with one what the product does; raises only what is ours.
    """

    inputs: st.SearchStrategy[Any]
    take: Callable[[Any], object]


# --- a site's file --------------------------------------------------------------------------------------------------


def _as_yaml(document: Any) -> str:
    out = io.StringIO()
    YAML(typ="safe").dump(document, out)
    return out.getvalue()


def _configs() -> st.SearchStrategy[str]:
    texts = [(CONFIGS / name).read_text() for name in ("site.yaml", "two-files.yaml", "demo.yaml")]
    texts = [text.replace("${NORTH_PASSWORD}", "a").replace("${KAFKA_PASSWORD}", "b") for text in texts]
    documents = [YAML(typ="safe").load(text) for text in texts]
    tokens = [b"&a ", b"*a", b"<<: *a", b"!!python/name:os.system ", b"{", b"[", b"- ", b": ", b"\t", b"? ", b"${X}",
              b"\n---\n", b"%YAML 9.9\n", b"!!binary ", b"!!set ", b"1e400", b".nan", b"2001-01-01"]  # fmt: skip
    return st.one_of(
        mutated(documents).map(_as_yaml),
        spliced([text.encode() for text in texts], tokens).map(lambda data: data.decode(errors="replace")),
    )


def _take_config(text: str) -> None:
    parse(text, Path("site.yaml"))


# --- files of detections --------------------------------------------------------------------------------------------

_ROWS: list[dict[str, Any]] = [
    {"time": 0.1 * n, "frame": n, "id": n % 3, "box": [10.0 * n, 20, 10.0 * n + 30, 90], "score": 0.9, "cls": "person",
     "embedding": [0.1, 0.2, 0.3, float(n)]}
    for n in range(1, 8)
]  # fmt: skip


def _detections_of(name: str) -> Callable[[bytes], None]:
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


def _json_lines() -> st.SearchStrategy[bytes]:
    def lines(rows: Sequence[Any]) -> bytes:
        return b"\n".join(json.dumps(row).encode() for row in rows)

    tokens = [b"null", b"NaN", b"-Infinity", b"1e999", b"[" * 3000, b'{"a":' * 3000, b"\\u0000", b"\\ud800", b"\r",
              b"9" * 5000, b'"2026-05-01T08:00:00"', b"-1", b",", b"\xff"]  # fmt: skip
    return st.one_of(mutated([_ROWS]).map(lines), spliced([lines(_ROWS)], tokens))


def _mot_text() -> st.SearchStrategy[bytes]:
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


def _parquet() -> st.SearchStrategy[bytes]:
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


# --- records in Kafka -----------------------------------------------------------------------------------------------


@cache
def _ledger() -> MemoryLedger:
    """Of a site that has run for ten seconds, in memory."""
    ledger = MemoryLedger()
    two_people.write(MemoryWriter(ledger), seconds=10, end=False, engine=two_people.counting())
    return ledger


def _records() -> st.SearchStrategy[Any]:
    """Topic, key, value and headers, as they come out of a partition."""
    stored = {}
    for record in _ledger().records:
        stored.setdefault(record.topic, []).append(record)
    arrow = open_codec("arrow")

    def values(topic: str) -> st.SearchStrategy[bytes | None]:
        right = [json.loads(record.value) for record in stored[topic][:5]]
        streams = [arrow.encode(SimpleNamespace(topic=topic, key="", value=value, time_ns=0)).value for value in right]
        return st.one_of(
            st.none(),
            st.sampled_from(streams),
            mutated(right).map(lambda value: json.dumps(value).encode()),
            spliced(
                [record.value for record in stored[topic][:5]] + streams, [b"NaN", b"[" * 3000, b"\xff\xff\xff\xff"]
            ),
        )

    key = st.just(b"plaza-000001")
    keys = st.one_of(key, key, key, st.none(), st.binary(max_size=12))
    odd = st.lists(
        st.tuples(st.sampled_from(["time_ns", "sequence", "x"]), st.none() | st.binary(max_size=20)), max_size=3
    )
    headers = st.one_of(odd, st.just(output_headers(10**18, 3)), st.just([]))
    topics = st.sampled_from(sorted(stored))
    return topics.flatmap(lambda topic: st.tuples(st.just(topic), keys, values(topic), headers))


def _take_record(given: tuple[str, Any, Any, Any]) -> None:
    topic, key, value, headers = given
    reader = KafkaReader("plaza", {"bootstrap_servers": "127.0.0.1:1"})
    record = SimpleNamespace(
        topic=f"plaza.{topic}", partition=0, offset=7, key=key, value=value, headers=headers, timestamp=0
    )
    stored = reader._store(topic, record, Position({0: 8}, 3))
    assert isinstance(stored.value, dict)
    assert decode(topic, stored.raw) == stored.value
    json.dumps(stored.value)


def _positions() -> st.SearchStrategy[str]:
    right = [{"offsets": {"0": 4, "1": 7}, "last": 11}]
    return st.one_of(mutated(right).map(json.dumps), spliced([json.dumps(right[0]).encode()]).map(_text), st.text())


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _state_records() -> st.SearchStrategy[Any]:
    """What a partition of the state topic may hold, with the headers that say how many parts a value has."""
    right = [list(change) for change in changes({"fusion/a": b"x" * 600_000, "site": b"y"}, {})]
    right.append([b"\0stamp", b'{"epoch":1,"commit":2,"written":{"tracks":3}}', []])
    values = st.one_of(
        st.none(), st.binary(max_size=8), st.just(b"\0stamp"), st.just([("parts", b"3")]), st.just([("parts", b"-1")]),
        st.just([("parts", b"9" * 30)]), st.just([("parts", None)]), st.just(b'{"epoch":"1"}'), st.just(b"[]"),
        st.just(b'{"epoch":1,"commit":null,"written":7}'),
    )  # fmt: skip
    return mutated([right], values)


def _take_state_records(records: Any) -> None:
    table = StateTable()
    for record in records:
        # Kafka's own types: bytes or nothing, and headers with bytes or nothing in them.
        if isinstance(record, list) and len(record) == 3 and isinstance(record[2], list):
            key, value, headers = record
            if isinstance(key, bytes | None) and isinstance(value, bytes | None):
                table.apply(key, value, [h for h in headers if isinstance(h, tuple)])
    values = table.values()
    table.part_counts()
    assert all(isinstance(value, bytes) for value in values.values())


# --- the state of a ledger ------------------------------------------------------------------------------------------

_SITE = """
site: plaza
interval: 500ms
cameras:
  - {id: east, fps: 10, source: 'simulated:people=4,seconds=6,embedding=8,cameras=1',
     lines: {door: [[0, 400], [1280, 400]]}, zones: {front: [[0, 300], [1280, 300], [1280, 720], [0, 720]]}}
"""


@cache
def _site() -> Site:
    return parse(_SITE, Path("plaza.yaml"))


def _service(ledger: MemoryLedger, before: Callable[[int], None] = lambda number: None) -> FusionService:
    parts = build_parts(_site())
    return FusionService(
        order=CommitOrder("plaza", parts.cameras, _site().interval_ns, 10.0),
        engine=parts.engine,
        ledger=MemoryWriter(ledger, before),
        encode=open_codec().encode,
    )


@cache
def _state() -> dict[str, bytes]:
    """What the ledger of a site holds that was killed half way."""
    ledger = MemoryLedger()

    def before(number: int) -> None:
        if number == 7:
            raise FencedError("it is killed here")

    with closing(LocalFusion(lambda: _service(ledger, before))) as fusion, suppress(CrosscamError):
        build_shard(_site(), ("east",), LocalLink(fusion)).run()
    assert ledger.commits == 7
    return dict(ledger.state)


def _states() -> st.SearchStrategy[dict[str, bytes]]:
    whole = _state()
    numbers = st.one_of(junk, st.just(b""), st.just(np.zeros(0)), st.just(np.full((2, 2), np.nan)), st.just([[]]))

    def packed(value: Any) -> bytes:
        try:
            return pack(value)
        except (TypeError, OverflowError, ValueError):
            return pack(None)

    def one(key: str) -> st.SearchStrategy[dict[str, bytes]]:
        spoilt = st.one_of(spliced([whole[key]]), mutated([unpack(whole[key])], numbers).map(packed), st.just(b""))
        return spoilt.map(lambda value: {**whole, key: value})

    taken_out = st.sampled_from(sorted(whole)).map(lambda gone: {key: whole[key] for key in whole if key != gone})
    return st.one_of(st.sampled_from(sorted(whole)).flatmap(one), taken_out)


def _take_state(state: dict[str, bytes]) -> None:
    """Fusion goes on from it, and a worker takes the camera up."""
    ledger = MemoryLedger()
    ledger.state = dict(state)
    link_site = _site()

    async def go_on() -> Resume:
        service = _service(ledger)
        try:
            await service.start()
            return await service.start_camera("east")
        finally:
            await service.stop()

    resume = asyncio.run(go_on())

    class Line(LocalLink):
        def __init__(self) -> None:
            pass

        def start_camera(self, camera: str) -> Resume:
            return resume

    open_member, _ = build_opening(link_site, ("east",), Line())
    news = threading.Event()
    member = open_member("east", news.set)
    if member is not None:
        assert news.wait(10), "the source says nothing"
        item = member.reader.take()
        member.reader.stop()
        if isinstance(item, Failed):
            raise CrosscamError(item.reason)


# --- weights, which are a pickle -----------------------------------------------------------------------------------


def _weights() -> st.SearchStrategy[bytes]:
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


def _take_weights(data: bytes) -> None:
    from operators.networks.weights import read_state

    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        Path("w.pdparams").write_bytes(data)
        try:
            read_state(Path("w.pdparams"))
        finally:
            assert not Path("ran").exists(), "what the file says was run"


# --- all of them ----------------------------------------------------------------------------------------------------


@cache
def surfaces() -> dict[str, Surface]:
    """By name."""
    return {
        "config": Surface(_configs(), _take_config),
        "detections-jsonl": Surface(_json_lines(), _detections_of("det.jsonl")),
        "detections-mot": Surface(_mot_text(), _detections_of("det.txt")),
        "detections-csv": Surface(_mot_text(), _detections_of("det.csv")),
        "detections-parquet": Surface(_parquet(), _detections_of("det.parquet")),
        "kafka-records": Surface(_records(), _take_record),
        "kafka-positions": Surface(_positions(), Position.parse),
        "kafka-state-topic": Surface(_state_records(), _take_state_records),
        "state": Surface(_states(), _take_state),
        "weights": Surface(_weights(), _take_weights),
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
