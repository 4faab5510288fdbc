"""Waiting for a ledger that does not answer: longer each time, aloud, and not for ever if told so."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.ledger.base import UnavailableError

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 10.0


def warn(sentence: str) -> None:
    """What waits are told to unless someone listens: the log."""
    logging.getLogger(__name__).warning(sentence)


@dataclass(frozen=True, slots=True)
class Patience:
    """How a writer waits, shared by all its waits.

    Attributes:
        on_wait: told one sentence before every delay. What it raises ends the wait and reaches the caller:
            the way to give up early, at a shutdown for instance.
        limit_s: seconds of outage after which `UnavailableError` is raised; None waits for ever.
        sleep: waits so many seconds.
        clock: seconds that only grow.
    """

    on_wait: Callable[[str], None]
    limit_s: float | None
    sleep: Callable[[float], None]
    clock: Callable[[], float]

    def outage(self) -> Outage:
        """A fresh count of delays, for one operation."""
        return Outage(self)


class Outage:
    """The waits of one operation: delays double from 0.1 s to 10 s, always the same ones (no jitter).

    There is one writer a site, so there is no herd that jitter would have to spread out.
    """

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._delay = FIRST_DELAY_S
        self._began: float | None = None

    def wait(self, sentence: str) -> None:
        """Say `sentence` and wait before the next try.

        Raises:
            UnavailableError: the limit would be passed.
        """
        patience = self._patience
        now = patience.clock()
        if self._began is None:
            self._began = now
        if patience.limit_s is not None and now + self._delay - self._began > patience.limit_s:
            raise UnavailableError(f"{sentence}; gave up after {now - self._began:.1f} s")
        patience.on_wait(f"{sentence}; trying again in {self._delay:g} s")
        patience.sleep(self._delay)
        self._delay = min(2 * self._delay, LONGEST_DELAY_S)
