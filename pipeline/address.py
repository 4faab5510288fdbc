"""Names of ledgers on the command line, and the one that was run last.

A ledger is named by its SQLite file, by the folder it lies in, by the YAML file of its site (which alone may hold
a broker's credentials), or by `kafka://HOST:PORT/SITE`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from operators.records import CrosscamError
from pipeline.config import Site
from pipeline.config_file import load
from pipeline.ledger.base import LedgerReader, LedgerWriter

# Holds the name of the last run's ledger, so that `crosscam tail tracks` needs no argument.
LAST = Path("run") / "last"


class AddressError(CrosscamError):
    """There is no ledger of that name, or its name cannot be kept."""


def remember(site: Site) -> None:
    """Make this site's ledger the one that commands without an argument read. Credentials are not written.

    Raises:
        AddressError: the folder cannot be written to.
    """
    if site.ledger.kafka is None:
        name = str(site.ledger_path.resolve())
    elif site.ledger.kafka.model_extra and site.file is not None:
        name = str(site.file.resolve())
    else:
        name = f"kafka://{site.ledger.kafka.bootstrap_servers}/{site.site}"
    try:
        LAST.parent.mkdir(parents=True, exist_ok=True)
        LAST.write_text(name + "\n", encoding="utf-8")
    except OSError as error:
        raise AddressError(
            f"{LAST}: the name of this ledger cannot be kept here ({error.strerror}); name it to `crosscam tail` and "
            f"the others: {name}"
        ) from None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ledger is: in an SQLite file, or in Kafka.

    Attributes:
        file: the SQLite file; None where it is in Kafka.
        kafka: name of the site, and settings of the client.
        site: the site's configuration, where the ledger was named by its file.
    """

    file: Path | None = None
    kafka: tuple[str, Mapping[str, Any]] | None = None
    site: Site | None = None

    @classmethod
    def of(cls, site: Site) -> Place:
        """Where a site's ledger is."""
        if site.ledger.kafka is not None:
            return cls(kafka=(site.site, site.ledger.kafka.settings), site=site)
        return cls(file=site.ledger_path, site=site)

    def reader(self) -> LedgerReader:
        """For consumers."""
        if self.kafka is not None:
            from pipeline.ledger.kafka import KafkaReader

            return KafkaReader(*self.kafka)
        from pipeline.ledger.sqlite import SqliteReader

        assert self.file is not None
        return SqliteReader(self.file, None if self.site is None else self.site.site)

    def writer(self, site: str) -> LedgerWriter:
        """For whoever takes the ledger over; the name of its site is checked on opening."""
        if self.kafka is not None:
            from pipeline.ledger.kafka import KafkaWriter

            return KafkaWriter(site, self.kafka[1])
        from pipeline.ledger.sqlite import SqliteWriter

        assert self.file is not None
        return SqliteWriter(self.file, site)


def open_reader(name: str | None) -> LedgerReader:
    """The ledger called `name`; the last run's if None.

    Raises:
        AddressError: there is none of that name.
        LedgerError: it cannot be read.
    """
    return find(name).reader()


def find(name: str | None) -> Place:
    """Where the ledger called `name` is; the last run's if None.

    Raises:
        AddressError: there is none of that name.
        ConfigError: it is named by a site's file that cannot be used.
    """
    if name is None:
        try:
            name = LAST.read_text(encoding="utf-8").strip()
        except OSError:
            raise AddressError(
                "nothing has been run in this folder yet: name the ledger (its file, its folder, the site's YAML file, "
                "or kafka://HOST:PORT/SITE)"
            ) from None
    if name.startswith("kafka://"):
        return Place(kafka=_parse_kafka(name))
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        return Place.of(load(path))
    file = path / "ledger.sqlite" if path.is_dir() else path
    if not file.exists():
        raise AddressError(f"{name}: there is no ledger here; name its file, its folder, or the site's YAML file")
    return Place(file=file)


def _parse_kafka(name: str) -> tuple[str, Mapping[str, Any]]:
    parts = urlsplit(name)
    site = parts.path.strip("/")
    if not parts.netloc or not site or "@" in parts.netloc:
        raise AddressError(
            f"{name.split('@')[-1]}: write kafka://HOST:PORT/SITE, without credentials; a broker that wants some is "
            "named by the site's YAML file"
        )
    return site, {"bootstrap_servers": parts.netloc}
