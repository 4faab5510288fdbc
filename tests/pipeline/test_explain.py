"""What a ledger says of an identity."""

from __future__ import annotations

import pytest
from two_people import write

from pipeline.explain import Explanation, ExplanationError, correction, evidence, explain, reason
from pipeline.testing import MemoryLedger, MemoryReader, MemoryWriter


@pytest.fixture(scope="module")
def reader() -> MemoryReader:
    ledger = MemoryLedger()
    write(MemoryWriter(ledger))
    return MemoryReader(ledger)


def person(reader: MemoryReader, number: int) -> Explanation:
    return explain(reader, f"plaza-{number:06d}")


def test_the_way_over_the_cameras_with_the_evidence_of_every_link(reader: MemoryReader) -> None:
    found = person(reader, 1)
    assert (found.current, found.cls, found.open) == ("plaza-000001", "person", False)
    assert [(visit.camera, visit.track, visit.points) for visit in found.visits] == [("east", 1, 60), ("west", 1, 60)]
    began, linked = (visit.links[0] for visit in found.visits)
    assert reason(began) == "somebody new"
    assert linked["previous"] == {"camera": "east", "track": 1}
    assert linked["runner_up"]["identity"] == "plaza-000002"
    said = reason(linked)
    assert said.startswith("linked after east/1, +") and "appearance +" in said and "next best plaza-000002 at " in said
    assert [value["event"] for value in found.said] == ["created", "closed"]


def test_who_is_not_in_the_ledger_cannot_be_explained(reader: MemoryReader) -> None:
    with pytest.raises(ExplanationError, match="there is no plaza-000009 in this ledger"):
        person(reader, 9)


def test_corrections_are_told_from_both_sides() -> None:
    value = {
        "event": "split", "identity": "p-000004", "into": "p-000007", "tracks": [["north", 3]], "revision": 2,
        "evidence": {"score": -6.0, "terms": {"ground": -6.0}}, "runner_up": {"identity": "p-000002", "score": 0.5},
    }  # fmt: skip
    why = "-6.00 (ground -6.00); next best p-000002 at +0.50"
    assert correction(value, "p-000004") == f"lost north/3 to p-000007 (revision 2 of p-000004): {why}"
    assert correction(value, "p-000007") == f"took north/3 over from p-000004 (revision 2 of p-000004): {why}"
    merged = {**value, "event": "merged"}
    assert correction(merged, "p-000004").startswith("turned out to be p-000007")
    assert correction(merged, "p-000007").startswith("p-000004 turned out to be the same")
    assert evidence(1.0, {"motion": 0.25, "appearance": 0.75}, None) == "+1.00 (appearance +0.75, motion +0.25)"
