"""MOT text: reading results and ground truth, and finding them in folders.

One row a box: `frame,id,x,y,w,h[,confidence[,class,...]]`, comma-separated, in pixels of the camera's picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from configparser import ConfigParser
from configparser import Error as IniError
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from operators.records import CrosscamError, Int64

Float64 = NDArray[np.float64]

_COLUMNS = ("frame", "id", "x", "y", "width", "height", "confidence", "class")
_NEEDED = 6


class MotTextError(CrosscamError):
    """A file of boxes, or of what belongs to it, is missing or malformed."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """The boxes of one camera, in the order of the file.

    Attributes:
        frames: (N,) float64, usually whole numbers from 1; anything that orders frames and names equal ones will do.
        ids: (N,) int64.
        xywh: (N, 4) float64, left, top, width, height in pixels.
        confidences: (N,) float64; 1 where the file has none. In ground truth 0 means: not to be scored.
        classes: (N,) int64; 1 where the file has none. Means what the file's makers say it means.
        last_frame: no frame after this one belongs to the sequence; None if that is not known.
    """

    frames: Float64
    ids: Int64
    xywh: Float64
    confidences: Float64
    classes: Int64
    last_frame: float | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, rows: NDArray[np.bool_] | Int64) -> Boxes:
        """The boxes at `rows` (a mask or an index array)."""
        return replace(
            self,
            frames=self.frames[rows],
            ids=self.ids[rows],
            xywh=self.xywh[rows],
            confidences=self.confidences[rows],
            classes=self.classes[rows],
        )

    def with_people(self, people: Mapping[int, int]) -> Boxes:
        """Each id replaced by that of its person (see `read_people`); ids that are not named stay."""
        return replace(self, ids=np.array([people.get(id_, id_) for id_ in self.ids.tolist()], np.int64))


def read_mot(path: Path, *, last_frame: float | None = None) -> Boxes:
    """Read a file of boxes; blank lines do not count, an empty file holds no boxes.

    Raises:
        MotTextError: the file is missing or not text, or a line is malformed; says which line and why.
    """
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise MotTextError(f"cannot read boxes from {path}: {getattr(error, 'strerror', None) or error}") from error
    filled = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    width = min(len(filled[0][1].split(",")), len(_COLUMNS)) if filled else _NEEDED
    table = np.ones((len(filled), len(_COLUMNS)))
    try:
        if filled and width >= _NEEDED:
            text = [line for _, line in filled]
            table[:, :width] = np.loadtxt(text, delimiter=",", usecols=range(width), ndmin=2, comments=None)
    except ValueError:
        width = 0
    if width < _NEEDED or not np.isfinite(table).all() or not _are_ids(table[:, 1]).all():
        raise MotTextError(f"{path}, {_first_fault(filled)}")
    return Boxes(
        frames=table[:, 0],
        ids=table[:, 1].astype(np.int64),
        xywh=table[:, 2:6],
        confidences=table[:, 6],
        classes=table[:, 7].astype(np.int64),
        last_frame=last_frame,
    )


def _are_ids(values: Float64) -> NDArray[np.bool_]:
    whole: NDArray[np.bool_] = (values % 1 == 0) & (np.abs(values) < 2**53)
    return whole


def _first_fault(lines: Iterable[tuple[int, str]]) -> str:
    """Where the first malformed line is and what is wrong with it."""
    width = 0
    for number, line in lines:
        cells = [cell.strip() for cell in line.split(",")][: len(_COLUMNS)]
        if len(cells) < _NEEDED:
            return f"line {number}: {len(cells)} columns where frame,id,x,y,width,height are needed"
        if len(cells) < width:
            return f"line {number}: {len(cells)} columns where the lines above have {width} or more"
        width = width or len(cells)
        for name, cell in zip(_COLUMNS, cells, strict=False):
            try:
                value = float(cell)
            except ValueError:
                return f"line {number}: '{cell}' is not a number ({name})"
            if not np.isfinite(value) or (name == "id" and not _are_ids(np.array(value))):
                return f"line {number}: {cell} cannot be a {name}"
    return "some line: a number is written in a way that cannot be read"


def read_people(path: Path) -> dict[int, int]:
    """Which ids are the same person: one person a line, ids separated by spaces; `#` begins a comment.

    Returns:
        For each id that is named, the first id of its line.

    Raises:
        MotTextError: the file is missing, a word is no id, or an id stands twice; says which line.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise MotTextError(f"cannot read people from {path}: {getattr(error, 'strerror', None) or error}") from error
    people: dict[int, int] = {}
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        for word in words:
            if not word.lstrip("-").isdecimal():
                raise MotTextError(f"{path}, line {number}: '{word}' is not an id; write ids separated by spaces")
            if int(word) in people:
                raise MotTextError(f"{path}, line {number}: id {word} already belongs to a person")
            people[int(word)] = int(words[0])
    return people


def find_ground_truth(path: Path) -> dict[str, Boxes]:
    """Ground truth by camera, from any of the layouts in use.

    - a file: one camera, named after the file (after its folder if it is called `gt.txt`);
    - a folder with `gt.txt` or `gt/gt.txt`: one camera, named after the folder;
    - a folder of such folders (MOT Challenge): a camera each;
    - a folder of `<camera>.txt`: a camera each.

    A `seqinfo.ini` beside `gt.txt` or above `gt/` says how long the sequence is.

    Raises:
        MotTextError: there is none, or a file is malformed.
    """
    if path.is_dir():
        files = [path] if _sequence_file(path) else sorted(child for child in path.iterdir() if _sequence_file(child))
        found = {folder.resolve().name: _sequence_file(folder) for folder in files}
        found = found or {file.stem: file for file in sorted(path.glob("*.txt"))}
        if not found:
            raise MotTextError(
                f"there is no ground truth in {path}: no gt.txt, no <sequence>/gt/gt.txt, no <camera>.txt"
            )
    else:
        folder = path.resolve().parent
        sequence = folder.parent if folder.name == "gt" else folder
        found = {sequence.name if path.name == "gt.txt" else path.stem: path}
    return {name: read_mot(file, last_frame=_sequence_length(file)) for name, file in found.items() if file}


def find_results(path: Path, cameras: Iterable[str]) -> dict[str, Boxes]:
    """Results of `cameras`: the file itself for a single camera, else `<camera>.txt` in the folder.

    Raises:
        MotTextError: a camera has no file, or a file is malformed.
    """
    names = list(cameras)
    if not path.is_dir():
        if len(names) != 1:
            raise MotTextError(
                f"{path} is one file, the ground truth has {len(names)} cameras: give the folder of results"
            )
        return {names[0]: read_mot(path)}
    return {name: read_mot(path / f"{name}.txt") for name in names}


def _sequence_file(folder: Path) -> Path | None:
    return next((file for file in (folder / "gt" / "gt.txt", folder / "gt.txt") if file.is_file()), None)


def _sequence_length(file: Path) -> float | None:
    folder = file.parent.parent if file.parent.name == "gt" else file.parent
    ini = folder / "seqinfo.ini"
    if file.name != "gt.txt" or not ini.is_file():
        return None
    parser = ConfigParser()
    try:
        parser.read(ini, encoding="utf-8")
        return parser.getfloat("Sequence", "seqLength")
    except (IniError, ValueError) as error:
        raise MotTextError(f"{ini} does not say seqLength under [Sequence]: {error}") from error
