"""SIGTERM, which systemd, Docker and Kubernetes send, ends things as tidily as Ctrl-C."""

from __future__ import annotations

import signal
from typing import Any


def install_sigterm() -> None:
    """Make SIGTERM raise KeyboardInterrupt in the main thread.

    Libraries with a handler of their own, Ray among them, undo it: call it again after they have started.
    """
    signal.signal(signal.SIGTERM, _as_interrupt)


def _as_interrupt(_signal: int, _frame: Any) -> None:
    raise KeyboardInterrupt
