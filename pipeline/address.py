"""Names of ledgers on the command line, and the one that was run last.

A ledger is named by its SQLite file, by the folder it lies in, by the YAML file of its site (which alone may hold
a broker's credentials), or by `kafka://HOST:PORT/SITE`.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from operators.records import CrosscamError
from pipeline.config import Site
from pipeline.config_file import load
from pipeline.ledger.base import LedgerReader

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


def open_reader(name: str | None) -> LedgerReader:
    """The ledger called `name`; the last run's if None.

    Raises:
        AddressError: there is none of that name.
        LedgerError: it cannot be read.
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
        return _open_kafka(name)
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        from pipeline.assembly import build_reader

        return build_reader(load(path))
    from pipeline.ledger.sqlite import SqliteReader

    file = path / "ledger.sqlite" if path.is_dir() else path
    if not file.exists():
        raise AddressError(f"{name}: there is no ledger here; name its file, its folder, or the site's YAML file")
    return SqliteReader(file)


def _open_kafka(name: str) -> LedgerReader:
    from pipeline.ledger.kafka import KafkaReader

    parts = urlsplit(name)
    site = parts.path.strip("/")
    if not parts.netloc or not site or "@" in parts.netloc:
        raise AddressError(
            f"{name.split('@')[-1]}: write kafka://HOST:PORT/SITE, without credentials; a broker that wants some is "
            "named by the site's YAML file"
        )
    return KafkaReader(site, {"bootstrap_servers": parts.netloc})
