"""Where small pictures of people seen by live cameras lie: written by workers, shown by the service, gone on erasure.

    run/plaza/ledger.sqlite.thumbnails/north/0/17-1790000000400000-731.jpg
    run/plaza.thumbnails/...               the same of a site whose ledger is in Kafka

A name holds the local track, the event time in microseconds and how well it was seen, in thousandths. The time is what
tells a track from another one of the same number: of a run before, say, whose ledger was deleted. A track has one
picture; 200 tracks share a folder, so that none grows large.

An erased track that its camera still sees has an empty file `17.gone` instead: its worker writes nothing more of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from operators.records import CrosscamError
from pipeline.address import Place

_NAME = re.compile(r"(\d+)-(-?\d+)-(\d+)\.jpg")
_GONE = re.compile(r"(\d+)\.gone")
_IN_A_FOLDER = 200  # tracks
_US_NS = 1_000
MOST_MERIT = 1_000

Track = tuple[str, int]


class ThumbnailError(CrosscamError):
    """A picture could not be written or removed."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A picture that is there.

    Attributes:
        time: event time, microseconds. merit: how well the object was seen, 0 to 1000.
    """

    path: Path
    track: int
    time: int
    merit: int


def folder_of(place: Place) -> Path:
    """Beside the ledger, unless a site whose ledger is in Kafka names another."""
    chosen = None if place.site is None or place.site.thumbnails is None else place.site.thumbnails.folder
    if chosen is not None:
        return chosen
    if place.file is not None:
        return place.file.with_name(place.file.name + ".thumbnails")
    assert place.kafka is not None
    return Path("run") / f"{place.kafka[0]}.thumbnails"


def find(folder: Path, camera: str, track: int, start: int, end: int) -> Kept | None:
    """The picture of a track of which it is known that it was seen from `start` to `end`, event time, microseconds."""
    held = [one for one in _listed(_shelf(folder, camera, track)) if one.track == track and start <= one.time <= end]
    return max(held, key=lambda one: one.merit, default=None)


def erase(folder: Path, tracks: Iterable[Track], going_on: Collection[Track]) -> str | None:
    """Remove the pictures of tracks, at once and for good.

    Args:
        going_on: those of them that their cameras may see again.

    Returns:
        What is left where, as a sentence; None if nothing is.
    """
    for camera, track in tracks:
        shelf = _shelf(folder, camera, track)
        try:
            if (camera, track) in going_on and (folder / camera).is_dir():  # made when its worker begins
                shelf.mkdir(exist_ok=True)
                (shelf / f"{track}.gone").touch()  # before anything is removed: see `CameraThumbnails.write`
            for kept in _listed(shelf):
                if kept.track == track:
                    kept.path.unlink(missing_ok=True)
        except OSError as error:
            return f"pictures in {folder} could not be removed ({error.strerror or error}): remove them by hand"
    return None


def clear(folder: Path, camera: str) -> None:
    """Remove what earlier runs have kept of a camera of which nothing is to be kept any more."""
    for shelf in _shelves(folder / camera):
        with suppress(OSError):
            for name in _names(shelf):
                if _NAME.fullmatch(name) or _GONE.fullmatch(name) or name.endswith(".partial"):
                    (shelf / name).unlink(missing_ok=True)
            shelf.rmdir()


class CameraThumbnails:
    """The pictures of one camera. Used by one thread at a time.

    Args:
        folder: of the site's.
        camera: its id.
        keep_ns: event time after which a picture goes.
        most: bytes of all of them, the newest aside.
    """

    def __init__(self, folder: Path, camera: str, keep_ns: int, most: int) -> None:
        self._folder, self._camera, self._keep_ns, self._most = folder, camera, keep_ns, most
        self._known: frozenset[int] = frozenset()
        self._kept: dict[int, tuple[Kept, int]] | None = None  # by track, oldest first, with their bytes
        self._bytes = 0

    def open(self, known: Collection[int] = ()) -> dict[int, int]:
        """Make the camera's folder, and take stock of what earlier runs have left in it.

        Args:
            known: tracks that go on from an earlier worker; what lies there of others, under a number that comes again,
                is of somebody else.

        Returns:
            How well those of them that have a picture are shown.

        Raises:
            ThumbnailError: the folder cannot be made.
        """
        self._known = frozenset(known)
        try:
            (self._folder / self._camera).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._trouble(error) from None
        return {track: one.merit for track, (one, _) in self._load().items() if track in self._known}

    def write(self, track: int, time_ns: int, merit: int, data: bytes) -> None:
        """Keep a picture in place of the track's former one, unless the track was erased; remove what is too old.

        Raises:
            ThumbnailError: it cannot be written.
        """
        kept = self._load()
        shelf = _shelf(self._folder, self._camera, track)
        gone = shelf / f"{track}.gone"
        path = shelf / f"{track}-{time_ns // _US_NS}-{merit}.jpg"
        partial = shelf / f".{track}.partial"
        try:
            shelf.mkdir(parents=True, exist_ok=True)
            if not gone.exists():
                partial.write_bytes(data)
                partial.replace(path)
                self._drop(track, but=path)
                kept[track] = Kept(path, track, time_ns // _US_NS, merit), len(data)
                self._bytes += len(data)
                if gone.exists():  # erased in this very moment: whoever did so may have looked before it was here
                    self._drop(track)
        except OSError as error:
            raise self._trouble(error) from None
        self.expire(time_ns)

    def end(self, tracks: Iterable[int]) -> None:
        """These do not come again: no mark has to stand for them any more."""
        for track in tracks:
            with suppress(OSError):
                (_shelf(self._folder, self._camera, track) / f"{track}.gone").unlink()

    def _trouble(self, error: OSError) -> ThumbnailError:
        return ThumbnailError(
            f"camera {self._camera!r}: pictures of people cannot be kept in {self._folder} "
            f"({error.strerror or error}); make room, or leave `thumbnails` out of the site's file"
        )

    def _load(self) -> dict[int, tuple[Kept, int]]:
        """What earlier runs have left; of two of a track the newer, which a crash may leave."""
        if self._kept is None:
            self._kept = {}
            found = []
            for shelf in _shelves(self._folder / self._camera):
                found += _listed(shelf)
                for name in _names(shelf):
                    mark = _GONE.fullmatch(name)
                    if name.endswith(".partial") or (mark is not None and int(mark[1]) not in self._known):
                        with suppress(OSError):
                            (shelf / name).unlink()
            for one in sorted(found, key=lambda one: one.time):
                with suppress(OSError):
                    size = one.path.stat().st_size
                    self._drop(one.track)
                    self._kept[one.track] = one, size
                    self._bytes += size
        return self._kept

    def _drop(self, track: int, but: Path | None = None) -> None:
        assert self._kept is not None
        found = self._kept.pop(track, None)
        if found is not None:
            self._bytes -= found[1]
            if found[0].path != but:
                found[0].path.unlink(missing_ok=True)

    def expire(self, now_ns: int) -> None:
        """Remove what is too old at that event time, and the oldest of what is too much."""
        now, kept = now_ns // _US_NS, self._load()
        while kept:
            track, (one, _) = next(iter(kept.items()))  # the oldest, or nearly so: a better one of a track is put last
            too_many = self._bytes > self._most and len(kept) > 1
            if not too_many and (now - one.time) * _US_NS <= self._keep_ns:
                return
            with suppress(OSError):
                self._drop(track)
                one.path.parent.rmdir()  # unless there are others in it


def _shelf(folder: Path, camera: str, track: int) -> Path:
    return folder / camera / str(track // _IN_A_FOLDER)


def _shelves(folder: Path) -> Iterator[Path]:
    return (folder / name for name in _names(folder) if name.isdecimal())


def _listed(shelf: Path) -> list[Kept]:
    matches = (_NAME.fullmatch(name) for name in _names(shelf))
    return [Kept(shelf / m[0], int(m[1]), int(m[2]), int(m[3])) for m in matches if m is not None]


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []
