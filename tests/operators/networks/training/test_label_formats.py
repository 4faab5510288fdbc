"""One small street in every label format gives the same boxes; what is wrong in a file is said by file and line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from operators.networks.training.errors import TrainingError
from operators.networks.training.label_formats import read_coco, read_jde, read_mot, read_voc
from operators.networks.training.labelled import Labelled

# x1, y1, x2, y2 in pictures of 80 x 60.
BOXES = np.float32([[10, 5, 30, 45], [40, 10, 80, 60]])


@pytest.fixture
def street(tmp_path: Path) -> Path:
    (tmp_path / "img").mkdir()
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / "img" / f"{number}.png"), np.full((60, 80, 3), 90 * number, np.uint8))
    return tmp_path


def coco(street: Path, **changes: object) -> Path:
    item = {"id": 1, "image_id": 1, "category_id": 3, "bbox": [10, 5, 20, 40], **changes}
    second = {"id": 2, "image_id": 2, "category_id": 3, "bbox": [40, 10, 45, 55]}
    crowd = {"id": 3, "image_id": 2, "category_id": 3, "bbox": [0, 0, 9, 9], "iscrowd": 1}
    pictures = [{"id": n, "file_name": f"{n}.png", "width": 80, "height": 60} for n in (1, 2)]
    names = [{"id": 3, "name": "person"}, {"id": 7, "name": "car"}]
    file = street / "coco.json"
    file.write_text(json.dumps({"images": pictures, "annotations": [item, second, crowd], "categories": names}))
    return file


def from_coco(street: Path) -> Labelled:
    return read_coco(coco(street), street / "img", ["person"])


def voc(street: Path, name: str = "person", left: int = 11) -> Path:
    (street / "xml").mkdir(exist_ok=True)
    for number, corners in ((1, (left, 6, 30, 45)), (2, (41, 11, 80, 60))):
        sides = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
        box = "".join(f"<{side}>{value}</{side}>" for side, value in sides)
        (street / "xml" / f"{number}.xml").write_text(
            f"<annotation><filename>{number}.png</filename><size><width>80</width><height>60</height></size>"
            f"<object><name>{name}</name><bndbox>{box}</bndbox></object></annotation>"
        )
    return street / "xml"


def from_voc(street: Path) -> Labelled:
    return read_voc(voc(street), street / "img", ["person"])


def jde(street: Path, kind: int = 0) -> Path:
    (street / "ids").mkdir(exist_ok=True)
    for number, (x1, y1, x2, y2) in enumerate(BOXES, 1):
        row = ((x1 + x2) / 160, (y1 + y2) / 120, (x2 - x1) / 80, (y2 - y1) / 60)
        text = f"{kind} {number + 4} " + " ".join(f"{value:.6f}" for value in row)
        (street / "ids" / f"{number}.txt").write_text(text + "\n")
    return street / "ids"


def from_jde(street: Path) -> Labelled:
    return read_jde(jde(street), street / "img", ["person"])


def from_mot(street: Path) -> Labelled:
    file = street / "gt.txt"
    file.write_text("1,5,10,5,20,40,1\n2,6,40,10,45,55,1\n2,7,0,0,9,9,0\n2,8,200,0,9,9,1\n")
    return read_mot(file, street / "img")


@pytest.mark.parametrize("read", [from_coco, from_voc, from_jde, from_mot])
def test_every_format_gives_the_same_boxes(read: Callable[[Path], Labelled], street: Path) -> None:
    found = read(street)
    np.testing.assert_allclose(found.boxes, BOXES, atol=1e-3)
    assert (found.starts.tolist(), found.classes.tolist(), found.names) == ([0, 1, 2], [0, 0], ("person",))
    assert found.identities.tolist() == ([5, 6] if read in (from_jde, from_mot) else [-1, -1])
    assert [int(found.read(picture)[0, 0, 0]) for picture in range(len(found))] == [90, 180]


@pytest.mark.parametrize(
    ("read", "says"),
    [
        (lambda street: read_coco(coco(street, category_id=9), street / "img"), "annotation 1: its picture, class"),
        (lambda street: read_coco(coco(street, bbox=[90, 0, 5, 5]), street / "img"), "annotation 1: the box 90, 0"),
        (lambda street: read_coco(coco(street, bbox=[9, 0, 0, 5]), street / "img"), "annotation 1: .* is no box"),
        (lambda street: read_coco(coco(street), street / "img", ["dog"]), "no class 'dog', only car, person"),
        (lambda street: read_coco(coco(street), street / "img", ["car"]), "no picture has a box"),
        (lambda street: read_coco(street / "none.json", street), "no such file"),
        (lambda street: read_coco(street / "img" / "1.png", street), "not laid out as COCO"),
        (lambda street: read_voc(voc(street, "cat"), street / "img", ["person"]), r"1\.xml: the class 'cat'"),
        (lambda street: read_voc(voc(street, left=99), street / "img", ["person"]), r"1\.xml: .* is no box"),
        (lambda street: read_voc(street / "img", street / "img", ["person"]), "the data set is empty"),
        (lambda street: read_jde(jde(street, 4), street / "img", ["person"]), r"1\.txt, line 1: class 4 is unknown"),
        (lambda street: read_jde(street, street / "none", ["person"]), "no such folder"),
        (lambda street: read_mot(street / "none.txt", street / "img"), "no such file of labels"),
    ],
)
def test_what_is_wrong_is_said(read: Callable[[Path], Labelled], says: str, street: Path) -> None:
    with pytest.raises(TrainingError, match=says):
        read(street)


def test_a_missing_and_a_broken_picture_are_named(street: Path) -> None:
    found = from_coco(street)
    (street / "img" / "1.png").unlink()
    (street / "img" / "2.png").write_bytes(b"no picture")
    with pytest.raises(TrainingError, match=r"1\.png: the labels name this picture"):
        found.read(0)
    with pytest.raises(TrainingError, match=r"2\.png cannot be read as a picture"):
        found.read(1)
