"""Records as bytes and back."""

from __future__ import annotations

import json
import math
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtmct.records import DEADLETTER, EVENTS, IDENTITIES, TOPICS, TRACKS, Record
from pipeline.ledger.base import CorruptError, Encoded
from pipeline.schema import CodecError, arrow_schema, decode, json_schema, open_codec

FORMATS = ["json", "arrow"]

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
whole = st.integers(-(2**62), 2**62)
number = st.floats(-1e9, 1e9).map(lambda value: round(value, 3))
json_value = st.recursive(
    st.none() | st.booleans() | whole | number | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
terms = st.dictionaries(text, number, max_size=4)
count = st.integers(0, 2**40)
point = st.tuples(whole, number, number, number, number, number, st.none() | number, st.none() | number).map(list)
link = st.fixed_dictionaries(
    {
        "previous": st.none() | st.fixed_dictionaries({"camera": text, "track": whole}),
        "score": number,
        "terms": terms,
        "runner_up": st.none() | st.fixed_dictionaries({"identity": text, "score": number}),
    }
)


def topic_values(topic: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    fields = {"schema": st.just(f"crosscam.{topic}/1"), "site": text, **fields}
    unknown = st.dictionaries(st.text("αβγ", min_size=1, max_size=3), json_value, max_size=2)
    return st.builds(
        lambda known, extra: (topic, {name: known[name] for name in fields} | extra),
        st.fixed_dictionaries(fields),
        unknown,
    )


known_values = st.one_of(
    topic_values(
        TRACKS,
        camera=text,
        track=whole,
        **{"class": text},
        identity=text,
        number=count,
        revision=count,
        start=whole,
        end=whole,
        frames=st.lists(count, max_size=4),
        points=st.lists(point, max_size=4),
        link=st.none() | link,
        ended=st.booleans(),
    ),
    topic_values(
        IDENTITIES,
        identity=text,
        number=count,
        revision=count,
        event=st.sampled_from(["created", "merged", "split", "retracted", "closed"]),
        **{"class": text},
        time=whole,
        cameras=st.lists(text, max_size=3),
        tracks=st.lists(st.tuples(text, whole).map(list), max_size=3),
        into=text,
        evidence=st.none() | st.fixed_dictionaries({"score": number, "terms": terms}),
    ),
    topic_values(EVENTS, camera=text, type=text.filter(lambda name: name != "source"), time=whole),
    topic_values(
        EVENTS,
        camera=text,
        type=st.just("source"),
        time=whole,
        state=st.sampled_from(["started", "lost", "restored", "ended", "failed"]),
        detail=st.none() | text,
    ),
    topic_values(DEADLETTER, camera=text, time=whole, reason=text, detail=text, payload=json_value),
)


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None)
@given(topic_value=known_values)
def test_a_record_comes_back_as_it_was(name: str, topic_value: tuple[str, dict[str, Any]]):
    topic, value = topic_value
    codec = open_codec(name)
    encoded = codec.encode(Record(topic, "key", value, 7))
    assert (encoded.topic, encoded.key, encoded.time_ns) == (topic, "key", 7)
    assert decode(topic, encoded.value) == value
    assert list(decode(topic, encoded.value)) == list(value), "fields keep their order"
    assert codec.encode(Record(topic, "key", codec.decode(topic, encoded.value), 7)) == encoded
    jsonschema.Draft202012Validator(json_schema(topic)).validate(value)


def event(**fields: Any) -> Record:
    common = {"schema": "crosscam.events/1", "site": "plaza", "camera": "north", "type": "door", "time": 1}
    return Record(EVENTS, "north", common | fields, 1000)


def test_json_is_compact_utf8_in_the_order_given():
    assert open_codec().encode(event(who="Zoë")) == Encoded(
        EVENTS,
        "north",
        '{"schema":"crosscam.events/1","site":"plaza","camera":"north","type":"door","time":1,"who":"Zoë"}'.encode(),
        1000,
    )


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, {"deep": [-math.inf]}, {1, 2}, "\ud800"],
    ids=["nan", "inf", "deep", "set", "surrogate"],
)
def test_what_json_cannot_say_is_refused_naming_the_record(name: str, value: Any):
    with pytest.raises(CodecError, match="record of 'north' on events"):
        open_codec(name).encode(event(value=value))


def tracklet(**changes: Any) -> Record:
    value = {
        "schema": "crosscam.tracks/1",
        "site": "plaza",
        "camera": "north",
        "track": 1,
        "class": "person",
        "identity": "plaza-000001",
        "number": 1,
        "revision": 1,
        "start": 0,
        "end": 0,
        "frames": [1],
        "points": [[0, 1.0, 2.0, 3.0, 4.0, 0.5, None, None]],
        "link": None,
        "ended": False,
    }
    return Record(TRACKS, "plaza-000001", {name: field for name, field in (value | changes).items() if field != ...}, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"link": ...},
        {"track": "one"},
        {"track": 2**70},
        {"points": [[0, 1.0]]},
        {"points": [[0, 1.0, 2.0, 3.0, 4.0, 0.5, None, math.nan]]},
        {"points": 3},
        {"link": {"previous": None, "score": 1.0, "terms": {"travel": math.nan}, "runner_up": None}},
    ],
    ids=[
        "missing",
        "text for a number",
        "too large",
        "short point",
        "nan in a point",
        "no list",
        "nan in the evidence",
    ],
)
def test_arrow_refuses_what_the_schema_does_not_allow(changes: dict[str, Any]):
    with pytest.raises(CodecError, match="plaza-000001"):
        open_codec("arrow").encode(tracklet(**changes))


LINK = {"previous": None, "score": 1.5, "terms": {"travel": 0.25}, "runner_up": {"identity": "x", "score": -0.0001}}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"link": LINK},
        {"camera": "null island"},
        {"points": [[1, 0.01, -2.5, 1e3, 123456.78, 0.0001, 1.001, None], [2, 0.0, 1.0, 2.0, 3.0, 1.0, -0.0, 7.25]]},
        {"attributes": {"bag": {"none": 0.5}}, "provisional": True},
        {"points": 3},
        {"track": 2**70},
    ],
    ids=["usual", "linked", "null in a name", "numbers", "attributes", "no list", "large"],
)
def test_a_tracklet_has_the_bytes_of_the_standard_library(changes: dict[str, Any]):
    record = tracklet(**changes)
    expected = json.dumps(record.value, ensure_ascii=False, separators=(",", ":")).encode()
    assert open_codec().encode(record).value == expected


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "where", ["point", "place", "link", "attributes", "named null"], ids=lambda where: where.replace(" ", "_")
)
def test_no_tracklet_hides_what_is_no_number_behind_a_null(number: float, where: str):
    changes: dict[str, Any] = {
        "point": {"points": [[0, number, 2.0, 3.0, 4.0, 0.5, None, None]]},
        "place": {"points": [[0, 1.0, 2.0, 3.0, 4.0, 0.5, number, None]]},
        "link": {"link": {**LINK, "score": number}},
        "attributes": {"attributes": {"bag": {"none": number}}},
        "named null": {"camera": "null", "start": number},
    }[where]
    with pytest.raises(CodecError, match="plaza-000001"):
        open_codec().encode(tracklet(**changes))


def test_arrow_refuses_a_topic_it_has_no_schema_for():
    with pytest.raises(CodecError, match="weather"):
        open_codec("arrow").encode(Record("weather", "north", {}, 0))


def arrow_bytes() -> bytes:
    return open_codec("arrow").encode(tracklet()).value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"[1]",
        b'{"a":NaN}',
        b'{"a":1',
        b"\xff\xfe",
        b"\xff\xff\xff\xff",
        arrow_bytes()[:40],
        arrow_bytes()[:-700],
        arrow_bytes()[:600] + bytes(300) + arrow_bytes()[900:],
    ],
    ids=[
        "empty",
        "text",
        "a list",
        "nan",
        "cut short",
        "not UTF-8",
        "mark only",
        "no schema",
        "no batch",
        "overwritten",
    ],
)
def test_damaged_bytes_are_reported_as_damage(data: bytes):
    with pytest.raises(CorruptError, match="a record of tracks"):
        decode(TRACKS, data)


@pytest.mark.parametrize("name", FORMATS)
def test_a_newer_version_is_not_guessed_at(name: str):
    data = open_codec(name).encode(tracklet(schema="crosscam.tracks/2")).value
    with pytest.raises(CorruptError, match=r"says it is .crosscam.tracks/2."):
        decode(TRACKS, data)


def test_an_unknown_format_is_refused_naming_those_there_are():
    with pytest.raises(CodecError, match="json or arrow"):
        open_codec("avro")


@pytest.mark.parametrize("topic", TOPICS)
def test_both_schemas_of_a_topic_have_the_same_fields(topic: str):
    # Fields that came later are optional, and travel in Arrow's column `extra`.
    columns = [column for column in arrow_schema(topic).names if column != "extra"]
    required = json_schema(topic)["required"]
    assert columns == required == [name for name in json_schema(topic)["properties"] if name in required]
    jsonschema.Draft202012Validator.check_schema(json_schema(topic))


def test_arrow_columns_can_be_read_without_crosscam():
    pa = pytest.importorskip("pyarrow")
    table = pa.ipc.open_stream(arrow_bytes()).read_all()
    assert table.column("points").combine_chunks().flatten().field("x2").to_pylist() == [3.0]
    assert json.loads(json.dumps(table.column("identity").to_pylist())) == ["plaza-000001"]
