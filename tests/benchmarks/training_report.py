"""What the training benchmarks share: their options, the least score, and the picture of a learning curve."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import paddle

SCENE = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "pets_s2l1"
COLOURS = ((130, 130, 130), (200, 90, 0), (60, 150, 0), (40, 40, 220))


def parser(description: str | None, epochs: int) -> argparse.ArgumentParser:
    """Of the options that all have; also sets the machine to one thread."""
    cv2.setNumThreads(1)
    paddle.set_device("cpu")
    found = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--epochs", type=int, default=epochs, help="with fewer, the least scores are not asked for")
    found.add_argument("--to", type=Path, help="folder for checkpoints, log and model")
    found.add_argument("--curve", type=Path, help="PNG of the learning curve to write")
    return found


def finish(
    report: dict[str, Any],
    log: Path,
    names: Sequence[str],
    curve: Path | None,
    least: Mapping[str, tuple[float, float]],
) -> None:
    """Draw, print, and leave with 1 where a score is below its least: `least` has pairs of score and least by name."""
    rows = list(csv.DictReader(log.open(encoding="utf-8")))
    if curve is not None:
        cv2.imwrite(str(curve), drawn(rows, ["loss", *names]))
    report["loss"] = [round(float(rows[0]["loss"]), 3), round(float(rows[-1]["loss"]), 3)]
    report["at least"] = {name: low for name, (_, low) in least.items()}
    missed = [name for name, (score, low) in least.items() if score < low]
    report["missed"] = missed
    print(json.dumps(report, indent=1))
    if missed:
        sys.exit(1)


def drawn(rows: Sequence[Mapping[str, str]], names: Sequence[str]) -> Any:
    """By epoch: the loss, scaled to its range, and scores in [0, 1]."""
    picture = np.full((320, 480, 3), 255, np.uint8)
    last = max(float(row["epoch"]) for row in rows)
    for place, (name, colour) in enumerate(zip(names, COLOURS, strict=False)):
        there = [row for row in rows if row.get(name)]
        values = np.array([float(row[name]) for row in there])
        shown = (values - values.min()) / max(float(np.ptp(values)), 1e-9) if name == "loss" else values
        points = [
            (round(30 + 430 * float(row["epoch"]) / last), round(300 - 280 * v))
            for row, v in zip(there, shown, strict=True)
        ]
        cv2.polylines(picture, [np.array(points, np.int32)], False, colour, 2, cv2.LINE_AA)
        label = f"{name} {values[0]:.2f} to {values[-1]:.2f}"
        at = (280, 240 + 20 * place - 20 * len(names) // 2)
        cv2.putText(picture, label, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
    cv2.line(picture, (30, 300), (460, 300), (0, 0, 0), 1)
    cv2.line(picture, (30, 20), (30, 300), (0, 0, 0), 1)
    cv2.putText(picture, f"{last:.0f} epochs", (380, 316), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1)
    return picture
