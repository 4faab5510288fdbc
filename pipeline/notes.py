"""Records that the pipeline itself writes: what happened to a source, and what could not be processed."""

from __future__ import annotations

from typing import Any

from mtmct.records import DEADLETTER, EVENTS, Record
from mtmct.tracklets import Tracklet
from pipeline.changes import Changes


def source_event(site: str, camera: str, state: str, detail: str, time_ns: int) -> Record:
    """A camera's source was `lost`, `restored` or `failed`."""
    value = {
        "schema": "crosscam.events/1",
        "site": site,
        "camera": camera,
        "type": "source",
        "time": time_ns // 1000,
        "state": state,
        "detail": detail,
    }
    return Record(EVENTS, camera, value, time_ns)


def change_event(site: str, changes: Changes, time_ns: int) -> Record:
    """The site goes on with other cameras, from the commit after `time_ns`."""
    value = {
        "schema": "crosscam.events/1",
        "site": site,
        "camera": "",
        "type": "site_changed",
        "time": time_ns // 1000,
        "added": list(changes.added),
        "removed": list(changes.removed),
        "changed": list(changes.changed),
    }
    return Record(EVENTS, site, value, time_ns)


def dead_letter(site: str, camera: str, reason: str, detail: str, payload: Any, time_ns: int) -> Record:
    """Input that could not be processed, kept with a short `reason` and a sentence for people."""
    value = {
        "schema": "crosscam.deadletter/1",
        "site": site,
        "camera": camera,
        "time": time_ns // 1000,
        "reason": reason,
        "detail": detail,
        "payload": payload,
    }
    return Record(DEADLETTER, camera, value, time_ns)


def late_letter(site: str, tracklet: Tracklet) -> Record:
    """A tracklet that came after its commit interval was out."""
    payload = {
        "track": tracklet.track,
        "class": tracklet.cls,
        "frames": tracklet.frames.tolist(),
        "times": (tracklet.times_ns // 1000).tolist(),
        "boxes": [[round(float(v), 2) for v in box] for box in tracklet.boxes],
        "scores": [round(float(s), 4) for s in tracklet.scores],
    }
    detail = "it came after its commit interval was out; raise idle_timeout if this happens often"
    return dead_letter(site, tracklet.camera, "late", detail, payload, int(tracklet.times_ns[-1]))
