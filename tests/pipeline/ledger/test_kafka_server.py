"""The script that runs Kafka on one machine: its command line, and what it says where something is missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient

SCRIPT = Path(__file__).resolve().parents[3] / "deploy" / "kafka" / "server.py"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


def test_without_maven_fetching_says_what_to_install(tmp_path: Path) -> None:
    done = run("fetch", PATH=str(tmp_path), CROSSCAM_KAFKA=str(tmp_path / "jars"))
    assert done.returncode == 1
    assert "install it (Debian: apt-get install maven)" in done.stderr
    assert not (tmp_path / "jars").exists()


def test_without_java_starting_says_what_to_install(tmp_path: Path) -> None:
    done = run("start", PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("Java 17 or newer is needed") or "Maven is needed" in done.stderr


@pytest.mark.kafka
def test_what_kafka_refuses_is_repeated_in_its_own_words(kafka_server: Any, tmp_path: Path) -> None:
    server = type(kafka_server)(tmp_path, extra={"num.io.threads": "several"})
    with pytest.raises(Exception, match=r"num\.io\.threads") as refusal:
        server.start()
    assert type(refusal.value).__name__ == "ServerError"


@pytest.mark.kafka
def test_start_prints_where_it_serves_and_ends_on_a_signal(kafka_server: Any, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "start", "--data", str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        with KafkaAdminClient(bootstrap_servers=address) as admin:
            assert admin.list_topics() == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert (tmp_path / "data" / "topics" / "meta.properties").exists()
