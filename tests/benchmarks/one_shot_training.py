"""Do the one-shot trainers learn? What fairmot_training.py and jde_training.py share."""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import paddle

from operators.detect import open_detector
from operators.networks.training.one_shot import Recipe, train
from operators.networks.training.scenes import Scene, read_shots
from operators.networks.training.tracking_score import score

SCENE = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "pets_s2l1"


def run(recipe: Recipe, height: int, width: int, description: str | None) -> None:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=recipe.epochs)
    parser.add_argument("--to", type=Path)
    parser.add_argument("--curve", type=Path, help="PNG to draw")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    paddle.set_device("cpu")
    recipe = replace(recipe, epochs=options.epochs)
    scene = Scene(SCENE / "gt.txt", SCENE / "vtest.avi", last=99, every=2, same=SCENE / "people.txt")
    data = read_shots([scene], ["person"], height=height, width=width)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.to or Path(scratch)
        start = time.process_time()
        best = train(recipe, data, data, folder)
        seconds = time.process_time() - start
        log = list(csv.DictReader((folder / "log.csv").open(encoding="utf-8")))
        detector = open_detector(folder / "model", score_threshold=0.1)
        found = []
        video = cv2.VideoCapture(str(SCENE / "vtest.avi"))
        for number in range(1, 100):
            image = video.read()[1]
            if number % 2:
                found.extend(detector.detect([image]))
        exported = score(found, data, recipe.tracker, recipe.fps)
    if options.curve:
        cv2.imwrite(str(options.curve), curve(log))
    report: dict[str, Any] = {
        "pictures": len(data.shots),
        "identities": data.people[0],
        "input": [width, height],
        "best": asdict(best),
        "exported": asdict(exported),
        "loss": [round(float(log[0]["loss"]), 3), round(float(log[-1]["loss"]), 3)],
        "processor seconds": round(seconds, 1),
    }
    print(json.dumps(report, indent=1))


def curve(log: list[dict[str, str]]) -> Any:
    """Loss (grey, scaled to its range), AP (blue), IDF1 (green) by epoch."""
    picture = np.full((320, 480, 3), 255, np.uint8)
    epochs = [float(entry["epoch"]) for entry in log]
    for name, colour, shelf in (("loss", (130, 130, 130), 20), ("ap50", (200, 90, 0), 40), ("idf1", (60, 150, 0), 60)):
        values = np.array([float(entry[name]) for entry in log])
        shown = (values - values.min()) / max(float(np.ptp(values)), 1e-9) if name == "loss" else values
        points = [(round(30 + 430 * e / max(epochs)), round(300 - 280 * v)) for e, v in zip(epochs, shown, strict=True)]
        cv2.polylines(picture, [np.array(points, np.int32)], False, colour, 2, cv2.LINE_AA)
        label = f"{name} {values[0]:.2f} to {values[-1]:.2f}"
        cv2.putText(picture, label, (290, 220 + shelf), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
    cv2.line(picture, (30, 300), (460, 300), (0, 0, 0), 1)
    cv2.line(picture, (30, 20), (30, 300), (0, 0, 0), 1)
    cv2.putText(picture, f"{epochs[-1]:.0f} epochs", (380, 316), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1)
    return picture
