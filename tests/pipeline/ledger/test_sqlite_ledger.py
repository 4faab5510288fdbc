"""What only the SQLite ledger can meet: its file, its disk, its neighbours."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path

import pytest

from pipeline.ledger.base import CorruptError, Encoded, LedgerError, UnavailableError
from pipeline.ledger.sqlite import SqliteReader, SqliteWriter

Maker = Callable[..., Encoded]

FULL_DISK = Path(__file__).with_name("full_disk.py")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the ledger of site "plaza" goes; the folder is not there yet."""
    return tmp_path / "run" / "ledger.sqlite"


def rows(file: Path) -> dict[str, list[tuple[object, ...]]]:
    database = sqlite3.connect(file)
    tables = ("records", "state")
    found = {table: database.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in tables}
    database.close()
    return found


def test_the_same_commits_make_the_same_rows_however_often_the_file_was_opened(tmp_path: Path, record: Maker) -> None:
    steady, shaken = tmp_path / "steady", tmp_path / "shaken"
    writer = SqliteWriter(steady, "plaza")
    writer.open()
    for n in range(6):
        writer.commit([record(n), record(n, "events", "north")], {"a": b"%d" % n, "b": None if n % 2 else b""})
    for n in range(6):
        writer_of_one = SqliteWriter(shaken, "plaza")
        writer_of_one.open()
        writer_of_one.commit([record(n), record(n, "events", "north")], {"a": b"%d" % n, "b": None if n % 2 else b""})
    assert rows(steady) == rows(shaken)


def test_a_page_never_holds_a_part_of_a_commit(file: Path, record: Maker) -> None:
    writer = SqliteWriter(file, "plaza")
    writer.open()
    sizes = [1 + n % 7 for n in range(150)]
    ends = set(accumulate(sizes))

    def write() -> None:
        for end, size in zip(accumulate(sizes), sizes, strict=True):
            writer.commit([record(n) for n in range(end - size, end)] + [record(end, "events", "north")], {})

    writing = threading.Thread(target=write)
    writing.start()
    seen, pages = 0, SqliteReader(file, poll_s=0.0).pages("tracks", follow=True)
    while seen < sum(sizes):
        seen += len(next(pages))
        assert seen in ends
    writing.join()
    writer.close()


def test_every_commit_is_synced_to_the_disk(file: Path) -> None:
    writer = SqliteWriter(file, "plaza")
    writer.open()
    assert writer._database is not None
    full = 2
    assert writer._database.execute("PRAGMA synchronous").fetchone() == (full,)
    assert writer._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but long enough to be read as the header of one " * 4)
    before = file.read_bytes()
    for use in (SqliteWriter(file, "plaza").open, SqliteReader(file, "plaza").state):
        with pytest.raises(CorruptError, match=r"notes\.txt is not a crosscam ledger"):
            use()
    assert file.read_bytes() == before


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "music.sqlite"
    database = sqlite3.connect(file)
    database.execute("CREATE TABLE songs (name TEXT)")
    database.close()
    for use in (SqliteWriter(file, "plaza").open, SqliteReader(file, "plaza").state):
        with pytest.raises(CorruptError, match="an SQLite file but not a crosscam ledger"):
            use()
    tables = sqlite3.connect(file).execute("SELECT name FROM sqlite_schema").fetchall()
    assert tables == [("songs",)]


def test_a_ledger_of_a_newer_format_is_refused(file: Path) -> None:
    SqliteWriter(file, "plaza").open()
    sqlite3.connect(file).execute("PRAGMA user_version = 7")
    for use in (SqliteWriter(file, "plaza").open, SqliteReader(file, "plaza").state):
        with pytest.raises(CorruptError, match="has format 7"):
            use()


def test_a_damaged_ledger_is_an_error_that_names_it(file: Path, record: Maker) -> None:
    writer = SqliteWriter(file, "plaza")
    writer.open()
    writer.commit([record(n) for n in range(2000)], {})
    writer.close()
    data = bytearray(file.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    file.write_bytes(data)
    with pytest.raises(CorruptError, match=r"ledger\.sqlite is damaged"):
        list(SqliteReader(file, "plaza").read("tracks"))


def test_a_file_belongs_to_one_site(file: Path) -> None:
    SqliteWriter(file, "plaza").open()
    for use in (SqliteWriter(file, "station").open, SqliteReader(file, "station").state):
        with pytest.raises(LedgerError, match="is the ledger of site 'plaza', not of 'station'"):
            use()


def test_a_reader_may_leave_open_whose_ledger_it_is(file: Path, record: Maker) -> None:
    writer = SqliteWriter(file, "plaza")
    writer.open()
    writer.commit([record(0)], {})
    assert [stored.value["n"] for stored in SqliteReader(file).read("tracks")] == [0]


def test_an_empty_file_is_a_ledger_to_be(tmp_path: Path) -> None:
    file = tmp_path / "empty"
    file.touch()
    with pytest.raises(LedgerError, match="run the site first"):
        SqliteReader(file, "plaza").state()
    assert SqliteWriter(file, "plaza").open() == {}


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file where the folder should be")
    with pytest.raises(LedgerError, match="cannot be made"):
        SqliteWriter(tmp_path / "run" / "ledger", "plaza").open()


def test_a_path_that_is_a_folder_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="check the path and its permissions"):
        SqliteWriter(tmp_path, "plaza").open()


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Limits how large this process may make a file, in bytes: as good as a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (soft if size < 0 else size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_commit_that_cannot_be_written_is_waited_for_and_made_once(
    file: Path, record: Maker, small_files: Callable[[int], None]
) -> None:
    said: list[str] = []
    delays: list[float] = []

    def sleep(seconds: float) -> None:
        delays.append(seconds)
        if len(delays) == 8:
            small_files(-1)

    writer = SqliteWriter(file, "plaza", on_wait=said.append, sleep=sleep, clock=lambda: 0.0)
    writer.open()
    writer.commit([record(0)], {"a": b"1"})
    small_files(file.with_name("ledger.sqlite-wal").stat().st_size + 10_000)
    writer.commit([record(1)], {"a": b"x" * 100_000})
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0]
    assert said[0].startswith(f"the ledger {file} does not answer") and said[0].endswith("trying again in 0.1 s")
    writer.commit([record(2)], {})
    assert [stored.value["n"] for stored in SqliteReader(file, "plaza").read("tracks")] == [0, 1, 2]


def test_patience_runs_out_and_nothing_is_visible(
    file: Path, record: Maker, small_files: Callable[[int], None]
) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    writer = SqliteWriter(file, "plaza", patience_s=1.0, on_wait=lambda _: None, sleep=sleep, clock=lambda: now[0])
    writer.open()
    writer.commit([record(0)], {"a": b"1"})
    small_files(file.with_name("ledger.sqlite-wal").stat().st_size + 10_000)
    with pytest.raises(UnavailableError, match=r"gave up after 0\.7 s"):
        writer.commit([record(1)], {"a": b"x" * 100_000})
    small_files(-1)
    assert writer.open() == {"a": b"1"}
    writer.commit([record(2)], {})
    assert [stored.value["n"] for stored in SqliteReader(file, "plaza").read("tracks")] == [0, 2]


def test_a_full_disk_is_said_waited_for_and_survived(tmp_path: Path) -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("making a small disk needs the right to mount one (unshare -rm)")
    script = 'mount -t tmpfs -o size=2m none "$1" && exec "$2" "$3" "$1"'
    command = ["unshare", "-rm", "sh", "-c", script, "sh", str(tmp_path), sys.executable, str(FULL_DISK)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    if "mount:" in done.stderr:
        pytest.skip("making a small disk needs the right to mount one")
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert len(outcome["said"]) == 2
    assert all(sentence.startswith("the disk is full: the ledger") for sentence in outcome["said"])
    assert outcome["records"] == 2
    assert outcome["state"] == {"a": 300_000}


def test_a_slow_reader_does_not_keep_the_log_from_being_cleared(file: Path, record: Maker) -> None:
    writer = SqliteWriter(file, "plaza")
    writer.open()
    writer.commit([record(n) for n in range(1000)], {})
    reading = SqliteReader(file, "plaza").read("tracks")
    next(reading)
    for _ in range(40):
        writer.commit([], {"a": os.urandom(400_000)})
    # Nearly 16 MB have been written; a log that is cleared in between stays at a quarter of that.
    assert file.with_name("ledger.sqlite-wal").stat().st_size < 6_000_000
    assert len(list(reading)) == 999


def test_a_following_reader_waits_without_spinning(file: Path, record: Maker) -> None:
    writer = SqliteWriter(file, "plaza")
    writer.open()
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) % 5 == 0:
            writer.commit([record(len(naps))], {})

    reader = SqliteReader(file, "plaza", poll_s=0.05, sleep=sleep)
    reading = reader.read("tracks", follow=True, stop=lambda: len(naps) >= 20)
    assert [stored.value["n"] for stored in reading] == [5, 10, 15]
    assert naps == [0.05] * 20
