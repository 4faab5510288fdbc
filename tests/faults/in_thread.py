"""A site's supervisor in a thread of this process, on the Ray that is there."""

from __future__ import annotations

import threading

from waiting import PATIENCE_S, FaultError, Told

from pipeline.config import Site
from pipeline.launch import Supervisor
from pipeline.progress import Progress


class InThread:
    """A site's supervisor in a thread of this process, on the Ray that is there.

    Attributes:
        progress: as last told.
        until: waits for something that shows in the progress, or with it.
    """

    def __init__(self, site: Site) -> None:
        self.progress = Progress()
        self._error: BaseException | None = None
        self._told = Told(lambda: str(self._error or self.progress))
        self.until = self._told.until
        self._supervisor = Supervisor(site, self._hear)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _hear(self, progress: Progress) -> None:
        self.progress = progress
        self._told.tell()

    def _run(self) -> None:
        try:
            self._supervisor.run()
        except BaseException as error:
            self._error = error
        self._told.tell(over=True)

    def stop(self) -> None:
        """End the site in good order."""
        self._supervisor.methods["stop"]()
        self.ends()

    def ends(self) -> None:
        """Wait for its end.

        Raises:
            FaultError: it does not end, or not well.
        """
        self._thread.join(PATIENCE_S)
        if self._thread.is_alive() or self._error is not None:
            raise FaultError(f"a run that should end well: {self._error or self.progress}")
