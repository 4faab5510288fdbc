"""What was once published stays readable, and keeps its fields.

`golden/` holds records of version 1 as they were written, and for each topic the fields that version 1 has.
These files are never regenerated: what must change becomes version 2, beside version 1. A field that is added
needs no change here; add a golden record that has it.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pytest

from mtmct.records import TOPICS, Record
from pipeline.schema import arrow_schema, decode, json_schema, open_codec

GOLDEN = Path(__file__).parent / "golden"
RECORDS = sorted({path.stem for path in GOLDEN.glob("*.v1.arrow")})


def json_fields(schema: dict[str, Any]) -> dict[str, list[str]]:
    """Each field of a JSON Schema by its path, with its types and whether it is always there."""
    fields: dict[str, list[str]] = {}

    def visit(path: str, node: dict[str, Any]) -> None:
        if "$ref" in node:
            return visit(path, schema["$defs"][node["$ref"].rpartition("/")[2]])
        types = node.get("type", "any")
        fields[path] = sorted([types] if isinstance(types, str) else types)
        for name, child in node.get("properties", {}).items():
            visit(f"{path}.{name}", child)
            if name in node.get("required", ()):
                fields[f"{path}.{name}"].append("required")
        for index, child in enumerate(node.get("prefixItems", ())):
            visit(f"{path}[{index}]", child)
        for key, mark in (("items", "[]"), ("additionalProperties", ".*")):
            if isinstance(node.get(key), dict):
                visit(path + mark, node[key])
        for rule in node.get("allOf", ()):
            for name, child in rule["then"]["properties"].items():
                if "properties" not in node or name not in node["properties"]:
                    visit(f"{path}.{name}", child)
        return None

    visit("", schema)
    return fields


def arrow_fields(schema: pa.Schema) -> dict[str, str]:
    """Each column of an Arrow schema with its type."""
    return {field.name: str(field.type) for field in schema}


def lost(published: dict[str, Any], current: dict[str, Any]) -> list[str]:
    """The fields that are no longer there, or no longer what they were."""
    return [path for path, kind in published.items() if current.get(path) != kind]


def published(topic: str) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads((GOLDEN / f"fields.{topic}.v1.json").read_text("utf-8"))
    return fields


@pytest.mark.parametrize("name", RECORDS)
def test_published_records_stay_readable_and_valid(name: str):
    topic = name.partition(".")[0]
    as_json, as_arrow = (GOLDEN / f"{name}.json").read_bytes(), (GOLDEN / f"{name}.arrow").read_bytes()
    value = decode(topic, as_json)
    assert decode(topic, as_arrow) == value == json.loads(as_json)
    jsonschema.Draft202012Validator(json_schema(topic)).validate(value)


@pytest.mark.parametrize("name", RECORDS)
def test_published_records_would_be_written_the_same_today(name: str):
    topic, as_json = name.partition(".")[0], (GOLDEN / f"{name}.json").read_bytes()
    assert open_codec("json").encode(Record(topic, "", decode(topic, as_json), 0)).value == as_json


def test_every_topic_has_published_records():
    assert {name.partition(".")[0] for name in RECORDS} == set(TOPICS)


@pytest.mark.parametrize("topic", TOPICS)
def test_no_field_of_version_1_is_removed_or_retyped(topic: str):
    assert lost(published(topic)["json"], json_fields(json_schema(topic))) == []
    assert lost(published(topic)["arrow"], arrow_fields(arrow_schema(topic))) == []


def test_the_check_above_notices_what_breaks_consumers():
    before = json_schema("tracks")

    def broken_by(change: Any) -> list[str]:
        after = copy.deepcopy(before)
        change(after)
        return lost(json_fields(before), json_fields(after))

    assert broken_by(lambda schema: schema["properties"].update(colour={"type": "string"})) == []
    assert broken_by(lambda schema: schema["properties"].pop("revision")) == [".revision"]
    assert broken_by(lambda schema: schema["required"].remove("revision")) == [".revision"]
    assert broken_by(lambda schema: schema["properties"].update(track={"type": "string"})) == [".track"]
    assert broken_by(lambda schema: schema["$defs"]["point"]["prefixItems"].pop()) == [".points[][7]"]
    assert lost({"track": "int64"}, {"track": "int32"}) == ["track"]
