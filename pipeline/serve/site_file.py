"""Changing a site's YAML file: comments are kept, the file is replaced as a whole, and nothing wrong gets into it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from pipeline.config import ConfigError
from pipeline.config_file import load, parse
from pipeline.serve.problems import UnfitError

_ADDRESS = re.compile(r"^(rtsp|rtsps|rtmp|http|https|udp|tcp)://[^\s]+$", re.IGNORECASE)


def rewrite(file: Path, edit: Callable[[Any], None]) -> None:
    """Have `edit` change what the file says.

    Args:
        file: the site's.
        edit: is given the document as ruamel.yaml reads it.

    Raises:
        ConfigError: the file cannot be read or written, or would not be a site's any more; it stays as it was.
    """
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 10_000  # lines that somebody wrote long stay as they are
    yaml.indent(mapping=2, sequence=4, offset=2)
    load(file)  # what was wrong with it before is said as such
    document = yaml.load(file.read_text(encoding="utf-8"))
    edit(document)
    text = StringIO()
    yaml.dump(document, text)
    parse(text.getvalue(), file)
    replace(file, text.getvalue())


def replace(file: Path, text: str) -> None:
    """Put another text in the file's place, at once.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, prefix=".site-", delete=False) as new:
            new.write(text)
        written = Path(new.name)
        written.chmod(file.stat().st_mode & 0o777)
        written.replace(file)
    except OSError as error:
        raise ConfigError(
            f"{file}: the file cannot be written ({error.strerror}); check its folder's permissions"
        ) from None


def entry_of(document: Any, camera: str) -> Any:
    """A camera's own entry.

    Raises:
        UnfitError: the file speaks of it only as one of a range.
    """
    for entry in document["cameras"]:
        if entry["id"] == camera and "range" not in entry:
            return entry
    raise UnfitError(
        f"the site's file speaks of camera {camera!r} only as one of a range: write it out to change it alone"
    )


def put_camera(camera: str, fields: Mapping[str, Any]) -> Callable[[Any], None]:
    """An edit that adds a camera, or replaces what the file says of it.

    Raises:
        UnfitError: its source is one that may not be named from elsewhere.
    """
    _check_source(fields.get("source"))

    def edit(document: Any) -> None:
        said = {"id": camera, **{name: one_line(value) for name, value in fields.items() if name != "id"}}
        for row, entry in enumerate(document["cameras"]):
            if entry["id"] == camera and "range" not in entry:
                document["cameras"][row] = said
                return
        document["cameras"].append(said)

    return edit


def remove_camera(camera: str) -> Callable[[Any], None]:
    """An edit that takes a camera out."""

    def edit(document: Any) -> None:
        entry = entry_of(document, camera)
        if len(document["cameras"]) == 1:
            raise UnfitError(f"{camera!r} is the site's only camera: stop the site instead")
        document["cameras"].remove(entry)

    return edit


def _check_source(source: Any) -> None:
    """From elsewhere a camera's address may be named, and a file of the site's own folder.

    Not a variable: the environment holds passwords, and an address would carry them away.
    """
    if not isinstance(source, str) or not source.strip():
        raise UnfitError("a camera needs a `source`: an address, or a file in the folder of the site's file")
    if "${" in source:
        raise UnfitError("a source with a variable is written into the site's file by hand")
    if source.startswith("simulated:") or _ADDRESS.match(source):
        return
    path = Path(source.removeprefix("detections:").strip())
    if path.is_absolute() or ".." in path.parts or "://" in source:
        raise UnfitError("name an rtsp:// or http:// address, or a file in the folder of the site's file")


def one_line(value: Any) -> Any:
    """Lists on one line: `[[1, 2], [3, 4]]`."""
    if isinstance(value, dict):
        return {key: one_line(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        sequence = CommentedSeq([one_line(part) for part in value])
        sequence.fa.set_flow_style()
        return sequence
    return value
