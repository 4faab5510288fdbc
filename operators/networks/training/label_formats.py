"""The formats that labelled pictures come in: COCO's JSON, VOC's XML, JDE's text beside pictures, and MOT's gt.txt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np

from operators.networks.training.errors import TrainingError
from operators.networks.training.labelled import Labelled, clipped, gathered

PICTURES = (".jpg", ".jpeg", ".png", ".bmp")


def read_coco(labels: Path, pictures: Path, names: Sequence[str] = ()) -> Labelled:
    """COCO's `instances` JSON; crowds are left out.

    Args:
        labels: the file.
        pictures: the folder that its `file_name`s are in.
        names: classes to use, in their order; all that the file has, in the order of its ids, if empty.

    Raises:
        TrainingError: not such a file, nothing in it, an unknown class, or a box outside.
    """
    try:
        content = json.loads(labels.read_text(encoding="utf-8"))
        categories = {int(item["id"]): str(item["name"]) for item in content["categories"]}
        images = {int(item["id"]): item for item in content["images"]}
        annotations = list(content["annotations"])
    except FileNotFoundError:
        raise TrainingError(f"{labels}: there is no such file of labels") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{labels} is not laid out as COCO's labels are ({error!r})") from None
    chosen = tuple(names) or tuple(categories[key] for key in sorted(categories))
    place = _places(chosen, set(categories.values()), labels)
    rows: dict[int, list[list[float]]] = {key: [] for key in images}
    for number, item in enumerate(annotations):
        where = f"{labels}, annotation {item.get('id', number) if isinstance(item, Mapping) else number}"
        try:
            image, name = images[int(item["image_id"])], categories[int(item["category_id"])]
            x, y, width, height = (float(value) for value in item["bbox"])
        except (KeyError, TypeError, ValueError) as error:
            raise TrainingError(f"{where}: its picture, class or box is not in the file ({error!r})") from None
        if name in place and not item.get("iscrowd"):
            box = clipped((x, y, x + width, y + height), float(image["width"]), float(image["height"]), where)
            rows[int(item["image_id"])].append([*box, place[name], float(item.get("track_id", -1))])
    found = [(pictures / str(item["file_name"]), -1, rows[key]) for key, item in images.items()]
    return gathered(found, chosen, labels)


def read_voc(labels: Path, pictures: Path, names: Sequence[str]) -> Labelled:
    """A folder of VOC's XML files; objects marked `difficult` are left out.

    Args:
        labels: the folder, `Annotations`.
        pictures: the folder of pictures, `JPEGImages`.
        names: the classes, in their order.

    Raises:
        TrainingError: as `read_coco`.
    """
    place = {name: row for row, name in enumerate(names)}
    found = []
    for file in sorted(labels.glob("*.xml")):
        try:
            root = ElementTree.fromstring(file.read_text(encoding="utf-8"))
            picture = pictures / _text(root, "filename")
            width, height = (float(_text(root, f"size/{side}")) for side in ("width", "height"))
            rows = []
            for item in root.iter("object"):
                name = _text(item, "name")
                if name not in place:
                    raise TrainingError(f"{file}: the class {name!r} is not among {', '.join(names)}")
                if item.findtext("difficult", "0").strip() != "1":
                    corners = [float(_text(item, f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")]
                    # VOC counts pixels from 1, its corners included.
                    box = (corners[0] - 1, corners[1] - 1, corners[2], corners[3])
                    rows.append([*clipped(box, width, height, str(file)), place[name], -1.0])
        except (OSError, ElementTree.ParseError, ValueError) as error:
            raise TrainingError(f"{file} is not laid out as VOC's labels are ({error})") from None
        found.append((picture, -1, rows))
    return gathered(found, names, labels)


def read_jde(labels: Path, pictures: Path, names: Sequence[str]) -> Labelled:
    """JDE's text beside pictures: `labels_with_ids/x.txt` for `images/x.jpg`, rows `class id cx cy w h`, shares of
    the picture's size; an id of -1 is nobody known.

    Args:
        labels, pictures: folders of like shape, searched with all that is below.
        names: the classes, in their order.

    Raises:
        TrainingError: as `read_coco`.
    """
    if not pictures.is_dir():
        raise TrainingError(f"{pictures}: there is no such folder of pictures")
    found: list[tuple[Path, int, list[list[float]]]] = []
    for picture in sorted(file for file in pictures.rglob("*") if file.suffix.lower() in PICTURES):
        file = (labels / picture.relative_to(pictures)).with_suffix(".txt")
        if not file.is_file():
            found.append((picture, -1, []))
            continue
        image = cv2.imread(str(picture))
        if image is None:
            raise TrainingError(f"{picture} cannot be read as a picture; export it again or take it out")
        height, width = image.shape[:2]
        rows = []
        for number, (kind, identity, x, y, w, h) in _numbers(file, 6, None):
            where = f"{file}, line {number}"
            if not 0 <= kind < len(names) or kind != int(kind):
                raise TrainingError(f"{where}: class {kind:g} is unknown; there are {len(names)}, counted from 0")
            box = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
            rows.append([*clipped(box, width, height, where), kind, identity])
        found.append((picture, -1, rows))
    return gathered(found, names, labels)


def read_mot(
    labels: Path, pictures: Path, name: str = "person", *, first: int = 1, last: int | None = None, every: int = 1
) -> Labelled:
    """MOT's gt.txt: rows `frame,id,x,y,w,h,counts[,...]`, frames from 1; a row that counts 0 is left out.

    Args:
        labels: the file.
        pictures: a video, or a folder of pictures in the order of their names.
        name: of the one class.
        first, last: frames to use, both included; None for the last one there is.
        every: use every so many of them, those without a box as well.

    Raises:
        TrainingError: as `read_coco`; boxes that are partly outside are cut, those wholly outside left out, since MOT
            labels go on where people leave the picture.
    """
    if not pictures.exists():
        raise TrainingError(f"{pictures}: there is no such video or folder of pictures")
    files: list[Path] = []
    if pictures.is_dir():
        files = sorted(file for file in pictures.iterdir() if file.suffix.lower() in PICTURES)
        count = len(files)
        sample = cv2.imread(str(files[0])) if files else None
    else:
        video = cv2.VideoCapture(str(pictures))
        count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        _, sample = video.read()
        video.release()
    if sample is None:
        raise TrainingError(f"{pictures}: there is no picture in it that can be read")
    height, width = sample.shape[:2]
    rows: dict[int, list[list[float]]] = {}
    for number, (frame, identity, x, y, w, h, counts) in _numbers(labels, 7, ","):
        if counts and frame > count:
            raise TrainingError(f"{labels}, line {number}: frame {frame:g}, but {pictures} ends at {count}")
        if counts and x < width and y < height and x + w > 0 and y + h > 0:
            box = clipped((x, y, x + w, y + h), width, height, f"{labels}, line {number}")
            rows.setdefault(int(frame), []).append([*box, 0.0, identity])
    wanted = range(first, min(last or count, count) + 1, every)
    found = [
        (files[frame - 1] if files else pictures, -1 if files else frame - 1, rows.get(frame, [])) for frame in wanted
    ]
    return gathered(found, (name,), labels)


def _places(chosen: Sequence[str], known: set[str], labels: Path) -> dict[str, int]:
    missing = [name for name in chosen if name not in known]
    if missing:
        raise TrainingError(f"{labels}: it knows no class {missing[0]!r}, only {', '.join(sorted(known))}")
    return {name: row for row, name in enumerate(chosen)}


def _text(item: Any, path: str) -> str:
    text = item.findtext(path)
    if text is None:
        raise ValueError(f"{path} is missing")
    return str(text).strip()


def _numbers(file: Path, columns: int, separator: str | None) -> list[tuple[int, list[float]]]:
    """Line numbers and the first so many numbers of every line that is not empty."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise TrainingError(f"{file}: there is no such file of labels") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{file}: the labels cannot be read ({error})") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values = [float(value) for value in line.split(separator)[:columns]]
        except ValueError:
            values = []
        if len(values) < columns or not np.isfinite(values).all():
            raise TrainingError(f"{file}, line {number}: {line!r} does not start with {columns} numbers")
        found.append((number, values))
    return found
