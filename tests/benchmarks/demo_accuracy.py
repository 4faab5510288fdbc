"""How well the demo's two cameras were tracked: scores of its MOT text export against real ground truth.

    python tests/benchmarks/demo_accuracy.py FOLDER [--as-published FOLDER]

FOLDER holds left.txt and right.txt (`crosscam export --format mot`). Prints JSON: all cameras as one problem
(`across`: one identity per person in both cameras), each camera on its own, and with `--as-published` how soon the
published identities were the right ones.

The two cameras are cut from one: MOT15's PETS09-S2L1, 795 frames, cropped to x in [0, 448) and [320, 768). The ground
truth is cut likewise: a box belongs to a camera if at least half of its width lies inside the crop; it is clipped to
the crop and shifted. A box of which less is inside is neither right nor wrong there, as MOT Challenge treats what
cannot be judged. A person who leaves and comes back is one person (people.txt), and the same in both cameras.

Needs ../shared/data/pets_s2l1 and TrackEval.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from mtmct.evaluation import evaluate, settling
from mtmct.mot_text import Boxes, find_ground_truth, find_results, read_people
from operators.records import CrosscamError

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "pets_s2l1"
CROPS = {"left": (0, 448), "right": (320, 768)}
INSIDE = 0.5
_PERSON, _NOT_JUDGED = 1, 8  # as in MOT17


def crop(boxes: Boxes, left: int, right: int) -> Boxes:
    """What a camera that sees only `left` <= x < `right` has of `boxes`."""
    x, width = boxes.xywh[:, 0], boxes.xywh[:, 2]
    x1, x2 = np.maximum(x, left), np.minimum(x + width, right)
    xywh = np.column_stack([x1 - left, boxes.xywh[:, 1], x2 - x1, boxes.xywh[:, 3]])
    classes = np.where(x2 - x1 >= INSIDE * width, _PERSON, _NOT_JUDGED)
    return replace(boxes, xywh=xywh, classes=classes)[x2 > x1]


def ground_truth(folder: Path = DATA) -> dict[str, Boxes]:
    """The demo's ground truth by camera; people who come back are merged."""
    (full,) = find_ground_truth(folder).values()
    full = full[full.confidences != 0].with_people(read_people(folder / "people.txt"))
    return {camera: crop(full, *edges) for camera, edges in CROPS.items()}


def demo_scores(folder: Path, as_published: Path | None = None) -> dict[str, dict[str, float | None]]:
    """The scores of the export in `folder`, by name.

    Raises:
        CrosscamError: the data, an exported file or TrackEval is missing.
    """
    truth = ground_truth()
    results = find_results(folder, truth)
    scores = evaluate(truth, results, preset="mot17")
    report = {"across": asdict(scores.across), **{camera: asdict(row) for camera, row in scores.cameras.items()}}
    if as_published:
        judged = {camera: boxes[boxes.classes == _PERSON] for camera, boxes in truth.items()}
        report["settling"] = asdict(settling(judged, find_results(as_published, truth), results))
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description="Score the demo's export.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--as-published", type=Path)
    arguments = parser.parse_args()
    try:
        report = demo_scores(arguments.folder, arguments.as_published)
    except CrosscamError as error:
        print(error, file=sys.stderr)
        return 1
    rounded = {
        name: {key: None if value is None else round(value, 2) for key, value in row.items()}
        for name, row in report.items()
    }
    print(json.dumps(rounded, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
