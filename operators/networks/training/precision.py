"""How well a detector finds: COCO's average precision, counted by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from operators.networks.training.errors import TrainingError
from operators.networks.training.labelled import Labelled
from operators.records import Detections


@dataclass(frozen=True, slots=True)
class Precision:
    """In [0, 1]: `ap` over overlaps of 0.5 to 0.95, `ap50` at 0.5, `ap75`; `recall` of 100 boxes a picture."""

    ap: float
    ap50: float
    ap75: float
    recall: float


def precision(found: Sequence[Detections], data: Labelled) -> Precision:
    """Scores of detections, one a picture of the data set, in its pixels.

    Raises:
        TrainingError: pycocotools is not installed.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        raise TrainingError("average precision needs the pycocotools package: pip install pycocotools") from None
    owners = np.repeat(np.arange(len(data)), np.diff(data.starts))
    sides = data.boxes[:, 2:] - data.boxes[:, :2]
    annotations: list[dict[str, Any]] = [
        {
            "id": row + 1,
            "image_id": int(owners[row]),
            "category_id": int(data.classes[row]),
            "bbox": [*data.boxes[row, :2].tolist(), *sides[row].tolist()],
            "area": float(sides[row].prod()),
            "iscrowd": 0,
        }
        for row in range(len(data.boxes))
    ]
    results = [
        [picture, x1, y1, x2 - x1, y2 - y1, score, kind]
        for picture, one in enumerate(found)
        for (x1, y1, x2, y2), score, kind in zip(one.boxes.tolist(), one.scores, one.classes, strict=True)
    ]
    if not results:
        return Precision(0.0, 0.0, 0.0, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):  # it tells what it is doing
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": picture} for picture in range(len(data))],
            "categories": [{"id": kind, "name": name} for kind, name in enumerate(data.names)],
            "annotations": annotations,
        }
        truth.createIndex()
        counting = COCOeval(truth, truth.loadRes(np.array(results, np.float64)), "bbox")
        counting.evaluate()
        counting.accumulate()
        counting.summarize()
    ap, ap50, ap75 = (max(float(value), 0.0) for value in counting.stats[:3])
    return Precision(ap, ap50, ap75, max(float(counting.stats[8]), 0.0))
