"""What every ledger promises, asked of each of them with the same words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from operators.records import CrosscamError
from pipeline.ledger.base import Encoded, FencedError, LedgerError

COMMIT_LOOP = Path(__file__).with_name("commit_loop.py")
ROOT = Path(__file__).resolve().parents[3]

# Of conftest.py, which cannot be imported: a place to make writers and readers of, and a maker of records.
Ledger = Any
Maker = Callable[..., Encoded]


def test_an_empty_ledger_has_no_state_and_no_records(ledger: Ledger) -> None:
    writer = ledger.writer()
    assert writer.open() == {}
    reader = ledger.reader()
    assert reader.state() == {}
    assert list(reader.read("tracks")) == []
    assert reader.end("tracks") is None
    writer.close()


def test_what_was_committed_is_read_back_as_it_was_written(ledger: Ledger, record: Maker) -> None:
    writer = ledger.writer()
    writer.open()
    written = [record(0), record(1, key="Würfel"), record(2, topic="identities"), record(3)]
    writer.commit(written, {})
    read = [stored for topic in ("tracks", "identities") for stored in ledger.reader().read(topic)]
    expected = [written[0], written[1], written[3], written[2]]
    assert [(s.topic, s.key, s.raw, s.time_ns) for s in read] == [
        (e.topic, e.key, e.value, e.time_ns) for e in expected
    ]
    assert [stored.value for stored in read] == [json.loads(e.value) for e in expected]
    writer.close()


def test_opening_again_gives_the_state_of_the_last_commit(ledger: Ledger, record: Maker) -> None:
    writer = ledger.writer()
    writer.open()
    writer.commit([], {"a": b"1", "b": b"2", "empty": b""})
    writer.commit([record(0)], {"a": b"3", "b": None, "never there": None})
    writer.close()
    writer.close()
    assert ledger.reader().state() == {"a": b"3", "empty": b""}
    assert ledger.writer().open() == {"a": b"3", "empty": b""}


def test_the_same_writer_can_be_opened_again(ledger: Ledger, record: Maker) -> None:
    writer = ledger.writer()
    writer.open()
    writer.commit([record(0)], {"a": b"1"})
    assert writer.open() == {"a": b"1"}
    writer.commit([record(1)], {})
    assert ledger.values() == [0, 1]
    writer.close()


def test_a_large_state_comes_back_whole_and_shrinks_again(ledger: Ledger) -> None:
    large = os.urandom(3_000_000)
    writer = ledger.writer()
    writer.open()
    writer.commit([], {"gallery": large, "exact": b"x" * 1024 * 1024, "small": b"s"})
    writer.close()
    writer = ledger.writer()
    assert writer.open() == {"gallery": large, "exact": b"x" * 1024 * 1024, "small": b"s"}
    writer.commit([], {"gallery": large[:600_000], "exact": None})
    assert ledger.reader().state() == {"gallery": large[:600_000], "small": b"s"}
    writer.commit([], {"gallery": b"little"})
    writer.close()
    assert ledger.writer().open() == {"gallery": b"little", "small": b"s"}


def test_a_commit_that_fails_half_way_leaves_nothing(ledger: Ledger, record: Maker) -> None:
    writer = ledger.writer()
    writer.open()
    writer.commit([record(0)], {"a": b"1"})
    unwritable = replace(record(3), value=object())
    with pytest.raises((TypeError, CrosscamError)):
        writer.commit([record(1), record(2), unwritable], {"a": b"2"})
    assert ledger.values() == [0]
    assert ledger.reader().state() == {"a": b"1"}
    assert writer.open() == {"a": b"1"}
    writer.commit([record(4)], {"a": b"3"})
    assert ledger.values() == [0, 4]
    writer.close()


def test_records_keep_the_order_of_the_commits(ledger: Ledger, record: Maker) -> None:
    writer = ledger.writer()
    writer.open()
    for first in range(0, 1200, 400):
        writer.commit([record(n) for n in range(first, first + 400)], {})
    assert ledger.values() == list(range(1200))
    writer.close()


def test_every_opening_has_a_later_epoch_even_if_nothing_was_committed(ledger: Ledger) -> None:
    epochs = []
    for _ in range(3):
        writer = ledger.writer()
        writer.open()
        epochs.append(writer.epoch)
        writer.close()
    assert epochs == [1, 2, 3]


def test_a_later_writer_fences_the_earlier_one(ledger: Ledger, record: Maker) -> None:
    earlier, later = ledger.writer(), ledger.writer()
    earlier.open()
    earlier.commit([record(0)], {"owner": b"earlier"})
    assert later.open() == {"owner": b"earlier"}
    for _ in range(2):
        with pytest.raises(FencedError, match="another writer has taken over"):
            earlier.commit([record(1)], {"owner": b"earlier, again"})
    later.commit([record(2)], {"owner": b"later"})
    assert ledger.values() == [0, 2]
    assert ledger.reader().state() == {"owner": b"later"}
    earlier.close()
    later.close()


def test_a_position_resumes_exactly(ledger: Ledger, record: Maker) -> None:
    writer = ledger.writer()
    writer.open()
    for n in range(4):
        writer.commit([record(3 * n + i) for i in range(3)] + [record(n, "events", "north")], {})
    everything = list(ledger.reader().read("tracks"))
    for seen, stored in enumerate(everything, 1):
        again = list(ledger.reader().read("tracks", after=stored.position))
        assert [s.raw for s in again] == [s.raw for s in everything[seen:]]
    writer.close()


def test_reading_after_the_end_sees_later_commits_only(ledger: Ledger, record: Maker) -> None:
    writer = ledger.writer()
    writer.open()
    writer.commit([record(0), record(1)], {})
    reader = ledger.reader()
    end = reader.end("tracks")
    assert end is not None
    assert list(reader.read("tracks", after=end)) == []
    writer.commit([record(2), record(3)], {})
    assert [stored.value["n"] for stored in reader.read("tracks", after=end)] == [2, 3]
    assert reader.end("events") is None
    writer.close()
    reader.close()


def test_a_following_reader_sees_later_commits_and_stops_when_told(ledger: Ledger, record: Maker) -> None:
    writer = ledger.writer()
    writer.open()
    writer.commit([record(0)], {})
    stop = threading.Event()
    seen = []
    following = ledger.reader().read("tracks", follow=True, stop=stop.is_set)
    seen += [stored.value["n"] for stored in islice(following, 1)]
    for n in range(1, 4):
        writer.commit([record(n)], {})
        seen += [stored.value["n"] for stored in islice(following, 1)]
    stop.set()
    assert list(following) == []
    assert seen == [0, 1, 2, 3]
    writer.close()


def test_pages_are_what_read_gives_and_none_is_empty(ledger: Ledger, record: Maker) -> None:
    writer = ledger.writer()
    writer.open()
    for first in range(0, 60, 20):
        writer.commit([record(n) for n in range(first, first + 20)] + [record(first, "events", "north")], {})
    reader = ledger.reader()
    pages = list(reader.pages("tracks"))
    assert all(pages) and [stored for page in pages for stored in page] == list(reader.read("tracks"))
    rest = reader.pages("tracks", after=pages[0][4].position)
    assert [stored.value["n"] for page in rest for stored in page] == list(range(5, 60))
    assert list(reader.pages("identities")) == []
    writer.close()


def test_reading_a_ledger_that_is_not_there_says_so(ledger: Ledger) -> None:
    reader = ledger.reader()
    for ask in (reader.state, lambda: reader.end("tracks"), lambda: list(reader.read("tracks"))):
        with pytest.raises(LedgerError, match="run the site"):
            ask()


def test_unknown_topics_and_positions_are_refused(ledger: Ledger, record: Maker) -> None:
    writer = ledger.writer()
    writer.open()
    reader = ledger.reader()
    with pytest.raises(LedgerError, match="no topic 'trucks'"):
        reader.read("trucks")
    with pytest.raises(LedgerError, match="no topic 'state'"):
        reader.end("state")
    with pytest.raises(LedgerError, match="not a position"):
        list(reader.read("tracks", after="yesterday"))
    with pytest.raises(LedgerError, match="no topic 'trucks'"):
        writer.commit([record(0, topic="trucks")], {})
    writer.close()


def test_committing_before_opening_is_refused(ledger: Ledger, record: Maker) -> None:
    with pytest.raises(LedgerError, match="open"):
        ledger.writer().commit([record(0)], {})


def content(ledger: Ledger) -> tuple[dict[str, list[tuple[str, bytes, int]]], dict[str, bytes]]:
    reader = ledger.reader()
    topics = {
        topic: [(stored.key, stored.raw, stored.time_ns) for stored in reader.read(topic)]
        for topic in ("tracks", "identities", "events", "deadletter")
    }
    return topics, reader.state()


def run_loop(ledger: Ledger, commits: int, kill_after: int | None) -> None:
    """Run the loop in a process of its own; kill it (-9) once it has printed so many commits, in the next one."""
    place = str(ledger.place) if ledger.kind == "sqlite" else ledger.place
    command = [sys.executable, str(COMMIT_LOOP), ledger.kind, ledger.site, json.dumps(place), str(commits)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    with process:
        if kill_after is None:
            assert process.wait(timeout=60) == 0
            return
        for _ in range(1 + kill_after):
            assert process.stdout.readline()
        process.kill()


def test_a_writer_killed_again_and_again_leaves_the_same_bytes(
    ledger: Ledger, new_ledger: Callable[[str], Ledger]
) -> None:
    commits = 400 if ledger.kind == "sqlite" else 60
    uninterrupted = new_ledger(ledger.kind)
    run_loop(uninterrupted, commits, None)
    for kill_after in (0, 1, 7, 12):
        run_loop(ledger, commits, kill_after)
    run_loop(ledger, commits, None)
    topics, state = content(ledger)
    assert (topics, state) == content(uninterrupted)
    assert [json.loads(raw)["n"] for _, raw, _ in topics["events"]] == list(range(commits))
