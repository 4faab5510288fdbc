"""Logs of a site's processes: a line an event, for people or as JSON, without passwords.

2026-05-01T08:00:00.123Z WARNING plaza pipeline.fusion_service: Kafka at k1:9092 does not answer; trying again in 1 s
{"time": "2026-05-01T08:00:00.123Z", "level": "warning", "site": "plaza", "logger": "pipeline.shard", ...}
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import IO, Any
from urllib.parse import unquote

from pipeline.config import Site
from pipeline.sources.masking import mask

OURS = ("pipeline", "mtmct", "operators")
_SECRET_SETTINGS = ("sasl_plain_password", "ssl_password")
# A password as short as this would be struck out of the middle of ordinary words.
_LEAST_SECRET = 4


def configure(site: Site, stream: IO[str] | None = None) -> None:
    """Have this process log as the site's file says, to stderr if no stream is given. May be called again."""
    formatter = (JsonLines if site.log == "json" else PlainLines)(site.site, secrets_of(site))
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    handler.set_name("crosscam")
    root = logging.getLogger()
    for old in [old for old in root.handlers if old.get_name() == "crosscam"]:
        root.removeHandler(old)
    root.addHandler(handler)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)


def secrets_of(site: Site) -> set[str]:
    """Every password in the site's file, as it stands there and as it is meant."""
    kafka = site.ledger.kafka
    found = [] if kafka is None else [kafka.settings.get(name) for name in _SECRET_SETTINGS]
    found += [secret for camera in site.cameras for secret in _passwords(camera.source)]
    return {secret for secret in found if isinstance(secret, str) and len(secret) >= _LEAST_SECRET}


def _passwords(source: str) -> Iterator[str]:
    user, at, _ = source.partition("://")[2].rpartition("@")
    password = user.partition(":")[2]
    if at and password:
        yield from (password, unquote(password))


class PlainLines(logging.Formatter):
    """A line for people.

    Args:
        site: named in every line.
        secrets: struck out wherever they appear, besides what `mask` finds.
    """

    def __init__(self, site: str, secrets: Collection[str] = ()) -> None:
        super().__init__()
        self._site = site
        self._secrets = sorted(secrets, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        line = f"{_time(record)} {record.levelname} {self._site} {record.name}: {self._message(record)}"
        if record.exc_info:
            line += "\n" + self._clean(self.formatException(record.exc_info))
        return line

    def _message(self, record: logging.LogRecord) -> str:
        return self._clean(record.getMessage())

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return mask(text)


class JsonLines(PlainLines):
    """A JSON object a line, with what was logged as `extra={"fields": ...}`, and `exception` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        said: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "site": self._site,
            "logger": record.name,
            "message": self._message(record),
        }
        said |= getattr(record, "fields", {})
        if record.exc_info:
            said["exception"] = self._clean(self.formatException(record.exc_info))
        return self._clean(json.dumps(said, ensure_ascii=False, default=str))


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
