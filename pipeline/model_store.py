"""Fetch models and bring them in: downloads that go on where they broke off, archives that cannot write elsewhere."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path, PurePosixPath

from operators.inference import find_model_file
from operators.records import CrosscamError

_CHUNK = 1 << 18
_PATIENCE_S = 30.0
_MOST_BYTES = 8 << 30  # of an unpacked archive: models are smaller, bombs are not

Progress = Callable[[int, int | None], None]
"""Called with bytes so far and bytes in all, None where the server does not say."""


class ModelStoreError(CrosscamError):
    """A model cannot be fetched or brought in."""


def download(
    address: str,
    target: Path,
    *,
    sha256: str | None = None,
    remedy: str = "",
    progress: Progress = lambda *_: None,
) -> str:
    """Fetch a file, going on with what an earlier try has left in `<target>.part`.

    Args:
        address: http or https.
        target: the file to be; it appears only once it is whole.
        sha256: what it has to be, hexadecimal; None if not known.
        remedy: said where it is something else.
        progress: told after every piece.

    Returns:
        Its SHA-256, hexadecimal.

    Raises:
        ModelStoreError: it cannot be reached, broke off (the next try goes on from there), or is not what it should be.
    """
    if not address.startswith(("http://", "https://")):
        raise ModelStoreError(f"{address}: only http and https addresses can be fetched")
    part = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as answer:
            if answer.status != HTTPStatus.PARTIAL_CONTENT:
                have = 0  # the server starts over, whatever was asked
            length = answer.headers.get("Content-Length")
            whole = None if length is None else have + int(length)
            with part.open("ab" if have else "wb") as file:
                while piece := answer.read(_CHUNK):
                    file.write(piece)
                    have += len(piece)
                    progress(have, whole)
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise ModelStoreError(f"{address}: the server says {error.code} {error.reason}") from error
        whole = have  # all of it was here already
    except OSError as error:
        raise ModelStoreError(
            f"{address} cannot be fetched ({error}); what has come is kept: the same command goes on from there"
        ) from error
    if whole is not None and have < whole:
        raise ModelStoreError(
            f"{address} broke off after {have} of {whole} bytes; they are kept: the same command goes on from there"
        )
    found = _sha256(part)
    if sha256 is not None and found != sha256.lower():
        part.unlink()
        raise ModelStoreError(
            f"{address} is not what it should be (SHA-256 {found} instead of {sha256.lower()}): "
            f"it was thrown away{remedy}"
        )
    part.replace(target)
    return found


class Checksums:
    """What was fetched from where the first time, so that an archive that changes later is noticed.

    Args:
        folder: where models are kept; `checksums.json` in it maps an address to the SHA-256 of what it gave.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "checksums.json"

    def of(self, address: str) -> str | None:
        """The checksum of an earlier download; None if there was none.

        Raises:
            ModelStoreError: the file is damaged.
        """
        return self._read().get(address)

    def add(self, address: str, sha256: str) -> None:
        """Write down a first download.

        Raises:
            ModelStoreError: the file is damaged, or cannot be written.
        """
        known = {**self._read(), address: sha256}
        fresh = self.file.with_name(self.file.name + ".new")
        try:
            fresh.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            fresh.replace(self.file)
        except OSError as error:
            raise ModelStoreError(f"{self.file} cannot be written ({error.strerror}): check the folder") from error

    def _read(self) -> dict[str, str]:
        try:
            known = json.loads(self.file.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ModelStoreError(f"{self.file} cannot be read ({error}): repair it, or remove it") from error
        if not isinstance(known, dict) or not all(isinstance(value, str) for value in known.values()):
            raise ModelStoreError(f"{self.file} does not map addresses to checksums: repair it, or remove it")
        return known


def bring_in(source: Path, target: Path) -> Path:
    """Copy a model's folder, or unpack its archive (.tar, .tar.gz, .zip), into a new folder.

    Returns:
        The folder in it that holds the model.

    Raises:
        ModelStoreError: nothing there, `target` exists, a damaged archive, or one that writes outside of its folder.
        ModelError: there is no model in it.
    """
    if target.exists():
        raise ModelStoreError(f"{target} is there already: remove it, or choose another name by --name")
    if not source.exists():
        raise ModelStoreError(f"there is nothing at {source}: give a model's folder or archive")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".import-") as temporary:
        inner = Path(temporary) / "model"
        if source.is_dir():
            shutil.copytree(source, inner)
        elif source.suffix == ".pdparams":
            find_model_file(source)  # says what to do with it
        else:
            inner.mkdir()
            _unpack(source, inner)
        folder = _model_folder(inner, source)
        find_model_file(folder)
        folder.replace(target)
    return target


def _model_folder(inner: Path, source: Path) -> Path:
    """Archives hold the files themselves, or one folder with them, or that folder among others."""
    folders = [inner, *sorted(path for path in inner.rglob("*") if path.is_dir())]
    holding = [f for f in folders if any(f.glob("*.pdiparams")) or any(f.glob("*.onnx"))]
    if not holding:
        raise ModelStoreError(
            f"{source} holds no exported model: a .pdmodel or .json with its .pdiparams, or an .onnx file, is expected"
        )
    if len(holding) > 1:
        names = ", ".join(str(f.relative_to(inner)) for f in holding)
        raise ModelStoreError(f"{source} holds several models ({names}): unpack it and give the folder of one")
    return holding[0]


def _unpack(archive: Path, folder: Path) -> None:
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                names = [info.filename for info in packed.infolist()]
                _refuse_escapes(archive, names, sum(info.file_size for info in packed.infolist()))
                packed.extractall(folder)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as packed_tar:
                members = packed_tar.getmembers()
                _refuse_escapes(archive, [m.name for m in members], sum(m.size for m in members))
                packed_tar.extractall(folder, filter="data")
        else:
            raise ModelStoreError(f"{archive} is no archive that is known here: .tar, .tar.gz or .zip is expected")
    except tarfile.FilterError as error:
        raise ModelStoreError(f"{archive} would write outside of its folder ({error}): it was not unpacked") from error
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise ModelStoreError(f"{archive} is damaged ({error}): fetch it again") from error


def _refuse_escapes(archive: Path, names: list[str], size: int) -> None:
    for name in names:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0:1]:
            raise ModelStoreError(f"{archive} would write outside of its folder ({name}): it was not unpacked")
    if size > _MOST_BYTES:
        raise ModelStoreError(f"{archive} would take {size >> 30} GiB: no model does; it was not unpacked")


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
