"""Log lines: one an event, readable by programs, and without passwords."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import logs
from pipeline.config_file import parse

SITE = """
site: plaza
log: {log}
cameras:
  - {{id: north, source: 'rtsp://ann:s3cr%40t-one@10.0.0.1/main'}}
ledger: {{kafka: {{bootstrap_servers: 'k1:9092', security_protocol: SASL_SSL, sasl_mechanism: PLAIN,
  sasl_plain_username: crosscam, sasl_plain_password: s3cret-two}}}}
"""


@pytest.fixture(autouse=True)
def root_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before = list(root.handlers)
    yield
    root.handlers = before


def lines(log: str) -> tuple[logging.Logger, io.StringIO]:
    out = io.StringIO()
    logs.configure(parse(SITE.format(log=log), Path("plaza.yaml")), out)
    logs.configure(parse(SITE.format(log=log), Path("plaza.yaml")), out)  # twice is once
    return logging.getLogger("pipeline.shard"), out


def test_a_json_line_has_time_level_site_and_what_was_added() -> None:
    log, out = lines("json")
    log.warning("camera %s lost", "north", extra={"fields": {"camera": "north"}})
    (line,) = out.getvalue().splitlines()
    said = json.loads(line)
    assert said.pop("time").endswith("Z")
    assert said == {
        "level": "warning", "site": "plaza", "logger": "pipeline.shard", "message": "camera north lost",
        "camera": "north",
    }  # fmt: skip


def test_a_text_line_is_for_people() -> None:
    log, out = lines("text")
    log.info("fusion goes on")
    assert out.getvalue().endswith("Z INFO plaza pipeline.shard: fusion goes on\n")


def test_other_libraries_speak_from_warnings_on() -> None:
    _, out = lines("json")
    logging.getLogger("kafka.client").info("connecting")
    assert out.getvalue() == ""


@pytest.mark.parametrize("log", ["json", "text"])
def test_no_password_gets_into_a_line_whatever_the_words_around_it(log: str) -> None:
    logger, out = lines(log)
    logger.info("read rtsp://ann:s3cr%40t-one@10.0.0.1/main")
    logger.info("login s3cr@t-one or s3cret-two refused", extra={"fields": {"tried": ["s3cret-two"]}})
    try:
        raise ValueError("bad sasl_plain_password=s3cret-two")
    except ValueError:
        logger.exception("broke with s3cret-two")
    assert len(out.getvalue().splitlines()) >= 3
    for secret in ("s3cr%40t-one", "s3cr@t-one", "s3cret-two"):
        assert secret not in out.getvalue()
