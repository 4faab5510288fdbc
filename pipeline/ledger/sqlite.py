"""The ledger in one SQLite file: the embedded default, for a site that lives on one machine.

A commit is one transaction over `records` (append only) and `state` (one row a key). The same commits make
the same rows, whenever and however often they were interrupted: there is no clock and no chance in them.

Durability. The file runs in WAL mode with `synchronous=FULL`: a commit returns after its pages are synced, so
it outlives `kill -9` and a power cut. `NORMAL` would save one sync a commit and lose the last commits with the
power; one commit a second does not need that. tests/benchmarks/ledger_commits.py measures what it costs.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.ledger.backoff import Patience, warn
from pipeline.ledger.base import (
    CorruptError,
    Encoded,
    FencedError,
    LedgerError,
    LedgerReader,
    LedgerWriter,
    Stored,
    UnavailableError,
    check_topic,
)
from pipeline.schema.codec import decode

_APPLICATION_ID = 0x43524F53  # "CROS": tells a ledger from any other SQLite file
_FORMAT = 1

# How long a statement waits for another process that is in the middle of its commit.
_BUSY_S = 5.0

# Rows of a page, at most. A reader holds no snapshot between pages: a slow consumer must not keep the WAL growing.
_PAGE = 2_000

_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_FORMAT};
CREATE TABLE records (
    position INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    time_ns INTEGER NOT NULL,
    value BLOB NOT NULL
);
CREATE INDEX records_by_topic ON records (topic, position);
CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE writer (site TEXT NOT NULL, epoch INTEGER NOT NULL);
"""

_GONE_FOR_NOW = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOMEM,
}


def _plain(error: sqlite3.Error, path: Path) -> LedgerError:
    """The same error as a sentence, of the class that says what to do about it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return CorruptError(
            f"{path} is not a crosscam ledger (it is no SQLite file): give another path or move it away"
        )
    if code == sqlite3.SQLITE_CORRUPT:
        return CorruptError(f"the ledger {path} is damaged ({error}): restore it from a copy")
    if code == sqlite3.SQLITE_FULL:
        return UnavailableError(f"the disk is full: the ledger {path} cannot grow")
    if code in _GONE_FOR_NOW:
        return UnavailableError(f"the ledger {path} does not answer ({error})")
    return LedgerError(f"the ledger {path} cannot be used ({error}): check the path and its permissions")


def _check_kind(database: sqlite3.Connection, path: Path, site: str | None) -> None:
    """Refuse a file that is no ledger, of a newer format or of another site."""
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if database.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
        raise LedgerError(f"there is no ledger in {path} yet: run the site first")
    if application != _APPLICATION_ID:
        raise CorruptError(f"{path} is an SQLite file but not a crosscam ledger: give another path or move it away")
    if version > _FORMAT:
        raise CorruptError(f"the ledger {path} has format {version}, this build reads up to {_FORMAT}: update crosscam")
    (owner,) = database.execute("SELECT site FROM writer").fetchone()
    if site is not None and owner != site:
        raise LedgerError(f"{path} is the ledger of site '{owner}', not of '{site}': give every site a file of its own")


class SqliteWriter(LedgerWriter):
    """Writes one site's ledger file.

    Args:
        path: the file; made with its folder by `open()` if missing.
        site: whose ledger it is; a file belongs to one site for ever.
        on_wait: told one sentence before every wait for a full disk or a locked file; see `Patience`.
        patience_s: seconds after which a wait ends in `UnavailableError`; None waits for ever.
        sleep: waits so many seconds.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        path: Path,
        site: str,
        *,
        on_wait: Callable[[str], None] = warn,
        patience_s: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = Path(path)
        self._site = site
        self._patience = Patience(on_wait, patience_s, sleep, clock)
        self._database: sqlite3.Connection | None = None
        self._epoch = 0

    @property
    def epoch(self) -> int:
        """See `LedgerWriter.epoch`."""
        return self._epoch

    def open(self) -> dict[str, bytes]:
        """Make the file if needed, fence earlier writers, and read the whole state as of the last commit.

        Raises:
            CorruptError: the file is damaged or no ledger.
            LedgerError: the file belongs to another site or may not be written.
            UnavailableError: the disk stayed full for longer than the patience given.
        """
        self.close()
        outage = self._patience.outage()
        while True:
            try:
                return self._open()
            except sqlite3.Error as error:
                self.close()
                self._wait_out(error, outage.wait)
            except BaseException:
                self.close()
                raise

    def commit(self, records: Sequence[Encoded], state: Mapping[str, bytes | None]) -> None:
        """Make records and state visible together, or not at all; see `LedgerWriter.commit`."""
        if self._database is None:
            raise LedgerError("the ledger is not open: call open() before commit()")
        for record in records:
            check_topic(record.topic)
        outage = self._patience.outage()
        while True:
            try:
                self._write(self._database, records, state)
                return
            except sqlite3.Error as error:
                self._wait_out(error, outage.wait)

    def scrub(self) -> str | None:
        """Empty the write-ahead log, where old pages stand; what is deleted in the file itself is zeroed anyway."""
        if self._database is None:
            raise LedgerError("the ledger is not open: call open() before scrub()")
        try:
            ((busy, _, _),) = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            raise _plain(error, self._path) from error
        if busy:
            return f"somebody reads {self._path}: its write-ahead log holds deleted state until it is written over"
        return None

    def close(self) -> None:
        """Release the file; safe to call twice."""
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
        self._database = None

    def _open(self) -> dict[str, bytes]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LedgerError(f"the folder of the ledger {self._path} cannot be made: {error.strerror}") from error
        # The owner may open it in one thread and commit in another; it never uses two at once.
        database = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        self._database = database
        if database.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
            raise LedgerError(f"the file system of {self._path} cannot hold a ledger: use a local disk")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA secure_delete = ON")  # an erased identity's embeddings must not lie in free pages
        database.execute("BEGIN IMMEDIATE")
        if database.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
            for statement in _SCHEMA.split(";"):
                database.execute(statement)
            database.execute("INSERT INTO writer VALUES (?, 0)", (self._site,))
        _check_kind(database, self._path, self._site)
        ((self._epoch,),) = database.execute("UPDATE writer SET epoch = epoch + 1 RETURNING epoch").fetchall()
        state = dict(database.execute("SELECT key, value FROM state ORDER BY key"))
        database.execute("COMMIT")
        return state

    def _write(
        self, database: sqlite3.Connection, records: Sequence[Encoded], state: Mapping[str, bytes | None]
    ) -> None:
        try:
            database.execute("BEGIN IMMEDIATE")
            if database.execute("SELECT epoch FROM writer").fetchone() != (self._epoch,):
                raise FencedError(
                    f"another writer has taken over the ledger {self._path} of site '{self._site}': this one must stop"
                )
            database.executemany(
                "INSERT INTO records (topic, key, time_ns, value) VALUES (?, ?, ?, ?)",
                [(record.topic, record.key, record.time_ns, record.value) for record in records],
            )
            database.executemany("DELETE FROM state WHERE key = ?", [(key,) for key in state if state[key] is None])
            database.executemany(
                "INSERT INTO state VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                [(key, value) for key, value in state.items() if value is not None],
            )
            database.execute("COMMIT")
        except BaseException:
            # SQLite rolls back by itself after some errors, and after others waits to be told.
            if database.in_transaction:
                with suppress(sqlite3.Error):
                    database.execute("ROLLBACK")
            raise

    def _wait_out(self, error: sqlite3.Error, wait: Callable[[str], None]) -> None:
        plain = _plain(error, self._path)
        if not isinstance(plain, UnavailableError):
            raise plain from error
        try:
            wait(str(plain))
        except UnavailableError as given_up:
            raise given_up from error


class SqliteReader(LedgerReader):
    """Reads one site's ledger file, also while it is written. Never writes to it.

    Args:
        path: the file.
        site: whose ledger it must be; None takes any.
        poll_s: how often a following reader looks for a new commit.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        path: Path,
        site: str | None = None,
        *,
        poll_s: float = 0.05,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = Path(path)
        self._site = site
        self._poll_s = poll_s
        self._sleep = sleep
        self._shared: sqlite3.Connection | None = None

    def pages(
        self, topic: str, *, after: str | None = None, follow: bool = False, stop: Callable[[], bool] = lambda: False
    ) -> Iterator[list[Stored]]:
        """Records of `topic` in commit order; see `LedgerReader.pages`. A position is the row's number as text."""
        check_topic(topic)
        try:
            start = 0 if after is None else int(after)
        except ValueError:
            raise LedgerError(f"'{after}' is not a position of the ledger {self._path}: use one that it gave") from None
        return self._pages(self._connect(), topic, start, follow, stop)

    def end(self, topic: str) -> str | None:
        """Position of the last committed record of `topic`; None where there is none."""
        check_topic(topic)
        ((last,),) = self._query(self._connection(), "SELECT max(position) FROM records WHERE topic = ?", topic)
        return None if last is None else str(last)

    def state(self) -> dict[str, bytes]:
        """The whole state as of the last commit."""
        return dict(self._query(self._connection(), "SELECT key, value FROM state ORDER BY key"))

    def close(self) -> None:
        """Release the file; safe to call twice. Reads under way keep what they hold until they end."""
        if self._shared is not None:
            self._shared.close()
        self._shared = None

    def _pages(
        self, database: sqlite3.Connection, topic: str, last: int, follow: bool, stop: Callable[[], bool]
    ) -> Iterator[list[Stored]]:
        sql = (
            "SELECT position, key, time_ns, value FROM records"
            " WHERE topic = ? AND position > ? ORDER BY position LIMIT ?"
        )
        with closing(database):
            while not stop():
                # Asked before the rows are: a commit in between shows up as a change, not as a miss.
                seen = self._query(database, "PRAGMA data_version")
                rows = self._query(database, sql, topic, last, _PAGE)
                if rows:
                    last = rows[-1][0]
                    yield [
                        Stored(topic, key, decode(topic, raw), raw, time_ns, str(position))
                        for position, key, time_ns, raw in rows
                    ]
                    continue
                if not follow:
                    return
                while not stop() and self._query(database, "PRAGMA data_version") == seen:
                    self._sleep(self._poll_s)

    def _connection(self) -> sqlite3.Connection:
        if self._shared is None:
            self._shared = self._connect()
        return self._shared

    def _connect(self) -> sqlite3.Connection:
        if not self._path.exists():
            raise LedgerError(f"there is no ledger at {self._path}: run the site first")
        address = f"file:{quote(str(self._path.absolute()))}?mode=ro"
        database = None
        try:
            database = sqlite3.connect(
                address, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            _check_kind(database, self._path, self._site)
        except BaseException as error:
            if database is not None:
                database.close()
            if isinstance(error, sqlite3.Error):
                raise _plain(error, self._path) from error
            raise
        return database

    def _query(self, database: sqlite3.Connection, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        try:
            return database.execute(sql, arguments).fetchall()
        except sqlite3.Error as error:
            raise _plain(error, self._path) from error
