"""What detection files of every format share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.sources.base import DEFAULT_CLASSES, Brings, Crop, Rejected, Source, SourceError
from pipeline.sources.boxes import ClassTable, RowError, shortened

# So many rows at its beginning say what a file brings.
LOOK_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Contents:
    """What the first rows of a file say about all of it.

    Attributes:
        tracks: they have ids; else all of them are -1 or missing.
        dim: size of the embeddings, by majority; None if there are none.
        has_frames: rows say their frame number.
        has_times: rows say their time.
        has_classes: rows say their class.
    """

    tracks: bool
    dim: int | None = None
    has_frames: bool = True
    has_times: bool = False
    has_classes: bool = True


class DetectionFile(Source):
    """Boxes, and perhaps ids and embeddings, that were found elsewhere.

    The first thousand rows decide what the file brings: tracks if any of them has an id other than -1, else boxes;
    embeddings if any of them has one. A row that is not like that, or cannot be read, is rejected, and the rest of
    its frame goes on without it; of a row with an unusable embedding only the embedding is.

    Rows of classes that are not wanted, and those outside the crop, are left out and counted: `rows.other_class`,
    `rows.outside_crop`; rejected ones as `rows.rejected`. A crop means what it does for video: boxes of the full
    picture are cut and shifted, and those more than half outside are not seen.

    Args:
        camera: camera id.
        path: the file.
        fps: frames a second.
        crop: x1, y1, x2, y2, pixels of the full picture.
        start_ns: event time of the first frame.
        classes: names that are wanted, which class indices refer to.
    """

    def __init__(
        self,
        camera: str,
        path: Path,
        *,
        fps: float | None = None,
        crop: Crop | None = None,
        start_ns: int = 0,
        classes: Sequence[str] | None = None,
    ) -> None:
        super().__init__(camera)
        self._path = path
        self._fps = fps
        self._crop = crop
        self._start_ns = start_ns
        self._classes = tuple(classes or DEFAULT_CLASSES)
        self._table = ClassTable(self._classes)
        self._contents: Contents | None = None

    @property
    def brings(self) -> Brings:
        """boxes or tracks, as the file's first rows say."""
        try:
            return "tracks" if self.contents.tracks else "boxes"
        except SourceError:
            return "boxes"

    @property
    def brings_embeddings(self) -> bool:
        """Whether the file's first rows have embeddings."""
        try:
            return self.contents.dim is not None
        except SourceError:
            return False

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that are wanted."""
        return self._classes

    @property
    def size(self) -> tuple[int, int] | None:
        """The crop's size; without one, not known."""
        return None if self._crop is None else (self._crop[2] - self._crop[0], self._crop[3] - self._crop[1])

    @property
    def contents(self) -> Contents:
        """What the file brings.

        Raises:
            SourceError: the file cannot be read, or holds no row that can be.
        """
        if self._contents is None:
            self._check_file()
            self._contents = self._look()
        return self._contents

    @abstractmethod
    def _look(self) -> Contents:
        """Read the first rows."""

    def _check_file(self) -> None:
        try:
            if not self._path.is_file():
                raise self._error("there is no such file", "check the path after `detections:`")
            if self._path.stat().st_size == 0:
                raise self._error("the file is empty", "write its rows first, or take the camera out")
            with self._path.open("rb"):
                pass
        except OSError as error:
            raise self._error(f"the file cannot be opened ({error.strerror})", "check its permissions") from None

    def _rejection(self, line: int, problem: RowError, text: str, time_ns: int) -> Rejected:
        return Rejected(problem.reason, f"{self._path}, row {line}: {problem}", shortened(text), time_ns)

    def _error(self, what: str, remedy: str) -> SourceError:
        return SourceError(f"camera {self.camera!r}: {self._path}: {what}; {remedy}")
