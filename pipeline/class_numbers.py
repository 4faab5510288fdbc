"""What the class column of MOT text means, written and read alike.

The COCO numbering (80 classes, from 1) of what moves by itself; MOT Challenge's pedestrian is 1 as well. A class that
is not in it has a number from 101 on, in alphabetical order of such classes in use.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

CLASS_NUMBERS: Mapping[str, int] = MappingProxyType(
    {"person": 1, "pedestrian": 1, "bicycle": 2, "car": 3, "motorcycle": 4, "airplane": 5, "bus": 6, "train": 7}
    | {"truck": 8, "boat": 9, "bird": 15, "cat": 16, "dog": 17, "horse": 18, "sheep": 19, "cow": 20}
    | {"elephant": 21, "bear": 22, "zebra": 23, "giraffe": 24}
)
FIRST_OTHER_CLASS = 101


def numbers_of(classes: Collection[str]) -> dict[str, int]:
    """The number of each of the classes in use."""
    others = sorted(set(classes) - set(CLASS_NUMBERS))
    return {name: CLASS_NUMBERS.get(name) or FIRST_OTHER_CLASS + others.index(name) for name in classes}
