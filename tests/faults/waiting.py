"""Waiting for what a site tells from another thread."""

from __future__ import annotations

import threading
from collections.abc import Callable

PATIENCE_S = 300.0


class FaultError(Exception):
    """A run did not do what it has to, in one sentence."""


class Told:
    """What is told from a thread, and whoever waits for it in another.

    Args:
        state: how it is, or how it ended, for who has waited in vain.
    """

    def __init__(self, state: Callable[[], str]) -> None:
        self._state = state
        self._heard = threading.Condition()
        self._over = False

    def tell(self, change: Callable[[], None] = lambda: None, *, over: bool = False) -> None:
        """Something has changed, by `change`; `over`: nothing more will."""
        with self._heard:
            change()
            self._over |= over
            self._heard.notify_all()

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for what is told.

        Raises:
            FaultError: it does not come to that.
        """
        with self._heard:
            self._heard.wait_for(lambda: condition() or self._over, PATIENCE_S)
            met, over = condition(), self._over
        if not met:
            raise FaultError(f"{what}: {'the run has ended' if over else 'nothing happens'}; {self._state()}")
