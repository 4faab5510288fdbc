"""What a ledger holds, as others may have left it. Inputs of which most are nearly right, and what reads them."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from mutations import junk, mutated, spliced

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pipeline"))

import two_people

from operators.records import CrosscamError, pack, unpack
from pipeline.assembly import build_opening, build_parts, build_shard
from pipeline.commit_order import CommitOrder
from pipeline.config import Site
from pipeline.config_file import parse
from pipeline.fusion_service import FusionService
from pipeline.lane import Resume
from pipeline.ledger.base import FencedError
from pipeline.ledger.kafka.fetching import output_headers
from pipeline.ledger.kafka.reader import KafkaReader, Position
from pipeline.ledger.kafka.state import StateTable, changes
from pipeline.reader import Failed
from pipeline.schema.codec import decode, open_codec
from pipeline.testing import LocalFusion, LocalLink, MemoryLedger, MemoryWriter

# --- records in Kafka -----------------------------------------------------------------------------------------------


@cache
def _ledger() -> MemoryLedger:
    """Of a site that has run for ten seconds, in memory."""
    ledger = MemoryLedger()
    two_people.write(MemoryWriter(ledger), seconds=10, end=False, engine=two_people.counting())
    return ledger


def records() -> st.SearchStrategy[Any]:
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


def take_record(given: tuple[str, Any, Any, Any]) -> None:
    topic, key, value, headers = given
    reader = KafkaReader("plaza", {"bootstrap_servers": "127.0.0.1:1"})
    record = SimpleNamespace(
        topic=f"plaza.{topic}", partition=0, offset=7, key=key, value=value, headers=headers, timestamp=0
    )
    stored = reader._store(topic, record, Position({0: 8}, 3))
    assert isinstance(stored.value, dict)
    assert decode(topic, stored.raw) == stored.value
    json.dumps(stored.value)


def positions() -> st.SearchStrategy[str]:
    right = [{"offsets": {"0": 4, "1": 7}, "last": 11}]
    return st.one_of(mutated(right).map(json.dumps), spliced([json.dumps(right[0]).encode()]).map(_text), st.text())


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def state_records() -> st.SearchStrategy[Any]:
    """What a partition of the state topic may hold, with the headers that say how many parts a value has."""
    right = [list(change) for change in changes({"fusion/a": b"x" * 600_000, "site": b"y"}, {})]
    right.append([b"\0stamp", b'{"epoch":1,"commit":2,"written":{"tracks":3}}', []])
    values = st.one_of(
        st.none(), st.binary(max_size=8), st.just(b"\0stamp"), st.just([("parts", b"3")]), st.just([("parts", b"-1")]),
        st.just([("parts", b"9" * 30)]), st.just([("parts", None)]), st.just(b'{"epoch":"1"}'), st.just(b"[]"),
        st.just(b'{"epoch":1,"commit":null,"written":7}'),
    )  # fmt: skip
    return mutated([right], values)


def take_state_records(records: Any) -> None:
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


def states() -> st.SearchStrategy[dict[str, bytes]]:
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


def take_state(state: dict[str, bytes]) -> None:
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
