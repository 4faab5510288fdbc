"""What differs between a running site and its file: cameras that come, go or are looked at in another way."""

from __future__ import annotations

from dataclasses import dataclass

from operators.records import CrosscamError
from pipeline.config import Camera, Site

# Of a camera whose source is a recording: where it goes on is a place in that recording.
_OF_A_RECORDING = ("source", "start")
_NEVER_LIVE = {
    "site": "names the topics, the ledger and every identity: run the other one beside it",
    "ledger": "is where this run goes on from: stop the site, and run it with another",
    "interval": "is the unit in which the ledger was written: a new length needs a new ledger",
}


class ChangeError(CrosscamError):
    """This cannot be changed while the site runs."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Ids of cameras, each in the order of the file.

    Attributes:
        added, removed: new, or no longer there.
        changed: lines, zones, homography, crop, rate, clock or address.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def compare(old: Site, new: Site, live: dict[str, bool]) -> Changes:
    """What makes `new` of `old`.

    Args:
        old: the site as it runs.
        new: as it shall be.
        live: by id of the old cameras, whether they are live.

    Raises:
        ChangeError: they differ in what cannot be changed while the site runs.
    """
    for name in type(old).model_fields:
        if name in ("cameras", "base", "file", "log") or getattr(old, name) == getattr(new, name):
            continue
        because = _NEVER_LIVE.get(name, "concerns every camera: `crosscam stop`, then `crosscam run` goes on with it")
        raise ChangeError(f"{name} cannot be changed while site {old.site!r} runs: it {because}")
    before = {camera.id: camera for camera in old.cameras}
    after = {camera.id: camera for camera in new.cameras}
    changed = tuple(name for name, camera in after.items() if name in before and camera != before[name])
    for name in changed:
        _same_recording(before[name], after[name], live[name])
    return Changes(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=changed,
    )


def _same_recording(before: Camera, after: Camera, live: bool) -> None:
    for name in _OF_A_RECORDING:
        if not live and getattr(before, name) != getattr(after, name):
            raise ChangeError(
                f"camera {after.id!r}: its {name} cannot be changed, since it is a recording that has been read in "
                "part: give the other one as a camera of another id"
            )
