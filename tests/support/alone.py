"""One test process at a time, where several run tests at once."""

from __future__ import annotations

import fcntl
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Whoever else makes what is to be at that place waits, and finds it made."""
    name = hashlib.sha256(str(place.resolve()).encode()).hexdigest()[:16]
    with Path(tempfile.gettempdir(), f"crosscam-{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
        yield
