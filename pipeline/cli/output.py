"""Folders and files that commands write to."""

from __future__ import annotations

from pathlib import Path

from operators.records import CrosscamError


class OutputError(CrosscamError):
    """A file or folder cannot be written."""


def make_folder(path: Path) -> None:
    """Make the folder, and those it lies in, unless it is there.

    Raises:
        OutputError: that is not possible.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path}: this folder cannot be made ({error.strerror}); choose another by --output"
        ) from None


def remove_file(path: Path) -> None:
    """Remove the file if it is there.

    Raises:
        OutputError: that is not possible.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path}: what an earlier run left cannot be removed ({error.strerror}); choose another folder by --output"
        ) from None
