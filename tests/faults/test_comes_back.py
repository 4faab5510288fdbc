"""A writer that was thought dead and comes back changes nothing any more, and says so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.ledger.base import UnavailableError

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "pipeline" / "ledger"))
from commit_loop import records_of, state_of, writer_of  # noqa: E402

PAUSE_S = "0.05"


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Any]:
    """Kind and place of an empty ledger."""
    if request.param == "sqlite":
        return "sqlite", str(tmp_path / "ledger.sqlite")
    return "kafka", dict(request.getfixturevalue("kafka_settings"))


@pytest.fixture
def first(place: tuple[str, Any]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A writer in a process of its own that has made some commits; with the name of its site."""
    kind, where = place
    site = f"back-{uuid.uuid4().hex[:8]}"
    command = [sys.executable, ROOT / "tests/pipeline/ledger/commit_loop.py", kind, site, json.dumps(where), "100000"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [*command, PAUSE_S], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    while process.stdout.readline().strip() != "3":
        assert process.poll() is None, process.stderr and process.stderr.read()
    yield site, process
    process.kill()
    process.wait()
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()


def take_over(kind: str, site: str, where: Any, stopped: subprocess.Popen[str]) -> tuple[Any, dict[str, bytes]]:
    """A second writer, once the first has been caught between two commits: in the middle of one it holds the file."""
    writer = writer_of(kind, site, where)
    until = time.monotonic() + 60
    while True:
        stopped.send_signal(signal.SIGSTOP)
        writer._patience = type(writer._patience)(lambda sentence: None, 0.0, time.sleep, time.monotonic)
        try:
            return writer, writer.open()
        except UnavailableError:
            assert time.monotonic() < until
            stopped.send_signal(signal.SIGCONT)


def test_a_writer_that_comes_back_is_fenced_and_says_so(
    place: tuple[str, Any], first: tuple[str, subprocess.Popen[str]]
) -> None:
    kind, where = place
    site, process = first
    second, state = take_over(kind, site, where, process)
    begin = int(state["next"])
    second.commit(records_of(begin), state_of(begin))
    process.send_signal(signal.SIGCONT)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "another writer has taken over the ledger" in said
    second.commit(records_of(begin + 1), state_of(begin + 1))
    assert second.open()["next"] == b"%d" % (begin + 2)
    second.close()
    reader = reader_of(kind, site, where)
    written = [(stored.key, stored.raw) for stored in reader.read("tracks")]
    reader.close()
    expected = [record for n in range(begin + 2) for record in records_of(n) if record.topic == "tracks"]
    assert written == [(record.key, record.value) for record in expected]


def reader_of(kind: str, site: str, where: Any) -> Any:
    if kind == "sqlite":
        from pipeline.ledger.sqlite import SqliteReader

        return SqliteReader(Path(where), site)
    from pipeline.ledger.kafka import KafkaReader

    return KafkaReader(site, where)
