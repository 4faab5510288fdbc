"""Erasing an identity in a ledger, and through a service that goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from two_people import SECOND, batches, counting, look, write

from mtmct.corrections import IdentityResolver
from mtmct.erasure import ErasureError
from mtmct.fusion import FusionEngine
from mtmct.records import EVENTS, IDENTITIES, TRACKS
from mtmct.search import search
from mtmct.topology import Topology
from pipeline.address import Place
from pipeline.commit_order import CommitOrder
from pipeline.erase import erase_identity
from pipeline.explain import explain
from pipeline.fusion_service import FusionService
from pipeline.ledger.kafka import KafkaWriter
from pipeline.ledger.sqlite import SqliteReader, SqliteWriter
from pipeline.schema.codec import open_codec
from pipeline.testing import MemoryLedger, MemoryReader, MemoryWriter


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    write(SqliteWriter(path, "plaza"))
    return path


def owners(reader: SqliteReader | MemoryReader) -> dict[tuple[str, int], str | None]:
    resolver = IdentityResolver()
    for stored in reader.read(IDENTITIES):
        resolver.apply(stored.value)
    names = []
    for stored in reader.read(TRACKS):
        resolver.published(stored.value)
        names.append((stored.value["camera"], stored.value["track"]))
    return {name: resolver.name_of(*name) for name in names}


def files(ledger: Path) -> bytes:
    """All that lies on disk: the ledger and what SQLite keeps beside it."""
    return b"".join(file.read_bytes() for file in sorted(ledger.parent.glob("ledger.sqlite*")))


def test_nothing_on_disk_holds_the_embeddings_any_more_and_consumers_drop_the_tracks(ledger: Path) -> None:
    needle = look(1).tobytes()[:64]
    kept = SqliteReader(ledger).state()
    assert search(kept, look(1), 1)[0].number == 1
    sums = {row.tobytes() for key, data in kept.items() if "closed/000001" in key for row in _arrays(data)}
    assert sums and any(each in files(ledger) for each in (*sums, needle))

    erased = erase_identity(Place(file=ledger), "plaza-000001")

    assert (erased.tracks, erased.records, erased.running, erased.left) == (2, 12, False, None)
    assert not any(each in files(ledger) for each in (*sums, needle))
    assert [found.number for found in search(SqliteReader(ledger).state(), look(1))] == [2]
    assert owners(SqliteReader(ledger)) == {
        ("east", 1): None, ("west", 1): None, ("east", 2): "plaza-000002", ("west", 2): "plaza-000002",
    }  # fmt: skip
    tombstone = [stored.value for stored in SqliteReader(ledger).read(IDENTITIES)][-1]
    assert (tombstone["event"], tombstone["identity"], tombstone["revision"]) == ("retracted", "plaza-000001", 1)


def _arrays(data: bytes) -> np.ndarray:
    from mtmct.album import unpack_closed

    return unpack_closed("", data).looks.sums


def test_twice_or_nobody_is_refused_with_a_sentence(ledger: Path) -> None:
    erase_identity(Place(file=ledger), "plaza-000001")
    before = SqliteReader(ledger).state(), SqliteReader(ledger).end(IDENTITIES)
    with pytest.raises(ErasureError, match="plaza-000001 has been retracted already"):
        erase_identity(Place(file=ledger), "plaza-000001")
    with pytest.raises(ErasureError, match="there is no plaza-000009 in this ledger"):
        erase_identity(Place(file=ledger), "plaza-000009")
    assert (SqliteReader(ledger).state(), SqliteReader(ledger).end(IDENTITIES)) == before


def test_a_site_that_has_not_ended_is_taken_over_only_if_told_so(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    write(SqliteWriter(path, "plaza"), seconds=10, end=False)
    with pytest.raises(ErasureError, match="repeat with --take-over"):
        erase_identity(Place(file=path), "plaza-000001")
    assert erase_identity(Place(file=path), "plaza-000001", take_over=True).tracks == 2
    engine = FusionEngine("plaza", Topology([]))
    engine.restore(SqliteReader(path).state())
    later = [record for watermark, made in [*batches()][10:] for record in engine.advance(made, watermark).records]
    assert {(r.value["camera"], r.value["track"]) for r in later if r.topic == TRACKS} == {("west", 2)}


def test_a_service_that_goes_on_erases_between_two_commits() -> None:
    ledger = MemoryLedger()

    async def scenario() -> None:
        service = FusionService(
            order=CommitOrder("plaza", {"east": False, "west": False}, SECOND, 10.0),
            engine=FusionEngine("plaza", Topology([])),
            ledger=MemoryWriter(ledger),
            encode=open_codec().encode,
        )
        for camera in ("east", "west"):
            await service.start_camera(camera)
        for second, (_, made) in enumerate(batches()):
            await asyncio.gather(*(service.submit(batch) for batch in made))
            if second == 9:
                commits = ledger.commits
                await service.erase(1)
                assert ledger.commits == commits + 1
                with pytest.raises(ErasureError, match="no identity number 9"):
                    await service.erase(9)
        await service.stop()

    asyncio.run(asyncio.wait_for(scenario(), 20))
    assert owners(MemoryReader(ledger)) == {
        ("east", 1): None, ("west", 1): None, ("east", 2): "plaza-000002", ("west", 2): "plaza-000002",
    }  # fmt: skip
    assert [found.number for found in search(ledger.state, look(1))] == [2]


def figures(reader: SqliteReader | MemoryReader) -> tuple[dict[int, tuple[int, int]], dict[str, tuple[int, int]]]:
    """Revision and visitors by second of the interval's start; revision and number of stays by identity."""
    values = [stored.value for stored in reader.read(EVENTS)]
    counts = [value for value in values if value["type"] == "site_counts"]
    journeys = [value for value in values if value["type"] == "journey"]
    return (
        {value["start"] // 1_000_000: (value["revision"], value["unique"]) for value in counts},
        {value["identity"]: (value["revision"], len(value["stays"])) for value in journeys},
    )


WHOLE = {0: (1, 2), 5: (1, 2), 10: (1, 2), 15: (1, 0)}
AFTER = {0: (2, 1), 5: (2, 1), 10: (2, 1), 15: (1, 0)}


def test_the_figures_of_a_site_that_has_ended_are_told_again_without_the_erased(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    write(SqliteWriter(ledger, "plaza"), engine=counting())
    assert figures(SqliteReader(ledger)) == (WHOLE, {"plaza-000001": (1, 2), "plaza-000002": (1, 2)})
    erase_identity(Place(file=ledger), "plaza-000001")
    assert figures(SqliteReader(ledger)) == (AFTER, {"plaza-000001": (2, 0), "plaza-000002": (1, 2)})
    erase_identity(Place(file=ledger), "plaza-000002")
    counts, journeys = figures(SqliteReader(ledger))
    assert counts[5] == (3, 0) and journeys["plaza-000002"] == (2, 0)


def test_a_running_site_tells_its_figures_again_without_the_erased(tmp_path: Path) -> None:
    engine, writer = counting(), MemoryWriter(ledger := MemoryLedger())
    write(writer, seconds=12, end=False, engine=engine)
    erased = engine.erase(1, 12 * SECOND)
    ledger.records += [open_codec().encode(record) for record in erased.records]
    assert figures(MemoryReader(ledger)) == ({start: AFTER[start] for start in (0, 5)}, {})


@pytest.mark.kafka
def test_an_identity_in_kafka_is_explained_and_erased(kafka_settings: dict[str, str]) -> None:
    place = Place(kafka=("plaza", kafka_settings))
    write(KafkaWriter("plaza", kafka_settings))
    reader = place.reader()
    explained = explain(reader, "plaza-000001")
    assert [(visit.camera, visit.track) for visit in explained.visits] == [("east", 1), ("west", 1)]
    assert search(reader.state(), look(1), 1)[0].number == 1
    erased = erase_identity(place, "plaza-000001")
    assert erased.tracks == 2 and erased.left is not None and "plaza.state" in erased.left
    assert "name the site by its file" in erased.left, "where its thumbnails are is not known"
    assert [found.number for found in search(place.reader().state(), look(1))] == [2]
    assert explain(place.reader(), "plaza-000001").current is None
