"""How far a running site is, put together from what its actors tell."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Progress:
    """How far a running site is.

    Attributes:
        counts: frame accounting per camera, the newest that is known.
        commits: made by the present FusionActor.
        waiting_for: what the ledger waits for, as a sentence; None when it does not.
        restarts: actors that have come back under another process id.
        pids: process ids of the actors: `fusion`, `worker-0`, ...
    """

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    commits: int = 0
    waiting_for: str | None = None
    restarts: int = 0
    pids: dict[str, int] = field(default_factory=dict)


class Told:
    """What the actors of a site have told, as one answer to who asks.

    Args:
        site: its name.

    Attributes:
        progress: for who watches.
        failures: per camera whose source could not be used: why.
        status: the same and more in JSON types, as `crosscam status` gets it; a new one with every `report`.
    """

    def __init__(self, site: str) -> None:
        self._site = site
        self.progress = Progress()
        self.failures: dict[str, str] = {}
        self.status: dict[str, Any] = {"site": site, "state": "starting", "pid": os.getpid(), "cameras": {}}
        self._lanes: Mapping[str, Any] = {}  # as fusion said last, like the next one
        self._watermark: int | None = None

    def take(self, actor: str, status: Mapping[str, Any]) -> None:
        """Note what an actor has told.

        Args:
            actor: `fusion`, `worker-0`, ...
            status: of `FusionService.status` or `Shard.status`, with its process id.
        """
        progress = self.progress
        progress.restarts += progress.pids.get(actor, status["pid"]) != status["pid"]
        progress.pids[actor] = status["pid"]
        if actor != "fusion":
            for camera, counts in status["cameras"].items():
                self._take_counts(camera, counts)
            return
        progress.commits = status["commits"]
        progress.waiting_for = status["waiting_for"]
        self._lanes, self._watermark = status["cameras"], status["watermark_ns"]
        for camera, lane in status["cameras"].items():
            self._take_counts(camera, lane["counts"])
            if lane["failed"] is not None:
                self.failures[camera] = lane["failed"]

    def forget(self, cameras: Collection[str]) -> None:
        """These are not part of the site any more."""
        for camera in cameras:
            self.progress.counts.pop(camera, None)
            self.failures.pop(camera, None)

    def report(self) -> Progress:
        """Bring `status` up to date."""
        progress = self.progress
        self.status = {
            "site": self._site,
            "state": "starting" if not progress.pids else "waiting" if progress.waiting_for else "running",
            "pid": os.getpid(),
            "commits": progress.commits,
            "waiting_for": progress.waiting_for,
            "restarts": progress.restarts,
            "pids": dict(progress.pids),
            "watermark": self._watermark,
            "cameras": {
                camera: {**lane, "counts": progress.counts.get(camera, {})} for camera, lane in self._lanes.items()
            },
        }
        return progress

    def _take_counts(self, camera: str, counts: Mapping[str, int]) -> None:
        """Workers and fusion tell of the same frames at different times: the later one counts."""
        known = self.progress.counts.get(camera, {})
        if counts.get("decoded", 0) >= known.get("decoded", 0) and counts:
            self.progress.counts[camera] = dict(counts)
