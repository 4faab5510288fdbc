"""Do the one-shot trainers learn? What fairmot_training.py and jde_training.py share."""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import cv2
from training_report import SCENE, finish, parser

from operators.detect import open_detector
from operators.networks.training.one_shot import Recipe, train
from operators.networks.training.scenes import Scene, read_shots
from operators.networks.training.tracking_score import score


def run(recipe: Recipe, height: int, width: int, description: str | None, ap50: float, idf1: float) -> None:
    """Train, and ask of the exported model at least that AP50 and IDF1."""
    options = parser(description, recipe.plan.epochs).parse_args()
    whole = options.epochs >= recipe.plan.epochs
    recipe = replace(recipe, plan=replace(recipe.plan, epochs=options.epochs))
    scene = Scene(SCENE / "gt.txt", SCENE / "vtest.avi", last=99, every=2, same=SCENE / "people.txt")
    data = read_shots([scene], ["person"], height=height, width=width)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.to or Path(scratch)
        start = time.process_time()
        best = train(recipe, data, data, folder)
        seconds = time.process_time() - start
        detector = open_detector(folder / "model", score_threshold=0.1)
        found = []
        video = cv2.VideoCapture(str(SCENE / "vtest.avi"))
        for number in range(1, 100):
            image = video.read()[1]
            if number % 2:
                found.extend(detector.detect([image]))
        exported = score(found, data, recipe.tracker, recipe.fps)
        report = {
            "pictures": len(data.shots),
            "identities": data.people[0],
            "input": [width, height],
            "best": asdict(best),
            "exported": asdict(exported),
            "processor seconds": round(seconds, 1),
        }
        least = {"ap50": (exported.ap50, ap50), "idf1": (exported.idf1, idf1)} if whole else {}
        finish(report, folder / "log.csv", ["ap50", "idf1"], options.curve, least)
